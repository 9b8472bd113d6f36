"""The captions' page over HTTP: its headers, who may read it, and its bounds."""

import json
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from tests.support.fakes_devices import ManualClock
from tests.support.kiosk import running
from tests.support.until import until

from kioskd.adapters.captions.page_server import READERS, CaptionPage
from kioskd.adapters.clock import SystemClock
from kioskd.flow.captions.caption_board import Caption, CaptionBoard

STATUS: Mapping[str, Any] = {"state": "asleep", "language": "en"}


@asynccontextmanager
async def served() -> AsyncIterator[tuple[str, CaptionBoard]]:
    made, board = CaptionPage(0, SystemClock()), CaptionBoard(SystemClock(), STATUS)
    async with running(made.show(board.follow)):
        await until(lambda: made.port != 0)
        yield f"http://127.0.0.1:{made.port}", board


@asynccontextmanager
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(trust_env=False, timeout=20) as made:
        yield made


async def next_message(lines: AsyncIterator[str]) -> Any:
    async for line in lines:
        if line.startswith("data: "):
            return json.loads(line.removeprefix("data: "))
    raise AssertionError("the stream has ended")


@pytest.mark.parametrize("path", ["/", "/captions.css", "/captions.js"])
async def test_the_page_is_not_stored_and_loads_nothing_from_elsewhere(path: str) -> None:
    async with served() as (url, _), client() as browser:
        answer = await browser.get(url + path)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "http://" not in answer.text
        assert "https://" not in answer.text


async def test_a_reader_gets_the_captions_and_each_change() -> None:
    async with served() as (url, board), client() as browser:
        board.add(Caption("visitor", "Hello."))
        async with browser.stream("GET", f"{url}/events") as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            lines = answer.aiter_lines()
            first = await next_message(lines)
            assert [line["text"] for line in first["lines"]] == ["Hello."]
            assert first["status"] == STATUS
            board.clear()
            assert await next_message(lines) == {"first": 2, "lines": []}


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "kiosk.example"},
        {"Host": "127.0.0.1"},
        {"Host": "localhost:1"},
        {"Origin": "http://kiosk.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
@pytest.mark.parametrize("path", ["/", "/events"])
async def test_another_page_cannot_read_captions(path: str, headers: dict[str, str]) -> None:
    async with served() as (url, board), client() as browser:
        board.add(Caption("visitor", "Secret."))
        answer = await browser.get(url + path, headers=headers)
        assert answer.status_code == 403
        assert "Secret" not in answer.text


async def test_our_own_page_and_the_address_line_can_read_captions() -> None:
    async with served() as (url, _), client() as browser:
        port = url.rpartition(":")[2]
        for headers in (
            {"Host": f"localhost:{port}"},
            {"Origin": url, "Sec-Fetch-Site": "same-origin"},
            {"Sec-Fetch-Site": "none"},
        ):
            assert (await browser.get(url, headers=headers)).status_code == 200


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/x", 404), ("POST", "/events", 405)])
async def test_other_requests_are_rejected(method: str, path: str, status: int) -> None:
    async with served() as (url, _), client() as browser:
        assert (await browser.request(method, url + path)).status_code == status


async def test_a_request_that_is_too_long_is_rejected() -> None:
    async with served() as (url, _), client() as browser:
        assert (await browser.get(url, headers={"X-Long": "x" * 9000})).status_code == 431


async def test_a_reader_too_many_is_rejected_and_a_place_becomes_free() -> None:
    async with served() as (url, _), client() as browser:
        streams = [browser.stream("GET", f"{url}/events") for _ in range(READERS)]
        for stream in streams:
            answer = await stream.__aenter__()
            await next_message(answer.aiter_lines())
        assert (await browser.get(f"{url}/events")).status_code == 503
        assert (await browser.get(url)).status_code == 200
        for stream in streams:
            await stream.__aexit__(None, None, None)


async def test_a_port_in_use_costs_one_line_and_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    taken = socket.create_server(("127.0.0.1", 0))
    port, clock = taken.getsockname()[1], ManualClock()
    made, board = CaptionPage(port, clock), CaptionBoard(clock, STATUS)
    async with running(made.show(board.follow)), client() as browser:
        await clock.advance(180)
        assert len(caplog.messages) == 1
        assert "captions socket cannot be created" in caplog.messages[0]
        taken.close()
        await clock.advance(60)
        answer = await browser.get(f"http://127.0.0.1:{port}/")
        assert answer.status_code == 200
