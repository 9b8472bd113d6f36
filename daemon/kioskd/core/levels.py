"""Computes what should hold in a state: `levels(state, policy)`.

The machine emits the difference between the levels before and after an event.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from kioskd.core import ending
from kioskd.core import link as links
from kioskd.core import turn as turns
from kioskd.core.effects import (
    CancelTimer,
    Duck,
    Effect,
    ForgetHandle,
    KeepHandle,
    KioskStatus,
    Overlay,
    SetCamera,
    SetMute,
    SetSpeaker,
    SetTimer,
    SetUplink,
    ShowStatus,
    UplinkGate,
)
from kioskd.core.events import Device, Timer
from kioskd.core.link_state import Link, LinkPhase, LinkTrouble
from kioskd.core.policy import CameraMode, Policy, UplinkMode
from kioskd.core.troubles import broken, troubles, unwakeable
from kioskd.core.turn import Turn
from kioskd.errors import Code

QUESTION: Final = "question"
"""The prompt that asks for a press."""

ANNOUNCEMENT: Final = "announcement"
"""The prompt that is an announcement of the owner."""


@dataclass(frozen=True, slots=True)
class State:
    """Everything that the core knows."""

    turn: Turn = field(default_factory=Turn)
    link: Link = field(default_factory=Link)
    started: bool = False
    missing: Mapping[Device, tuple[str, ...]] = field(default_factory=dict, hash=False)
    """Names of the missing devices, by kind."""
    deaf: bool = False
    """The microphone is present and gives nothing but silence."""
    muted: bool = False
    """A person has closed the microphone."""
    closed: Code | None = None
    """Reason why no conversation may begin."""
    opens: str = ""
    """Local time at which the kiosk opens again; see `Closing`."""
    near: bool = False
    """One of the owner's limits will soon end this conversation."""
    unkept: str = ""
    """Reason why state cannot be written to disk; the kiosk serves all the same."""
    refused: str = ""
    """Reason and time of a rejected reload; the kiosk goes on with the settings from before."""
    armed: str = ""
    """Action that releasing the button would commit."""
    confirming: bool = False
    """A tool waits for a press of the button."""
    asking: str = ""
    """Name of the tool that waits for a press."""
    prompt: str | None = None
    """The spoken prompt that is playing: a code, `QUESTION` or `ANNOUNCEMENT`."""
    ringing: bool = False
    """A prompt that shuts the uplink was stopped, and the room's echo of it has not faded yet."""
    away: bool = False
    """The visitor has left, as a sensor saw during this conversation, and no other sign has come since."""
    starved: int | None = None
    """Number of the reply whose audio has stopped arriving before its end."""
    told: frozenset[Code] = frozenset()
    """Codes that the kiosk has spoken in this conversation."""


@dataclass(frozen=True, slots=True)
class Levels:
    """Conditions that should hold in a state."""

    uplink: UplinkGate
    shown: KioskStatus
    show: ShowStatus
    """`shown` with its details."""
    timers: Mapping[Timer, float]
    """Timers that should run, with their seconds."""
    resumption: KeepHandle | None
    """Data that a new process needs to go on with the conversation."""
    muted: bool
    camera: bool
    """Whether the camera should run."""
    speaker: bool
    """Whether the speaker should be ready to sound at once."""
    duck: bool


def levels(state: State, policy: Policy) -> Levels:
    """Return the conditions that should hold in `state`."""
    turn, handle = state.turn, state.link.handle
    resumption = (
        KeepHandle(turn.conversation, handle, turn.profile) if turn.awake and handle is not None else None
    )
    show = replace(_show(state, policy), asking=state.asking)
    return Levels(
        uplink=_uplink(state, policy),
        shown=show.shown,
        show=show,
        timers=dict(_timers(state, policy)),
        resumption=resumption,
        muted=state.muted,
        camera=_camera(turn, policy),
        speaker=turn.awake,
        duck=turn.suspected,
    )


def warned(state: State) -> bool:
    """Return whether a person in the conversation should know that it will soon end."""
    turn = state.turn
    return turn.attended and (turn.warned or turn.idle_warned or state.near)


def idle(state: State) -> bool:
    """Return whether the kiosk waits for the visitor to say something.

    In an outage the kiosk cannot answer, so a silent visitor is not idle. While the model waits for a tool,
    the visitor waits, too. During an announcement, the visitor cannot answer.
    """
    outage = state.link.reached_service and offline(state.link)
    return state.turn.quiet and not outage and state.prompt != ANNOUNCEMENT


