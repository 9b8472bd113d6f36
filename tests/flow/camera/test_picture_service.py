"""The picture service: new pictures reach the service when no sound waits; the camera runs only then."""

import asyncio
import gc
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import NoReturn

import psutil
import pytest
from tests.support.fakes_devices import ManualClock
from tests.support.gated_camera import GatedCamera
from tests.support.kiosk import running, soon
from tests.support.pictures import encoded, grey, jpeg, noise

from kioskd.adapters.fakes.devices import MemoryCamera
from kioskd.core.effects import HangUp, SetCamera, TakeSnapshot
from kioskd.core.events import Event
from kioskd.errors import DeviceLost, LinkLost
from kioskd.flow.camera.camera_device import MOST_RETRY_S, REUSE_S
from kioskd.flow.camera.picture_service import PictureService
from kioskd.flow.camera.picture_stream import LINGER_S, SHARE
from kioskd.flow.link.picture_pacer import BACKLOG_BYTES, PicturePacer
from kioskd.flow.runtime.device_supervisor import FIRST_RETRY_S
from kioskd.media import picture
from kioskd.ports import Light, Message, ToolAnswer

EVERY_S = 2.0


class Wire:
    """A connection that keeps its pictures, with a backlog that a test sets."""

    resumed = False
    delivered = 0

    def __init__(self) -> None:
        self.pictures: list[bytes] = []
        self.backlog = 0
        self.weight = 0
        """The bytes that a picture adds to the backlog."""
        self.written = 0
        self.held_back: int | None = None
        """The bytes that a modem holds back; None: none."""
        self.broken = False
        self._sent = asyncio.Event()

    @property
    def arrived(self) -> int:
        return self.written if self.held_back is None else self.held_back

    async def send_picture(self, jpeg: bytes) -> None:
        if self.broken:
            raise LinkLost("cut by the test")
        self.pictures.append(jpeg)
        self.backlog += self.weight
        self.written += len(jpeg)
        self._sent.set()

    async def has(self, count: int) -> None:
        """Wait until `count` pictures were sent."""
        async with asyncio.timeout(60):
            while len(self.pictures) < count:
                self._sent.clear()
                await self._sent.wait()

    async def receive(self) -> Sequence[Message]:
        raise AssertionError("the camera reads nothing")

    async def send_audio(self, frame: bytes) -> None:
        raise AssertionError("the camera sends pictures only")

    async def begin_audio(self) -> None:
        raise AssertionError("the camera sends pictures only")

    async def end_audio(self) -> None:
        raise AssertionError("the camera sends pictures only")

    async def show_pictures(self, jpegs: Sequence[bytes]) -> None:
        raise AssertionError("the camera shows nothing by itself")

    async def send_context(self, text: str) -> None:
        raise AssertionError("the camera sends pictures only")

    async def answer(self, answers: Sequence[ToolAnswer]) -> None:
        raise AssertionError("the camera answers nothing")

    async def send_text(self, text: str) -> None:
        raise AssertionError("the camera says nothing")


class WatchedLamp:
    """Remembers its light, and whether the camera ran at that time; a `ports.Lamp`."""

    def __init__(self, camera: MemoryCamera) -> None:
        self._camera = camera
        self.lit = False
        self.changes: list[tuple[bool, bool]] = []
        """For each change: whether the lamp was lit, and whether the camera was running."""

    def shine(self, light: Light) -> None:
        self.lit = light.level > 0
        self.changes.append((self.lit, self._camera.running))

    async def run(self) -> NoReturn:
        raise AssertionError("its owner drives it")


