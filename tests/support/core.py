"""States that a test of the core starts with, and a model of the shell that its effects control."""

import dataclasses
from collections.abc import Iterable
from itertools import product
from typing import Any, Final, TypeVar

from pydantic import SecretStr

from kioskd.core import turn as turns
from kioskd.core.effects import (
    Announce,
    AskConfirmation,
    CancelTimer,
    Chime,
    Confirm,
    Dial,
    Duck,
    Effect,
    Flush,
    ForgetHandle,
    Greet,
    HangUp,
    KeepHandle,
    KioskStatus,
    Prompt,
    SetCamera,
    SetMute,
    SetSpeaker,
    SetTimer,
    SetUplink,
    ShowStatus,
    StopPrompt,
    TakeSnapshot,
    UplinkGate,
)
from kioskd.core.events import (
    AnnouncementDue,
    Armed,
    CallsChanged,
    Closing,
    ConfirmationRequested,
    ConnectionLost,
    ConnectionUp,
    Device,
    DeviceCame,
    DeviceGone,
    EndNear,
    EndRequested,
    Event,
    GoingAway,
    HandleIssued,
    Heartbeat,
    MicrophoneSilent,
    ModelPrompted,
    MoreTimeRequested,
    MuteRequested,
    NetworkChanged,
    PresenceChanged,
    Pressed,
    ProfileChosen,
    PromptOver,
    ReplyBegan,
    ReplyInterrupted,
    ReplyPlayed,
    ReplySilenced,
    ReplySounded,
    ReplyStarved,
    Restored,
    ScanRejected,
    SessionUseless,
    SettingsChanged,
    SettingsRefused,
    SleepRequested,
    SnapshotRequested,
    Started,
    StorageFailed,
    TalkBegan,
    TalkEnded,
    TextSubmitted,
    Timer,
    TimerFired,
    TurnEnded,
    VoiceBegan,
    VoiceEnded,
    VoiceSuspected,
    WakeCause,
    Woken,
)
from kioskd.core.levels import ANNOUNCEMENT, QUESTION
from kioskd.core.link_state import MOST_ROLLOVERS, Link, LinkPhase, LinkTrouble
from kioskd.core.machine import State, levels, step
from kioskd.core.policy import CameraMode, Policy, UplinkMode
from kioskd.core.turn import Turn
from kioskd.errors import Code, Remedy

FULL_DUPLEX: Final = Policy(half_duplex=False)
HALF_DUPLEX: Final = Policy(half_duplex=True)
GREETING: Final = Policy(greeting=True)
ALWAYS_ON: Final = Policy(always_on=True)
BARGING_IN: Final = Policy(
    half_duplex=False, barge_in=True, uplink_mode=UplinkMode.VOICE, camera=CameraMode.SPEECH
)
SLOW: Final = "slow"
EXTENDING: Final = Policy(warn_s=60.0, idle_warn_s=5.0, extensions=2, extension_s=300.0, stretch={SLOW: 2.5})
"""Policy that warns of each end by time, and lets the visitor put it off."""
HELD: Final = Policy(uplink_mode=UplinkMode.HELD, camera=CameraMode.CONVERSATION, follow_up_s=0.0)

T = TypeVar("T")

HANDLE: Final = SecretStr("sesame-4711")
LATER_HANDLE: Final = SecretStr("sesame-4712")
EPOCH: Final = 3
REPLY: Final = 4
CONVERSATION: Final = 2


def down(**changes: Any) -> Link:
    """Return a link that no conversation needs."""
    return _link(LinkPhase.DOWN, **changes)


def dialing(**changes: Any) -> Link:
    """Return a link that is being dialed."""
    return _link(LinkPhase.DIALING, **changes)


def up(**changes: Any) -> Link:
    """Return a link that is open."""
    return _link(LinkPhase.UP, reached_service=True, **changes)


def draining(**changes: Any) -> Link:
    """Return a link that is to be renewed."""
    changes.setdefault("rollover_s", 60.0)
    return _link(LinkPhase.DRAINING, reached_service=True, **changes)


def waiting(**changes: Any) -> Link:
    """Return a lost link that waits for its next dial."""
    changes.setdefault("retry_s", 0.7)
    changes.setdefault("tries", 2)
    return _link(LinkPhase.WAITING, **changes)


