"""Frames that count as delivered: in the record alone, and over TLS to a scripted server."""

import asyncio
import base64
import contextlib
import json
import os
import socket
import struct
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from tests.support.live_server import Handler, accept_setup, live_server, read_json, say
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from kioskd.adapters.gemini import GeminiConfig, GeminiLive
from kioskd.adapters.gemini.connection import GeminiConnection
from kioskd.adapters.gemini.live_socket import Deadlines
from kioskd.adapters.gemini.quiet_groups import LONGEST
from kioskd.adapters.gemini.receipts import MOST, PROMPT_S, Receipts
from kioskd.errors import LinkLost, Remedy
from kioskd.ports import ResumptionUpdate, pcm
from kioskd.simulator import FaultAction, Reply, ServiceScript, Simulator

# The record alone.


class Kernel:
    """A fake of the kernel, with figures that the test sets."""

    def __init__(self) -> None:
        self.says: tuple[int, int] | None = None

    def __call__(self) -> tuple[int, int] | None:
        return self.says


def book(**options: Any) -> tuple[Receipts, Kernel]:
    kernel = Kernel()
    return Receipts(kernel, **options), kernel


def send(receipts: Receipts, count: int, now: float) -> None:
    """Send `count` frames, each with a ping."""
    for _ in range(count):
        receipts.sent_audio()
        receipts.asked(now)


def test_a_frame_is_delivered_when_its_receipt_has_come() -> None:
    receipts, _ = book()
    send(receipts, 3, now=0.0)
    assert receipts.delivered == 0
    receipts.received(took_s=0.1)
    receipts.received(took_s=0.1)
    assert receipts.delivered == 2
    assert not receipts.complete
    receipts.received(took_s=0.1)
    assert receipts.complete


def test_one_receipt_confirms_all_frames_sent_before_its_ping() -> None:
    receipts, _ = book()
    for _ in range(5):
        receipts.sent_audio()
    receipts.asked(0.0)
    receipts.sent_audio()
    receipts.received(took_s=0.1)
    assert receipts.delivered == 5


@given(
    messages=st.lists(st.integers(0, 12), max_size=60),
    read=st.integers(0, 60),
    ponged=st.integers(0, 60),
    hung_up=st.booleans(),
)
def test_of_a_peer_that_reads_messages_in_order_no_unread_frame_is_delivered(
    messages: list[int], read: int, ponged: int, hung_up: bool
) -> None:
    """The kernel of the peer has acknowledged everything. Of the read messages, `ponged` have a receipt.

    0 stands for a message without audio.
    """
    read = min(read, len(messages))
    ponged = min(ponged, read)
    receipts, kernel = book()
    kernel.says = (10**6, 0)
    for number, frames in enumerate(messages, 1):
        if frames:
            receipts.sent_audio(frames)
        else:
            receipts.sent_other()
        if receipts.wanted:
            receipts.asked(0.02 * number)
        receipts.heard(0.02 * number)
    for _ in range(ponged):
        receipts.received(took_s=0.01)
    if hung_up and read == len(messages):
        receipts.closed()
        ponged = read
    assert receipts.delivered == sum(messages[:ponged])
    assert receipts.complete == (sum(messages[ponged:]) == 0)


def test_the_number_of_receipts_on_their_way_is_limited() -> None:
    receipts, _ = book()
    send(receipts, MOST - 1, now=0.0)
    assert receipts.wanted
    send(receipts, 1, now=0.0)
    assert not receipts.wanted
    receipts.received(took_s=0.1)
    assert receipts.wanted


def test_frames_without_a_receipt_are_undelivered_when_the_service_fell_silent() -> None:
    receipts, kernel = book()
    kernel.says = (1000, 0)
    receipts.heard(0.5)
    send(receipts, 2, now=1.0)
    receipts.heard(1.5)
    assert not receipts.slow
    assert receipts.delivered == 0


@pytest.mark.parametrize("why", ["the last one took long", "other messages came meanwhile"])
def test_frames_acknowledged_by_a_slow_services_kernel_count_as_delivered(why: str) -> None:
    receipts, kernel = book()
    kernel.says = (0, 100)
    send(receipts, 1, now=0.0)
    if why == "the last one took long":
        receipts.received(took_s=PROMPT_S + 0.1)
    else:
        receipts.heard(PROMPT_S + 0.1)
    assert receipts.slow
    before = receipts.delivered
    receipts.sent_audio()
    receipts.sent_audio()
    kernel.says = (99, 1)
    assert receipts.delivered == before
    kernel.says = (100, 60)
    assert receipts.delivered == 3
    receipts.sent_audio()
    kernel.says = (159, 1)
    assert not receipts.complete
    kernel.says = (160, 0)
    assert receipts.complete