def difference(before: Levels, after: Levels, *, anew: Collection[Timer] = ()) -> Iterator[Effect]:
    """Yield the effects that turn `before` into `after`; timers in `anew` start again from zero."""
    for timer in before.timers:
        if timer not in after.timers:
            yield CancelTimer(timer)
    for timer, seconds in after.timers.items():
        if before.timers.get(timer) != seconds or timer in anew:
            yield SetTimer(timer, seconds)
    if after.muted is not before.muted:
        yield SetMute(after.muted)
    if after.uplink is not before.uplink:
        yield SetUplink(after.uplink)
    if after.camera is not before.camera:
        yield SetCamera(after.camera)
    if after.speaker is not before.speaker:
        yield SetSpeaker(after.speaker)
    if after.duck is not before.duck:
        yield Duck(after.duck)
    if after.resumption != before.resumption:
        yield after.resumption or ForgetHandle()
    if after.show != before.show:
        yield after.show


def _uplink(state: State, policy: Policy) -> UplinkGate:
    turn = state.turn
    if state.ringing or shuts(state.prompt, policy) or (policy.half_duplex and turn.sounding):
        return UplinkGate.SHUT
    if not turn.awake:
        return UplinkGate.PREROLL
    if policy.uplink_mode is not UplinkMode.ALWAYS and not turn.voice:
        return UplinkGate.PAUSED
    return UplinkGate.SEND if state.link.open and not turn.gated else UplinkGate.HOLD


def shuts(prompt: str | None, policy: Policy) -> bool:
    """Return whether the uplink is shut while `prompt` plays. No microphone may hear an announcement."""
    return prompt == ANNOUNCEMENT or (policy.half_duplex and prompt is not None)


def may_announce(state: State) -> bool:
    """Return whether an announcement can begin: the speaker works, and no other prompt needs it."""
    return state.started and not (state.prompt or state.confirming or Device.SPEAKER in state.missing)


def _camera(turn: Turn, policy: Policy) -> bool:
    match policy.camera:
        case CameraMode.NEVER:
            return False
        case CameraMode.CONVERSATION:
            return turn.awake
        case CameraMode.SPEECH:
            return turn.awake and turn.voice


LONG_S = links.LONG_S

_SHOWN = {
    turns.TurnPhase.ASLEEP: KioskStatus.ASLEEP,
    turns.TurnPhase.LISTENING: KioskStatus.LISTENING,
    turns.TurnPhase.THINKING: KioskStatus.THINKING,
    turns.TurnPhase.SPEAKING: KioskStatus.SPEAKING,
    turns.TurnPhase.REVERBERATING: KioskStatus.SPEAKING,
}

TROUBLED = frozenset({KioskStatus.OFFLINE, KioskStatus.FAULT, KioskStatus.CLOSED})
"""The states in which the kiosk does not serve a visitor, and tells them why."""

_ARMED = {"mute": Overlay.ARMED_MUTE, "restart": Overlay.ARMED_RESTART}


def _show(state: State, policy: Policy) -> ShowStatus:
    speaks = Overlay.ANNOUNCING if state.prompt == ANNOUNCEMENT else Overlay.NONE
    shown, wrong = _shown(state, policy), troubles(state, policy)
    overlay = Overlay.ASKING if state.confirming else _ARMED.get(state.armed, speaks)
    if overlay is Overlay.NONE and shown is KioskStatus.LISTENING and warned(state):
        overlay = Overlay.ENDING
    if not wrong:
        return ShowStatus(shown, overlay=overlay)
    return ShowStatus(shown, wrong[0].code, overlay, wrong[0].what, more=wrong[1:])


def _shown(state: State, policy: Policy) -> KioskStatus:
    if (out := _out_of_order(state, policy)) is not None:
        return out
    turn, link = state.turn, state.link
    # A reply that can still be heard hides a lost connection: a visitor need not notice a rollover.
    if turn.awake and not link.open and not turn.sounding:
        if offline(link):
            return KioskStatus.OFFLINE
        if not link.reached_service:
            return KioskStatus.WAKING
    if turn.awake and (state.prompt or state.ringing):
        return KioskStatus.SPEAKING  # the prompt still plays, although its trouble is over
    return _SHOWN[turn.phase]