class Eyes:
    """A picture service with fakes. The camera's view changes each time, unless a test fixes it."""

    def __init__(
        self,
        *,
        min_change: float = 0.0,
        refresh_s: float = 60.0,
        every_s: float = EVERY_S,
        camera: MemoryCamera | None = None,
    ) -> None:
        self.clock = ManualClock()
        self.camera = camera or MemoryCamera(jpeg())
        self.lamp = WatchedLamp(self.camera)
        self.wire = Wire()
        self.audio_waits = False
        self.shown: list[bytes] = []
        """The pictures that were shown to the model on request."""
        self.room = 8
        self.posted: list[Event] = []
        self.flow = PictureService(
            self.camera,
            self.clock,
            self.posted.append,
            pacer=PicturePacer(self.clock, uplink_idle=lambda: not self.audio_waits),
            every_s=every_s,
            min_change=min_change,
            refresh_s=refresh_s,
            lamps=[self.lamp],
            show=self._show,
        )

    def _show(self, jpeg: bytes, settled: Callable[[str], None]) -> bool:
        if len(self.shown) >= self.room:
            return False
        self.shown.append(jpeg)
        settled("")
        return True

    async def open(self) -> None:
        """Open the gate, with a connection."""
        self.flow.connect(self.wire, 1)
        self.flow.set_camera(SetCamera(open=True))
        await self.clock.advance(0)

    async def shut(self) -> None:
        self.flow.set_camera(SetCamera(open=False))
        await self.clock.advance(0)

    async def counted(self, what: str, count: int) -> None:
        """Wait until a count has this value. Threads must finish first."""
        async with asyncio.timeout(60):
            while self.flow.counts[what] < count:
                await self.clock.sleep(0)

    async def decided(self, shots: int) -> None:
        """Wait until `shots` pictures were taken, and the fate of each is known."""
        async with asyncio.timeout(60):
            while (counts := self.flow.counts)["shot"] < shots or sum(counts.values()) < 2 * counts["shot"]:
                await self.clock.sleep(0)


@asynccontextmanager
async def eyes(
    *, min_change: float = 0.0, refresh_s: float = 60.0, every_s: float = EVERY_S
) -> AsyncIterator[Eyes]:
    made = Eyes(min_change=min_change, refresh_s=refresh_s, every_s=every_s)
    async with running(made.flow.run()):
        yield made


# The times of pictures


async def test_a_picture_is_sent_at_once_and_then_at_the_set_interval() -> None:
    async with eyes() as kiosk:
        await kiosk.open()
        assert len(kiosk.wire.pictures) == 1
        await kiosk.clock.advance(3 * EVERY_S)
        assert kiosk.wire.pictures == [kiosk.camera.sees] * 4


async def test_the_camera_is_off_while_its_gate_is_closed_or_there_is_no_connection() -> None:
    async with eyes() as kiosk:
        await kiosk.clock.advance(60)
        kiosk.flow.set_camera(SetCamera(open=True))
        await kiosk.clock.advance(60)
        assert kiosk.camera.starts == 0
        kiosk.flow.connect(kiosk.wire, 1)
        await kiosk.clock.advance(0)
        assert kiosk.camera.running
        kiosk.flow.disconnect()
        await kiosk.clock.advance(60)
        assert not kiosk.camera.running
        kiosk.flow.connect(kiosk.wire, 1)
        await kiosk.clock.advance(0)
        await kiosk.shut()
        await kiosk.clock.advance(60)
        assert not kiosk.camera.running
        assert len(kiosk.wire.pictures) == 2


async def test_a_gate_that_opens_and_closes_quickly_sends_no_extra_pictures() -> None:
    async with eyes() as kiosk:
        for _ in range(7):
            await kiosk.open()
            await kiosk.clock.advance(EVERY_S / 4)
            await kiosk.shut()
        assert len(kiosk.wire.pictures) == 2


async def test_at_most_one_picture_a_second_is_sent() -> None:
    async with eyes(every_s=0.01) as kiosk:
        await kiosk.open()
        await kiosk.clock.advance(9.5)
        assert len(kiosk.wire.pictures) == 10


async def test_the_camera_is_off_when_the_kiosk_stops() -> None:
    async with eyes() as kiosk:
        await kiosk.open()
    assert not kiosk.camera.running
    assert not kiosk.lamp.lit


async def test_the_lamp_of_the_camera_is_lit_exactly_while_it_runs() -> None:
    async with eyes() as kiosk:
        for _ in range(2):
            await kiosk.open()
            assert kiosk.lamp.lit
            await kiosk.shut()
            assert not kiosk.lamp.lit
        assert kiosk.lamp.changes == [(True, False), (False, False)] * 2, "lit before, dark after"


