"""Events: facts that are reported to the core. Each names the module of `flow` that reports it ("From: ...").

The tables of `turn` and `link` define the consequences.
"""

import enum
from dataclasses import dataclass, field

from pydantic import SecretStr

from kioskd.core.devices import Device as Device  # noqa: PLC0414 - other modules import it from here
from kioskd.core.policy import DEFAULT_PROFILE
from kioskd.errors import Code, Remedy


class Timer(enum.Enum):
    """Timers that the core sets. At most one of each kind runs."""

    IDLE = enum.auto()
    """Nothing was said for `idle_s` or `follow_up_s`."""
    THINK = enum.auto()
    """The model has something to answer, and has stayed silent."""
    STALLED = enum.auto()
    """A reply began, its audio has stopped arriving, and the service has not ended it."""
    TAIL = enum.auto()
    """The kiosk has stopped speaking, and the room's echo has faded."""
    LONGEST = enum.auto()
    """The conversation has lasted `longest_s`, or the time of its last extension."""
    WARN = enum.auto()
    """The end by `LONGEST` is near."""
    IDLE_WARN = enum.auto()
    """The end by `IDLE` is near."""
    GRACE = enum.auto()
    """After `longest_s` the last reply has not ended in time, or the model's farewell has not come."""
    GATE = enum.auto()
    """A tool that blocks the model has kept the microphone shut for long enough."""
    AGAIN = enum.auto()
    """An always-on kiosk has slept for long enough."""
    PROBE = enum.auto()
    """It is time to try again whether refused settings have been mended."""
    RETRY = enum.auto()
    """The delay before the next dial is over."""
    STEADY = enum.auto()
    """The connection has lasted long enough to count as good."""
    AGE = enum.auto()
    """The connection is nearly as old as the service lets one become."""
    SETTLE = enum.auto()
    """A quiet moment has lasted for `settle_s`, and the expected handle has not come."""
    ROLLOVER = enum.auto()
    """No quiet moment came, and the service is about to close the connection."""
    LATE = enum.auto()
    """The service has been away for so long that the visitor must be told."""


class WakeCause(enum.Enum):
    """Ways to wake a kiosk, besides a plain press."""

    BUTTON = "button"
    VOICE = "voice"
    WAKEWORD = "wakeword"
    REMOTE = "remote"
    SCAN = "scan"
    """A reader typed the line of a subject."""
    PRESENCE = "presence"
    """A sensor has seen a visitor come, who may not want anything."""


@dataclass(frozen=True, slots=True)
class Started:
    """The daemon is ready to serve. From: watchdog."""


@dataclass(frozen=True, slots=True)
class Pressed:
    """The button was pressed: to wake, to silence or to end, depending on the phase. From: buttons."""

    down_s: float | None = field(default=None, compare=False)
    """Time of the press in seconds of the shell's clock; None: unknown."""
    profile: str | None = None
    """Name of the visitor's profile, if the press wakes the kiosk. None: the default one."""


@dataclass(frozen=True, slots=True)
class Woken:
    """A person calls the kiosk, by button, voice or command. From: buttons, speech_events, remote, subjects,
    presence.
    """

    cause: WakeCause
    down_s: float | None = field(default=None, compare=False)
    """Time of the press, if a button woke the kiosk; see `Pressed`."""
    about: str = ""
    """The key of the subject that the person has chosen; empty: none."""
    greets: bool = False
    """Whether this call brings a greeting of its own, also if the owner wants none otherwise."""
    profile: str | None = None
    """Name of the visitor's profile. None: a new conversation begins with the default one."""


@dataclass(frozen=True, slots=True)
class MoreTimeRequested:
    """The visitor has asked the model for more time. From: visitor_time."""


@dataclass(frozen=True, slots=True)
class ProfileChosen:
    """The rest of this conversation follows another profile. From: visitor_time."""

    profile: str


@dataclass(frozen=True, slots=True)
class SleepRequested:
    """A person, or the budget, ends the conversation now. From: buttons, remote, budget."""


@dataclass(frozen=True, slots=True)
class ReplySilenced:
    """A person wants the reply to stop, and the kiosk to listen. From: buttons, remote."""


