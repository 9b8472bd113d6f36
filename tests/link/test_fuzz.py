"""A service that sends nonsense: the kiosk does not crash or hang, and the session goes on."""

import asyncio
import base64
import contextlib
import itertools
import json
import logging
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final, NoReturn

import pytest
from pydantic import SecretStr
from tests.support.fakes_devices import MemoryMicrophone, MemoryNotifier, MemorySpeaker
from tests.support.gemini import live
from tests.support.kiosk import running, silence, voice
from tests.support.live_server import LiveServer, accept_setup, live_server
from tests.support.mutations import CANARY, mutations
from tests.support.parts import parts as kiosk_parts
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from kioskd import app
from kioskd.adapters.clock import SystemClock
from kioskd.adapters.fakes.devices import MemoryButton
from kioskd.adapters.gemini import GeminiLive
from kioskd.adapters.gemini.connection import GeminiConnection
from kioskd.core.events import ConnectionUp, ReplyPlayed, Started
from kioskd.core.events import HandleIssued as HandleKept
from kioskd.errors import LinkLost
from kioskd.media import pcm
from kioskd.ports import Message, ResumptionUpdate
from kioskd.settings.model import Settings

MESSAGES: Final = 100_000
CONNECTIONS: Final = 5
BATCH: Final = 25
"""The length of a series of bad messages: fewer than make the adapter report another protocol."""
KIOSK_MESSAGES: Final = 4_000

HEARD_BYTES: Final = 4_000
_SOUND: Final = {
    "mimeType": "audio/pcm;rate=24000",
    "data": base64.b64encode(voice(0.3, pcm.DOWNLINK_HZ)).decode(),
}
VALID_REPLY: Final = (
    # The end of an open turn, whatever came before.
    json.dumps({"serverContent": {"turnComplete": True}}),
    json.dumps({"serverContent": {"modelTurn": {"parts": [{"inlineData": _SOUND}]}}}),
    json.dumps({"serverContent": {"generationComplete": True}}),
)

# The client library warns of each enum value that it does not know.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:google.genai")


