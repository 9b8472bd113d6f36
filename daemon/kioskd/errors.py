"""Every expected error, in classes by the person or program that can mend it.

KioskError
├── ConfigError     The owner must edit a file. Exit code 78.
├── DeviceLost      A device went away or is not there yet. The daemon goes on and waits for it.
│   └── DeviceStuck A device hangs, and only a new process can free it. Exit code 69.
├── RestartAsked    A person held the button that restarts the daemon. Exit code 69.
└── LinkLost        The connection ended or could not be made. Only `Remedy.STOP` ends the daemon.

A message says in one line where the fault is, what it is, its cause and what to do.
It holds no key, no resumption handle, no speech and no picture.
Every other exception is a bug: the process ends with exit code 70, and systemd starts it again.
"""

import enum
from typing import Final


class Remedy(enum.Enum):
    """The way to recover from a lost connection. The journal writes the value."""

    RESUME = "resume"
    """Dial again with the resumption handle: at once the first time, then with growing delays."""
    RESUME_LATER = "resume later"
    """The service itself failed. Dial with the handle after a delay, and after some tries without it."""
    FRESH = "fresh session"
    """The service does not know the session any more, or does not resume it. Never use this handle again."""
    CREDENTIALS = "new credentials"
    """Dial with new credentials, with the delays of RESUME. If these are rejected, too, use SETTINGS."""
    QUOTA = "long wait"
    """The quota is used up. Wait long before the next dial."""
    CLOCK = "wait for the clock"
    """The service's certificate is not valid at this machine's time: the clock was probably not set yet."""
    SETTINGS = "mend the settings"
    """The service rejects key, model or settings. Dialing again helps only after a person has mended them."""
    STOP = "stop"
    """The parts of this program do not fit together. End the process."""


class Code(enum.StrEnum):
    """A code that a visitor can report to the staff. Prompts, lamp and journal use the same code.

    The letter is the kind (W: way to the service, K: key and settings, D: device, B: business hours, S:
    storage).
    """

    WAY = "W1"
    """The service cannot be reached: no network, or nothing answers."""
    SERVICE = "W2"
    """The service can be reached, and fails."""
    QUOTA = "W3"
    """The owner's quota at the service is used up for now."""
    CLOCK = "W4"
    """The clock is not set yet, so every certificate looks invalid."""
    SETTINGS = "K1"
    """The service rejects key, model or settings."""
    FILE = "K2"
    """A reload rejected the settings file. The kiosk keeps its old settings, but could not start again."""
    MICROPHONE = "D1"
    """The microphone is missing."""
    DEAF = "D2"
    """The microphone is there, but gives only silence: it is switched off, or broken."""
    SPEAKER = "D3"
    """The speaker is missing. Only the lamp can show this."""
    BUTTON = "D4"
    """A button is missing, stuck, or bounces."""
    CAMERA = "D5"
    """The camera is missing."""
    LAMP = "D6"
    """A lamp is missing."""
    BUDGET = "B1"
    """The day's budget is spent."""
    HOURS = "B2"
    """The current time is within the owner's quiet hours."""
    STORAGE = "S1"
    """Volume, mute and the day's budget cannot be stored. Visitors are served; all other codes come first."""


SPOKEN: Final = tuple(code for code in Code if code not in (Code.FILE, Code.BUTTON, Code.CAMERA, Code.LAMP))
"""The codes with a spoken prompt. The others do not stop a conversation, and no visitor can mend them."""


class KioskError(Exception):
    """An error that this daemon raises on purpose."""


class ConfigError(KioskError):
    """The owner must edit a file. The message has one line for each fault."""


class DeviceLost(KioskError):
    """A device went away, or is not there yet. It may come back.

    `listed`: the system lists the device, but it cannot be used. `device`: its name as the owner wrote it.
    `again`: the device has no known fault, and another try at once may succeed.
    """

    def __init__(self, message: str, *, listed: bool = False, device: str = "", again: bool = False) -> None:
        super().__init__(message)
        self.listed = listed
        self.device = device
        self.again = again


class DeviceStuck(DeviceLost):
    """A device or its driver hangs. Only a new process can free it."""


class RestartAsked(KioskError):
    """A person asked for a new process. This one ends, and systemd starts another."""


class LinkLost(KioskError):
    """The connection ended, or could not be made.

    `remedy`: the way to recover. `reached`: the service or the issuer of its credentials answered, so the
    network works. `retry_after_s`: the seconds that the service asked us to wait; None if it did not ask.
    """

    def __init__(
        self,
        message: str,
        *,
        remedy: Remedy = Remedy.RESUME,
        reached: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.remedy = remedy
        self.reached = reached
        self.retry_after_s = retry_after_s
