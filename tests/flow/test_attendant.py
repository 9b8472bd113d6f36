"""A device that goes is missed once, taken up again when it comes, and given up in the end."""

import logging
from collections.abc import Callable

import pytest
from tests.support.kiosk import Inbox, running, soon

from kioskd.adapters.memory import ManualClock, MemoryMicrophone
from kioskd.core.events import Device, DeviceCame, DeviceGone
from kioskd.errors import DeviceLost
from kioskd.flow.attendant import GIVE_UP_S, RETRY_S, Attendant

GONE, CAME = DeviceGone(Device.MICROPHONE), DeviceCame(Device.MICROPHONE)
FRAME = bytes(640)


class Attended:
    """A microphone in memory and its attendant."""

    def __init__(self) -> None:
        self.clock, self.inbox, self.device = ManualClock(), Inbox(), MemoryMicrophone()
        self.attendant = Attendant("microphone", self.clock, self.inbox.post, device=Device.MICROPHONE)

    async def use(self) -> None:
        await self.attendant.use(lambda: self.device.capture(lambda _frame: self.attendant.works()))

    async def give_sign_of_life(self) -> None:
        self.device.say(FRAME)
        await self.clock.advance(0)


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


async def test_a_device_counts_as_there_at_its_first_sign_of_life(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    it = Attended()
    async with running(it.use()):
        await it.clock.advance(5.0)
        assert it.attendant.away
        assert it.inbox.events == []

        await it.give_sign_of_life()
        await it.give_sign_of_life()

        assert not it.attendant.away
        assert it.inbox.events == [CAME]
    assert messages(caplog) == ["microphone ready"]


async def test_a_loss_is_said_once_and_the_return_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    it = Attended()
    async with running(it.use()):
        await it.give_sign_of_life()
        it.device.unplug()
        await it.clock.advance(10 * RETRY_S)
        it.device.replug()
        await it.clock.advance(RETRY_S)
        await it.give_sign_of_life()
        await it.give_sign_of_life()

    assert it.inbox.events == [CAME, GONE, CAME]
    assert messages(caplog) == [
        "microphone ready",
        "microphone lost, retrying: microphone: unplugged; plug it in",
        "microphone back",
    ]


async def test_each_loss_is_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    it = Attended()
    async with running(it.use()):
        for _ in range(3):
            await it.give_sign_of_life()
            it.device.unplug()
            await it.clock.advance(RETRY_S)
            it.device.replug()
            await it.clock.advance(RETRY_S)

    assert it.inbox.events == 3 * [CAME, GONE]
    assert len(messages(caplog)) == 3


async def test_a_device_that_stays_away_is_given_up_after_half_a_minute() -> None:
    it = Attended()

    async def be_away() -> None:
        await it.give_sign_of_life()
        it.device.unplug()
        await it.clock.advance(GIVE_UP_S - RETRY_S)
        assert not gave_up
        await it.clock.advance(2 * RETRY_S)
        assert gave_up

    gave_up: list[DeviceLost] = []

    async def use() -> None:
        try:
            await it.use()
        except DeviceLost as error:
            gave_up.append(error)

    async with running(use()):
        await soon(be_away())
    assert str(gave_up[0]) == "microphone: unplugged; plug it in"


async def test_a_device_that_never_came_is_given_up_too() -> None:
    it = Attended()
    it.device.unplug()

    async with running(it.clock.advance(GIVE_UP_S + RETRY_S)):
        with pytest.raises(DeviceLost, match="unplugged"):
            await soon(it.use())


async def test_a_second_loss_has_half_a_minute_of_its_own() -> None:
    it = Attended()
    async with running(it.use()):
        for _ in range(3):
            await it.give_sign_of_life()
            it.device.unplug()
            await it.clock.advance(GIVE_UP_S - 2 * RETRY_S)
            it.device.replug()
            await it.clock.advance(RETRY_S)
        await it.give_sign_of_life()
        assert not it.attendant.away


@pytest.mark.parametrize(
    "opening_s", [1.0, 10.0]
)  # silent for a second, or an opening that hangs: see portaudio.py
async def test_a_device_that_gives_nothing_is_given_up_however_long_each_try_takes(opening_s: float) -> None:
    clock, inbox = ManualClock(), Inbox()
    attendant = Attendant("microphone", clock, inbox.post, device=Device.MICROPHONE)

    async def open_in_vain() -> None:
        await clock.sleep(opening_s)
        raise DeviceLost("microphone: gives nothing")

    async with running(clock.advance(3 * GIVE_UP_S)):
        with pytest.raises(DeviceLost, match="gives nothing"):
            await soon(attendant.use(open_in_vain))


async def test_a_quiet_device_that_is_lost_after_an_hour_is_tried_again() -> None:
    """A button that nobody has pressed yet gives no sign of life, and is there all the same."""
    clock, inbox = ManualClock(), Inbox()
    attendant = Attendant("button", clock, inbox.post)
    uses: list[float] = []

    async def use_for_an_hour() -> None:
        uses.append(clock.now())
        await clock.sleep(3600.0)
        raise DeviceLost("button: unplugged")

    async with running(attendant.use(use_for_an_hour)):
        await clock.advance(3600.0 + RETRY_S)
        assert len(uses) == 2


async def test_what_is_no_loss_passes() -> None:
    async def divide() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await soon(Attendant("x", ManualClock(), Inbox().post).use(divide))


def test_without_a_device_of_the_core_nothing_is_posted() -> None:
    posted: list[object] = []
    post: Callable[[object], None] = posted.append
    attendant = Attendant("lamp", ManualClock(), post)

    attendant.works()

    assert posted == []