def test_without_figures_from_the_kernel_all_frames_to_a_slow_service_count_as_delivered() -> None:
    receipts, _ = book()
    send(receipts, 4, now=0.0)
    receipts.heard(PROMPT_S + 0.1)
    assert receipts.delivered == 4


def test_delivered_never_falls() -> None:
    receipts, _ = book()
    send(receipts, 2, now=0.0)
    receipts.heard(PROMPT_S + 0.1)
    assert receipts.delivered == 2
    send(receipts, 2, now=3.0)
    assert receipts.delivered == 4
    for _ in range(3):
        receipts.received(took_s=0.1)  # a quick one
    assert not receipts.slow
    assert receipts.delivered == 4


def test_a_closing_handshake_confirms_all_frames() -> None:
    receipts, _ = book()
    send(receipts, 2, now=0.0)
    receipts.closed()
    assert receipts.delivered == 2


def test_silence_is_counted_from_the_missing_receipt_or_from_the_last_data() -> None:
    receipts, _ = book()
    assert receipts.silent_s(9.0) == 0.0
    receipts.heard(1.0)
    send(receipts, 1, now=4.0)
    assert receipts.silent_s(9.0) == 5.0
    receipts.heard(5.0)
    assert receipts.silent_s(9.0) == 4.0
    receipts.received(took_s=0.1)
    assert receipts.silent_s(9.0) == 0.0


def test_a_service_is_prompt_after_a_receipt_or_if_it_was_so_before() -> None:
    assert not book()[0].prompt
    assert book(known_prompt=True)[0].prompt
    receipts, _ = book()
    send(receipts, 1, now=0.0)
    receipts.received(took_s=0.1)
    assert receipts.prompt


def test_the_services_own_count_overrides_receipts() -> None:
    receipts, kernel = book(transparent=True)
    kernel.says = (0, 0)
    receipts.sent_other()  # message 1
    send(receipts, 3, now=0.0)  # 2, 3, 4
    receipts.sent_other()  # 5
    send(receipts, 3, now=0.0)  # 6, 7, 8
    receipts.received(took_s=PROMPT_S + 1)
    receipts.closed()
    assert receipts.delivered == 0
    for index, frames in ((0, 0), (1, 0), (3, 2), (5, 3), (6, 4), (4, 4), (8, 6), (99, 6)):
        receipts.consumed(index)
        assert receipts.delivered == frames


def test_without_the_services_count_receipts_decide() -> None:
    receipts, _ = book(transparent=True)
    send(receipts, 2, now=0.0)
    receipts.consumed(None)
    receipts.received(took_s=0.1)
    assert receipts.delivered == 1


def test_the_services_own_count_confirms_all_frames_of_a_message() -> None:
    receipts, _ = book(transparent=True)
    receipts.sent_audio(3)  # message 1
    receipts.sent_other()  # 2
    receipts.sent_audio(5)  # 3
    for index, frames in ((1, 3), (2, 3), (3, 8)):
        receipts.consumed(index)
        assert receipts.delivered == frames


def test_a_count_that_was_not_requested_is_ignored() -> None:
    receipts, _ = book()
    send(receipts, 2, now=0.0)
    receipts.consumed(2)
    assert receipts.delivered == 0


# Over a real connection.

FRAME = bytes(range(256)) * 2 + bytes(128)


@asynccontextmanager
async def connected(
    service: Handler, deadlines: Deadlines | None = None, *, transparent: bool = False, **options: Any
) -> AsyncIterator[GeminiConnection]:
    """Yield a connection to `service`, for 60 s at most."""
    async with asyncio.timeout(60), live_server(service, **options) as server:
        config = GeminiConfig(
            key=SecretStr("a-key"),
            model="m",
            voice="Kore",
            endpoint=server.endpoint,
            ca_file=server.ca_file,
        )
        live = GeminiLive(config, deadlines=deadlines)
        async with live.connect(None) as connection:
            assert isinstance(connection, GeminiConnection)
            if transparent:  # only Vertex accepts this request
                connection.socket.keep(transparent=True, known_prompt=False)
            yield connection


def frames_in(message: dict[str, Any]) -> int:
    """Return the number of frames in a message of the client."""
    return len(base64.urlsafe_b64decode(message["realtime_input"]["audio"]["data"])) // pcm.FRAME_BYTES


async def talk(connection: GeminiConnection, pause_s: float) -> None:
    """Send frames until the connection is lost."""
    while True:
        await connection.send_audio(os.urandom(640))
        await asyncio.sleep(pause_s)


async def test_receipts_come_before_the_messages_that_the_service_sends_later() -> None:
    async def service(peer: ServerConnection) -> None:
        await accept_setup(peer)
        for _ in range(3):
            for _ in range(20):
                await read_json(peer)
            await say(peer, usageMetadata={})

    async with connected(service) as connection:
        for turn in range(3):
            for _ in range(20):
                await connection.send_audio(FRAME)
            await connection.receive()
            assert connection.delivered == 20 * (turn + 1)