async def test_a_rollover_neither_restarts_the_camera_nor_blinks_its_lamp() -> None:
    async with eyes() as kiosk:
        await kiosk.open()
        kiosk.flow.disconnect()
        await kiosk.clock.advance(LINGER_S - 0.1)
        assert kiosk.camera.shots == 1, "no further picture is taken"
        other = Wire()
        kiosk.flow.connect(other, 1)
        await kiosk.clock.advance(EVERY_S)
        assert other.pictures
        assert kiosk.camera.starts == 1
        assert kiosk.lamp.changes == [(True, False)]


async def test_an_offline_kiosk_s_camera_rests_until_there_is_a_connection() -> None:
    async with eyes() as kiosk:
        await kiosk.open()
        kiosk.flow.disconnect()
        await kiosk.clock.advance(LINGER_S)
        kiosk.flow.disconnect()  # a second call is not another loss
        assert not kiosk.camera.running
        assert not kiosk.lamp.lit
        await kiosk.clock.advance(600)
        assert (kiosk.camera.starts, kiosk.camera.shots) == (1, 1)
        kiosk.flow.connect(kiosk.wire, 1)
        await kiosk.clock.advance(0)
        assert kiosk.camera.running


async def test_without_a_connection_the_camera_stops_when_its_gate_closes_or_the_conversation_ends() -> None:
    async with eyes() as kiosk:
        await kiosk.open()
        kiosk.flow.disconnect()
        await kiosk.shut()
        assert not kiosk.camera.running
        await kiosk.open()
        kiosk.flow.forget(HangUp())
        await kiosk.clock.advance(0)
        assert not kiosk.camera.running
        kiosk.flow.disconnect()
        await kiosk.clock.advance(0)
        assert not kiosk.lamp.lit


# Pictures that are worth sending


async def test_a_picture_like_the_last_one_sent_is_skipped_until_it_is_time_to_refresh() -> None:
    async with eyes(min_change=0.02, refresh_s=10) as kiosk:
        kiosk.camera.sees = grey(100)
        await kiosk.open()
        await kiosk.wire.has(1)
        for skipped in range(1, 5):
            await kiosk.clock.advance(EVERY_S)
            await kiosk.counted("alike", skipped)
        await kiosk.clock.advance(EVERY_S)
        await kiosk.wire.has(2)
        assert kiosk.flow.counts == {"shot": 6, "sent": 2, "alike": 4}


async def test_a_change_is_measured_against_the_last_picture_that_was_sent() -> None:
    async with eyes(min_change=0.1, refresh_s=1000) as kiosk:
        for step, level in enumerate(range(100, 160, 10)):
            kiosk.camera.sees = grey(level)
            if step == 0:
                await kiosk.open()
            else:
                await kiosk.clock.advance(EVERY_S)
            await kiosk.decided(step + 1)
        assert kiosk.wire.pictures == [grey(100), grey(130)]


async def test_a_new_connection_gets_a_picture_that_the_old_one_already_had() -> None:
    async with eyes(min_change=0.02) as kiosk:
        await kiosk.open()
        await kiosk.wire.has(1)
        kiosk.flow.disconnect()
        other = Wire()
        kiosk.flow.connect(other, 1)
        await kiosk.clock.advance(EVERY_S)
        await other.has(1)


async def test_a_damaged_picture_is_skipped() -> None:
    async with eyes(min_change=0.02) as kiosk:
        kiosk.camera.sees = jpeg()[:500]
        await kiosk.open()
        await kiosk.counted("damaged", 1)
        kiosk.camera.sees = jpeg()
        await kiosk.clock.advance(EVERY_S)
        await kiosk.wire.has(1)


# Sound goes first


async def test_a_picture_waits_for_the_sound_and_a_newer_one_takes_its_place() -> None:
    async with eyes() as kiosk:
        kiosk.audio_waits = True
        kiosk.camera.sees = b"old"
        await kiosk.open()
        await kiosk.clock.advance(EVERY_S - 0.5)
        assert kiosk.wire.pictures == []
        kiosk.camera.sees = b"new"
        await kiosk.clock.advance(0.6)
        kiosk.audio_waits = False
        await kiosk.clock.advance(0.1)
        assert kiosk.wire.pictures == [b"new"]
        assert kiosk.flow.counts == {"shot": 2, "sent": 1, "congested": 1}


