"""Greedy clients of the control socket: they neither block the loop nor keep other clients out."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import pytest
from tests.support.control import calling, open_place, serving
from tests.support.loop_holds import holds

from kioskd.adapters.remote import connection_limiter
from kioskd.adapters.remote.control_socket import CLIENTS_EACH, WATCHERS_EACH
from kioskd.ports import SendLine

MEMBER = 65_534
GROUP = 4242


@pytest.fixture
def place() -> Iterator[Path]:
    with open_place() as path:
        yield path


async def much(_request: Mapping[str, object], _bytes: bytes, answer: SendLine, *, privileged: bool) -> None:
    """Answer with so much text that a client that does not read fills every buffer."""
    await answer({"ok": True, "privileged": privileged, "much": "x" * 5_000})


async def watched(
    request: Mapping[str, object], _bytes: bytes, answer: SendLine, *, privileged: bool
) -> None:
    """Answer; for `watch`, never return."""
    await answer({"ok": True, "privileged": privileged})
    if request.get("do") == "watch":
        await asyncio.Event().wait()


async def broken(
    _request: Mapping[str, object], _bytes: bytes, _answer: SendLine, *, privileged: bool
) -> None:
    """Raise an error, like a bug."""
    raise RuntimeError(f"what the client has sent {privileged}")


async def test_a_client_that_asks_400_times_and_reads_late_ends_nothing(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_limiter, "WRITE_S", 0.2)
    async with serving(place, much):
        async with calling(place) as caller:
            transport = cast(asyncio.Transport, caller.writer.transport)
            transport.pause_reading()
            caller.send(b'{"do": "status"}\n' * 400)
            await asyncio.sleep(0.7)  # now the daemon closes; its earlier answers can still be read
            transport.resume_reading()
            answers = 0
            while await caller.answer() is not None:
                answers += 1
            assert 0 < answers < 400
        await asyncio.sleep(1.2)  # longer than the daemon waits for the end of a close
        async with calling(place) as caller:
            assert (await caller.asks({"do": "status"}))["ok"]


async def test_a_bug_in_a_request_ends_that_client_only(
    place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(place, broken):
        for _ in range(2):
            async with calling(place) as caller:
                assert await caller.asks({"do": "status"}) is None
    assert "met a bug in kioskd: RuntimeError in broken" in caplog.text
    assert "what the client has sent" not in caplog.text


async def test_three_thousand_requests_at_once_do_not_block_the_loop(place: Path) -> None:
    async with serving(place, watched), calling(place) as caller:
        with holds() as longest:
            caller.send(b'{"do":"x"}\n' * 3_000)
            for _ in range(3_000):
                assert (await caller.answer())["ok"]
    assert longest.longest_s < longest.limit_s, longest


HOLD = """
import contextlib, json, socket, sys
held, refused = [], 0
for _ in range(int(sys.argv[2])):
    daemon = socket.socket(socket.AF_UNIX)
    daemon.connect(sys.argv[1])
    with contextlib.suppress(BrokenPipeError):
        daemon.sendall(b'{"do": "%s"}\\n' % sys.argv[3].encode())
    line = daemon.makefile().readline()
    refused += not (line and json.loads(line)["ok"])
    held.append(daemon)
print(refused, flush=True)
sys.stdin.read()
"""


@contextmanager
def member(place: Path, number: int, do: str) -> Iterator[int]:
    """Be a group member with `number` connections; yield the number of refused ones."""
    process = subprocess.Popen(
        ["/usr/bin/python3", "-c", HOLD, str(place), str(number), do],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        user=MEMBER,
        group=MEMBER,
        extra_groups=[GROUP],
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.communicate()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize(("do", "let_in"), [("status", CLIENTS_EACH), ("watch", WATCHERS_EACH)])
async def test_a_member_with_all_places_keeps_neither_root_nor_others_out(
    place: Path, do: str, let_in: int
) -> None:
    os.chown(place.parent, -1, GROUP)
    async with serving(place, watched):
        hold = member(place, 12, do)
        refused = await asyncio.to_thread(hold.__enter__)
        try:
            assert refused == 12 - let_in
            connect = f"s=socket.socket(socket.AF_UNIX); s.connect('{place}'); s.sendall(b'{{}}\\n'); "
            code = f"import socket; {connect}print(s.makefile().readline())"
            done = await asyncio.to_thread(
                subprocess.run, [sys.executable, "-c", code], capture_output=True, text=True, check=True
            )
            assert json.loads(done.stdout) == {"ok": True, "privileged": True}
        finally:
            await asyncio.to_thread(hold.__exit__, None, None, None)
