"""What is seen reaches the service when it is new and nothing else waits; the camera runs no longer than that."""

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
    """A connection that keeps what it is given, and has as much on its way out as the test says."""

    resumed = False
    delivered = 0

    def __init__(self) -> None:
        self.pictures: list[bytes] = []
        self.backlog = 0
        self.weight = 0
        """What a picture adds to the backlog."""
        self.written = 0
        self.held_back: int | None = None
        """Where a modem holds back what was written; None: nothing is."""
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
        """Wait until so many pictures were sent."""
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

    async def answer(self, answers: Sequence[ToolAnswer]) -> None:
        raise AssertionError("the camera answers nothing")

    async def send_text(self, text: str) -> None:
        raise AssertionError("the camera says nothing")


class WatchedLamp:
    """Remembers what it was told and whether the camera ran then; a `ports.Lamp`."""

    def __init__(self, camera: MemoryCamera) -> None:
        self._camera = camera
        self.lit = False
        self.changes: list[tuple[bool, bool]] = []
        """Lit, and whether the camera was running at that moment."""

    def shine(self, light: Light) -> None:
        self.lit = light.level > 0
        self.changes.append((self.lit, self._camera.running))

    async def run(self) -> NoReturn:
        raise AssertionError("its owner drives it")


class Eyes:
    """The eyes of a kiosk in memory. What they see is new each time, unless the test holds it still."""

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
        """What was put before the model on request."""
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
        """Open the eyes, over a connection."""
        self.flow.connect(self.wire, 1)
        self.flow.set_camera(SetCamera(open=True))
        await self.clock.advance(0)

    async def shut(self) -> None:
        self.flow.set_camera(SetCamera(open=False))
        await self.clock.advance(0)

    async def counted(self, what: str, count: int) -> None:
        """Wait for work in threads, until a count has got there."""
        async with asyncio.timeout(60):
            while self.flow.counts[what] < count:
                await self.clock.sleep(0)

    async def decided(self, shots: int) -> None:
        """Wait for work in threads, until so many pictures were taken and something became of each."""
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


# When


async def test_a_picture_is_sent_at_once_and_then_each_so_many_seconds() -> None:
    async with eyes() as kiosk:
        await kiosk.open()
        assert len(kiosk.wire.pictures) == 1
        await kiosk.clock.advance(3 * EVERY_S)
        assert kiosk.wire.pictures == [kiosk.camera.sees] * 4


async def test_the_camera_rests_while_the_eyes_are_shut_or_there_is_nobody_to_send_to() -> None:
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


async def test_eyes_that_open_and_shut_quickly_send_no_more_than_open_ones() -> None:
    async with eyes() as kiosk:
        for _ in range(7):
            await kiosk.open()
            await kiosk.clock.advance(EVERY_S / 4)
            await kiosk.shut()
        assert len(kiosk.wire.pictures) == 2


async def test_more_than_one_a_second_is_never_sent() -> None:
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


async def test_a_rollover_neither_restarts_the_camera_nor_blinks_its_lamp_nor_is_seen() -> None:
    async with eyes() as kiosk:
        await kiosk.open()
        kiosk.flow.disconnect()
        await kiosk.clock.advance(LINGER_S - 0.1)
        assert kiosk.camera.shots == 1, "nobody may see another"
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
        kiosk.flow.disconnect()  # said again, it is no new loss
        assert not kiosk.camera.running
        assert not kiosk.lamp.lit
        await kiosk.clock.advance(600)
        assert (kiosk.camera.starts, kiosk.camera.shots) == (1, 1)
        kiosk.flow.connect(kiosk.wire, 1)
        await kiosk.clock.advance(0)
        assert kiosk.camera.running


async def test_a_camera_without_a_connection_rests_as_soon_as_the_eyes_shut_or_the_conversation_ends() -> (
    None
):
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


# What is worth it


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


async def test_a_change_is_measured_from_what_was_sent_and_not_from_what_was_seen() -> None:
    async with eyes(min_change=0.1, refresh_s=1000) as kiosk:
        for step, level in enumerate(range(100, 160, 10)):
            kiosk.camera.sees = grey(level)
            if step == 0:
                await kiosk.open()
            else:
                await kiosk.clock.advance(EVERY_S)
            await kiosk.decided(step + 1)
        assert kiosk.wire.pictures == [grey(100), grey(130)]