async def test_a_picture_waits_until_earlier_bytes_have_left() -> None:
    async with eyes() as kiosk:
        kiosk.wire.backlog = BACKLOG_BYTES + 1
        await kiosk.open()
        await kiosk.clock.advance(1.0)
        assert kiosk.wire.pictures == []
        kiosk.wire.backlog = BACKLOG_BYTES
        await kiosk.clock.advance(0.1)
        assert len(kiosk.wire.pictures) == 1


async def test_on_a_slow_line_pictures_become_rare() -> None:
    async with eyes() as kiosk:
        kiosk.wire.held_back = 0
        await kiosk.open()
        assert len(kiosk.wire.pictures) == 1
        await kiosk.clock.advance(1.5)
        kiosk.wire.held_back = None  # 1.5 s for one picture, which only the service can measure
        await kiosk.clock.advance(1.5 * SHARE - 2)
        assert len(kiosk.wire.pictures) == 1
        await kiosk.clock.advance(2)
        assert len(kiosk.wire.pictures) == 2


async def test_a_slow_line_does_not_delay_pictures_on_the_next_connection() -> None:
    async with eyes() as kiosk:
        kiosk.wire.held_back = 0
        await kiosk.open()
        await kiosk.clock.advance(20.0)  # one picture blocks the others for minutes
        kiosk.flow.disconnect()
        other = Wire()
        kiosk.flow.connect(other, 1)
        await kiosk.clock.advance(0.1)
        assert len(other.pictures) == 1


async def test_the_next_visitor_is_seen_at_once() -> None:
    async with eyes(every_s=60.0) as kiosk:
        await kiosk.open()
        kiosk.flow.forget(HangUp())
        kiosk.flow.disconnect()
        await kiosk.shut()
        await kiosk.clock.advance(2.0)
        kiosk.wire = Wire()
        await kiosk.open()
        assert len(kiosk.wire.pictures) == 1


async def test_the_next_visitor_is_seen_at_once_even_if_an_old_picture_is_still_on_its_way() -> None:
    async with eyes(every_s=60.0) as kiosk:
        kiosk.wire.held_back = 0
        await kiosk.open()
        await kiosk.clock.advance(20.0)
        kiosk.flow.forget(HangUp())
        await kiosk.shut()
        await kiosk.clock.advance(0.2)  # the connection closes slowly
        kiosk.flow.disconnect()
        kiosk.wire = Wire()
        await kiosk.open()
        assert len(kiosk.wire.pictures) == 1


async def test_a_new_connection_in_a_conversation_brings_no_picture_before_its_time() -> None:
    async with eyes() as kiosk:
        await kiosk.open()
        await kiosk.clock.advance(0.5)
        kiosk.flow.disconnect()
        other = Wire()
        kiosk.flow.connect(other, 1)
        await kiosk.clock.advance(EVERY_S - 0.6)
        assert other.pictures == []
        await kiosk.clock.advance(0.1)
        assert len(other.pictures) == 1


async def test_a_picture_that_waited_while_the_gate_was_closed_is_dropped() -> None:
    async with eyes() as kiosk:
        kiosk.audio_waits = True
        await kiosk.open()
        await kiosk.shut()
        kiosk.audio_waits = False
        await kiosk.clock.advance(60)
        assert kiosk.wire.pictures == []
        assert kiosk.flow.counts == {"shot": 1, "late": 1}


async def test_a_picture_of_one_visitor_is_not_sent_over_the_next_ones_connection() -> None:
    async with eyes() as kiosk:
        kiosk.audio_waits = True
        kiosk.camera.sees = b"the first visitor"
        await kiosk.open()
        kiosk.flow.disconnect()
        other = Wire()
        kiosk.camera.sees = b"the second visitor"
        kiosk.flow.connect(other, 1)
        kiosk.audio_waits = False
        await kiosk.clock.advance(2 * EVERY_S)
        assert set(other.pictures) == {b"the second visitor"}


