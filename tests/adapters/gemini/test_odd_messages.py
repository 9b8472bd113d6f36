"""Messages of the Live service that the daemon does not understand."""

import pytest
from tests.support.live_server import (
    accept_setup,
    say,
)
from tests.support.live_visits import connected
from websockets.asyncio.server import ServerConnection

from kioskd.errors import LinkLost
from kioskd.ports import TurnComplete, UsageReported

JUNK: list[str | bytes] = [
    "junk",
    "[]",
    "5",
    '"text"',
    "[1]",
    '{"error": {"code": 400}}',
    '{"code": 503, "message": "m"}',
    '{"code": 1006}',
    '{"code": "x"}',
    '{"code": 1e400}',
    '{"news": 1}',
    '{"interactionStatus": "IDLE"}',
    '{"serverContent": 5}',
    '{"serverContent": {"modelTurn": {"parts": 5}}}',
    '{"serverContent": {"modelTurn": {"parts": [{"inlineData": {"mimeType": "audio/pcm", "data": "@"}}]}}}',
    '{"serverContent": {"modelTurn": {"parts": [{"inlineData": {"mimeType": "audio/x", "data": "AAAA"}}]}}}',
    '{"voiceActivity": 5}',
    '{"goAway": {"timeLeft": 5}}',
    b"\xff\xfe\xff",
    "[" * 50_000,
]


async def test_messages_that_cannot_be_understood_are_skipped(caplog: pytest.LogCaptureFixture) -> None:
    async def service(peer: ServerConnection) -> None:
        await accept_setup(peer)
        for number, junk in enumerate(JUNK * 3):
            await peer.send(junk)
            await say(peer, usageMetadata={"promptTokenCount": number})
        await peer.wait_closed()

    async with connected(service) as connection:
        found: list[object] = []
        while len(found) < 3 * len(JUNK):
            found += await connection.receive()
        assert found == [UsageReported(number, 0) for number in range(3 * len(JUNK))]
        assert connection.odd.count == 3 * (len(JUNK) - 1)  # an empty list counts as an empty message
    lines = [record.getMessage() for record in caplog.records if "not understood" in record.getMessage()]
    assert len(lines) == len(set(lines))  # one line for each kind
    assert 5 <= len(lines) <= 12


async def test_errors_with_any_number_are_logged_as_one_kind(caplog: pytest.LogCaptureFixture) -> None:
    async def service(peer: ServerConnection) -> None:
        await accept_setup(peer)
        for number in range(400, 430):
            await peer.send(f'{{"code": {number}, "message": "m"}}')
        await peer.wait_closed()

    async with connected(service) as connection:
        for _ in range(30):
            assert await connection.receive() == ()
    lines = [record.getMessage() for record in caplog.records if "not understood" in record.getMessage()]
    assert lines == [
        "message of the Live service not understood by this version of kioskd, skipped: kind=code"
    ]


async def test_a_value_newer_than_the_sdk_raises_no_warning() -> None:
    async def service(peer: ServerConnection) -> None:
        await accept_setup(peer)
        await say(peer, serverContent={"turnComplete": True, "turnCompleteReason": "NEW_REASON"})
        await peer.wait_closed()

    async with connected(service) as connection:
        assert await connection.receive() == (TurnComplete(),)  # a warning would be raised here
        assert connection.odd.count == 0


async def test_fifty_odd_messages_in_a_row_end_the_connection() -> None:
    async def service(peer: ServerConnection) -> None:
        await accept_setup(peer)
        for _ in range(60):
            await peer.send("junk")
        await peer.wait_closed()

    async with connected(service) as connection:
        for _ in range(49):
            assert await connection.receive() == ()
        with pytest.raises(LinkLost, match="update kioskd"):
            await connection.receive()
        assert connection.odd.count == 50
