"""The supervisor: a lost device is reported once, and used again whenever it comes back."""

import logging
from collections.abc import Callable

import pytest
from tests.support.fakes_devices import ManualClock, MemoryMicrophone
from tests.support.kiosk import Inbox, running, soon

from kioskd.core.events import Device, DeviceCame, DeviceGone
from kioskd.errors import DeviceLost, DeviceStuck
from kioskd.flow.runtime.device_supervisor import (
    AGAIN_S,
    FIRST_RETRY_S,
    GIVE_UP_S,
    HELD_S,
    RETRY_S,
    STEADY_S,
    DeviceSupervisor,
)

GONE, CAME = DeviceGone(Device.MICROPHONE), DeviceCame(Device.MICROPHONE)
LONG_S = 6 * 3600.0
FRAME = bytes(640)


class Attended:
    """A fake microphone and its supervisor."""

    def __init__(self) -> None:
        self.clock, self.inbox, self.device = ManualClock(), Inbox(), MemoryMicrophone()
        self.supervisor = DeviceSupervisor(
            "microphone", self.clock, self.inbox.post, device=Device.MICROPHONE
        )

    async def use(self) -> None:
        await self.supervisor.use(lambda: self.device.capture(lambda _frame: self.supervisor.note_alive()))

    async def give_sign_of_life(self) -> None:
        self.device.say(FRAME)
        await self.clock.advance(0)


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


