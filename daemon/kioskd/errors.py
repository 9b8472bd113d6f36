"""Everything that goes wrong on purpose, split by who can mend it.

KioskError
├── ConfigError     the owner must edit a file                        exit 78
├── DeviceLost      a device went away or never came; it may come     exit 69 when it stays away
├── LinkLost        the connection ended; dialing again may help      never ends the daemon
│   └── SessionLost     ... but not with this handle: the service has forgotten the session
└── LinkRefused     key, model or settings turned down: dialing again as we are cannot help

Messages say where, what, why and what to do, in one line, and hold no key, handle, speech or picture.
Anything that is not a KioskError is a bug: it ends the process with exit 70, and systemd starts it again.
"""


class KioskError(Exception):
    """Anything this daemon raises on purpose."""


class ConfigError(KioskError):
    """The owner must edit a file. One line a fault."""


class DeviceLost(KioskError):
    """A device went away, or is not there yet; it may come back."""


class LinkLost(KioskError):
    """The connection ended, or could not be made; dialing again may help.

    `retry_after_s`: how long the service asked us to wait, in seconds; None where it did not.
    """

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class SessionLost(LinkLost):
    """The service does not know the session behind our handle, or will not resume it: start a fresh one."""


class LinkRefused(KioskError):
    """Key, model or settings turned down: dialing again without a change cannot help."""