@dataclass(frozen=True, slots=True)
class MuteRequested:
    """A person wants to close the microphone or open it; None: to toggle it. From: buttons, remote, app."""

    muted: bool | None = None


@dataclass(frozen=True, slots=True)
class TalkBegan:
    """The visitor holds the talk button. From: buttons."""

    down_s: float | None = field(default=None, compare=False)
    """Time of the press; see `Pressed`."""


@dataclass(frozen=True, slots=True)
class TalkEnded:
    """The visitor has released the talk button. From: buttons."""


@dataclass(frozen=True, slots=True)
class Armed:
    """Releasing the held button would do this now: `mute`, `restart`, or nothing if empty. From: buttons."""

    what: str = ""


@dataclass(frozen=True, slots=True)
class SnapshotRequested:
    """A person wants the model to see a picture from the camera now. From: buttons, remote."""


@dataclass(frozen=True, slots=True)
class TextSubmitted:
    """Text for the model waits in live_link: a question, or the budget's notice. From: remote, budget."""


@dataclass(frozen=True, slots=True)
class ModelPrompted:
    """A visitor's choice makes the model speak: the text for it is on its way. From: subjects."""


@dataclass(frozen=True, slots=True)
class ScanRejected:
    """A reader has typed a line that no subject has. From: subjects."""


@dataclass(frozen=True, slots=True)
class PresenceChanged:
    """A sensor has seen a visitor come, or no person for long. From: presence."""

    present: bool


@dataclass(frozen=True, slots=True)
class VoiceBegan:
    """The local voice detection heard the visitor begin to speak. From: speech_events."""


@dataclass(frozen=True, slots=True)
class VoiceEnded:
    """The local voice detection heard the visitor stop. From: speech_events."""

    late_s: float = 0.0
    """Seconds since the last word: only a pause proves the end."""


@dataclass(frozen=True, slots=True)
class VoiceSuspected:
    """A voice may be speaking into the reply, or the suspicion is over. From: speech_events."""

    suspected: bool


@dataclass(frozen=True, slots=True)
class ReplyBegan:
    """The first audio of a reply arrived. From: incoming_reply."""

    epoch: int
    reply: int


@dataclass(frozen=True, slots=True)
class ReplyInterrupted:
    """The service heard the visitor speak into the reply. From: incoming_reply."""

    epoch: int
    reply: int


@dataclass(frozen=True, slots=True)
class ReplySounded:
    """The first audio of a reply went to the speaker. From: downlink."""

    reply: int


@dataclass(frozen=True, slots=True)
class ReplyPlayed:
    """The last audio of a reply was heard, or was flushed. From: downlink."""

    reply: int


@dataclass(frozen=True, slots=True)
class ReplyStarved:
    """All audio of this reply was heard before its end came; None: no reply starves. From: downlink."""

    reply: int | None


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """The service has ended the model's turn, even a silent one. From: incoming_reply."""

    epoch: int


@dataclass(frozen=True, slots=True)
class CallsChanged:
    """Number of the model's calls in progress; `blocking`: of those, the blocking ones. From: tool_runner."""

    epoch: int
    pending: int
    blocking: int = 0


@dataclass(frozen=True, slots=True)
class EndRequested:
    """The model takes leave: the conversation ends when the farewell was heard. From: tool_runner."""

    epoch: int


@dataclass(frozen=True, slots=True)
class ConfirmationRequested:
    """A tool starts or stops waiting for a press of the button. From: confirmation."""

    wanted: bool
    name: str = ""
    """Name of the tool."""
    aloud: bool = False
    """Whether the kiosk also asks for the press aloud."""


@dataclass(frozen=True, slots=True)
class PromptOver:
    """The kiosk's own spoken prompt was heard, or could not be played. From: downlink."""


@dataclass(frozen=True, slots=True)
class AnnouncementDue:
    """An announcement of the owner waits, and this is a good moment to begin it. From: announcer."""