def _link(phase: LinkPhase, **changes: Any) -> Link:
    lasts = changes.get("late") or changes.get("tries", 0) > 1
    if lasts and phase in (LinkPhase.DIALING, LinkPhase.WAITING):
        changes.setdefault("wrong", frozenset({changes.get("code") or Code.WAY}))
    return dataclasses.replace(Link(phase, EPOCH), **changes)


def asleep(**changes: Any) -> State:
    """Return a started daemon that waits for a visitor."""
    return _state(turns.TurnPhase.ASLEEP, down(), **changes)


def listening(link: Link | None = None, **changes: Any) -> State:
    """Return a conversation in which the kiosk listens; connected unless `link` says otherwise."""
    return _state(turns.TurnPhase.LISTENING, link or up(), **changes)


def thinking(link: Link | None = None, **changes: Any) -> State:
    """Return a conversation in which the model has not answered yet."""
    return _state(turns.TurnPhase.THINKING, link or up(), **changes)


def speaking(link: Link | None = None, **changes: Any) -> State:
    """Return a conversation in which a reply is played, with the number `REPLY` or `reply=`."""
    return _state(turns.TurnPhase.SPEAKING, link or up(), **changes)


def reverberating(link: Link | None = None, **changes: Any) -> State:
    """Return a conversation in which a reply has just ended."""
    return _state(turns.TurnPhase.REVERBERATING, link or up(), **changes)


def _state(phase: turns.TurnPhase, link: Link, **changes: Any) -> State:
    turn = dataclasses.replace(Turn(phase, conversation=CONVERSATION, reply=REPLY), **changes)
    return State(turn, link, started=True)


def refused(**changes: Any) -> State:
    """Return a sleeping daemon whose settings the service refused, and which has not tried them again."""
    return State(asleep().turn, down(trouble=LinkTrouble.REFUSED, **changes), started=True)


def probing(**changes: Any) -> State:
    """Return a sleeping daemon that tries its settings again."""
    return State(asleep().turn, dialing(trouble=LinkTrouble.REFUSED, **changes), started=True)


def lost(
    remedy: Remedy = Remedy.RESUME, epoch: int = EPOCH, jitter: float = 0.5, *, reached: bool = False
) -> ConnectionLost:
    """Return the end of connection `epoch`, or of the dial for it."""
    return ConnectionLost(epoch, remedy, jitter, reached=reached)


def heard(link: Link) -> State:
    """Return a conversation over `link` in which the visitor is speaking."""
    return listening(link, voice=True, spoke=True)


AWAKE: Final = (listening, thinking, speaking, reverberating)
CONNECTED: Final = (up, draining)
REACHED_FOR: Final = (dialing, up, draining, waiting)


def every_event(epoch: int = EPOCH) -> tuple[Event, ...]:
    """Return one event of each kind and of each timer; those of a connection have the number `epoch`."""
    return (
        Started(),
        Pressed(),
        VoiceBegan(),
        VoiceEnded(),
        ReplyBegan(epoch, REPLY + 1),
        ReplyInterrupted(epoch, REPLY),
        ReplySounded(REPLY),
        ReplyPlayed(REPLY),
        ReplyStarved(REPLY),
        ReplyStarved(None),
        TurnEnded(epoch),
        ConnectionUp(epoch, resumed=False),
        *(lost(remedy, epoch, reached=reached) for remedy in Remedy for reached in (False, True)),
        ConnectionLost(epoch, Remedy.RESUME, jitter=0.5, retry_after_s=7.0),
        GoingAway(epoch, left_s=50.0),
        HandleIssued(epoch, HANDLE),
        SessionUseless(epoch),
        NetworkChanged(),
        SettingsChanged(),
        Restored(CONVERSATION + 5, LATER_HANDLE),
        *(Woken(cause) for cause in WakeCause),
        Woken(WakeCause.SCAN, about="clock", greets=True),
        ScanRejected(),
        ModelPrompted(),
        PresenceChanged(present=True),
        PresenceChanged(present=False),
        Woken(WakeCause.REMOTE, profile=SLOW),
        MoreTimeRequested(),
        ProfileChosen(SLOW),
        SleepRequested(),
        ReplySilenced(),
        TalkBegan(),
        TalkEnded(),
        SnapshotRequested(),
        TextSubmitted(),
        VoiceSuspected(suspected=True),
        VoiceSuspected(suspected=False),
        CallsChanged(epoch, pending=2, blocking=1),
        CallsChanged(epoch, pending=1),
        CallsChanged(epoch, pending=0),
        EndRequested(epoch),
        MuteRequested(),
        MuteRequested(muted=False),
        Armed("mute"),
        Armed("restart"),
        Armed(),
        ConfirmationRequested(wanted=True, name="door"),
        ConfirmationRequested(wanted=True, name="door", aloud=True),
        ConfirmationRequested(wanted=False),
        PromptOver(),
        AnnouncementDue(),
        Closing(Code.BUDGET),
        Closing(None),
        EndNear(near=True),
        EndNear(near=False),
        MicrophoneSilent(deaf=True),
        MicrophoneSilent(deaf=False),
        StorageFailed("No space left on device"),
        StorageFailed(),
        SettingsRefused("kioskd.yaml:3:5 speaker.volum: is not a setting"),
        SettingsRefused(),
        DeviceGone(Device.SPEAKER),
        DeviceCame(Device.SPEAKER),
        Heartbeat(1),
        *(TimerFired(timer) for timer in Timer),
    )


