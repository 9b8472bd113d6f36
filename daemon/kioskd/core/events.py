"""What happened. Each says who reports it; what follows from it is the tables' business."""

import enum
from dataclasses import dataclass, field

from pydantic import SecretStr

from kioskd.core.devices import Device as Device  # noqa: PLC0414 - events name it, and it is had from here
from kioskd.errors import Code, Remedy


class Timer(enum.Enum):
    """The clocks that the core asks for. At most one of each runs."""

    IDLE = enum.auto()
    """Nobody has said anything for `idle_s`."""
    THINK = enum.auto()
    """The model was given something to answer and has stayed silent."""
    STALLED = enum.auto()
    """A reply has begun, its sound has stopped coming, and its end was not told."""
    TAIL = enum.auto()
    """What the kiosk has said is over; the room is still ringing."""
    LONGEST = enum.auto()
    """The conversation has lasted `longest_s`."""
    GRACE = enum.auto()
    """... and the reply that was let finish has not; or the farewell does not come."""
    GATE = enum.auto()
    """A tool that holds the model up has kept the microphone shut long enough."""
    AGAIN = enum.auto()
    """An always-on kiosk has slept long enough."""
    PROBE = enum.auto()
    """Settings that were refused may have been mended."""
    RETRY = enum.auto()
    """The delay before the next dial is over."""
    STEADY = enum.auto()
    """The connection has lived long enough to be called a good one."""
    AGE = enum.auto()
    """The connection is older than connections are known to get."""
    SETTLE = enum.auto()
    """A quiet moment has lasted, and the handle that the service owes us has not come."""
    ROLLOVER = enum.auto()
    """No quiet moment came; the connection is about to be closed by the service."""
    LATE = enum.auto()
    """The service has been away for so long that the visitor is told why."""


class WakeCause(enum.Enum):
    """What wakes a kiosk, beside a plain press."""

    BUTTON = "button"
    VOICE = "voice"
    WAKEWORD = "wakeword"
    REMOTE = "remote"


@dataclass(frozen=True, slots=True)
class Started:
    """The daemon can serve. From: health."""


@dataclass(frozen=True, slots=True)
class Pressed:
    """The button was pressed: wake, silence or end, whichever fits. From: flow.controls.buttons."""

    down_s: float | None = field(default=None, compare=False)
    """When the finger went down, in seconds of the shell's clock; None: not known."""


@dataclass(frozen=True, slots=True)
class Woken:
    """Somebody calls the kiosk. From: flow.controls.buttons, uplink, control."""

    cause: WakeCause
    down_s: float | None = field(default=None, compare=False)
    """Of a button: as of `Pressed`."""


@dataclass(frozen=True, slots=True)
class SleepRequested:
    """The conversation shall end now. From: flow.controls.buttons, control."""


@dataclass(frozen=True, slots=True)
class ReplySilenced:
    """The kiosk shall be silent, and listen. From: flow.controls.buttons, control."""


@dataclass(frozen=True, slots=True)
class MuteRequested:
    """The microphone shall be closed, or opened again; None: the other way round. From: flow.controls.buttons, control."""

    muted: bool | None = None


@dataclass(frozen=True, slots=True)
class TalkBegan:
    """The visitor holds the talk button. From: flow.controls.buttons."""

    down_s: float | None = field(default=None, compare=False)
    """As of `Pressed`."""


@dataclass(frozen=True, slots=True)
class TalkEnded:
    """The visitor has let it go. From: flow.controls.buttons."""


@dataclass(frozen=True, slots=True)
class Armed:
    """A button is held for so long that letting it go does this: `mute`, `restart`, or nothing. From: flow.controls.buttons."""

    what: str = ""


@dataclass(frozen=True, slots=True)
class SnapshotRequested:
    """The model shall see what the camera sees now. From: flow.controls.buttons, control."""


@dataclass(frozen=True, slots=True)
class TextSubmitted:
    """A question was typed; live_link holds it. From: control."""


@dataclass(frozen=True, slots=True)
class VoiceBegan:
    """The visitor began to speak, as the microphone's own voice detection has it. From: uplink."""


@dataclass(frozen=True, slots=True)
class VoiceEnded:
    """The visitor has stopped speaking. From: uplink."""

    late_s: float = 0.0
    """Seconds since their last word: it takes a pause to be sure."""


@dataclass(frozen=True, slots=True)
class VoiceSuspected:
    """Somebody may be speaking into the reply, or no longer. From: uplink, where echo is handled."""

    suspected: bool


@dataclass(frozen=True, slots=True)
class ReplyBegan:
    """The first sound of a reply arrived. From: live_link."""

    epoch: int
    reply: int


@dataclass(frozen=True, slots=True)
class ReplyInterrupted:
    """The service heard the visitor speak into the reply. From: live_link."""

    epoch: int
    reply: int


@dataclass(frozen=True, slots=True)
class ReplySounded:
    """The first sound of a reply went to the speaker. From: downlink."""

    reply: int


@dataclass(frozen=True, slots=True)
class ReplyPlayed:
    """The last sound of a reply has been heard, or was flushed. From: downlink."""

    reply: int


