"""Messages to the service manager: ready, alive, stopping, and a status line for people.

They use the protocol of sd_notify(3): datagrams to NOTIFY_SOCKET. systemd-python's `notify` blocks while a
manager does not read, and holds Python's lock meanwhile: a hung manager would silence the kiosk.
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
"""Longest status line; longer ones end in an ellipsis. It has room for five troubles."""


class SystemdNotifier:
    """Sender of sd_notify(3) messages. `send` passes "READY=1" to the manager, or raises OSError.

    A message that the manager does not take at once (BlockingIOError) is sent again with the next one. At
    most `WAITING` messages wait; the oldest are dropped. A manager that cannot be reached is logged once when
    lost and once when back. No method raises an error.
    """

    def __init__(self, send: Callable[[str], object], watchdog_s: float | None) -> None:
        self._send = send
        self.watchdog_s = watchdog_s
        """The manager's deadline between two signs of life, in seconds; None if it sets none."""
        self._reached = True
        self._stopping = False
        self._waiting: collections.deque[str] = collections.deque(maxlen=WAITING)

    def ready(self) -> None:
        """Report that the daemon can serve. The watchdog's time starts now."""
        self._notify("READY=1")

    def status(self, text: str) -> None:
        """Report the daemon's state in one line, cut to `STATUS_CHARS`. Does nothing after `stopping`."""
        if self._stopping:
            return
        # A line break would start another assignment, such as WATCHDOG=trigger.
        line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        if len(line) > STATUS_CHARS:
            line = line[: STATUS_CHARS - 1] + "…"
        self._notify(f"STATUS={line}")

    def alive(self) -> None:
        """Report one sign of life."""
        self._notify("WATCHDOG=1")

    def reloading(self) -> None:
        """Report that settings are being read, until `ready` (Type=notify-reload, sd_notify(3))."""
        self._notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Report that the daemon is stopping, so that its end is not a failure.

        systemd shows the last status for as long as the daemon is stopped.
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
                log.warning("service manager lost, kioskd goes on without it: error=%s", error)
            return
        if not self._reached:
            self._reached = True
            log.info("service manager back")


def notifier(environ: Mapping[str, str]) -> SystemdNotifier:
    """Return the notifier of the service manager that started the daemon. If none did, it drops all messages.

    ConfigError: NOTIFY_SOCKET is not a Unix socket, or WATCHDOG_USEC is not a number.
    """
    address = environ.get("NOTIFY_SOCKET")
    if not address:
        return SystemdNotifier(lambda _message: None, None)
    if address[0] not in "/@":
        raise ConfigError(
            f"NOTIFY_SOCKET = {address!r}: it must be a path or an abstract name; the service manager "
            "sets it: remove it from Environment= of the unit or from your shell"
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
    """Return the watchdog's deadline in seconds; None if there is none, or it belongs to another process.

    The rules are those of sd_watchdog_enabled(3): WATCHDOG_USEC applies to the process in WATCHDOG_PID, or to
    any process if that is unset. ConfigError: one of the two is not a whole number above zero.
    """
    if "WATCHDOG_USEC" not in environ:
        return None
    usec = _positive(environ, "WATCHDOG_USEC")
    if "WATCHDOG_PID" in environ and _positive(environ, "WATCHDOG_PID") != pid:
        return None
    return usec / 1_000_000


def _positive(environ: Mapping[str, str], name: str) -> int:
    text = environ[name]
    # isdecimal alone would accept digits of other scripts; int() alone would accept signs and underscores.
    if text.isascii() and text.isdecimal() and (number := int(text)) > 0:
        return number
    raise ConfigError(
        f"{name} = {text!r}: it must be a whole number above zero; the service manager sets it "
        "by WatchdogSec=: remove it from Environment= of the unit or from your shell"
    )
