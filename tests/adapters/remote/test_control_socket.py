"""The control socket: access and requests are checked, and no client can disturb the daemon."""

import asyncio
import json
import logging
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.control import calling, open_place, serving
from tests.support.fakes_devices import ManualClock
from tests.support.kiosk import running, soon
from tests.support.until import until

from kioskd.adapters.clock import SystemClock
from kioskd.adapters.remote import connection_limiter, control_socket
from kioskd.adapters.remote.control_socket import CLIENTS, ControlSocket
from kioskd.adapters.remote.control_wire import LINE_BYTES, PICTURE_BYTES, client_sockets, daemon_socket
from kioskd.errors import KioskError
from kioskd.ports import SendLine

NOBODY = 65_534
GROUP = 4242


@pytest.fixture
def place() -> Iterator[Path]:
    with open_place() as path:
        yield path


async def echo(
    request: Mapping[str, object], attachment: bytes, answer: SendLine, *, privileged: bool
) -> None:
    """Answer with the request."""
    assert privileged, "the tests and the daemon have the same user"
    await answer({"ok": True, "heard": request.get("do"), "bytes": len(attachment)})


async def tell(
    _request: Mapping[str, object], _attachment: bytes, answer: SendLine, *, privileged: bool
) -> None:
    """Answer with the client's rank."""
    await answer({"ok": True, "privileged": privileged})


async def flood(
    _request: Mapping[str, object], _attachment: bytes, answer: SendLine, *, privileged: bool
) -> None:
    """Answer for ever."""
    assert privileged
    while True:
        await answer({"ok": True, "much": "x" * 50_000})


async def hang(
    _request: Mapping[str, object], _attachment: bytes, _answer: SendLine, *, privileged: bool
) -> None:
    """Never answer."""
    assert privileged
    await asyncio.Event().wait()


def mode_and_group(path: Path) -> tuple[int, int]:
    found = path.stat()
    return stat.S_IMODE(found.st_mode), found.st_gid


async def test_each_request_of_a_connection_is_answered_in_turn(place: Path) -> None:
    async with serving(place, echo), calling(place) as caller:
        assert await caller.asks({"do": "one"}) == {"ok": True, "heard": "one", "bytes": 0}
        assert await caller.asks({"do": "two"}) == {"ok": True, "heard": "two", "bytes": 0}


async def test_the_bytes_behind_a_request_belong_to_it(place: Path) -> None:
    async with serving(place, echo), calling(place) as caller:
        caller.send(json.dumps({"do": "show", "bytes": 300_000}).encode() + b"\n" + b"x" * 300_000)
        assert await caller.answer() == {"ok": True, "heard": "show", "bytes": 300_000}
        assert (await caller.asks({"do": "after"}))["heard"] == "after"


async def test_the_socket_belongs_to_its_owner_and_the_group_of_its_folder(place: Path) -> None:
    if os.geteuid() == 0:
        os.chown(place.parent, -1, GROUP)
    async with serving(place, echo):
        assert mode_and_group(place) == (0o660, mode_and_group(place.parent)[1])