async def test_a_connection_lost_during_a_picture_delays_nothing() -> None:
    async with eyes() as kiosk:
        kiosk.wire.held_back = 0
        await kiosk.open()
        await kiosk.clock.advance(1.0)
        kiosk.flow.disconnect()
        other = Wire()
        kiosk.flow.connect(other, 1)
        await kiosk.clock.advance(1.0 * SHARE)
        assert other.pictures


async def test_a_broken_connection_gets_no_more_pictures() -> None:
    async with eyes() as kiosk:
        kiosk.wire.broken = True
        await kiosk.open()
        await kiosk.clock.advance(10)
        assert kiosk.flow.counts == {"shot": 1}
        assert not kiosk.camera.running
        other = Wire()
        kiosk.flow.connect(other, 1)
        await kiosk.clock.advance(0)
        assert len(other.pictures) == 1


# A lost camera


async def test_a_lost_camera_is_reported_once_and_recovers_by_itself(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "kioskd")
    async with eyes() as kiosk:
        await kiosk.open()
        kiosk.camera.unplug()
        await kiosk.clock.advance(600)
        assert not kiosk.camera.running
        assert not kiosk.lamp.lit
        kiosk.camera.replug()
        await kiosk.clock.advance(MOST_RETRY_S)
        assert kiosk.camera.running
        kiosk.camera.unplug()
        await kiosk.clock.advance(EVERY_S)
        kiosk.camera.replug()
        await kiosk.clock.advance(3 * FIRST_RETRY_S)
        assert kiosk.camera.running, "after a success, the first retry comes soon"
    assert [message.partition(":")[0] for message in caplog.messages] == [
        "camera lost, continuing without it, retrying", "camera back",
        "camera lost, continuing without it, retrying", "camera back",
    ]  # fmt: skip


async def test_a_lost_camera_is_tried_more_and_more_rarely() -> None:
    async with eyes() as kiosk:
        kiosk.camera.unplug()
        await kiosk.open()
        await kiosk.clock.advance(3600)
        tries = len(kiosk.lamp.changes) // 2
        assert 50 < tries < 80


async def test_a_camera_that_is_back_sees_the_next_visitor_at_once() -> None:
    async with eyes() as kiosk:
        kiosk.camera.unplug()
        await kiosk.open()
        await kiosk.clock.advance(130)
        assert kiosk.flow.status == "missing"
        kiosk.flow.forget(HangUp())
        kiosk.flow.disconnect()
        await kiosk.shut()
        kiosk.camera.replug()
        await kiosk.clock.advance(1)
        kiosk.wire = Wire()
        await kiosk.open()
        assert len(kiosk.wire.pictures) == 1
        assert kiosk.flow.status != "missing"


async def test_a_camera_that_stays_away_is_tried_once_a_conversation_that_ends_at_once() -> None:
    async with eyes() as kiosk:
        kiosk.camera.unplug()
        for _ in range(5):
            await kiosk.open()
            kiosk.flow.forget(HangUp())
            await kiosk.shut()
            await kiosk.clock.advance(600)
        assert len(kiosk.lamp.changes) == 2 * 5


# On request


async def test_a_requested_picture_is_taken_with_a_closed_gate_and_the_camera_stops_again() -> None:
    async with eyes() as kiosk:
        assert await soon(kiosk.flow.fresh(5.0)) == kiosk.camera.sees
        await kiosk.clock.advance(0)
        assert (kiosk.camera.starts, kiosk.camera.shots, kiosk.camera.running) == (1, 1, False)
        assert kiosk.wire.pictures == []


async def test_a_picture_of_the_last_seconds_is_shown_again_and_an_older_one_is_not() -> None:
    async with eyes() as kiosk:
        kiosk.camera.sees = b"first"
        assert await soon(kiosk.flow.fresh(5.0)) == b"first"
        kiosk.camera.sees = b"second"
        await kiosk.clock.advance(REUSE_S - 0.1)
        assert await soon(kiosk.flow.fresh(5.0)) == b"first"
        await kiosk.clock.advance(0.2)
        assert await soon(kiosk.flow.fresh(5.0)) == b"second"


async def test_a_picture_on_request_in_a_conversation_is_not_sent_twice() -> None:
    async with eyes(every_s=20) as kiosk:
        await kiosk.open()
        await kiosk.clock.advance(REUSE_S + 1)
        kiosk.camera.sees = b"asked for"
        assert await soon(kiosk.flow.fresh(5.0)) == b"asked for"
        await kiosk.clock.advance(1)
        assert len(kiosk.wire.pictures) == 1
        assert kiosk.camera.starts == 1


