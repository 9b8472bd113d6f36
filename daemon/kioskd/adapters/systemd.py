"""Tells the service manager the state of the daemon: ready, alive, stopping, and in a few words what we do.

By sd_notify(3)'s protocol, datagrams to NOTIFY_SOCKET. systemd-python's own `notify` waits for a manager that does not
read, and keeps Python from running anything else meanwhile: a hung manager would silence the kiosk.
"""

import collections
import logging
import os
import socket
import time
from collections.abc import Callable, Mapping
from typing import Final

from kioskd.errors import ConfigError

log = logging.getLogger(__name__)

WAITING: Final = 16
STATUS_CHARS: Final = 1000
"""The longest status line; longer ones end in an ellipsis. Five troubles have room in it."""


class SystemdNotifier:
    """Speaks sd_notify(3), by way of `send`: what hands "READY=1" to the manager, or raises OSError.

    What a manager does not take at once (BlockingIOError) is tried again with the next message; of more than `WAITING`
    the oldest are dropped. A manager that cannot be reached is logged once when lost and once when back. No call raises.
    """

    def __init__(self, send: Callable[[str], object], watchdog_s: float | None) -> None:
        self._send = send
        self.watchdog_s = watchdog_s
        """The manager's deadline between two signs of life, in seconds; None where it sets none."""
        self._reached = True
        self._stopping = False
        self._waiting: collections.deque[str] = collections.deque(maxlen=WAITING)

    def ready(self) -> None:
        """Say that the daemon can serve. The watchdog's clock starts with it."""
        self._notify("READY=1")

    def status(self, text: str) -> None:
        """Say in words what the daemon is doing: one line, cut to `STATUS_CHARS`; nothing more once it is stopping."""
        if self._stopping:
            return
        # A line break would begin another assignment; WATCHDOG=trigger is one.
        line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        if len(line) > STATUS_CHARS:
            line = line[: STATUS_CHARS - 1] + "…"
        self._notify(f"STATUS={line}")

    def alive(self) -> None:
        """Give one sign of life."""
        self._notify("WATCHDOG=1")

    def reloading(self) -> None:
        """Say that new settings are being read; `ready` says that it is done (Type=notify-reload, sd_notify(3))."""
        self._notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Say that the daemon is on its way out: it is no fault if it ends now.

        systemd shows the last words of a daemon for as long as it is stopped.
        """
        self.status("Was told to stop")
        self._stopping = True
        self._notify("STOPPING=1")

    def _notify(self, message: str) -> None:
        self._waiting.append(message)
        try:
            while self._waiting:
                self._send(self._waiting[0])
                self._waiting.popleft()
        except BlockingIOError:
            return
        except OSError as error:
            self._waiting.clear()
            if self._reached:
                self._reached = False
                log.warning("service manager lost, going on without: error=%s", error)
            return
        if not self._reached:
            self._reached = True
            log.info("service manager back")


def notifier(environ: Mapping[str, str]) -> SystemdNotifier:
    """Return the notifier of the service manager that started us; where none did, its messages go nowhere.

    ConfigError: NOTIFY_SOCKET is no Unix socket; WATCHDOG_USEC is no number.
    """
    address = environ.get("NOTIFY_SOCKET")
    if not address:
        return SystemdNotifier(lambda _message: None, None)
    if address[0] not in "/@":
        raise ConfigError(
            f"NOTIFY_SOCKET = {address!r}: must be a path or an abstract name; the service manager sets it, so remove "
            "it from Environment= of the unit or from your shell"
        )
    return SystemdNotifier(_sender(address), watchdog_s(environ, os.getpid()))


def _sender(address: str) -> Callable[[str], object]:
    to = "\0" + address[1:] if address[0] == "@" else address

    def send(message: str) -> None:
        kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        with socket.socket(socket.AF_UNIX, kind) as ours:
            ours.sendto(message.encode(), to)

    return send


def watchdog_s(environ: Mapping[str, str], pid: int) -> float | None:
    """Return the watchdog's deadline in seconds; None where there is none, or it is another process's.

    The rules are sd_watchdog_enabled(3)'s: WATCHDOG_USEC counts for the process in WATCHDOG_PID, or for any
    where that is unset.
    ConfigError: one of the two is not a whole number above zero.
    """
    if "WATCHDOG_USEC" not in environ:
        return None
    usec = _positive(environ, "WATCHDOG_USEC")
    if "WATCHDOG_PID" in environ and _positive(environ, "WATCHDOG_PID") != pid:
        return None
    return usec / 1_000_000


def _positive(environ: Mapping[str, str], name: str) -> int:
    text = environ[name]
    # isdecimal alone would pass digits of other scripts, and int() alone signs and underscores.
    if text.isascii() and text.isdecimal() and (number := int(text)) > 0:
        return number
    raise ConfigError(
        f"{name} = {text!r}: must be a whole number above zero; the service manager sets it by WatchdogSec=, so "
        "remove it from Environment= of the unit or from your shell"
    )
