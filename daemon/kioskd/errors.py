"""Every expected error, in classes by the person or program that can mend it.

KioskError
├── ConfigError     the owner must edit a file                             exit 78
├── DeviceLost      a device went away or never came; it is waited for     never ends the daemon
│   └── DeviceStuck a device that only a new process can be freed of       exit 69
├── RestartAsked    a person held the button for it                        exit 69
└── LinkLost        the connection ended or could not be made; its remedy  never ends the daemon, but for Remedy.STOP
                    says what may help

Messages say where, what, why and what to do, in one line, and hold no key, handle, speech or picture.
Anything that is not a KioskError is a bug: it ends the process with exit 70, and systemd starts it again.
"""

import enum
from typing import Final


class Remedy(enum.Enum):
    """What to do about a lost connection; its value is what the journal calls it."""

    RESUME = "resume"
    """Dial again with the handle: at once the first time, then with growing delays."""
    RESUME_LATER = "resume later"
    """The service itself has failed: with the handle after a delay, and after some tries without it."""
    FRESH = "fresh session"
    """The service does not know the session any more, or will not resume it: never try this handle again."""
    CREDENTIALS = "new credentials"
    """Dial with new credentials, as soon as after RESUME; if they are refused, too, the remedy is SETTINGS."""
    QUOTA = "long wait"
    """The service has had enough of us for now: wait long, and do not hammer."""
    CLOCK = "wait for the clock"
    """The service's certificate is not valid yet, or no more: a clock without a battery, before it is set."""
    SETTINGS = "mend the settings"
    """Key, model or settings are refused: dialing again helps only after a person has mended them."""
    STOP = "stop"
    """The program itself does not fit together: end the process."""


class Code(enum.StrEnum):
    """A code that a visitor can tell the staff: the same in the spoken prompt, the lamp's flashes and the journal.

    The letter is the kind (W: way to the service, K: key and settings, D: device, B: business hours, S: storage).
    """

    WAY = "W1"
    """The service is not reached: no network, or nothing answers."""
    SERVICE = "W2"
    """The service is reached and fails."""
    QUOTA = "W3"
    """The service has had enough of this owner for now."""
    CLOCK = "W4"
    """The clock is not set yet, so no certificate holds."""
    SETTINGS = "K1"
    """The service turns key, model or settings down."""
    FILE = "K2"
    """The settings file was refused by a reload. The kiosk serves with those of before, and would not start."""
    MICROPHONE = "D1"
    """The microphone is missing."""
    DEAF = "D2"
    """The microphone is there and gives nothing but silence: switched off, or broken."""
    SPEAKER = "D3"
    """The speaker is missing; only the lamp can tell."""
    BUTTON = "D4"
    """A button is missing, stuck, or bounces."""
    CAMERA = "D5"
    """The camera is missing."""
    LAMP = "D6"
    """A lamp is missing."""
    BUDGET = "B1"
    """The day's budget is spent."""
    HOURS = "B2"
    """Quiet hours."""
    STORAGE = "S1"
    """State that outlives a restart cannot be written. The kiosk serves: every other code has precedence."""


SPOKEN: Final = tuple(code for code in Code if code not in (Code.FILE, Code.BUTTON, Code.CAMERA, Code.LAMP))
"""The codes that have a prompt. A visitor is served with the others, and cannot mend a button, a lamp or a file."""


class KioskError(Exception):
    """Anything this daemon raises on purpose."""


class ConfigError(KioskError):
    """The owner must edit a file. One line a fault."""


class DeviceLost(KioskError):
    """A device went away, or is not there yet; it may come back.

    `listed`: its name is listed, and it cannot be used. `device`: its name as the owner wrote it. `again`: no fault of it is
    known, and another try at once may succeed.
    """

    def __init__(self, message: str, *, listed: bool = False, device: str = "", again: bool = False) -> None:
        super().__init__(message)
        self.listed = listed
        self.device = device
        self.again = again


class DeviceStuck(DeviceLost):
    """A device or its driver hangs: only a new process is free of it."""


class RestartAsked(KioskError):
    """A person wants a new process; systemd starts it."""


class LinkLost(KioskError):
    """The connection ended, or could not be made.

    `remedy`: what may help. `reached`: the service, or the one that issues its credentials, answered: the network works.
    `retry_after_s`: the seconds for which the service asked us to wait; None where it did not.
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