async def test_simultaneous_requests_share_a_picture() -> None:
    async with eyes() as kiosk:
        async with asyncio.timeout(60):
            shown = await asyncio.gather(kiosk.flow.fresh(5.0), kiosk.flow.fresh(5.0))
        assert list(shown) == [kiosk.camera.sees] * 2
        assert kiosk.camera.shots == 1


async def test_a_request_to_a_missing_camera_fails_at_once() -> None:
    async with eyes() as kiosk:
        kiosk.camera.unplug()
        for _ in range(3):
            with pytest.raises(DeviceLost, match="unplugged"):
                await soon(kiosk.flow.fresh(5.0))
        kiosk.camera.replug()
        assert await soon(kiosk.flow.fresh(5.0)) == kiosk.camera.sees


async def test_a_request_to_a_silent_camera_fails_within_its_time() -> None:
    clock = ManualClock()
    camera = SlowCamera()
    flow = PictureService(
        camera,
        clock,
        lambda _event: None,
        pacer=PicturePacer(clock, uplink_idle=lambda: True),
        show=lambda _jpeg, _settled: False,
        every_s=EVERY_S,
        min_change=0.0,
        refresh_s=60.0,
    )
    async with running(flow.run()):
        asking = asyncio.create_task(flow.fresh(3.0))
        await soon(camera.asked.wait())
        await clock.advance(2.9)
        assert not asking.done()
        await clock.advance(0.1)
        with pytest.raises(DeviceLost, match=r"no picture within 3\.0 s"):
            await asking


@asynccontextmanager
async def gated() -> AsyncIterator[tuple[Eyes, GatedCamera]]:
    made = Eyes(camera=GatedCamera())
    async with running(made.flow.run()):
        assert isinstance(made.camera, GatedCamera)
        yield made, made.camera


async def test_a_request_of_one_conversation_is_not_answered_in_the_next() -> None:
    async with gated() as (kiosk, camera):
        camera.may_start.clear()
        kiosk.flow.take_snapshot(TakeSnapshot())
        await soon(camera.starting.wait())
        kiosk.flow.forget(HangUp())
        assert "ended" in await soon(kiosk.flow.snapshot_result())
        camera.may_start.set()
        await kiosk.clock.advance(60)
        assert (camera.starts, camera.shots, camera.running) == (1, 0, False)
        assert kiosk.shown == []
        assert not kiosk.lamp.lit


async def test_a_request_that_ends_before_it_begins_does_not_start_the_camera() -> None:
    async with gated() as (kiosk, camera):
        await kiosk.clock.advance(0)
        kiosk.flow.take_snapshot(TakeSnapshot())
        kiosk.flow.forget(HangUp())
        await kiosk.clock.advance(60)
        assert camera.starts == 0


async def test_a_picture_taken_as_the_conversation_ends_is_not_shown() -> None:
    async with gated() as (kiosk, camera):
        camera.may_shoot.clear()
        kiosk.flow.take_snapshot(TakeSnapshot())
        await soon(camera.shooting.wait())
        kiosk.flow.forget(HangUp())
        kiosk.flow.take_snapshot(TakeSnapshot())  # a request of the next visitor
        first, camera.sees = camera.sees, b"the next visitor"
        camera.may_shoot.set()
        assert await soon(kiosk.flow.snapshot_result()) == ""
        assert first not in kiosk.shown
        assert kiosk.shown == [b"the next visitor"]


async def test_a_picture_of_the_last_seconds_is_not_shown_to_the_next_visitor() -> None:
    async with eyes() as kiosk:
        kiosk.camera.sees = b"the first visitor"
        await soon(kiosk.flow.fresh(5.0))
        kiosk.flow.forget(HangUp())
        kiosk.camera.sees = b"the second visitor"
        assert await soon(kiosk.flow.fresh(5.0)) == b"the second visitor"