@pytest.mark.parametrize("busy", [False, True], ids=["in a quiet moment", "in mid-reply"])
async def test_hanging_up_waits_until_all_frames_are_delivered(busy: bool) -> None:
    heard = 0

    async def service(peer: ServerConnection) -> None:
        nonlocal heard
        await accept_setup(peer)
        async with asyncio.TaskGroup() as tasks:
            talking = tasks.create_task(chatter(peer)) if busy else None
            try:
                while True:
                    heard += frames_in(await read_json(peer))
            except ConnectionClosed:
                if talking:
                    talking.cancel()

    async def chatter(peer: ServerConnection) -> None:
        while True:
            await say(peer, serverContent={"modelTurn": {"parts": [{"text": "x" * 4000}]}})
            await asyncio.sleep(0)

    async with connected(service) as connection:
        for _ in range(300):
            await connection.send_audio(FRAME)
    assert connection.delivered == heard == 300


async def test_silence_needs_less_than_five_pings_a_second() -> None:
    pings: list[int] = []
    heard = 0

    async def service(peer: ServerConnection) -> None:
        nonlocal heard
        await accept_setup(peer)
        process = peer.process_event

        def counting(event: Any) -> None:
            if isinstance(event, Frame) and event.opcode is Opcode.PING:
                pings.append(heard)
            process(event)

        peer.process_event = counting  # type: ignore[method-assign]
        async for message in peer:
            heard += frames_in(json.loads(message))

    async with connected(service) as connection:
        for _ in range(LONGEST + 50 * 10):
            await connection.send_audio(FRAME)  # always the same, as a steady noise
    assert heard == connection.delivered == LONGEST + 50 * 10
    assert len([before for before in pings if before >= LONGEST + 50]) / 9 < 5


async def test_frames_that_a_closing_service_had_not_read_are_not_delivered() -> None:
    heard: list[int] = []

    async def service(peer: ServerConnection) -> None:
        await accept_setup(peer)
        for _ in range(10):
            await read_json(peer)
        peer.transport.abort()
        heard.append(10)

    async with connected(service) as connection:
        with pytest.raises(LinkLost):
            await talk(connection, 0.0)
    # The service's WebSocket took the tenth frame, and this side cannot tell whether the service used it.
    assert connection.delivered >= heard[0]


async def silent_after_ten(peer: ServerConnection) -> None:
    """Read ten frames and then no more, while the kernel goes on acknowledging."""
    await accept_setup(peer)
    for _ in range(10):
        await read_json(peer)
    peer.transport.pause_reading()
    await peer.wait_closed()


async def test_a_peer_that_has_stalled_is_dropped() -> None:
    async with connected(silent_after_ten, Deadlines(stalled_s=0.4)) as connection:
        listening = asyncio.create_task(connection.receive())
        for _ in range(10):
            await connection.send_audio(FRAME)
            await asyncio.sleep(0.005)
        with pytest.raises(LinkLost, match="nothing received") as caught:
            await talk(connection, 0.02)
        assert caught.value.remedy is Remedy.RESUME
        with pytest.raises(LinkLost, match="nothing received"):
            await listening
        assert 10 <= connection.delivered < 15


async def test_a_peer_that_accepts_no_data_still_sees_the_end_of_the_connection() -> None:
    peers: list[ServerConnection] = []

    async def service(peer: ServerConnection) -> None:
        peers.append(peer)
        await silent_after_ten(peer)

    async with connected(service, Deadlines(send_s=0.3), receive_buffer=4096) as connection:
        with pytest.raises(LinkLost, match="accepted no data"):
            await talk(connection, 0.0)
        # The unread data still fills the buffers on both sides, and the peer does not read.
        sock = peers[0].transport.get_extra_info("socket")
        async with asyncio.timeout(2):
            # The value 1 means that the connection is established. There is no event to wait for.
            while sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == 1:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


async def test_a_peer_whose_receipts_were_always_slow_does_not_count_as_stalled() -> None:
    async def service(peer: ServerConnection) -> None:
        await accept_setup(peer)
        peer.transport.pause_reading()
        await peer.wait_closed()

    async with connected(service, Deadlines(stalled_s=0.1)) as connection:
        listening = asyncio.create_task(connection.receive())
        await connection.send_audio(FRAME)
        assert await asyncio.wait([listening], timeout=0.5) == (set(), {listening})
        listening.cancel()