async def test_a_new_connection_is_shown_what_the_old_one_has_seen() -> None:
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


async def test_a_picture_waits_until_what_was_sent_has_left() -> None:
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
        kiosk.wire.held_back = None  # 1.5 s for one picture, that only the other end knows of
        await kiosk.clock.advance(1.5 * SHARE - 2)
        assert len(kiosk.wire.pictures) == 1
        await kiosk.clock.advance(2)
        assert len(kiosk.wire.pictures) == 2


async def test_how_slow_a_line_was_is_no_matter_to_the_next_connection() -> None:
    async with eyes() as kiosk:
        kiosk.wire.held_back = 0
        await kiosk.open()
        await kiosk.clock.advance(20.0)  # that one picture keeps the eyes shut for minutes
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


async def test_the_next_visitor_is_seen_at_once_even_if_the_last_picture_is_on_its_way_as_the_last_one_leaves() -> (
    None
):
    async with eyes(every_s=60.0) as kiosk:
        kiosk.wire.held_back = 0
        await kiosk.open()
        await kiosk.clock.advance(20.0)
        kiosk.flow.forget(HangUp())
        await kiosk.shut()
        await kiosk.clock.advance(0.2)  # the connection takes its time to close
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


async def test_a_picture_that_waited_while_the_eyes_were_shut_is_dropped() -> None:
    async with eyes() as kiosk:
        kiosk.audio_waits = True
        await kiosk.open()
        await kiosk.shut()
        kiosk.audio_waits = False
        await kiosk.clock.advance(60)
        assert kiosk.wire.pictures == []
        assert kiosk.flow.counts == {"shot": 1, "late": 1}


async def test_what_one_visitor_was_seen_doing_is_not_sent_over_the_next_one_s_connection() -> None:
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


async def test_a_connection_that_is_lost_under_a_picture_holds_nobody_up() -> None:
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


async def test_a_lost_camera_is_said_once_and_comes_back_by_itself(caplog: pytest.LogCaptureFixture) -> None:
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
        assert kiosk.camera.running, "a loss after a success is tried again soon"
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


async def test_a_picture_on_request_is_taken_with_the_eyes_shut_and_the_camera_rests_again() -> None:
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


async def test_several_who_ask_at_once_share_a_picture() -> None:
    async with eyes() as kiosk:
        async with asyncio.timeout(60):
            shown = await asyncio.gather(kiosk.flow.fresh(5.0), kiosk.flow.fresh(5.0))
        assert list(shown) == [kiosk.camera.sees] * 2
        assert kiosk.camera.shots == 1


async def test_who_asks_a_camera_that_is_away_is_told_so_at_once_and_each_time_it_is_tried() -> None:
    async with eyes() as kiosk:
        kiosk.camera.unplug()
        for _ in range(3):
            with pytest.raises(DeviceLost, match="unplugged"):
                await soon(kiosk.flow.fresh(5.0))
        kiosk.camera.replug()
        assert await soon(kiosk.flow.fresh(5.0)) == kiosk.camera.sees


async def test_who_asks_a_camera_that_does_not_answer_waits_no_longer_than_he_said() -> None:
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


async def test_a_look_of_one_conversation_is_not_taken_in_the_next() -> None:
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


async def test_a_look_that_is_over_before_anybody_could_begin_with_it_starts_no_camera() -> None:
    async with gated() as (kiosk, camera):
        await kiosk.clock.advance(0)
        kiosk.flow.take_snapshot(TakeSnapshot())
        kiosk.flow.forget(HangUp())
        await kiosk.clock.advance(60)
        assert camera.starts == 0


async def test_what_is_being_shot_as_the_conversation_ends_is_seen_by_nobody() -> None:
    async with gated() as (kiosk, camera):
        camera.may_shoot.clear()
        kiosk.flow.take_snapshot(TakeSnapshot())
        await soon(camera.shooting.wait())
        kiosk.flow.forget(HangUp())
        kiosk.flow.take_snapshot(TakeSnapshot())  # the next visitor's
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


