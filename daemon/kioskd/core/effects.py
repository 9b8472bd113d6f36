"""What to do. Each says who performs it; performing only hands over, slow work reports back as an event."""

import enum
from dataclasses import dataclass

from pydantic import SecretStr

from kioskd.core.events import Timer


class Uplink(enum.Enum):
    """What becomes of a microphone frame."""

    PREROLL = enum.auto()
    """Asleep: keep the last `preroll_ms`, forget the rest."""
    HOLD = enum.auto()
    """Awake, but nobody to send to: keep everything (within the bound), in order."""
    SEND = enum.auto()
    """Send what is kept, then each frame as it comes."""
    SHUT = enum.auto()
    """Forget everything: the kiosk would hear itself."""


class Shown(enum.StrEnum):
    """The states shown to people."""

    STARTING = "starting"
    ASLEEP = "asleep"
    WAKING = "waking"
    LISTENING = "listening"
    THINKING = "thinking"
    SPEAKING = "speaking"
    OFFLINE = "offline"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class SetUplink:
    """Open or shut the microphone's gate. By: mic_to_live."""

    uplink: Uplink


@dataclass(frozen=True, slots=True)
class Show:
    """Show a state. By: the lamp and the service manager's status line."""

    shown: Shown


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
    """Silence this reply and all before it, within a few ms, and drop what still arrives of them. By: live_to_speaker."""

    reply: int


@dataclass(frozen=True, slots=True)
class Keep:
    """Keep what a new process would need to go on with this conversation. By: keepsake."""

    conversation: int
    handle: SecretStr


@dataclass(frozen=True, slots=True)
class Forget:
    """Keep nothing of the conversation. By: keepsake, and live_link's memory of what was said."""


Effect = SetUplink | Show | SetTimer | CancelTimer | Dial | HangUp | Greet | Flush | Keep | Forget