@pytest.mark.parametrize(
    "said",
    [
        b"hello\n",
        b"[]\n",
        b"12\n",
        b'"do"\n',
        b"[" * 50_000 + b"\n",
        b'{"do": "show", "bytes": -1}\n',
        b'{"do": "show", "bytes": "9"}\n',
        b'{"do": "show", "bytes": true}\n',
        b"\xff\xfe\n",
        b"x" * (LINE_BYTES + 10) + b"\n",
        json.dumps({"do": "show", "bytes": PICTURE_BYTES + 1}).encode() + b"\n",
    ],
    ids=lambda said: repr(said[:30]),
)
async def test_an_invalid_request_is_answered_with_a_reason_and_closed(place: Path, said: bytes) -> None:
    async with serving(place, echo):
        async with calling(place) as caller:
            refusal = await caller.asks(said)
            assert refusal["ok"] is False
            assert refusal["why"]
            assert await caller.answer() is None
        async with calling(place) as caller:
            assert (await caller.asks({"do": "status"}))["ok"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(noise=st.binary(max_size=200))
def test_invalid_bytes_do_not_disturb_the_next_client(place: Path, noise: bytes) -> None:
    async def story() -> None:
        async with serving(place, echo):
            async with calling(place) as caller:
                caller.send(noise)
            async with calling(place) as caller:
                assert (await caller.asks({"do": "status"}))["heard"] == "status"

    asyncio.run(story())


async def test_a_silent_client_is_disconnected(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_socket, "REQUEST_S", 0.02)
    async with serving(place, echo), calling(place) as caller:
        assert await caller.answer() is None


async def test_a_client_that_sends_less_than_announced_is_disconnected(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_socket, "PICTURE_S", 0.02)
    async with serving(place, echo), calling(place) as caller:
        caller.send(b'{"do": "show", "bytes": 10}\nfive!')
        assert await caller.answer() is None


async def test_a_client_that_does_not_read_is_disconnected_while_others_are_served(
    place: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connection_limiter, "WRITE_S", 0.05)
    caplog.set_level(logging.DEBUG, logger="kioskd")

    async def handle(
        request: Mapping[str, object], attachment: bytes, answer: SendLine, *, privileged: bool
    ) -> None:
        await (flood if request["do"] == "watch" else echo)(
            request, attachment, answer, privileged=privileged
        )

    async with serving(place, handle):
        with socket.socket(socket.AF_UNIX) as deaf:
            deaf.connect(str(place))
            deaf.sendall(b'{"do": "watch"}\n')
            async with calling(place) as caller:
                assert (await caller.asks({"do": "status"}))["ok"]
            await until(lambda: "client gone: TimeoutError" in caplog.text)


async def test_one_client_too_many_is_refused_and_accepted_after_another_has_left(place: Path) -> None:
    async with serving(place, hang), AsyncExitStack() as stack:
        callers = [await stack.enter_async_context(calling(place)) for _ in range(CLIENTS)]
        async with calling(place) as late:
            assert "try again" in (await late.answer())["why"]
        callers[0].writer.transport.abort()

        async def let_in() -> bool:
            async with calling(place) as another:
                another.send({"do": "status"})
                try:
                    async with asyncio.timeout(0.05):
                        return await another.answer() is None
                except TimeoutError:  # it waits for an answer of `hang`, so it was accepted
                    return True

        async with asyncio.timeout(60):
            while not await let_in():
                pass


async def test_one_picture_is_received_at_a_time(place: Path) -> None:
    async with serving(place, echo), calling(place) as slow, calling(place) as quick:
        slow.send(b'{"do": "show", "bytes": 4}\nab')
        await slow.writer.drain()
        refused: Any = {"ok": True}
        while refused["ok"]:  # until the daemon has begun to receive the first
            refused = await quick.asks(b'{"do": "show", "bytes": 1}\nx')
        assert "try again" in refused["why"]
        slow.send(b"cd")
        assert (await slow.answer())["bytes"] == 4


async def test_a_client_that_leaves_in_mid_answer_costs_nothing(place: Path) -> None:
    async with serving(place, flood):
        for _ in range(3 * CLIENTS):
            async with calling(place) as caller:
                assert (await caller.asks({"do": "watch"}))["ok"]


async def test_the_socket_of_a_dead_daemon_is_replaced(place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(place))
    async with running(ControlSocket(place, SystemClock()).serve(echo)):
        answered = None
        while answered is None:
            try:
                async with calling(place) as caller:
                    answered = await caller.asks({"do": "status"})
            except ConnectionRefusedError:
                await asyncio.sleep(0)
        assert answered["ok"]


async def test_a_second_daemon_is_refused_in_one_line_and_the_first_goes_on(place: Path) -> None:
    async with serving(place, echo):
        second = ControlSocket(place, SystemClock())
        with pytest.raises(KioskError, match=r"another kioskd is running already: .*; stop it") as refusal:
            second.claim()
        assert "\n" not in str(refusal.value)
        with pytest.raises(KioskError, match="another kioskd"):
            await soon(second.serve(echo))
        async with calling(place) as caller:
            assert (await caller.asks({"do": "status"}))["ok"]


async def test_a_daemon_that_ends_removes_its_socket_and_frees_the_lock(place: Path) -> None:
    async with serving(place, echo):
        pass
    await until(lambda: not place.exists())
    async with serving(place, echo), calling(place) as caller:
        assert (await caller.asks({"do": "status"}))["ok"]


async def test_a_socket_path_that_cannot_be_used_is_logged_once_and_retried(
    place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await asyncio.to_thread(place.write_text, "the owner's")
    clock = ManualClock()
    made = ControlSocket(place, clock)
    made.claim()
    async with running(made.serve(echo)):
        await clock.advance(3 * connection_limiter.RETRY_S)
        assert await asyncio.to_thread(place.read_text) == "the owner's"
        assert [record.getMessage() for record in caplog.records] == [
            (
                "control socket cannot be created, kioskd goes on without it and retries each minute: "
                f"{place} is not a socket; remove it"
            )
        ]
        await asyncio.to_thread(place.unlink)
        await clock.advance(connection_limiter.RETRY_S)
        async with calling(place) as caller:
            assert (await caller.asks({"do": "status"}))["ok"]


async def test_a_socket_folder_that_cannot_be_created_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = ControlSocket(tmp_path / "not" / "there" / "control", ManualClock())
    made.claim()
    async with running(made.serve(echo)):
        await until(lambda: "cannot be created" in caplog.text)


ASK = """
import contextlib, socket, sys
daemon = socket.socket(socket.AF_UNIX)
daemon.connect(sys.argv[1])
with contextlib.suppress(BrokenPipeError):  # the daemon may have hung up already
    daemon.sendall(b'{"do": "status"}\\n')
print(daemon.makefile().readline())
"""


def client(place: Path, **credentials: Any) -> Any:
    """Send a request as another user."""
    done = subprocess.run(
        ["/usr/bin/python3", "-c", ASK, str(place)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        **credentials,
    )
    return json.loads(done.stdout) if done.returncode == 0 else done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
async def test_members_of_the_group_are_served_and_other_users_are_not(place: Path) -> None:
    os.chown(place.parent, -1, GROUP)
    nobody = {"user": NOBODY, "group": NOBODY}
    async with serving(place, tell):
        member = await asyncio.to_thread(client, place, **nobody, extra_groups=[GROUP])
        assert member == {"ok": True, "privileged": False}
        assert await asyncio.to_thread(client, place) == {"ok": True, "privileged": True}
        stranger = await asyncio.to_thread(client, place, **nobody, extra_groups=[])
        assert "PermissionError" in stranger
        await asyncio.to_thread(place.chmod, 0o666)  # as if the mode was changed by mistake
        stranger = await asyncio.to_thread(client, place, **nobody, extra_groups=[])
        assert stranger == {"ok": False, "why": "this user may not control kioskd; use sudo"}


def test_the_socket_is_in_the_runtime_directory_and_found_there() -> None:
    assert daemon_socket({"RUNTIME_DIRECTORY": "/run/kioskd:/run/other"}) == Path("/run/kioskd/control")
    assert daemon_socket({"XDG_RUNTIME_DIR": "/run/user/1000"}) == Path("/run/user/1000/kioskd/control")
    assert daemon_socket({"KIOSKD_SOCKET": "/tmp/mine", "RUNTIME_DIRECTORY": "/run/kioskd"}) == Path(
        "/tmp/mine"
    )
    assert daemon_socket({}) is None
    assert client_sockets({"XDG_RUNTIME_DIR": "/run/user/1000"}) == [
        Path("/run/kioskd/control"),
        Path("/run/user/1000/kioskd/control"),
    ]
    assert client_sockets({"KIOSKD_SOCKET": "/tmp/mine"}) == [Path("/tmp/mine")]


def test_a_client_needs_no_event_loop() -> None:
    """Scripts call commands often; asyncio alone would double the time of one."""
    code = "import sys, kioskd.cli.control; print('asyncio' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
