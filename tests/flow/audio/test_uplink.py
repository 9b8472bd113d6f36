"""The uplink: the visitor's sound reaches the service complete, in order, and only when it should."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import NoReturn

import pytest
from tests.support.fakes_devices import ManualClock, MemoryMicrophone
from tests.support.kiosk import Inbox, On, frame, frames, running, silence, soon, voice

from kioskd.core.effects import SetMute, SetUplink, UplinkGate
from kioskd.core.events import Device, DeviceCame, DeviceGone, VoiceBegan, VoiceEnded, WakeCause, Woken
from kioskd.errors import DeviceStuck, LinkLost
from kioskd.flow.audio.preroll import AFTER_WORD_MS, PreRoll
from kioskd.flow.audio.send_queue import HOLD_MS
from kioskd.flow.audio.speech_events import SpeechEvents, WakeDetector
from kioskd.flow.audio.uplink import EchoCleaner, Uplink
from kioskd.flow.runtime.workers import first_of
from kioskd.media import pcm
from kioskd.ports import Message, ToolAnswer

PREROLL_MS = 600
PREROLL_FRAMES = PREROLL_MS // pcm.FRAME_MS
HOLD_FRAMES = HOLD_MS // pcm.FRAME_MS


class Wire:
    """A `ports.Connection` that remembers its frames. It confirms all, or as many as a test sets."""

    def __init__(self, *, stuck: bool = False) -> None:
        """`stuck`: it takes a frame, and `send_audio` then hangs until the connection is cut."""
        self.order: list[bytes | str] = []
        """The frames, and `end` at each pause."""
        self.told: list[str] = []
        """`begin`, `sound` (once for any number of frames) and `end`, in order."""
        self.confirmed: int | None = None
        """The value of `delivered`. None: all sent frames, except one that is stuck."""
        self._stuck = stuck
        self._sent = 0
        self._cut = asyncio.Event()

    @property
    def resumed(self) -> bool:
        return False

    @property
    def delivered(self) -> int:
        return self._sent if self.confirmed is None else self.confirmed

    async def receive(self) -> list[Message]:
        raise AssertionError("the uplink reads nothing")

    async def send_audio(self, frame: bytes) -> None:
        self._check()
        self.order.append(frame)
        if self.told[-1] != "sound":
            self.told.append("sound")
        if self._stuck:
            await self._cut.wait()
            self._check()
        self._sent += 1

    async def begin_audio(self) -> None:
        self._check()
        self.told.append("begin")

    async def end_audio(self) -> None:
        self._check()
        self.order.append("end")
        self.told.append("end")

    @property
    def backlog(self) -> int:
        raise AssertionError("the uplink does not look at the backlog")

    @property
    def written(self) -> int:
        raise AssertionError("the uplink counts its frames")

    @property
    def arrived(self) -> int:
        raise AssertionError("the uplink counts its frames")

    async def send_picture(self, jpeg: bytes) -> None:
        raise AssertionError("the uplink sends sound only")

    async def show_pictures(self, jpegs: Sequence[bytes]) -> None:
        raise AssertionError("the uplink sends sound only")

    async def send_context(self, text: str) -> None:
        raise AssertionError("the uplink sends sound only")

    async def answer(self, answers: Sequence[ToolAnswer]) -> None:
        raise AssertionError("the uplink sends sound only")

    async def send_text(self, text: str) -> None:
        raise AssertionError("the uplink sends sound only")

    def cut(self) -> None:
        """Break the connection."""
        self._cut.set()

    def _check(self) -> None:
        if self._cut.is_set():
            raise LinkLost("cut by the test")


class SeenMicrophone(MemoryMicrophone):
    """A microphone that shows whether it is open."""

    def __init__(self) -> None:
        super().__init__()
        self.open = False
        self.opened = 0

    async def capture(self, sink: Callable[[bytes], None]) -> NoReturn:
        self.open = True
        self.opened += 1
        try:
            await super().capture(sink)
        finally:
            self.open = False


class Uplinked:
    """The uplink between a fake microphone and scripted connections."""

    def __init__(
        self,
        *,
        preroll_ms: int = PREROLL_MS,
        lead_ms: int | None = None,
        after_ms: int = 0,
        wakers: Mapping[WakeCause, WakeDetector] | None = None,
        cleaners: Sequence[EchoCleaner] = (),
    ) -> None:
        self.clock, self.inbox, self.microphone = ManualClock(), Inbox(), SeenMicrophone()
        self.sounds = False
        """Whether the microphone hears the kiosk's own voice, asleep or awake."""
        self.uplink = Uplink(
            self.microphone,
            self.inbox.post,
            self.clock,
            preroll=PreRoll(preroll_ms, lead_ms, own_voice=lambda: self.sounds, own_lead=lambda: self.sounds),
            speech_events=SpeechEvents(self.inbox.post, wakers=wakers),
            cleaners=cleaners,
            after_ms=after_ms,
        )

    async def say(self, *spoken: bytes) -> None:
        """Have frames captured, and let all tasks react."""
        self.microphone.say(b"".join(spoken))
        await self.settle()

    async def gate(self, *gates: UplinkGate) -> None:
        """Set the gate to each of `gates` in turn."""
        for gate in gates:
            self.uplink.set_uplink(SetUplink(gate))
            await self.settle()

    async def connect(self, wire: Wire | None = None) -> Wire:
        """Open a connection."""
        wire = wire or Wire()
        self.uplink.connect(wire)
        await self.settle()
        return wire

    async def lose(self, wire: Wire) -> None:
        """Lose the connection as the link does: cut, leave, close."""
        wire.cut()
        await self.settle()
        self.uplink.disconnect()
        self.uplink.take_back_undelivered(wire)

    async def settle(self) -> None:
        """Let all tasks react."""
        # The sender needs one turn of the loop for each frame. The clock gives forty, enough for the queue.
        for _ in range(HOLD_FRAMES // 10):
            await self.clock.advance(0)


@asynccontextmanager
async def uplinked(
    *,
    preroll_ms: int = PREROLL_MS,
    lead_ms: int | None = None,
    after_ms: int = 0,
    wakers: Mapping[WakeCause, WakeDetector] | None = None,
    cleaners: Sequence[EchoCleaner] = (),
) -> AsyncIterator[Uplinked]:
    it = Uplinked(preroll_ms=preroll_ms, lead_ms=lead_ms, after_ms=after_ms, wakers=wakers, cleaners=cleaners)
    async with running(it.uplink.capture(), it.uplink.send()):
        await it.settle()
        yield it


def numbered(numbers: Iterable[int]) -> list[bytes]:
    return [frame(number) for number in numbers]


def sent(wire: Wire) -> list[bytes]:
    return [frame for frame in wire.order if isinstance(frame, bytes)]


async def test_the_preroll_goes_first_and_is_exactly_as_long_as_set() -> None:
    async with uplinked() as it:
        await it.say(*numbered(range(100)))
        await it.gate(UplinkGate.HOLD)
        connection = await it.connect()
        await it.gate(UplinkGate.SEND)
        await it.say(frame(100))

        assert sent(connection) == numbered(range(100 - PREROLL_FRAMES, 101))


async def test_without_a_preroll_no_sound_from_before_the_wake_is_sent() -> None:
    async with uplinked(preroll_ms=0) as it:
        await it.say(*numbered(range(10)))
        await it.gate(UplinkGate.HOLD)
        connection = await it.connect()
        await it.gate(UplinkGate.SEND)
        await it.say(frame(10))

        assert sent(connection) == [frame(10)]


@pytest.mark.parametrize("gate", [UplinkGate.PREROLL, UplinkGate.PAUSED])
async def test_the_kiosks_own_voice_and_the_sound_before_it_are_not_in_the_preroll(gate: UplinkGate) -> None:
    async with uplinked() as it:
        await it.gate(gate)
        await it.say(*numbered(range(5)))
        it.sounds = True
        await it.say(*numbered(range(5, 15)))
        it.sounds = False
        await it.say(*numbered(range(15, 20)))
        connection = await it.connect()
        await it.gate(UplinkGate.SEND)

        assert sent(connection) == numbered(range(15, 20))


async def test_a_wake_word_is_not_in_the_preroll_but_the_sound_after_it_is() -> None:
    after = AFTER_WORD_MS // pcm.FRAME_MS
    async with uplinked(wakers={WakeCause.WAKEWORD: On(frame(50))}) as it:
        await it.say(*numbered(range(52)))
        assert it.inbox.events[-1:] == [Woken(WakeCause.WAKEWORD)]
        connection = await it.connect()
        await it.gate(UplinkGate.SEND)

        assert sent(connection) == numbered(range(51 - after, 52))


class Hushing:
    """A cleaner that leaves nothing of any frame, as noise suppression does with a soft voice."""

    def clean(self, frame: bytes) -> bytes:
        return bytes(len(frame))


async def test_a_sleeping_kiosk_listens_to_the_devices_own_sound_and_sends_the_cleaned_sound() -> None:
    async with uplinked(wakers={WakeCause.VOICE: On(frame(50))}, cleaners=[Hushing()]) as it:
        await it.say(*numbered(range(51)))
        assert it.inbox.events[-1:] == [Woken(WakeCause.VOICE)]
        connection = await it.connect()
        await it.gate(UplinkGate.SEND)

        assert sent(connection) == [bytes(pcm.FRAME_BYTES)] * PREROLL_FRAMES


async def test_a_voice_that_wakes_the_kiosk_is_sent() -> None:
    async with uplinked(wakers={WakeCause.VOICE: On(frame(50))}) as it:
        await it.say(*numbered(range(51)))
        connection = await it.connect()
        await it.gate(UplinkGate.SEND)

        assert sent(connection) == numbered(range(51 - PREROLL_FRAMES, 51))


@pytest.mark.parametrize("preroll_ms", [0, 200])
async def test_the_beginning_of_a_voice_is_sent_even_with_a_short_preroll(
    preroll_ms: int,
) -> None:
    preroll = preroll_ms // pcm.FRAME_MS
    async with uplinked(preroll_ms=preroll_ms, lead_ms=PREROLL_MS) as it:
        await it.say(*numbered(range(50)))
        connection = await it.connect()
        await it.gate(UplinkGate.PAUSED)
        await it.say(*numbered(range(50, 55)))
        await it.gate(UplinkGate.SEND)
        first = numbered(range(50 - preroll, 55))
        assert sent(connection) == first, "before a wake only the pre-roll is sent"

        await it.gate(UplinkGate.PAUSED)
        await it.say(*numbered(range(100, 200)))
        await it.gate(UplinkGate.SEND)
        assert sent(connection) == first + numbered(range(200 - PREROLL_FRAMES, 200))


@pytest.mark.parametrize(
    ("way", "said", "pauses"),
    [
        ([UplinkGate.SEND], voice(1.0), 1),
        ([UplinkGate.SEND], silence(1.0), 0),
        ([UplinkGate.SEND, UplinkGate.SHUT], silence(1.0), 1),
        ([UplinkGate.SHUT], silence(1.0), 0),
    ],
    ids=["talking on", "silent", "nobody listened", "told asleep"],
)
async def test_a_visitor_who_talks_on_after_the_conversation_does_not_wake_the_kiosk(
    way: Sequence[UplinkGate], said: bytes, pauses: int
) -> None:
    waker = On(b"")
    async with uplinked(wakers={WakeCause.VOICE: waker}) as it:
        await it.gate(UplinkGate.SHUT, UplinkGate.PREROLL)
        await it.say(frame(1))
        assert waker.pauses == 0
        await it.gate(*way)
        await it.say(*frames(said))
        await it.gate(UplinkGate.PREROLL)
        await it.say(*numbered(range(9)))

        assert waker.pauses == pauses


async def test_no_frame_leaves_while_asleep() -> None:
    async with uplinked() as it:
        connection = await it.connect()
        await it.say(*numbered(range(100)))

        assert sent(connection) == []
        assert "end" not in connection.order


async def test_speech_during_the_dial_is_sent_first_in_order_and_once() -> None:
    async with uplinked() as it:
        await it.gate(UplinkGate.HOLD)
        await it.say(*numbered(range(200)))
        connection = await it.connect()
        assert sent(connection) == [], "the core has not opened the gate yet"
        await it.gate(UplinkGate.SEND)
        await it.say(*numbered(range(200, 210)))

        assert sent(connection) == numbered(range(210))
        assert it.uplink.sent == 210
        assert it.uplink.dropped == 0


async def test_every_captured_frame_is_counted() -> None:
    async with uplinked() as it:
        for gate in UplinkGate:
            await it.gate(gate)
            await it.say(frame(1), frame(2))

        assert it.uplink.captured == 2 * len(UplinkGate)


async def test_frames_from_before_the_gate_closed_survive_a_loss() -> None:
    async with uplinked() as it:
        connection = await it.connect(Wire(stuck=True))
        await it.gate(UplinkGate.SEND)
        await it.say(*numbered(range(3)))
        assert sent(connection) == [frame(0)], "the first frame is stuck"

        await it.gate(UplinkGate.SHUT)
        await it.say(*numbered(range(3, 6)))
        await it.lose(connection)
        second = await it.connect()

        # The frame in flight is sent again, then those behind it. Frames from the closed gate are never sent.
        assert second.order == [*numbered(range(3)), "end"]


async def test_a_closed_gate_ends_the_sound_once_and_drops_later_frames() -> None:
    async with uplinked() as it:
        connection = await it.connect()
        await it.gate(UplinkGate.SEND)
        await it.say(*numbered(range(3)))
        await it.gate(UplinkGate.SHUT)
        await it.say(*numbered(range(3, 6)))

        assert sent(connection) == numbered(range(3))
        assert connection.order[-1] == "end"
        assert connection.order.count("end") == 1


async def test_the_end_of_the_sound_is_sent_after_its_last_frame() -> None:
    async with uplinked() as it:
        connection = Wire()
        await it.gate(UplinkGate.HOLD)
        await it.say(*numbered(range(50)))
        await it.connect(connection)
        # Both in one turn of the loop, so that the sender does not run in between.
        it.uplink.set_uplink(SetUplink(UplinkGate.SEND))
        it.uplink.set_uplink(SetUplink(UplinkGate.SHUT))
        await it.settle()

        assert connection.order == [*numbered(range(50)), "end"]


async def test_sound_that_a_new_connection_gets_through_a_shut_gate_has_an_end_too() -> None:
    async with uplinked() as it:
        await it.gate(UplinkGate.HOLD)
        await it.say(*numbered(range(5)))
        await it.gate(UplinkGate.SHUT)
        connection = Wire()
        await it.connect(connection)

        assert connection.order == [*numbered(range(5)), "end"]


async def test_a_new_connection_without_sound_gets_no_end() -> None:
    async with uplinked() as it:
        await it.gate(UplinkGate.HOLD, UplinkGate.SHUT)
        connection = await it.connect()

        assert "end" not in connection.order


async def test_a_gate_that_opens_again_sends_from_there_on() -> None:
    async with uplinked() as it:
        connection = await it.connect()
        await it.gate(UplinkGate.SEND, UplinkGate.SHUT)
        await it.say(*numbered(range(5)))
        await it.gate(UplinkGate.SEND)
        await it.say(*numbered(range(5, 8)))

        assert sent(connection) == numbered(range(5, 8))


async def test_falling_asleep_drops_unsent_frames() -> None:
    async with uplinked() as it:
        await it.gate(UplinkGate.HOLD)
        await it.say(*numbered(range(10)))
        await it.gate(UplinkGate.PREROLL, UplinkGate.HOLD)
        connection = await it.connect()
        await it.gate(UplinkGate.SEND)
        await it.say(frame(10))

        assert sent(connection) == [frame(10)]


async def test_the_frame_in_flight_at_a_loss_is_the_first_of_the_next_connection() -> None:
    async with uplinked() as it:
        first = await it.connect(Wire(stuck=True))
        await it.gate(UplinkGate.SEND)
        await it.say(*numbered(range(5)))
        assert sent(first) == [frame(0)]

        await it.lose(first)
        assert not it.uplink.sending
        await it.gate(UplinkGate.HOLD)
        await it.say(frame(5))
        second = await it.connect()
        await it.gate(UplinkGate.SEND)

        assert sent(second) == numbered(range(6))


async def test_the_next_connection_gets_first_the_undelivered_frames_and_no_delivered_one() -> None:
    async with uplinked() as it:
        first = await it.connect()
        first.confirmed = 0
        await it.gate(UplinkGate.SEND)
        await it.say(*numbered(range(10)))
        assert sent(first) == numbered(range(10))
        first.confirmed = 4

        await it.lose(first)
        await it.gate(UplinkGate.HOLD)
        await it.say(*numbered(range(10, 12)))
        assert it.uplink.held_s == pytest.approx(8 * pcm.FRAME_MS / 1000)
        second = await it.connect()
        await it.gate(UplinkGate.SEND)

        assert sent(second) == numbered(range(4, 12))
        assert it.uplink.resent == 6
        assert it.uplink.sent == 10 + 8


async def test_a_confirmation_that_comes_with_the_closing_counts() -> None:
    async with uplinked() as it:
        first = await it.connect()
        first.confirmed = 0
        await it.gate(UplinkGate.SEND)
        await it.say(*numbered(range(10)))
        it.uplink.disconnect()
        first.confirmed = 10

        it.uplink.take_back_undelivered(first)
        second = await it.connect()

        assert sent(second) == []
        assert it.uplink.resent == 0


async def test_confirmations_are_counted_from_zero_on_each_connection() -> None:
    async with uplinked() as it:
        await it.gate(UplinkGate.SEND)
        first = await it.connect()
        first.confirmed = 0
        await it.say(*numbered(range(10)))
        first.confirmed = 9
        await it.lose(first)
        second = Wire()
        second.confirmed = 0
        await it.connect(second)
        await it.say(*numbered(range(10, 15)))
        second.confirmed = 3
        await it.lose(second)
        third = await it.connect()

        assert sent(second) == numbered(range(9, 15))
        assert sent(third) == numbered(range(12, 15))


async def test_undelivered_frames_of_an_old_conversation_never_reach_a_new_one() -> None:
    async with uplinked() as it:
        first = await it.connect()
        first.confirmed = 0
        await it.gate(UplinkGate.SEND)
        await it.say(*numbered(range(5)))

        await it.gate(UplinkGate.PREROLL)
        await it.lose(first)
        await it.gate(UplinkGate.HOLD)
        second = await it.connect()
        await it.gate(UplinkGate.SEND)

        assert sent(second) == []


async def test_a_failed_connection_gets_no_more_frames() -> None:
    async with uplinked() as it:
        connection = await it.connect()
        await it.gate(UplinkGate.SEND)
        connection.cut()
        await it.say(frame(0))
        assert not it.uplink.sending

        await it.say(frame(1))

        assert sent(connection) == []


async def test_a_frame_in_flight_of_an_old_conversation_never_reaches_a_new_one() -> None:
    async with uplinked() as it:
        first = await it.connect(Wire(stuck=True))
        await it.gate(UplinkGate.SEND)
        await it.say(*numbered(range(5)))

        await it.gate(UplinkGate.PREROLL)
        await it.lose(first)
        await it.gate(UplinkGate.HOLD)
        second = await it.connect()
        await it.gate(UplinkGate.SEND)
        await it.say(frame(5))

        assert sent(second) == [frame(5)]


async def test_a_full_queue_drops_the_oldest_and_counts_it(caplog: pytest.LogCaptureFixture) -> None:
    async with uplinked() as it:
        await it.gate(UplinkGate.HOLD)
        await it.say(*numbered(range(HOLD_FRAMES + 60)))
        connection = await it.connect()
        await it.gate(UplinkGate.SEND)

        assert sent(connection) == numbered(range(60, HOLD_FRAMES + 60))
        assert it.uplink.dropped == 60
    assert len(caplog.messages) == 2, "one line for each second of loss"


async def test_no_frame_is_sent_after_a_connection_is_taken_away() -> None:
    async with uplinked() as it:
        connection = await it.connect()
        await it.gate(UplinkGate.SEND)
        it.uplink.disconnect()
        await it.say(frame(1))

        assert sent(connection) == []
        assert not it.uplink.sending


class HandMicrophone:
    """A microphone whose frames a test delivers itself, in the same turn of the loop as other calls."""

    def __init__(self) -> None:
        self.urgent = True
        self.sink: Callable[[bytes], None] = lambda _frame: None

    async def capture(self, sink: Callable[[bytes], None]) -> NoReturn:
        self.sink = sink
        await asyncio.Event().wait()
        raise AssertionError("never set")


async def test_falling_asleep_as_a_frame_comes_sends_no_more() -> None:
    clock, microphone, connection = ManualClock(), HandMicrophone(), Wire()
    post = Inbox().post
    uplink = Uplink(microphone, post, clock, preroll=PreRoll(PREROLL_MS), speech_events=SpeechEvents(post))
    async with running(uplink.capture(), uplink.send()):
        await clock.advance(0)
        uplink.connect(connection)
        uplink.set_uplink(SetUplink(UplinkGate.SEND))
        await clock.advance(0)

        microphone.sink(frame(1))
        uplink.set_uplink(SetUplink(UplinkGate.PREROLL))
        microphone.sink(frame(2))  # captured asleep, so it is not sent
        await clock.advance(0)

        assert sent(connection) == []
        assert "end" not in connection.order


async def test_a_voice_is_reported_as_it_begins_and_ends() -> None:
    async with uplinked() as it:
        await it.gate(UplinkGate.HOLD)
        await it.say(silence(0.4))
        it.inbox.events.clear()

        await it.say(voice(1.0))
        assert it.inbox.events == [VoiceBegan()]
        await it.say(silence(1.0))
        assert it.inbox.events == [VoiceBegan(), VoiceEnded(late_s=0.6)]


async def test_a_voice_during_the_press_begins_a_turn_at_the_wake() -> None:
    async with uplinked() as it:
        await it.say(voice(0.6))
        assert VoiceBegan() not in it.inbox.events, "asleep, no voice is reported"

        await it.gate(UplinkGate.HOLD)

        assert it.inbox.events[-1] == VoiceBegan()


async def test_a_voice_while_asleep_or_with_a_closed_gate_causes_no_event() -> None:
    async with uplinked() as it:
        await it.say(*frames(voice(2.0)))
        await it.gate(UplinkGate.SHUT)
        it.inbox.events.clear()
        await it.say(voice(2.0), silence(1.0))

        assert it.inbox.events == []


@pytest.mark.parametrize("cut_off", [UplinkGate.SHUT, UplinkGate.PREROLL])
async def test_a_voice_cut_off_by_the_gate_or_by_sleep_begins_again_when_the_gate_opens(
    cut_off: UplinkGate,
) -> None:
    async with uplinked() as it:
        await it.gate(UplinkGate.HOLD)
        await it.say(voice(1.0))
        await it.gate(cut_off, UplinkGate.HOLD)
        it.inbox.events.clear()

        # Shorter than a pause, but long enough to tell a sung vowel from a hum.
        await it.say(silence(0.3))
        await it.say(voice(1.0))

        assert it.inbox.events == [VoiceBegan()]


async def test_the_microphone_counts_as_present_after_its_first_frame() -> None:
    async with uplinked() as it:
        await it.say(frame(0), frame(1))
        assert it.inbox.events == [DeviceCame(Device.MICROPHONE)]


async def test_sending_means_that_frames_should_be_moving() -> None:
    async with uplinked() as it:
        assert not it.uplink.sending
        await it.connect()
        assert not it.uplink.sending
        await it.gate(UplinkGate.SEND)
        assert it.uplink.sending
        await it.gate(UplinkGate.SHUT)
        assert not it.uplink.sending


# Only speech, or only while a button is held: the gate pauses


async def test_while_the_gate_pauses_no_frame_is_sent_and_the_last_ones_are_kept() -> None:
    async with uplinked() as it:
        connection = await it.connect()
        await it.gate(UplinkGate.PAUSED)
        await it.say(*numbered(range(100)))
        assert connection.told == []

        await it.gate(UplinkGate.SEND)

        assert sent(connection) == numbered(range(100 - PREROLL_FRAMES, 100))


async def test_a_pause_is_sent_in_its_place_and_the_next_sound_is_another_turn() -> None:
    async with uplinked(preroll_ms=0) as it:
        await it.gate(UplinkGate.HOLD)
        await it.say(*numbered(range(3)))
        await it.gate(UplinkGate.PAUSED, UplinkGate.HOLD)
        await it.say(*numbered(range(3, 6)))
        connection = await it.connect()
        await it.gate(UplinkGate.SEND, UplinkGate.PAUSED)

        assert connection.order == [*numbered(range(3)), "end", *numbered(range(3, 6)), "end"]
        assert connection.told == ["begin", "sound", "end"] * 2


async def test_frames_that_wait_when_the_gate_pauses_are_still_sent() -> None:
    async with uplinked(preroll_ms=0) as it:
        await it.gate(UplinkGate.HOLD)
        await it.say(*numbered(range(3)))
        await it.gate(UplinkGate.PAUSED)
        connection = await it.connect()

        assert connection.order == [*numbered(range(3)), "end"]


async def test_a_second_pause_without_sound_between_is_not_sent() -> None:
    async with uplinked(preroll_ms=0) as it:
        connection = await it.connect()
        await it.gate(UplinkGate.SEND)
        await it.say(frame(1))
        await it.gate(
            UplinkGate.PAUSED, UplinkGate.SHUT, UplinkGate.PAUSED, UplinkGate.SEND, UplinkGate.PAUSED
        )

        assert connection.told == ["begin", "sound", "end"]


async def test_a_turn_cut_by_a_loss_begins_again_over_the_next_connection_and_ends_once() -> None:
    async with uplinked(preroll_ms=0) as it:
        first = await it.connect()
        await it.gate(UplinkGate.SEND)
        await it.say(*numbered(range(3)))
        await it.lose(first)
        assert first.told == ["begin", "sound"]

        second = await it.connect()
        await it.say(*numbered(range(3, 5)))
        await it.gate(UplinkGate.PAUSED)

        assert second.order == [*numbered(range(3, 5)), "end"]
        assert second.told == ["begin", "sound", "end"]


async def test_the_end_of_a_delivered_turn_is_not_sent_over_the_next_connection() -> None:
    async with uplinked(preroll_ms=0) as it:
        first = await it.connect()
        await it.gate(UplinkGate.SEND)
        await it.say(*numbered(range(3)))
        await it.lose(first)
        await it.gate(UplinkGate.PAUSED)
        second = await it.connect()
        assert second.told == []

        await it.gate(UplinkGate.SEND)
        await it.say(frame(3))

        assert second.told == ["begin", "sound"]


async def test_a_lost_pause_is_sent_again_after_the_lost_sound() -> None:
    async with uplinked(preroll_ms=0) as it:
        first = await it.connect()
        first.confirmed = 0
        await it.gate(UplinkGate.SEND)
        await it.say(*numbered(range(4)))
        await it.gate(UplinkGate.PAUSED, UplinkGate.SEND)
        await it.say(*numbered(range(4, 6)))
        first.confirmed = 2

        await it.lose(first)
        second = await it.connect()

        assert second.order == [*numbered(range(2, 4)), "end", *numbered(range(4, 6))]
        assert it.uplink.resent == 4


async def test_a_pause_before_a_sound_that_arrived_has_arrived() -> None:
    async with uplinked(preroll_ms=0) as it:
        first = await it.connect()
        first.confirmed = 0
        await it.gate(UplinkGate.SEND)
        await it.say(frame(0))
        await it.gate(UplinkGate.PAUSED, UplinkGate.SEND)
        await it.say(*numbered(range(1, 3)))
        first.confirmed = 2

        await it.lose(first)
        second = await it.connect()

        assert second.order == [frame(2)]


async def test_a_button_let_go_on_the_last_word_does_not_cut_it() -> None:
    async with uplinked(after_ms=100) as it:
        connection = await it.connect()
        await it.gate(UplinkGate.SEND)
        await it.say(frame(0))
        await it.gate(UplinkGate.PAUSED)
        assert "end" not in connection.order
        await it.say(*numbered(range(1, 10)))

        assert connection.order == [*numbered(range(6)), "end"]

        await it.gate(UplinkGate.SEND)
        assert sent(connection)[6:] == numbered(range(6, 10)), "later frames belong to the next margin"


async def test_a_button_held_again_before_the_last_word_is_out_goes_on_in_the_same_turn() -> None:
    async with uplinked(after_ms=100) as it:
        connection = await it.connect()
        await it.gate(UplinkGate.SEND)
        await it.say(frame(0))
        await it.gate(UplinkGate.PAUSED)
        await it.say(frame(1))
        await it.gate(UplinkGate.SEND)
        await it.say(*numbered(range(2, 20)))

        assert connection.order == numbered(range(20))


async def test_a_button_let_go_after_its_microphone_was_pulled_out_ends_the_turn_at_once() -> None:
    async with uplinked(after_ms=100) as it:
        connection = await it.connect()
        await it.gate(UplinkGate.SEND)
        await it.say(frame(0))
        it.microphone.unplug()
        await it.gate(UplinkGate.PAUSED)

        assert connection.order == [frame(0), "end"]


async def test_a_microphone_pulled_out_before_the_last_word_is_out_ends_the_turn_at_once() -> None:
    async with uplinked(after_ms=100) as it:
        connection = await it.connect()
        await it.gate(UplinkGate.SEND)
        await it.say(frame(0))
        await it.gate(UplinkGate.PAUSED)
        await it.say(frame(1))
        it.microphone.unplug()
        await it.settle()

        assert connection.order == [*numbered(range(2)), "end"]
        assert connection.told == ["begin", "sound", "end"]


async def test_a_conversation_that_begins_with_a_pause_has_no_last_word() -> None:
    async with uplinked(after_ms=100) as it:
        connection = await it.connect()
        await it.gate(UplinkGate.PAUSED)
        await it.say(*numbered(range(20)))

        assert connection.told == []


async def test_a_reply_that_closes_the_gate_after_a_talk_ends_the_turn_at_once() -> None:
    async with uplinked(after_ms=100) as it:
        connection = await it.connect()
        await it.gate(UplinkGate.SEND)
        await it.say(frame(0))
        await it.gate(UplinkGate.PAUSED, UplinkGate.SHUT)
        await it.say(*numbered(range(1, 10)))

        assert connection.order == [frame(0), "end"]


async def test_the_voice_that_wakes_the_kiosk_begins_a_turn_when_only_speech_is_sent() -> None:
    async with uplinked() as it:
        await it.say(voice(0.6))
        await it.gate(UplinkGate.PAUSED)
        assert it.inbox.events[-1] == VoiceBegan()
        connection = await it.connect()
        await it.gate(UplinkGate.SEND)

        assert b"".join(sent(connection)) == voice(0.6)


async def test_a_voice_is_heard_while_the_gate_pauses() -> None:
    async with uplinked() as it:
        await it.gate(UplinkGate.PAUSED)
        it.inbox.events.clear()
        await it.say(voice(1.0))

        assert it.inbox.events[-1] == VoiceBegan()


# Muted


async def test_mute_closes_the_device_and_unmute_opens_it_again() -> None:
    async with uplinked() as it:
        await it.say(frame(0))
        assert it.microphone.open
        it.uplink.set_mute(SetMute(muted=True))
        await it.settle()
        assert not it.microphone.open

        it.uplink.set_mute(SetMute(muted=False))
        await it.settle()
        assert it.microphone.open
        await it.say(frame(1))
        assert it.uplink.captured == 2


class Hanging(MemoryMicrophone):
    """A microphone that does not close."""

    async def capture(self, sink: Callable[[bytes], None]) -> NoReturn:
        try:
            await super().capture(sink)
        except asyncio.CancelledError as error:
            raise DeviceStuck("microphone: does not close") from error


async def test_a_muted_microphone_is_logged_as_closed_only_when_it_is(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    async with uplinked() as it:
        await it.say(frame(0))
        it.uplink.set_mute(SetMute(muted=True))
        await it.settle()
        assert "microphone closed: cause=muted" in caplog.messages

    caplog.clear()
    clock, microphone = ManualClock(), Hanging()
    uplink = Uplink(
        microphone, Inbox().post, clock, preroll=PreRoll(0), speech_events=SpeechEvents(Inbox().post)
    )

    async def mute() -> None:
        microphone.say(frame(0))
        await clock.advance(0)
        assert uplink.captured == 1
        uplink.set_mute(SetMute(muted=True))
        await asyncio.Event().wait()

    with pytest.raises(DeviceStuck):
        await soon(first_of(uplink.capture(), mute()))
    assert "microphone closed: cause=muted" not in caplog.messages


async def test_muting_drops_earlier_sound_and_captures_none() -> None:
    async with uplinked() as it:
        await it.say(*numbered(range(10)))
        it.uplink.set_mute(SetMute(muted=True))
        await it.settle()
        assert it.uplink.captured == 10
        it.uplink.set_mute(SetMute(muted=False))
        await it.settle()
        await it.say(frame(10))
        await it.gate(UplinkGate.HOLD)
        connection = await it.connect()
        await it.gate(UplinkGate.SEND)

        assert sent(connection) == [frame(10)]


async def test_a_muted_microphone_is_not_expected_to_give_frames() -> None:
    async with uplinked() as it:
        await it.connect()
        await it.gate(UplinkGate.SEND)
        assert (it.uplink.absent, it.uplink.sending) == (False, True)
        it.uplink.set_mute(SetMute(muted=True))
        assert (it.uplink.absent, it.uplink.sending) == (True, False)
        it.uplink.set_mute(SetMute(muted=False))
        assert not it.uplink.absent


async def test_a_microphone_muted_before_it_was_opened_is_never_opened() -> None:
    it = Uplinked()
    it.uplink.set_mute(SetMute(muted=True))
    async with running(it.uplink.capture(), it.uplink.send()):
        await it.settle()
        assert it.microphone.opened == 0


async def test_a_microphone_unplugged_while_muted_is_reported_when_it_is_needed() -> None:
    async with uplinked() as it:
        await it.say(frame(0))
        it.uplink.set_mute(SetMute(muted=True))
        await it.settle()
        it.microphone.unplug()
        await it.clock.advance(10.0)
        assert DeviceGone not in {type(event) for event in it.inbox.events}

        it.uplink.set_mute(SetMute(muted=False))
        await it.settle()
        assert DeviceGone in {type(event) for event in it.inbox.events}


async def test_cancelling_the_sender_in_mid_frame_leaves_at_once() -> None:
    it = Uplinked()
    async with running(it.uplink.capture()):
        sender = asyncio.create_task(it.uplink.send())
        connection = await it.connect(Wire(stuck=True))
        await it.gate(UplinkGate.SEND)
        await it.say(frame(0))
        assert sent(connection) == [frame(0)]

        sender.cancel()

        done, _ = await soon(asyncio.wait([sender]))
        assert sender in done
        assert sender.cancelled()