async def test_a_device_counts_as_present_after_its_first_sign_of_life(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    it = Attended()
    async with running(it.use()):
        await it.clock.advance(5.0)
        assert it.supervisor.away
        assert not it.supervisor.missing, "it was not reported as missing yet"
        assert it.inbox.events == []

        await it.give_sign_of_life()
        await it.give_sign_of_life()

        assert not it.supervisor.away
        assert it.inbox.events == [CAME]
    assert messages(caplog) == ["microphone ready"]


async def test_a_loss_and_a_return_are_each_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    it = Attended()
    async with running(it.use()):
        await it.give_sign_of_life()
        it.device.unplug()
        await it.clock.advance(10 * RETRY_S)
        assert it.supervisor.away
        assert it.supervisor.missing
        it.device.replug()
        await it.clock.advance(RETRY_S)
        assert it.supervisor.missing, "it is missing until its first sign of life"
        await it.give_sign_of_life()
        await it.give_sign_of_life()
        assert not it.supervisor.missing

    assert it.inbox.events == [CAME, GONE, CAME]
    assert messages(caplog) == [
        "microphone ready",
        "microphone lost, retrying: microphone: unplugged; plug it in",
        "microphone back",
    ]


async def test_each_loss_is_reported(caplog: pytest.LogCaptureFixture) -> None:
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


async def test_a_missing_device_is_reported_once_and_retried_without_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    it = Attended()
    it.device.unplug()
    async with running(it.use()):
        await it.clock.advance(LONG_S)
        it.device.replug()
        await it.clock.advance(RETRY_S)
        await it.give_sign_of_life()

    assert it.inbox.events == [GONE, CAME]
    assert messages(caplog) == [
        "microphone lost, retrying: microphone: unplugged; plug it in",
        "microphone back",
    ]


class Tried:
    """A device that always fails in the way that a test sets, with the times of its tries."""

    def __init__(self, *, error: DeviceLost | None = None, needed: bool = True, takes_s: float = 0.0) -> None:
        self.clock, self.inbox = ManualClock(now=0.0), Inbox()
        self.error = error or DeviceLost("microphone: not there", device="usb")
        self.takes_s = takes_s
        self.works_for_s: float | None = None
        self.at: list[float] = []
        self.supervisor = DeviceSupervisor(
            "microphone", self.clock, self.inbox.post, device=Device.MICROPHONE, needed=needed
        )

    async def use(self) -> None:
        await self.supervisor.use(self._once)

    async def _once(self) -> None:
        self.at.append(self.clock.now())
        if self.works_for_s is not None:
            self.supervisor.note_alive()
            await self.clock.sleep(self.works_for_s)
        await self.clock.sleep(self.takes_s)
        raise self.error


async def test_the_delays_between_tries_grow_up_to_a_bound() -> None:
    it = Tried()
    async with running(it.use()):
        await it.clock.advance(10.0)
    assert it.at == [0.0, 1.0, 3.0, 5.0, 7.0, 9.0]


async def test_a_device_that_worked_is_tried_again_at_once() -> None:
    it = Tried()
    it.works_for_s = 60.0
    async with running(it.use()):
        await it.clock.advance(59.0)
        it.works_for_s = None  # from the next try on
        await it.clock.advance(5.5)
    assert it.at == [0.0, 60.0, 60.0 + FIRST_RETRY_S, 60.0 + FIRST_RETRY_S + RETRY_S]


async def test_a_device_that_is_lost_as_soon_as_it_comes_is_tried_with_delays() -> None:
    it = Tried()
    it.works_for_s = STEADY_S / 10
    async with running(it.use()):
        await it.clock.advance(60.0)
    assert len(it.at) < 60.0 / RETRY_S


GIVEN_UP = DeviceLost("microphone: given up for a moment", device="usb", again=True)


async def test_a_requested_try_comes_soon_and_leaves_later_delays_unchanged() -> None:
    it = Tried()
    async with running(it.use()):
        await it.clock.advance(4.5)
        it.error = GIVEN_UP
        await it.clock.advance(0.5)
        it.error = DeviceLost("microphone: not there")
        await it.clock.advance(4.5)
    assert it.at == [0.0, 1.0, 3.0, 5.0, 5.0 + AGAIN_S, 5.0 + AGAIN_S + RETRY_S, 5.0 + AGAIN_S + 2 * RETRY_S]


@pytest.mark.parametrize("worked_s", [STEADY_S / 10, STEADY_S, 60.0])
async def test_a_device_that_reopens_at_once_is_not_reported_as_lost(
    worked_s: float, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    it = Tried(error=GIVEN_UP)
    it.works_for_s = worked_s
    async with running(it.use()):
        await it.clock.advance(worked_s)
        assert not it.supervisor.missing
        it.works_for_s = 60.0
        await it.clock.advance(AGAIN_S)
        assert len(it.at) == 2
        assert not it.supervisor.away
    assert it.inbox.events == [CAME]
    assert messages(caplog) == [
        "microphone ready",
        "microphone reopening: microphone: given up for a moment",
    ]


async def test_repeated_requests_to_try_again_still_have_a_delay() -> None:
    it = Tried(error=GIVEN_UP)
    it.works_for_s = 60.0
    async with running(it.use()):
        await it.clock.advance(59.0)
        it.works_for_s = None
        await it.clock.advance(1.0 + 3.5 * AGAIN_S)
        assert it.at == pytest.approx([0.0, 60.0, 60.0 + AGAIN_S, 60.0 + 2 * AGAIN_S, 60.0 + 3 * AGAIN_S])


async def test_a_device_that_does_not_reopen_is_lost() -> None:
    it = Tried(error=GIVEN_UP)
    it.works_for_s = 60.0
    async with running(it.use()):
        await it.clock.advance(59.0)
        it.works_for_s = None
        await it.clock.advance(1.0)
        it.error = DeviceLost("microphone: not there", device="usb")
        await it.clock.advance(AGAIN_S)
        assert it.supervisor.missing
        it.works_for_s = 60.0
        await it.clock.advance(RETRY_S)
    assert it.inbox.events == [CAME, DeviceGone(Device.MICROPHONE, "usb"), CAME]


async def test_the_report_of_a_loss_names_the_device() -> None:
    it = Tried()
    async with running(it.use()):
        await it.clock.advance(10.0)
    assert it.inbox.events == [DeviceGone(Device.MICROPHONE, "usb")]


LISTED = DeviceLost("microphone: cannot be opened", listed=True, device="usb")


# It fails at once, is silent for a second, or hangs for the longest time: see portaudio_thread.py.
@pytest.mark.parametrize("takes_s", [0.0, 1.0, 13.0])
async def test_a_listed_device_that_fails_for_five_minutes_is_tried_in_a_new_process(
    takes_s: float,
) -> None:
    it = Tried(error=LISTED, takes_s=takes_s)
    async with running(it.clock.advance(GIVE_UP_S + 30.0)):
        with pytest.raises(DeviceStuck, match=r"has not worked for 300 s; .*cannot be opened") as stuck:
            await soon(it.use())
    assert stuck.value.device == "usb"
    assert GIVE_UP_S <= it.clock.now() <= GIVE_UP_S + 2 * takes_s + RETRY_S


async def test_a_device_that_is_not_needed_never_ends_the_process() -> None:
    it = Tried(error=LISTED, needed=False)
    async with running(it.use()):
        await it.clock.advance(LONG_S)
    assert it.at[-1] > LONG_S - 2 * RETRY_S


async def test_the_five_minutes_begin_again_if_the_device_is_unplugged() -> None:
    it = Tried(error=LISTED)
    async with running(it.use()):
        await it.clock.advance(GIVE_UP_S - RETRY_S)
        it.error = DeviceLost("microphone: unplugged")
        await it.clock.advance(RETRY_S)
        it.error = LISTED
        await it.clock.advance(GIVE_UP_S - RETRY_S)
        assert it.clock.now() - it.at[-1] <= RETRY_S


async def test_the_five_minutes_begin_again_if_the_device_works() -> None:
    it = Tried(error=LISTED)
    async with running(it.use()):
        for _ in range(3):
            await it.clock.advance(GIVE_UP_S - RETRY_S)
            it.works_for_s = 0.1
            await it.clock.advance(RETRY_S)
            it.works_for_s = None
        assert it.clock.now() - it.at[-1] <= RETRY_S


@pytest.mark.parametrize("needed", [True, False])
async def test_a_device_that_is_stuck_ends_the_process_at_once(needed: bool) -> None:
    it = Tried(error=DeviceStuck("microphone: does not close"), needed=needed)
    with pytest.raises(DeviceStuck, match="does not close"):
        await soon(it.use())


async def test_a_device_that_hangs_in_each_try_does_not_count_as_present() -> None:
    it = Tried(takes_s=13.0)
    assert it.takes_s < HELD_S
    async with running(it.use()):
        await it.clock.advance(600.0)
    assert it.inbox.events == [DeviceGone(Device.MICROPHONE, "usb")]


async def test_a_quiet_device_that_is_lost_after_an_hour_is_tried_again() -> None:
    """A button that was not pressed yet gives no sign of life, but counts as present."""
    clock, inbox = ManualClock(), Inbox()
    supervisor = DeviceSupervisor("button", clock, inbox.post)
    uses: list[float] = []

    async def use_for_an_hour() -> None:
        uses.append(clock.now())
        await clock.sleep(3600.0)
        raise DeviceLost("button: unplugged")

    async with running(supervisor.use(use_for_an_hour)):
        await clock.advance(3600.0 + RETRY_S)
        assert len(uses) == 2


async def test_an_error_that_is_not_a_loss_is_raised() -> None:
    async def divide() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await soon(DeviceSupervisor("x", ManualClock(), Inbox().post).use(divide))


def test_a_device_that_the_core_does_not_know_posts_no_event() -> None:
    posted: list[object] = []
    post: Callable[[object], None] = posted.append
    supervisor = DeviceSupervisor("lamp", ManualClock(), post)

    supervisor.note_alive()

    assert posted == []