EVERY_POLICY: Final = (HALF_DUPLEX, FULL_DUPLEX, GREETING, ALWAYS_ON, BARGING_IN, HELD, EXTENDING)

# In a quiet moment draining ends at once, unless there were too many rollovers in a row.
EVERY_STATE: Final = (
    State(),
    asleep(),
    refused(),
    probing(),
    State(asleep().turn, down(trouble=LinkTrouble.UNREACHED), started=True),
    *(
        builder(make())
        for builder, make in product(AWAKE, REACHED_FOR)
        if (builder, make) != (listening, draining)
    ),
    *(builder(make(tries=2, handle=HANDLE)) for builder, make in product(AWAKE, (dialing, up, waiting))),
    *(builder(draining(rollovers_in_a_row=MOST_ROLLOVERS, handle=HANDLE)) for builder in AWAKE),
    listening(dialing(renewed=True, trouble=LinkTrouble.REFUSED)),
    listening(draining(), voice=True),
    listening(draining(handle_pending=True, handle=HANDLE)),
    speaking(draining(handle_pending=True, handle=HANDLE)),
    speaking(overtime=True),
    speaking(leaving=True),
    speaking(leaving=True, calls=1),
    speaking(suspected=True),
    dataclasses.replace(speaking(), starved=REPLY),
    dataclasses.replace(speaking(calls=1), starved=REPLY),
    *(builder(warned=True, woken_by_person=True) for builder in AWAKE),
    speaking(warned=True, overtime=True),
    listening(warned=True, leaving=True, extended=EXTENDING.extensions),
    listening(idle_warned=True, spoke=True, profile=SLOW),
    dataclasses.replace(listening(woken_by_person=True), near=True),
    listening(leaving=True),
    listening(leaving=True, calls=1),
    listening(calls=1, gated=True),
    thinking(calls=2),
    dataclasses.replace(listening(dialing(), asked=True, spoke=True), told=frozenset({Code.WAY})),
    dataclasses.replace(asleep(), muted=True),
    dataclasses.replace(asleep(), closed=Code.BUDGET),
    dataclasses.replace(asleep(), deaf=True),
    dataclasses.replace(asleep(), unkept="Read-only file system"),
    dataclasses.replace(listening(woken_by_person=True), unkept="Read-only file system"),
    dataclasses.replace(listening(), confirming=True),
    dataclasses.replace(listening(), away=True),
    dataclasses.replace(asleep(), prompt=ANNOUNCEMENT),
    dataclasses.replace(listening(), prompt=ANNOUNCEMENT),
    dataclasses.replace(speaking(), prompt=ANNOUNCEMENT),
    dataclasses.replace(
        listening(waiting(tries=9, code=Code.WAY), woken_by_person=True),
        prompt=Code.WAY,
        told=frozenset({Code.WAY}),
    ),
)


def run(state: State, *events: Event, policy: Policy = HALF_DUPLEX) -> tuple[State, list[Effect]]:
    """Return the state after all `events`, and the effects of all steps."""
    effects: list[Effect] = []
    for event in events:
        state, more = step(state, event, policy)
        effects.extend(more)
    return state, effects


def turn_after(state: State, *events: Event, policy: Policy = HALF_DUPLEX) -> Turn:
    """Return the conversation's state after all `events`."""
    return run(state, *events, policy=policy)[0].turn