@dataclass(frozen=True, slots=True)
class ReplyStarved:
    """All that came of this reply was heard, and its end was not told; None: of no reply. From: downlink."""

    reply: int | None


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """The service has ended the model's turn, be it a silent one. From: live_link."""

    epoch: int


@dataclass(frozen=True, slots=True)
class CallsChanged:
    """So many of the model's calls are being worked on; `blocking`: of those that hold it up. From: tool_runner."""

    epoch: int
    pending: int
    blocking: int = 0


@dataclass(frozen=True, slots=True)
class EndRequested:
    """The model takes leave: the conversation ends when that was heard. From: tool_runner."""

    epoch: int


@dataclass(frozen=True, slots=True)
class ConfirmationRequested:
    """A tool waits for a press of the button, or no longer. From: confirmation."""

    wanted: bool
    name: str = ""
    """The tool's."""
    aloud: bool = False
    """Whether the question is said, too."""


@dataclass(frozen=True, slots=True)
class PromptOver:
    """What the kiosk had to say for itself was heard, or could not be said. From: downlink."""


@dataclass(frozen=True, slots=True)
class Closing:
    """The kiosk is closed, why, and until when (local time as HH:MM, if it is known); None: it is open again. From: limits."""

    code: Code | None
    opens: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class ConnectionUp:
    """The connection is set up. From: live_link."""

    epoch: int
    resumed: bool


@dataclass(frozen=True, slots=True)
class ConnectionLost:
    """The connection ended, or could not be made. From: live_link.

    `jitter` is a random number in [0, 1): chance is handed in. `reached`: the service answered, whatever it said.
    """

    epoch: int
    remedy: Remedy
    jitter: float
    retry_after_s: float | None = None
    reached: bool = False


@dataclass(frozen=True, slots=True)
class SessionUseless:
    """Turn after turn of the session ended without sound: a fresh one may answer again. From: live_link."""

    epoch: int


@dataclass(frozen=True, slots=True)
class NetworkChanged:
    """This machine has another address or way out than before. From: network."""


@dataclass(frozen=True, slots=True)
class SettingsChanged:
    """The next connection will be made with other settings. From: app, on a reload.

    `session_void`: the handle is of no use with them (another model or service).
    """

    session_void: bool = False


@dataclass(frozen=True, slots=True)
class Restored:
    """The daemon was killed in mid-conversation and is back. From: app, before anything else.

    `handle` resumes the session; `conversation` is its number.
    """

    conversation: int
    handle: SecretStr


@dataclass(frozen=True, slots=True)
class GoingAway:
    """The service will close this connection in `left_s` seconds. From: live_link."""

    epoch: int
    left_s: float


@dataclass(frozen=True, slots=True)
class HandleIssued:
    """The session can be resumed by `handle`; the ones before are void. From: live_link."""

    epoch: int
    handle: SecretStr


@dataclass(frozen=True, slots=True)
class DeviceGone:
    """A device went away, or is not there; `name` is the owner's. From: the worker that uses it."""

    device: Device
    name: str = ""


@dataclass(frozen=True, slots=True)
class DeviceCame:
    """A device is there and works; without a name all of its kind are. From: the worker that uses it."""

    device: Device
    name: str = ""


@dataclass(frozen=True, slots=True)
class MicrophoneSilent:
    """The microphone gives nothing but silence, or no longer. From: uplink."""

    deaf: bool


@dataclass(frozen=True, slots=True)
class StorageFailed:
    """What is to outlive a restart cannot be written, why, and where; without a reason: it can again. From: keeping."""

    why: str = ""
    where: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class SettingsRefused:
    """A reload has refused the settings file, why, and since when; without a reason: it is good again. From: reload."""

    why: str = ""
    since: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class TimerFired:
    """A clock ran out. From: timers."""

    timer: Timer


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Proof that the mailbox is being read. From: health. Means nothing to the core."""

    beat: int


VoiceEvent = VoiceBegan | VoiceEnded | VoiceSuspected
ReplyEvent = ReplyBegan | ReplyInterrupted | ReplySounded | ReplyPlayed
HandEvent = (
    Pressed
    | Woken
    | SleepRequested
    | ReplySilenced
    | TalkBegan
    | TalkEnded
    | SnapshotRequested
    | TextSubmitted
)
TurnEvent = Started | HandEvent | VoiceEvent | ReplyEvent | TurnEnded | CallsChanged | EndRequested | Restored
LinkEvent = (
    ConnectionUp
    | ConnectionLost
    | GoingAway
    | HandleIssued
    | SessionUseless
    | NetworkChanged
    | SettingsChanged
)
DeviceEvent = DeviceGone | DeviceCame | MicrophoneSilent | StorageFailed
KioskEvent = (
    ReplyStarved
    | MuteRequested
    | Armed
    | ConfirmationRequested
    | PromptOver
    | Closing
    | SettingsRefused
    | DeviceEvent
)
Event = TurnEvent | LinkEvent | KioskEvent | TimerFired | Heartbeat

EventKind = type | Timer
"""What a row of the tables is for: a class of events, or one timer."""
