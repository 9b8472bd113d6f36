import contextlib
import logging
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kioskd.adapters.systemd import STATUS_CHARS, SystemdNotifier, notifier, watchdog_s
from kioskd.errors import ConfigError
from kioskd.ports import Notifier


def listen(address: str | bytes) -> socket.socket:
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(address)
    manager.settimeout(5)
    return manager


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    path = str(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", path)
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    with listen(path) as sock:
        yield sock


def heard(manager: socket.socket) -> str:
    return manager.recv(65536).decode()


def test_the_manager_gets_all_messages_of_a_daemons_life(manager: socket.socket) -> None:
    us = notifier(os.environ)
    us.ready()
    us.status("asleep")
    us.alive()
    us.stopping()
    us.status("asleep")  # systemd would show it although the daemon has ended
    last = ["STATUS=Was told to stop", "STOPPING=1"]
    assert [heard(manager) for _ in range(5)] == ["READY=1", "STATUS=asleep", "WATCHDOG=1", *last]
    manager.setblocking(False)
    with pytest.raises(BlockingIOError):
        manager.recv(1)


def test_an_abstract_socket_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"kioskd-test-{os.getpid()}"
    monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
    with listen(f"\0{name}".encode()) as manager:
        notifier(os.environ).ready()
        assert heard(manager) == "READY=1"


def test_a_reload_is_announced_with_the_time_that_the_manager_compares(manager: socket.socket) -> None:
    before = time.monotonic_ns() // 1000
    notifier(os.environ).reloading()
    first, _, second = heard(manager).partition("\n")
    assert first == "RELOADING=1"
    assert before <= int(second.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000


def test_a_status_is_one_line_and_cannot_contain_another_message(manager: socket.socket) -> None:
    notifier(os.environ).status("  offline:\n WATCHDOG=trigger\r\n\x1b[0m dialing\u2028in 4 s ")
    assert heard(manager) == "STATUS=offline: WATCHDOG=trigger [0m dialing in 4 s"


def test_a_long_status_is_cut(manager: socket.socket) -> None:
    notifier(os.environ).status("x" * 100_000)
    text = heard(manager).removeprefix("STATUS=")
    assert (len(text), text[-1]) == (STATUS_CHARS, "…")


def test_a_manager_that_does_not_read_blocks_nothing_and_gets_the_newest_message(
    manager: socket.socket,
) -> None:
    us = notifier(os.environ)
    for number in range(1000):
        us.status(str(number))
    assert len(drained(manager)) < 1000
    us.status("at last")
    drained(manager)
    us.status("at last")
    assert drained(manager)[-1] == "STATUS=at last"


def drained(manager: socket.socket) -> list[str]:
    """Return all messages that wait at the manager."""
    manager.settimeout(0)
    waiting = []
    with contextlib.suppress(BlockingIOError):
        while True:
            waiting.append(heard(manager))
    return waiting


def test_a_lost_manager_is_logged_once_and_does_no_harm(
    manager: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="kioskd")
    us = notifier(os.environ)
    path = manager.getsockname()
    manager.close()
    us.alive()
    us.alive()
    Path(path).unlink()
    with listen(path) as again:
        us.alive()
        us.alive()
        assert heard(again) == "WATCHDOG=1"
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert caplog.messages[0].startswith("service manager lost")
    assert caplog.messages[1] == "service manager back"


def test_the_watchdogs_deadline_comes_with_the_notifier(
    manager: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    assert notifier(os.environ).watchdog_s == 30.0


def test_without_a_manager_there_are_no_messages_and_no_deadline() -> None:
    us = notifier({"WATCHDOG_USEC": "30000000"})
    assert us.watchdog_s is None
    us.ready()
    us.status("asleep")
    us.alive()
    us.reloading()
    us.stopping()


def test_an_address_that_is_not_a_unix_socket_is_rejected() -> None:
    with pytest.raises(ConfigError, match="NOTIFY_SOCKET"):
        notifier({"NOTIFY_SOCKET": "vsock:2:1234"})


def test_the_notifier_meets_its_protocol() -> None:
    said: list[str] = []
    one: Notifier = SystemdNotifier(said.append, 2.0)
    one.alive()
    assert said == ["WATCHDOG=1"]
    assert one.watchdog_s == 2.0


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_PID": "7"}, None),
        ({"WATCHDOG_USEC": "1500000"}, 1.5),
        ({"WATCHDOG_USEC": "1500000", "WATCHDOG_PID": "7"}, 1.5),
        ({"WATCHDOG_USEC": "1500000", "WATCHDOG_PID": "8"}, None),
    ],
)
def test_a_watchdog_of_another_process_is_ignored(environ: dict[str, str], seconds: float | None) -> None:
    assert watchdog_s(environ, pid=7) == seconds


@pytest.mark.parametrize("text", ["", "0", "-1", "30s", "1_000", "+5", " 5", "٣"])
@pytest.mark.parametrize("name", ["WATCHDOG_USEC", "WATCHDOG_PID"])
def test_invalid_values_from_the_manager_are_a_configuration_error(name: str, text: str) -> None:
    with pytest.raises(ConfigError, match=f"^{name} = .*WatchdogSec="):
        watchdog_s({"WATCHDOG_USEC": "1500000", name: text}, pid=7)