async def test_the_kernel_reports_the_bytes_that_the_peer_has_acknowledged() -> None:
    async with connected(silent_after_ten) as connection:
        before = connection.socket.acknowledged()
        for _ in range(12):
            await connection.send_audio(os.urandom(640))
        await asyncio.sleep(0.1)  # there is no event to wait for: the peer is silent
        after = connection.socket.acknowledged()
        assert before is not None
        assert after is not None
        assert after[1] == 0
        assert after[0] - before[0] > 12 * 640


async def test_the_services_own_count_decides_over_a_real_connection() -> None:
    async def service(peer: ServerConnection) -> None:
        await accept_setup(peer)
        for _ in range(6):
            await read_json(peer)
        update = {"newHandle": "h", "resumable": True, "lastConsumedClientMessageIndex": "4"}
        await say(peer, sessionResumptionUpdate=update)
        await peer.wait_closed()

    async with connected(service, transparent=True) as connection:
        await connection.send_audio(FRAME)
        await connection.end_audio()
        for _ in range(4):
            await connection.send_audio(FRAME)
        assert connection.delivered == 0
        await connection.receive()
        assert connection.delivered == 3
    assert connection.delivered == 3


async def test_the_peers_kernel_has_frames_that_a_closing_peer_never_heard() -> None:
    """So neither the kernel's figures nor an end of the stream without a reset could be a receipt."""
    heard, figures = 0, (0, 0)

    async def service(peer: ServerConnection) -> None:
        nonlocal heard
        await accept_setup(peer)
        for _ in range(10):
            await read_json(peer)
            heard += 1
        peer.transport.pause_reading()
        paused.set()
        await over.wait()
        asyncio.get_running_loop().call_soon(peer.transport.resume_reading)
        await peer.close(1011, "Internal error encountered.")

    paused, over = asyncio.Event(), asyncio.Event()
    async with connected(service) as connection:
        for _ in range(10):
            await connection.send_audio(FRAME)
        await paused.wait()
        for _ in range(5):
            await connection.send_audio(FRAME)
        written = connection.written
        while connection.arrived < written:  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.01)
        figures = connection.socket.acknowledged() or figures
        over.set()
        with pytest.raises(LinkLost, match="1011"):
            await connection.receive()
        # An end of the stream without a reset: the peer's transport has read everything, and dropped it.
        assert connection.socket.protocol.close_exc.__cause__ is None
    assert figures == (written, 0)
    assert connection.delivered == heard == 10


ENDINGS = (
    FaultAction(do="abort"),
    FaultAction(do="close", code=1000, reason=""),
    FaultAction(do="close", code=1001, reason=""),
    FaultAction(do="close", code=1011, reason="Internal error encountered."),
    FaultAction(do="go_away", left_s=0.02),
    None,
)


def spoken(number: int, *, aloud: bool) -> bytes:
    """Return a frame with its number in it: it sounds like speech, or counts as silence."""
    return struct.pack("<I", number) * 160 if aloud else struct.pack("<I636x", number)


@pytest.mark.parametrize(("aloud", "turns"), [(True, 5 * len(ENDINGS)), (False, len(ENDINGS))])
async def test_over_many_connections_the_service_hears_every_frame_once(aloud: bool, turns: int) -> None:
    """`None` in `ENDINGS` means that this side hangs up."""
    sound = iter(range(10_000_000))
    before_end = 0 if aloud else LONGEST + 30
    waiting: deque[int] = deque()
    handle: SecretStr | None = None
    async with asyncio.timeout(50), Simulator(ServiceScript(replies=(Reply(silent=True),))) as simulator:
        config = GeminiConfig(
            key=simulator.key,
            model="gemini-3.8-live",
            voice="Kore",
            endpoint=simulator.endpoint,
            ca_file=simulator.ca_file,
        )
        live = GeminiLive(config)
        for turn in range(turns):
            undelivered: deque[int] = deque()
            delivered = 0
            ending = ENDINGS[turn % len(ENDINGS)]
            with pytest.raises(LinkLost) if ending else contextlib.nullcontext():
                async with live.connect(handle) as connection:
                    issued = next(message for message in await connection.receive())
                    assert isinstance(issued, ResumptionUpdate)
                    handle = issued.handle
                    for count in range(1000):
                        waiting.append(next(sound))
                        while waiting:
                            undelivered.append(waiting.popleft())
                            await connection.send_audio(spoken(undelivered[-1], aloud=aloud))
                        if count == before_end + 7 + turn % 5:
                            if ending is None:
                                break
                            simulator.inject(ending)
                        await asyncio.sleep(0.002 if aloud else 0.0005)
            while delivered < connection.delivered:
                delivered += 1
                undelivered.popleft()
            waiting.extendleft(reversed(undelivered))
            (session,) = simulator.sessions
            heard = [number for (number, *_) in struct.iter_unpack("<I636x", session.audio)]
            assert heard == list(range(len(heard)))
            assert not waiting or waiting[0] == len(heard)