@dataclass(frozen=True, slots=True)
class Closing:
    """The owner's rules close the kiosk; None: they open it. From: budget.

    `opens`: local time (HH:MM) at which the kiosk opens again, empty if unknown.
    """

    code: Code | None
    opens: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class EndNear:
    """One of the owner's limits will soon end the conversation, or no longer will. From: budget."""

    near: bool


@dataclass(frozen=True, slots=True)
class ConnectionUp:
    """The service accepted the connection. From: live_link."""

    epoch: int
    resumed: bool


@dataclass(frozen=True, slots=True)
class ConnectionLost:
    """The connection ended, or could not be made. From: live_link.

    `jitter` is a random number in [0, 1), because the core itself knows no chance. `reached`: the service
    answered, even if it refused.
    """

    epoch: int
    remedy: Remedy
    jitter: float
    retry_after_s: float | None = None
    reached: bool = False


@dataclass(frozen=True, slots=True)
class SessionUseless:
    """Several turns in a row gave no audio; a fresh session may answer again. From: incoming_reply."""

    epoch: int


@dataclass(frozen=True, slots=True)
class NetworkChanged:
    """This machine has got another address or another route. From: app."""


@dataclass(frozen=True, slots=True)
class SettingsChanged:
    """The next connection will use other settings. From: app, on a reload.

    `session_void`: the handle cannot be used with them (another model or service).
    """

    session_void: bool = False


@dataclass(frozen=True, slots=True)
class Restored:
    """The daemon was killed during a conversation and is back. From: app, before any other event.

    `handle` resumes the session; `conversation` is the number of the conversation. `profile` is that of its
    visitor.
    """

    conversation: int
    handle: SecretStr
    profile: str = DEFAULT_PROFILE


@dataclass(frozen=True, slots=True)
class GoingAway:
    """The service will close this connection in `left_s` seconds. From: live_link."""

    epoch: int
    left_s: float


@dataclass(frozen=True, slots=True)
class HandleIssued:
    """The service issued a new handle for this session; earlier ones are void. From: live_link."""

    epoch: int
    handle: SecretStr


@dataclass(frozen=True, slots=True)
class DeviceGone:
    """A device is missing; `name` is its name in the settings. From: device_supervisor, buttons."""

    device: Device
    name: str = ""


@dataclass(frozen=True, slots=True)
class DeviceCame:
    """A device works; an empty `name` means all of its kind. From: device_supervisor, buttons."""

    device: Device
    name: str = ""


@dataclass(frozen=True, slots=True)
class MicrophoneSilent:
    """The microphone began or stopped to give nothing but silence. From: speech_events."""

    deaf: bool


@dataclass(frozen=True, slots=True)
class StorageFailed:
    """Preferences or budgets cannot be written to disk; an empty `why`: they can again. From: disk_writer."""

    why: str = ""
    where: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class SettingsRefused:
    """A reload rejected the settings file at time `since`; an empty `why`: it is good again. From: reload."""

    why: str = ""
    since: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class TimerFired:
    """A timer ran out. From: timers."""

    timer: Timer


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Proof that the core reads its mailbox; the core ignores it. From: watchdog."""

    beat: int


VoiceEvent = VoiceBegan | VoiceEnded | VoiceSuspected
ReplyEvent = ReplyBegan | ReplyInterrupted | ReplySounded | ReplyPlayed
HandEvent = (
    Pressed
    | Woken
    | MoreTimeRequested
    | ProfileChosen
    | SleepRequested
    | ReplySilenced
    | TalkBegan
    | TalkEnded
    | SnapshotRequested
    | TextSubmitted
)
TurnEvent = (
    Started
    | HandEvent
    | ModelPrompted
    | VoiceEvent
    | ReplyEvent
    | TurnEnded
    | CallsChanged
    | EndRequested
    | Restored
)
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
    | ScanRejected
    | PresenceChanged
    | Armed
    | ConfirmationRequested
    | PromptOver
    | AnnouncementDue
    | Closing
    | EndNear
    | SettingsRefused
    | DeviceEvent
)
Event = TurnEvent | LinkEvent | KioskEvent | TimerFired | Heartbeat

EventKind = type | Timer
"""Key of a table's row: a class of events, or one timer."""