def handle(name: str) -> str:
    """Return a message that is always understood: a new handle."""
    return json.dumps({"sessionResumptionUpdate": {"newHandle": name, "resumable": True}})


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(CONNECTIONS))
async def test_a_session_survives_messages_gone_wrong(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    batches = MESSAGES // CONNECTIONS // BATCH
    left = asyncio.Event()

    async def talk(connection: ServerConnection) -> None:
        await accept_setup(connection)
        wrong = mutations(seed, batches * BATCH)
        for number in range(batches):
            for message in itertools.islice(wrong, BATCH):
                await connection.send(message)
            await connection.send(handle(f"after batch {number}"))
        await left.wait()

    handles: list[str] = []
    kinds: Counter[type[Message]] = Counter()
    messages = 0
    async with live_server(talk) as server, live(server).connect(None) as connection:
        assert isinstance(connection, GeminiConnection)
        async with asyncio.timeout(100):
            while len(handles) < batches:
                found = await connection.receive()
                messages += 1
                kinds.update(type(message) for message in found)
                handles += [
                    message.handle.get_secret_value()
                    for message in found
                    if isinstance(message, ResumptionUpdate)
                    and message.handle.get_secret_value().startswith("after batch")
                ]
        odd = connection.odd.count
        left.set()
    assert handles == [f"after batch {number}" for number in range(batches)]
    assert messages == batches * (BATCH + 1), "each message is counted once"
    assert batches * BATCH * 0.1 < odd < batches * BATCH * 0.9
    assert len(kinds) == 11, f"too few kinds of messages got through: {kinds}"
    reports = [record.getMessage() for record in caplog.records if "not understood" in record.getMessage()]
    assert 3 <= len(reports) == len(set(reports)) <= 20, "each kind is reported once"
    assert CANARY not in caplog.text


async def test_a_stream_of_unknown_messages_ends_the_connection(caplog: pytest.LogCaptureFixture) -> None:
    async def talk(connection: ServerConnection) -> None:
        await accept_setup(connection)
        with contextlib.suppress(ConnectionClosed):
            for number in itertools.count():
                await connection.send(f'{{"of another protocol": {number}}}')

    async with live_server(talk) as server:
        with pytest.raises(LinkLost, match="does not understand"):
            await _listen(live(server))
    assert sum("not understood" in record.getMessage() for record in caplog.records) == 1


async def test_an_oversized_message_ends_only_its_connection() -> None:
    async def talk(connection: ServerConnection) -> None:
        await accept_setup(connection)
        with contextlib.suppress(ConnectionClosed):
            await connection.send(json.dumps({"serverContent": {"text": "x" * 9 * 2**20}}))
        await connection.wait_closed()

    async with live_server(talk) as server:
        with pytest.raises(LinkLost, match="1009"):
            await _listen(live(server))


async def _listen(service: GeminiLive) -> NoReturn:
    async with service.connect(None) as connection, asyncio.timeout(60):
        while True:
            await connection.receive()


class FuzzedKiosk:
    """A whole kiosk on fake devices, and the events of its core."""

    def __init__(self) -> None:
        self.events: Counter[type] = Counter()
        self._clock = SystemClock()
        self._button = MemoryButton()
        self._microphone = MemoryMicrophone()
        self._speaker = MemorySpeaker(self._clock)
        self._handle: SecretStr | None = None
        self._changed = asyncio.Event()

    @asynccontextmanager
    async def awake(self, server: LiveServer) -> AsyncIterator[None]:
        """Run the kiosk, and begin a conversation."""
        settings = Settings.model_validate(
            {
                "conversation": {"wake": ("button",), "idle_s": 600.0, "longest_s": 600.0},
                "microphone": {"echo": "hardware"},
                "speaker": {"cues": False},
            }
        )
        parts = kiosk_parts(
            clock=self._clock,
            microphone=self._microphone,
            speaker=self._speaker,
            live=live(server),
            notifier=MemoryNotifier(),
            buttons=[app.ButtonSpec(self._button)],
        )
        async with running(app.serve(settings, parts, observers=[self._observe])):
            self._microphone.say(silence(0.02))
            await self.until(lambda: self.events[Started])
            self._button.press()
            yield

    async def until(self, holds: Any, within_s: float = 20.0) -> None:
        """Wait until `holds()` is true. It is checked at each step of the core."""
        async with asyncio.timeout(within_s):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    @property
    def heard_bytes(self) -> int:
        """The bytes of sound that were played and were not silence."""
        return len(self._speaker.heard) - self._speaker.heard.count(0)

    def kept(self, name: str) -> bool:
        """Whether the newest handle is this one."""
        return self._handle is not None and self._handle.get_secret_value() == name

    def _observe(self, _now: float, event: Any, _before: Any, _after: Any, _effects: Any) -> None:
        self.events[type(event)] += 1
        if isinstance(event, HandleKept):
            self._handle = event.handle
        self._changed.set()


@pytest.mark.timeout(600)
async def test_a_kiosk_survives_all_messages_that_pass_the_adapter(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "kioskd")
    kiosk = FuzzedKiosk()
    batches = enumerate(_batches(mutations(99, KIOSK_MESSAGES)))
    heard_through = 0

    async def talk(connection: ServerConnection) -> None:
        """Send batches until the connection ends. The kiosk may end it after a goAway."""
        nonlocal heard_through
        with contextlib.suppress(ConnectionClosed):
            await accept_setup(connection)
            for number, batch in batches:
                for message in batch:
                    await connection.send(message)
                await connection.send(handle(f"after batch {number}"))
                if await _first(kiosk.until(lambda n=number: kiosk.kept(f"after batch {n}")), connection):
                    heard_through += 1
                else:
                    return
            for message in VALID_REPLY:
                await connection.send(message)
            await connection.wait_closed()

    async with live_server(talk) as server, kiosk.awake(server):
        await kiosk.until(lambda: kiosk.heard_bytes > HEARD_BYTES and kiosk.events[ReplyPlayed], 100.0)
    assert heard_through > 0.2 * KIOSK_MESSAGES / BATCH
    assert kiosk.events[ConnectionUp] > 5, "a goAway leads to another connection"
    assert CANARY not in caplog.text


def _batches(messages: Iterator[str | bytes]) -> Iterator[list[str | bytes]]:
    while batch := list(itertools.islice(messages, BATCH)):
        yield batch


async def _first(waiting: Any, connection: ServerConnection) -> bool:
    """Wait for `waiting` or for the connection's end. Return whether it was `waiting`."""
    wanted = asyncio.create_task(waiting)
    closed = asyncio.create_task(connection.wait_closed())
    try:
        await asyncio.wait([wanted, closed], return_when=asyncio.FIRST_COMPLETED)
        return wanted.done() and wanted.exception() is None
    finally:
        for task in (wanted, closed):
            task.cancel()
        await asyncio.gather(wanted, closed, return_exceptions=True)
