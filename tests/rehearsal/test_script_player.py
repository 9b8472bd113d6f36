"""Commands of a script over the daemon's control socket."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import pytest
from tests.support.until import until

from kioskd.adapters.clock import SystemClock
from kioskd.adapters.remote.control_socket import ControlSocket
from kioskd.rehearsal.script_player import OffScriptError, order

Answer = Callable[[Mapping[str, object]], Awaitable[None]]


async def test_a_request_reaches_the_daemon_with_its_attachment(tmp_path: Path) -> None:
    asked: list[tuple[object, bytes]] = []

    async def handle(
        request: Mapping[str, object], attachment: bytes, answer: Answer, *, privileged: bool
    ) -> None:
        assert privileged
        asked.append((request["do"], attachment))
        await answer({"ok": request["do"] != "wake", "why": "it is muted"})

    socket = tmp_path / "control"
    serving = asyncio.get_running_loop().create_task(ControlSocket(socket, SystemClock()).serve(handle))
    await until(socket.exists)
    async with asyncio.timeout(60):
        assert (await order(socket, {"do": "show"}, b"a picture"))["ok"]
        with pytest.raises(OffScriptError, match="the kiosk refuses: it is muted"):
            await order(socket, {"do": "wake"})
    serving.cancel()
    assert asked == [("show", b"a picture"), ("wake", b"")]


async def test_a_missing_daemon_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OffScriptError, match="does not answer at its control socket: FileNotFoundError"):
        await order(tmp_path / "control", {"do": "wake"})
