"""What should hold in a state: `levels(state, policy)`. The machine emits the difference between before and after."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

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


@dataclass(frozen=True, slots=True)
class State:
    """All that the core knows."""

    turn: Turn = field(default_factory=Turn)
    link: Link = field(default_factory=Link)
    started: bool = False
    missing: Mapping[Device, tuple[str, ...]] = field(default_factory=dict, hash=False)
    """The devices that are away, by their kind: their names."""
    deaf: bool = False
    """The microphone is there and gives nothing but silence."""
    muted: bool = False
    """The owner wants the microphone closed."""
    closed: Code | None = None
    """Why no conversation may begin."""
    opens: str = ""
    """When one may begin again; see `Closing`."""
    unkept: str = ""
    """Why what is to outlive a restart cannot be written; the kiosk serves all the same."""
    refused: str = ""
    """Why a reload has refused the settings file, and since when; the kiosk goes by those of before."""
    armed: str = ""
    """What letting the button go would do."""
    confirming: bool = False
    """A tool waits for a press of the button."""
    asking: str = ""
    """That tool's name."""
    prompt: str | None = None
    """What the kiosk is telling the visitor: a code, or `QUESTION`."""
    ringing: bool = False
    """Half duplex only: the room still rings with what it was telling, and has been made to stop."""
    starved: int | None = None
    """The reply whose sound has stopped coming before its end was told."""
    told: frozenset[Code] = frozenset()
    """What it has told in this conversation."""


@dataclass(frozen=True, slots=True)
class Levels:
    """What should hold in a state."""

    uplink: UplinkGate
    shown: KioskStatus
    show: ShowStatus
    """`shown`, and what goes with it."""
    timers: Mapping[Timer, float]
    """The clocks that should run, and their seconds."""
    resumption: KeepHandle | None
    """What a new process would need to go on with the conversation."""
    muted: bool
    camera: bool
    """Whether the camera should run."""
    duck: bool


def levels(state: State, policy: Policy) -> Levels:
    """Return what should hold in `state`."""
    turn, handle = state.turn, state.link.handle
    resumption = KeepHandle(turn.conversation, handle) if turn.awake and handle is not None else None
    show = replace(_show(state, policy), asking=state.asking)
    return Levels(
        uplink=_uplink(state, policy),
        shown=show.shown,
        show=show,
        timers=dict(_timers(state, policy)),
        resumption=resumption,
        muted=state.muted,
        camera=_camera(turn, policy),
        duck=turn.suspected,
    )


def difference(before: Levels, after: Levels, *, anew: Collection[Timer] = ()) -> Iterator[Effect]:
    """Yield what makes `after` hold where `before` did; of the clocks that run on, those of `anew` from their beginning."""
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
    if after.duck is not before.duck:
        yield Duck(after.duck)
    if after.resumption != before.resumption:
        yield after.resumption or ForgetHandle()
    if after.show != before.show:
        yield after.show


def _uplink(state: State, policy: Policy) -> UplinkGate:
    turn = state.turn
    if policy.half_duplex and (turn.sounding or state.prompt or state.ringing):
        return UplinkGate.SHUT
    if not turn.awake:
        return UplinkGate.PREROLL
    if policy.uplink_mode is not UplinkMode.ALWAYS and not turn.voice:
        return UplinkGate.PAUSED
    return UplinkGate.SEND if state.link.open and not turn.gated else UplinkGate.HOLD


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
"""The states in which a visitor is not served, and is told why."""

_ARMED = {"mute": Overlay.ARMED_MUTE, "restart": Overlay.ARMED_RESTART}


def _show(state: State, policy: Policy) -> ShowStatus:
    overlay = Overlay.ASKING if state.confirming else _ARMED.get(state.armed, Overlay.NONE)
    shown, wrong = _shown(state, policy), troubles(state, policy)
    if not wrong:
        return ShowStatus(shown, overlay=overlay)
    return ShowStatus(shown, wrong[0].code, overlay, wrong[0].what, more=wrong[1:])


def _shown(state: State, policy: Policy) -> KioskStatus:
    if (out := _out_of_order(state, policy)) is not None:
        return out
    turn, link = state.turn, state.link
    # What is still heard goes before what is no longer reached: a rollover is nobody's business.
    if turn.awake and not link.open and not turn.sounding:
        if offline(link):
            return KioskStatus.OFFLINE
        if not link.reached_service:
            return KioskStatus.WAKING
    if turn.awake and (state.prompt or state.ringing):
        return KioskStatus.SPEAKING  # of what is mended by now
    return _SHOWN[turn.phase]


def _out_of_order(state: State, policy: Policy) -> KioskStatus | None:
    """Return what is shown of a kiosk that nobody can talk to."""
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
    """Return whether the visitor should know that the service is not there, as it will not be at once."""
    return not link.open and ((bool(link.wrong) and link.tries > 1) or lasting(link))


def lasting(link: Link) -> bool:
    """Return whether the service has been away for so long, or will be, that the visitor is told why."""
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
            # In an outage nobody is idle: the visitor cannot be answered. Nor while the model waits for a tool.
            if turn.quiet and not (state.link.reached_service and offline(state.link)):
                yield Timer.IDLE, policy.follow_up_s if turn.answered else policy.idle_s
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
        yield Timer.LONGEST, policy.longest_s


def _timers_asleep(state: State, policy: Policy) -> Iterator[tuple[Timer, float]]:
    # Nobody talks into what a visitor who leaves is told.
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