def _out_of_order(state: State, policy: Policy) -> KioskStatus | None:
    """Return the state to show if no conversation is possible; None: one is possible."""
    asleep = not state.turn.awake
    shown: KioskStatus | None = None
    if broken(state) or (asleep and state.link.trouble is LinkTrouble.REFUSED):
        shown = KioskStatus.FAULT
    elif not state.started:
        shown = KioskStatus.STARTING
    elif state.muted:
        shown = KioskStatus.MUTED
    elif asleep and unwakeable(state, policy):
        shown = KioskStatus.FAULT
    elif asleep and state.closed:
        shown = KioskStatus.CLOSED
    return shown


def offline(link: Link) -> bool:
    """Return whether the visitor should know that the service is away: it will not be back at once."""
    return not link.open and ((bool(link.wrong) and link.tries > 1) or lasting(link))


def lasting(link: Link) -> bool:
    """Return whether the outage is long, or will be by the next dial: then the visitor is told the reason."""
    waiting = link.phase is LinkPhase.WAITING and link.retry_s >= LONG_S
    return not link.open and (link.late or waiting)


def _timers(state: State, policy: Policy) -> Iterator[tuple[Timer, float]]:
    yield from _turn_timers(state, policy)
    yield from _link_timers(state.link, policy)
    if state.link.phase is LinkPhase.DRAINING and state.link.handle_pending and state.turn.quiet:
        yield Timer.SETTLE, policy.settle_s
    if state.ringing:
        yield Timer.TAIL, policy.tail_s


def _turn_timers(state: State, policy: Policy) -> Iterator[tuple[Timer, float]]:
    turn = state.turn
    match turn.phase:
        case turns.TurnPhase.ASLEEP:
            yield from _timers_asleep(state, policy)
        case turns.TurnPhase.LISTENING:
            yield from _idle_timers(state, policy)
        case turns.TurnPhase.THINKING:
            if not turn.calls:
                yield Timer.THINK, policy.think_s
        case turns.TurnPhase.SPEAKING:
            if state.starved == turn.reply and not turn.calls:
                yield Timer.STALLED, policy.stall_s
            if turn.overtime:
                yield Timer.GRACE, policy.grace_s
        case turns.TurnPhase.REVERBERATING:
            yield Timer.TAIL, policy.tail_s
    if turn.farewell and turn.phase in (turns.TurnPhase.LISTENING, turns.TurnPhase.THINKING):
        yield Timer.GRACE, policy.farewell_s
    if turn.gated:
        yield Timer.GATE, policy.gate_s
    if turn.awake and not turn.overtime:
        yield from _longest_timers(turn, policy)


def _idle_timers(state: State, policy: Policy) -> Iterator[tuple[Timer, float]]:
    if not idle(state):
        return
    turn = state.turn
    if state.away:
        yield Timer.IDLE, 0.0
        return
    yield Timer.IDLE, ending.idle_s(turn, policy)
    warn_s = ending.idle_warned_after_s(turn, policy)
    if warn_s is not None and turn.attended and not turn.idle_warned:
        yield Timer.IDLE_WARN, warn_s


def _longest_timers(turn: Turn, policy: Policy) -> Iterator[tuple[Timer, float]]:
    yield Timer.LONGEST, ending.limit_s(turn, policy)
    if (warn_s := ending.warned_after_s(turn, policy)) is not None and not turn.warned:
        yield Timer.WARN, warn_s


def _timers_asleep(state: State, policy: Policy) -> Iterator[tuple[Timer, float]]:
    # A kiosk that tells a leaving visitor something does not wake before it has finished.
    held = state.muted or state.closed or broken(state) or state.prompt
    if policy.always_on and state.started and not held:
        yield Timer.AGAIN, _again_s(state.link, policy)
    elif state.link.troubled and state.link.phase is LinkPhase.DOWN:
        yield Timer.PROBE, policy.refused_s


def _again_s(link: Link, policy: Policy) -> float:
    match link.trouble:
        case LinkTrouble.REFUSED:
            return policy.refused_s
        case LinkTrouble.UNREACHED:
            return policy.unreached_s
        case LinkTrouble.NONE:
            return policy.again_s


def _link_timers(link: Link, policy: Policy) -> Iterator[tuple[Timer, float]]:
    match link.phase:
        case LinkPhase.UP:
            yield Timer.AGE, policy.age_s if link.leave_s is None else link.leave_s
        case LinkPhase.DRAINING:
            yield Timer.ROLLOVER, link.rollover_s
        case LinkPhase.WAITING:
            yield Timer.RETRY, link.retry_s
    if link.tries and not link.open and not link.late:
        yield Timer.LATE, LONG_S
    young = link.rollovers_in_a_row and link.phase is LinkPhase.UP
    if link.open and (link.tries or young):
        yield Timer.STEADY, policy.steady_s
