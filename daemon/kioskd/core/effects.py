"""What to do. Each says who performs it; performing only hands over, slow work reports back as an event."""

import enum
from dataclasses import dataclass

from pydantic import SecretStr

from kioskd.core.events import Timer
from kioskd.core.troubles import Trouble
from kioskd.errors import Code


class UplinkGate(enum.Enum):
    """What becomes of a microphone frame."""

    PREROLL = enum.auto()
    """Asleep: keep the last `preroll_ms`, forget the rest."""
    PAUSED = enum.auto()
    """Awake, but it is not the visitor who sounds: say so, keep the last `preroll_ms`, forget the rest."""
    HOLD = enum.auto()
    """Awake, but nobody to send to: keep everything (within the bound), in order."""
    SEND = enum.auto()
    """Send what is kept, then each frame as it comes."""
    SHUT = enum.auto()
    """Forget everything: the kiosk would hear itself."""


class KioskStatus(enum.StrEnum):
    """The states shown to people."""

    STARTING = "starting"
    ASLEEP = "asleep"
    WAKING = "waking"
    LISTENING = "listening"
    THINKING = "thinking"
    SPEAKING = "speaking"
    MUTED = "muted"
    OFFLINE = "offline"
    CLOSED = "closed"
    FAULT = "fault"


class Cue(enum.StrEnum):
    """The kiosk's own short sounds."""

    WAKE = "wake"
    END = "end"
    MUTE = "mute"
    UNMUTE = "unmute"
    ERROR = "error"


class Overlay(enum.StrEnum):
    """What the lamp says on top of a state."""

    NONE = ""
    ASKING = "asking"
    """A tool waits for a press of the button."""
    ARMED_MUTE = "armed_mute"
    """Letting the button go mutes, or ends that."""
    ARMED_RESTART = "armed_restart"
    """Letting the button go restarts the service."""
    RECORDING = "recording"
    """The kiosk listens, and the owner has it keep what is said."""


@dataclass(frozen=True, slots=True)
class SetUplink:
    """Open or shut the microphone's gate. By: uplink."""

    uplink: UplinkGate


@dataclass(frozen=True, slots=True)
class ShowStatus:
    """Show a state. By: the lamp and the service manager's status line.

    `code`: what is wrong, if anything is; `what`: see `Trouble`. Of several troubles these are of the most severe one.
    """

    shown: KioskStatus
    code: Code | None = None
    overlay: Overlay = Overlay.NONE
    what: str = ""
    asking: str = ""
    """The tool that waits for a press, with the overlay of that."""
    more: tuple[Trouble, ...] = ()
    """The other troubles, the most severe first."""

    @property
    def troubles(self) -> tuple[Trouble, ...]:
        """All that is wrong, the most severe first."""
        return () if self.code is None else (Trouble(self.code, self.what), *self.more)


@dataclass(frozen=True, slots=True)
class SetMute:
    """Close the microphone, so that nothing can be heard, or open it; remember it over restarts. By: uplink."""

    muted: bool


@dataclass(frozen=True, slots=True)
class SetCamera:
    """Run the camera and send what it sees, or stop it. By: camera stream."""

    open: bool


@dataclass(frozen=True, slots=True)
class Duck:
    """Take the reply's loudness down, or back up. By: downlink."""

    down: bool


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Report `TimerFired(timer)` in `after_s` seconds; replaces a running one. By: timers."""

    timer: Timer
    after_s: float


@dataclass(frozen=True, slots=True)
class CancelTimer:
    """Report nothing. By: timers."""

    timer: Timer


@dataclass(frozen=True, slots=True)
class Dial:
    """Close what connection there is, then make a new one; report with its epoch. By: live_link.

    With a `handle` the session goes on. `recall`: without one, the new session is told what was said in the old.
    """

    epoch: int
    handle: SecretStr | None
    recall: bool = False


@dataclass(frozen=True, slots=True)
class HangUp:
    """Close the connection and report nothing more of it. By: live_link."""


@dataclass(frozen=True, slots=True)
class Greet:
    """Have the model greet the visitor. By: live_link."""


@dataclass(frozen=True, slots=True)
class Flush:
    """Silence this reply and all before it, within a few ms, and drop what still arrives of them. By: downlink."""

    reply: int


@dataclass(frozen=True, slots=True)
class Chime:
    """Sound a cue. By: downlink."""

    cue: Cue


@dataclass(frozen=True, slots=True)
class Prompt:
    """Tell the visitor in words what is wrong, with its code; report `PromptOver`. By: downlink."""

    code: Code


@dataclass(frozen=True, slots=True)
class StopPrompt:
    """Stop telling. By: downlink."""


@dataclass(frozen=True, slots=True)
class TakeSnapshot:
    """Show the model what the camera sees now. By: camera stream."""


@dataclass(frozen=True, slots=True)
class Confirm:
    """The visitor allows what a tool has asked for. By: confirmation."""

    down_s: float | None = None
    """When the finger went down; see `events.Pressed`."""


@dataclass(frozen=True, slots=True)
class AskConfirmation:
    """Say what a press would allow. By: downlink."""


@dataclass(frozen=True, slots=True)
class KeepHandle:
    """Keep what a new process would need to go on with this conversation. By: resumption."""

    conversation: int
    handle: SecretStr


@dataclass(frozen=True, slots=True)
class ForgetHandle:
    """Keep nothing of the conversation. By: resumption, and live_link's memory of what was said."""


Effect = (
    SetUplink
    | ShowStatus
    | SetMute
    | SetCamera
    | Duck
    | SetTimer
    | CancelTimer
    | Dial
    | HangUp
    | Greet
    | Flush
    | Chime
    | Prompt
    | StopPrompt
    | TakeSnapshot
    | Confirm
    | AskConfirmation
    | KeepHandle
    | ForgetHandle
)