def link_after(state: State, *events: Event, policy: Policy = HALF_DUPLEX) -> Link:
    """Return the connection's state after all `events`."""
    return run(state, *events, policy=policy)[0].link


def of_type(kind: type[T], effects: Iterable[Effect]) -> list[T]:
    """Return those of `effects` that are of the type `kind`."""
    return [effect for effect in effects if isinstance(effect, kind)]


@dataclasses.dataclass
class Shell:
    """State of the shell after all effects so far; each effect is checked when it comes."""

    policy: Policy
    uplink: UplinkGate = UplinkGate.PREROLL
    show: ShowStatus = dataclasses.field(default_factory=lambda: ShowStatus(KioskStatus.STARTING))
    muted: bool = False
    camera: bool = False
    speaker: bool = False
    duck: bool = False
    prompt: str | None = None
    timers: dict[Timer, float] = dataclasses.field(default_factory=dict)
    epoch: int = 0
    connection: bool = False
    """Whether a connection is open or being dialed."""
    resumption: KeepHandle | None = None

    def perform(self, effects: Iterable[Effect], seen: int) -> None:  # noqa: PLR0912 - a case an effect
        """Perform the effects. `seen`: the highest reply number that the core has received."""
        for effect in effects:
            match effect:
                case SetUplink(uplink):
                    assert uplink is not self.uplink, f"told twice: {effect}"
                    self.uplink = uplink
                case ShowStatus():
                    assert effect != self.show, f"told twice: {effect}"
                    self.show = effect
                case SetMute(muted):
                    assert muted is not self.muted, f"told twice: {effect}"
                    self.muted = muted
                case SetCamera(camera):
                    assert camera is not self.camera, f"told twice: {effect}"
                    self.camera = camera
                case SetSpeaker(ready):
                    assert ready is not self.speaker, f"told twice: {effect}"
                    self.speaker = ready
                case Duck(down):
                    assert down is not self.duck, f"told twice: {effect}"
                    self.duck = down
                case Prompt(code):
                    assert self.prompt is None, f"speaks a prompt over another: {effect}"
                    self.prompt = code
                case AskConfirmation():
                    assert self.prompt is None, "asks over another prompt"
                    self.prompt = QUESTION
                case Announce():
                    assert self.prompt is None, "announces over another prompt"
                    self.prompt = ANNOUNCEMENT
                case StopPrompt():
                    assert self.prompt is not None, "no prompt to stop"
                    self.prompt = None
                case Chime() | TakeSnapshot() | Confirm():
                    pass
                case SetTimer(timer, after_s):
                    assert after_s >= 0.0, f"in the past: {effect}"
                    self.timers[timer] = after_s
                case CancelTimer(timer):
                    self.timers.pop(timer, None)
                case Dial(epoch, handle, recall):
                    assert epoch == self.epoch + 1, (
                        f"skipped or repeated an epoch: {effect} after {self.epoch}"
                    )
                    assert not (recall and handle), f"recalls texts to a resumed session: {effect}"
                    self.epoch, self.connection = epoch, True
                case HangUp():
                    assert self.connection, "nothing to hang up"
                    self.connection = False
                case Greet():
                    assert self.uplink is not UplinkGate.PREROLL, "greeted before anything was sent"
                case KeepHandle():
                    assert effect != self.resumption, f"told twice: {effect}"
                    self.resumption = effect
                case ForgetHandle():
                    assert self.resumption is not None, "nothing to forget"
                    self.resumption = None
                case Flush(reply):
                    assert reply <= seen, f"flushed a reply that never came: {effect}, newest {seen}"

    @property
    def shown(self) -> KioskStatus:
        """The state that is shown to people."""
        return self.show.shown

    def agrees_with(self, state: State) -> bool:
        """Return whether the shell does what `state` requires."""
        wanted = levels(state, self.policy)
        return (
            self.uplink is wanted.uplink
            and self.show == wanted.show
            and self.muted is wanted.muted
            and self.camera is wanted.camera
            and self.duck is wanted.duck
            and self.prompt == state.prompt
            and self.timers == dict(wanted.timers)
            and self.resumption == wanted.resumption
            and self.epoch == state.link.epoch
            and self.connection == (state.link.phase is not LinkPhase.DOWN)
        )
