"""Effects: orders of the core. Each names the worker that performs it ("By: ...").

Performing an effect only hands it over. Slow work reports its result as an event.
"""

import enum
from dataclasses import dataclass

from pydantic import SecretStr

from kioskd.core.events import Timer
from kioskd.core.policy import DEFAULT_PROFILE
from kioskd.core.troubles import Trouble
from kioskd.errors import Code


class UplinkGate(enum.Enum):
    """Treatment of a microphone frame by the uplink."""

    PREROLL = enum.auto()
    """Asleep: keep the last `preroll_ms`, drop older frames."""
    PAUSED = enum.auto()
    """Awake, but the visitor is silent: tell the service of the pause, keep the last `preroll_ms`."""
    HOLD = enum.auto()
    """Awake, but not connected: keep all frames in order, up to the queue's bound."""
    SEND = enum.auto()
    """Send the kept frames, then each frame as it comes."""
    SHUT = enum.auto()
    """Drop every frame: the kiosk would hear itself."""


class KioskStatus(enum.StrEnum):
    """State of the kiosk as people see it."""

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
    """Short sound of the kiosk's own."""

    WAKE = "wake"
    END = "end"
    MUTE = "mute"
    UNMUTE = "unmute"
    ERROR = "error"
    WARN = "warn"


class Overlay(enum.StrEnum):
    """Lamp signal on top of a state."""

    NONE = ""
    ASKING = "asking"
    """A tool waits for a press of the button."""
    ANNOUNCING = "announcing"
    """The kiosk speaks an announcement of its owner."""
    ENDING = "ending"
    """The kiosk listens, and the conversation will soon end by time."""
    ARMED_MUTE = "armed_mute"
    """Releasing the button mutes or unmutes."""
    ARMED_RESTART = "armed_restart"
    """Releasing the button restarts the service."""
    RECORDING = "recording"
    """The kiosk listens, and the owner has switched on recording."""


@dataclass(frozen=True, slots=True)
class SetUplink:
    """Set the microphone's gate. By: uplink."""

    uplink: UplinkGate


@dataclass(frozen=True, slots=True)
class ShowStatus:
    """Show the kiosk's state. By: the lamp and the service manager's status line.

    `code` and `what` describe the most severe trouble, if there is one; see `Trouble`.
    """

    shown: KioskStatus
    code: Code | None = None
    overlay: Overlay = Overlay.NONE
    what: str = ""
    asking: str = ""
    """Name of the tool that waits for a press, with `Overlay.ASKING`."""
    more: tuple[Trouble, ...] = ()
    """The other troubles, the most severe first."""

    @property
    def troubles(self) -> tuple[Trouble, ...]:
        """All troubles, the most severe first."""
        return () if self.code is None else (Trouble(self.code, self.what), *self.more)


@dataclass(frozen=True, slots=True)
class SetMute:
    """Close the microphone completely, or open it; store the choice for restarts. By: uplink, preferences."""

    muted: bool


@dataclass(frozen=True, slots=True)
class SetCamera:
    """Run the camera and send its pictures, or stop it. By: picture_service."""

    open: bool


@dataclass(frozen=True, slots=True)
class SetSpeaker:
    """Keep the speaker ready to sound at once, or let it pause when nothing sounds. By: downlink."""

    ready: bool


@dataclass(frozen=True, slots=True)
class Duck:
    """Lower the loudness of the reply, or restore it. By: downlink."""

    down: bool


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Report `TimerFired(timer)` after `after_s` seconds; restarts a running timer. By: timers."""

    timer: Timer
    after_s: float


@dataclass(frozen=True, slots=True)
class CancelTimer:
    """Stop the timer without a report. By: timers."""

    timer: Timer


@dataclass(frozen=True, slots=True)
class Dial:
    """Close any connection, then open a new one; report with its epoch. By: live_link.

    A `handle` resumes the session. `recall`: a session without a handle is sent the transcript of the session
    before. `profile` names the visitor's profile.
    """

    epoch: int
    handle: SecretStr | None
    recall: bool = False
    profile: str = DEFAULT_PROFILE


@dataclass(frozen=True, slots=True)
class HangUp:
    """Close the connection, report nothing more about it, and forget the transcript. By: live_link."""


@dataclass(frozen=True, slots=True)
class Greet:
    """Ask the model to greet the visitor. By: live_link."""


@dataclass(frozen=True, slots=True)
class Flush:
    """Silence this reply and earlier ones within a few ms; drop their later audio. By: downlink."""

    reply: int


@dataclass(frozen=True, slots=True)
class Chime:
    """Play a cue. By: downlink."""

    cue: Cue


@dataclass(frozen=True, slots=True)
class Prompt:
    """Tell the visitor aloud what is wrong, with its code; then report `PromptOver`. By: downlink."""

    code: Code


@dataclass(frozen=True, slots=True)
class StopPrompt:
    """Stop the spoken prompt. By: downlink."""


@dataclass(frozen=True, slots=True)
class Announce:
    """Speak the announcement that waits, as a prompt; `StopPrompt` stops it, too. By: announcer."""


@dataclass(frozen=True, slots=True)
class TakeSnapshot:
    """Send the model a picture from the camera now. By: picture_service."""


@dataclass(frozen=True, slots=True)
class Confirm:
    """Tell the waiting tool that the visitor has allowed its call. By: confirmation."""

    down_s: float | None = None
    """Time of the press; see `events.Pressed`."""


@dataclass(frozen=True, slots=True)
class AskConfirmation:
    """Say aloud what a press of the button would allow. By: downlink."""


@dataclass(frozen=True, slots=True)
class KeepHandle:
    """Store what a new process needs to go on with this conversation. By: the resumption store."""

    conversation: int
    handle: SecretStr
    profile: str = DEFAULT_PROFILE


@dataclass(frozen=True, slots=True)
class ForgetHandle:
    """Delete the stored handle. By: the resumption store."""


Effect = (
    SetUplink
    | ShowStatus
    | SetMute
    | SetCamera
    | SetSpeaker
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
    | Announce
    | TakeSnapshot
    | Confirm
    | AskConfirmation
    | KeepHandle
    | ForgetHandle
)