async def test_a_tool_that_looks_as_the_conversation_ends_gets_nothing() -> None:
    async with gated() as (kiosk, camera):
        camera.may_start.clear()
        asking = asyncio.create_task(kiosk.flow.fresh(5.0))
        await soon(camera.starting.wait())
        kiosk.flow.forget(HangUp())
        with pytest.raises(DeviceLost, match="conversation has ended"):
            await asking


async def test_a_look_is_shown_and_the_same_picture_only_once() -> None:
    async with eyes() as kiosk:
        for _ in range(30):
            kiosk.flow.take_snapshot(TakeSnapshot())
            assert await soon(kiosk.flow.snapshot_result()) == ""
        assert (len(kiosk.shown), kiosk.camera.shots) == (1, 1)
        await kiosk.clock.advance(REUSE_S + 1)
        kiosk.flow.take_snapshot(TakeSnapshot())
        assert await soon(kiosk.flow.snapshot_result()) == ""
        assert (len(kiosk.shown), kiosk.camera.shots) == (2, 2)


async def test_a_look_that_is_not_shown_says_why(caplog: pytest.LogCaptureFixture) -> None:
    async with eyes() as kiosk:
        kiosk.room = 0
        kiosk.flow.take_snapshot(TakeSnapshot())
        assert "too many" in await soon(kiosk.flow.snapshot_result())
        await kiosk.clock.advance(REUSE_S + 1)
        kiosk.camera.unplug()
        kiosk.flow.take_snapshot(TakeSnapshot())
        assert "unplugged" in await soon(kiosk.flow.snapshot_result())
    assert [message for message in caplog.messages if "too many" in message]


async def test_the_lamp_stays_lit_while_the_camera_does_not_stop() -> None:
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
    """Never gives the picture that it is asked for."""

    def __init__(self) -> None:
        super().__init__(b"")
        self.asked = asyncio.Event()

    async def shoot(self) -> bytes:
        self.asked.set()
        await asyncio.Event().wait()
        raise AssertionError("nobody wakes it")


# What it costs


class Nowhere(list[bytes]):
    """Keeps nothing of what is appended."""

    def append(self, _item: bytes) -> None:
        pass


async def see(kiosk: Eyes, views: Sequence[bytes], count: int) -> None:
    """Have so many pictures seen, each another one than that before, and wait for what becomes of each."""
    shots = kiosk.flow.counts["shot"]
    for number in range(count):
        kiosk.camera.sees = views[number % len(views)]
        await kiosk.clock.advance(EVERY_S)
        await kiosk.decided(shots + number + 1)


async def test_memory_is_flat_over_ten_thousand_pictures() -> None:
    process = psutil.Process()
    async with eyes(min_change=0.5, refresh_s=1.5 * EVERY_S) as kiosk:
        kiosk.wire.pictures = Nowhere()
        views = [encoded(noise(160, 120, seed), quality=30) for seed in range(3)]
        await kiosk.open()
        await see(kiosk, views, 1000)
        gc.collect()
        before = process.memory_info().rss
        await see(kiosk, views, 9000)
        gc.collect()
        grown = process.memory_info().rss - before
    assert kiosk.flow.counts["shot"] > 10_000
    assert min(kiosk.flow.counts["sent"], kiosk.flow.counts["alike"]) > 4000
    assert grown < 9000 * len(views[0]) / 10, "a tenth of what was seen"


async def test_a_picture_costs_the_loop_less_than_two_milliseconds() -> None:
    view = encoded(noise(768, 576), quality=30)
    sketch = picture.sketch(view)
    async with eyes() as kiosk:
        kiosk.wire.pictures = Nowhere()
        await kiosk.open()
        await see(kiosk, [view], 20)
        before = time.thread_time()
        await see(kiosk, [view], 200)
        for _ in range(200):  # what else is done in the loop, once a thread has decoded
            picture.difference(sketch, sketch)
        spent_s = time.thread_time() - before
    assert spent_s / 200 < 0.002
