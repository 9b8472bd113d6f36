"""What happened. Each says who reports it; what follows from it is the tables' business."""

import enum
from dataclasses import dataclass

from pydantic import SecretStr

from kioskd.errors import Remedy


class Timer(enum.Enum):
    """The clocks that the core asks for. At most one of each runs."""

    IDLE = enum.auto()
    """Nobody has said anything for `idle_s`."""
    THINK = enum.auto()
    """The model was given something to answer and has stayed silent."""
    TAIL = enum.auto()
    """The reply has been heard; the room is still ringing."""
    LONGEST = enum.auto()
    """The conversation has lasted `longest_s`."""
    GRACE = enum.auto()
    """... and the reply that was let finish has not."""
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


class Device(enum.Enum):
    """The parts without which the kiosk is not one."""

    MICROPHONE = "microphone"
    SPEAKER = "speaker"


@dataclass(frozen=True, slots=True)
class Started:
    """The daemon can serve. From: health."""


@dataclass(frozen=True, slots=True)
class Pressed:
    """The button was pressed. From: button_to_mailbox."""


@dataclass(frozen=True, slots=True)
class VoiceBegan:
    """The visitor began to speak, as the microphone's own voice detection has it. From: mic_to_live."""


@dataclass(frozen=True, slots=True)
class VoiceEnded:
    """The visitor has stopped speaking. From: mic_to_live."""


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
    """The first sound of a reply went to the speaker. From: live_to_speaker."""

    reply: int


@dataclass(frozen=True, slots=True)
class ReplyPlayed:
    """The last sound of a reply has been heard, or was flushed. From: live_to_speaker."""

    reply: int


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """The service has ended the model's turn, be it a silent one. From: live_link."""

    epoch: int


@dataclass(frozen=True, slots=True)
class Up:
    """The connection is set up. From: live_link."""

    epoch: int
    resumed: bool


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection ended, or could not be made. From: live_link.

    `jitter` is a random number in [0, 1): chance is handed in.
    """

    epoch: int
    remedy: Remedy
    jitter: float
    retry_after_s: float | None = None


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
    """A device went away. From: the worker that uses it."""

    device: Device


@dataclass(frozen=True, slots=True)
class DeviceCame:
    """A device is there and works. From: the worker that uses it."""

    device: Device


@dataclass(frozen=True, slots=True)
class TimerFired:
    """A clock ran out. From: timers."""

    timer: Timer


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Proof that the mailbox is being read. From: health. Means nothing to the core."""

    beat: int


TurnEvent = (
    Started
    | Pressed
    | VoiceBegan
    | VoiceEnded
    | ReplyBegan
    | ReplyInterrupted
    | ReplySounded
    | ReplyPlayed
    | TurnEnded
    | Restored
)
LinkEvent = Up | Lost | GoingAway | HandleIssued | NetworkChanged | SettingsChanged
DeviceEvent = DeviceGone | DeviceCame
Event = TurnEvent | LinkEvent | DeviceEvent | TimerFired | Heartbeat