async def test_a_tool_that_looks_as_the_conversation_ends_gets_no_picture() -> None:
    async with gated() as (kiosk, camera):
        camera.may_start.clear()
        asking = asyncio.create_task(kiosk.flow.fresh(5.0))
        await soon(camera.starting.wait())
        kiosk.flow.forget(HangUp())
        with pytest.raises(DeviceLost, match="conversation has ended"):
            await asking


async def test_a_requested_picture_is_shown_only_once() -> None:
    async with eyes() as kiosk:
        for _ in range(30):
            kiosk.flow.take_snapshot(TakeSnapshot())
            assert await soon(kiosk.flow.snapshot_result()) == ""
        assert (len(kiosk.shown), kiosk.camera.shots) == (1, 1)
        await kiosk.clock.advance(REUSE_S + 1)
        kiosk.flow.take_snapshot(TakeSnapshot())
        assert await soon(kiosk.flow.snapshot_result()) == ""
        assert (len(kiosk.shown), kiosk.camera.shots) == (2, 2)


async def test_a_failed_request_gives_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    async with eyes() as kiosk:
        kiosk.room = 0
        kiosk.flow.take_snapshot(TakeSnapshot())
        assert "too many" in await soon(kiosk.flow.snapshot_result())
        await kiosk.clock.advance(REUSE_S + 1)
        kiosk.camera.unplug()
        kiosk.flow.take_snapshot(TakeSnapshot())
        assert "unplugged" in await soon(kiosk.flow.snapshot_result())
    assert [message for message in caplog.messages if "too many" in message]


async def test_the_lamp_stays_lit_until_the_camera_has_stopped() -> None:
    async with gated() as (kiosk, camera):
        camera.may_stop.clear()
        await kiosk.open()
        await kiosk.shut()
        await kiosk.clock.advance(60)
        assert camera.running
        assert kiosk.lamp.lit
        assert kiosk.flow.status == "on"
        camera.may_stop.set()
        await kiosk.clock.advance(0)
        assert not kiosk.lamp.lit
        assert kiosk.flow.status != "on"


class SlowCamera(MemoryCamera):
    """A camera that never returns its picture."""

    def __init__(self) -> None:
        super().__init__(b"")
        self.asked = asyncio.Event()

    async def shoot(self) -> bytes:
        self.asked.set()
        await asyncio.Event().wait()
        raise AssertionError("nobody wakes it")


# Costs


class Nowhere(list[bytes]):
    """Drops everything that is appended."""

    def append(self, _item: bytes) -> None:
        pass


async def see(kiosk: Eyes, views: Sequence[bytes], count: int) -> None:
    """Show `count` pictures, each different from the one before, and wait for the fate of each."""
    shots = kiosk.flow.counts["shot"]
    for number in range(count):
        kiosk.camera.sees = views[number % len(views)]
        await kiosk.clock.advance(EVERY_S)
        await kiosk.decided(shots + number + 1)


async def test_memory_is_flat_over_four_thousand_pictures() -> None:
    process = psutil.Process()
    async with eyes(min_change=0.5, refresh_s=1.5 * EVERY_S) as kiosk:
        kiosk.wire.pictures = Nowhere()
        views = [encoded(noise(160, 120, seed), quality=30) for seed in range(3)]
        await kiosk.open()
        await see(kiosk, views, 1000)
        gc.collect()
        before = process.memory_info().rss
        await see(kiosk, views, 3000)
        gc.collect()
        grown = process.memory_info().rss - before
    assert kiosk.flow.counts["shot"] >= 4_000
    assert min(kiosk.flow.counts["sent"], kiosk.flow.counts["alike"]) > 1500
    assert grown < 3000 * len(views[0]) / 10, "less than a tenth of all pictures"


async def test_a_picture_costs_the_loop_less_than_two_milliseconds() -> None:
    view = encoded(noise(768, 576), quality=30)
    sketch = picture.sketch(view)
    async with eyes() as kiosk:
        kiosk.wire.pictures = Nowhere()
        await kiosk.open()
        await see(kiosk, [view], 20)
        before = time.thread_time()
        await see(kiosk, [view], 200)
        for _ in range(200):  # the loop's other work while a thread decodes
            picture.difference(sketch, sketch)
        spent_s = time.thread_time() - before
    assert spent_s / 200 < 0.002
