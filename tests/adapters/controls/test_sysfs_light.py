"""The kernel's LEDs and its pulse width modulation."""

import asyncio
import errno
from pathlib import Path

import pytest
from tests.support.kiosk import running, soon
from tests.support.sysfs_lights import PwmChip, make_led

from kioskd.adapters.controls.sysfs_light import LEDS, PERIOD_NS, PWM, LedLamp, PwmLamp, write_attribute
from kioskd.errors import DeviceLost
from kioskd.ports import Light

FULL = Light("listening", 0.0, 1.0, 0.0)
HALF = Light("listening", 0.5, 0.0, 0.25)


class Writes:
    """Recorder of all writes, in order."""

    def __init__(self, fails: str = "", error: int = errno.ENODEV) -> None:
        self.seen: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self.fails = fails
        self._error = error

    def __call__(self, path: Path, text: str) -> None:
        if path.name == self.fails:
            raise OSError(self._error, "refused", str(path))
        write_attribute(path, text)
        self.seen.put_nowait((path.name, text))

    async def next(self) -> tuple[str, str]:
        return await soon(self.seen.get())


# Kernel LEDs.


async def test_an_led_uses_its_own_scale_of_brightness(tmp_path: Path) -> None:
    make_led(tmp_path, "front", full=31, trigger="[none] mmc0")
    writes = Writes()
    lamp = LedLamp("front", root=tmp_path, write=writes)
    async with running(lamp.run()):
        assert await writes.next() == ("brightness", "0")
        for light, brightness in ((FULL, "31"), (HALF, "16"), (Light("muted", 0.001, 0, 0), "1")):
            lamp.shine(light)
            assert await writes.next() == ("brightness", brightness)


async def test_the_kernels_trigger_is_restored(tmp_path: Path) -> None:
    led = make_led(tmp_path, "ACT", trigger="none rc-feedback [mmc0] heartbeat")
    writes = Writes()
    async with running(LedLamp("ACT", root=tmp_path, write=writes).run()):
        assert [await writes.next() for _ in range(2)] == [("trigger", "none"), ("brightness", "0")]
    assert [await writes.next() for _ in range(2)] == [("brightness", "0"), ("trigger", "mmc0")]
    assert (led / "trigger").read_text() == "mmc0"


async def test_an_led_without_triggers_is_written_only(tmp_path: Path) -> None:
    (make_led(tmp_path, "plain") / "trigger").unlink()
    writes = Writes()
    async with running(LedLamp("plain", root=tmp_path, write=writes).run()):
        assert await writes.next() == ("brightness", "0")
    assert [writes.seen.get_nowait() for _ in range(writes.seen.qsize())] == [("brightness", "0")]


async def test_a_missing_led_is_reported_with_the_leds_that_are_here(tmp_path: Path) -> None:
    make_led(tmp_path, "ACT")
    make_led(tmp_path, "PWR")
    with pytest.raises(
        DeviceLost, match=r"^led:front: this machine has no LED of this name \(here: ACT, PWR\); "
    ):
        await LedLamp("front", root=tmp_path).run()
    with pytest.raises(
        DeviceLost, match=r"^led:front: this machine has no LED of this name \(here: none\); "
    ):
        await LedLamp("front", root=tmp_path / "nothing").run()


@pytest.mark.parametrize(
    ("error", "says", "listed"),
    [
        (errno.ENODEV, "the lamp is gone", False),
        (errno.EACCES, "no permission to write .*brightness; give it", True),
        (errno.EROFS, ".*brightness is read-only for kioskd; add ReadWritePaths=", True),
        (errno.EIO, "refused", True),
    ],
)
async def test_an_led_that_is_lost_or_refused_is_a_lost_device(
    tmp_path: Path, error: int, says: str, listed: bool
) -> None:
    make_led(tmp_path, "ACT")
    writes = Writes("brightness", error)
    with pytest.raises(DeviceLost, match=f"^led:ACT: .*{says}") as caught:
        await soon(LedLamp("ACT", root=tmp_path, write=writes).run())
    assert caught.value.listed is listed


async def test_an_led_that_is_lost_at_the_end_delays_nothing(tmp_path: Path) -> None:
    make_led(tmp_path, "ACT")
    writes = Writes()
    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        run = tasks.create_task(LedLamp("ACT", root=tmp_path, write=writes).run())
        await writes.next()
        await writes.next()
        writes.fails = "brightness"
        run.cancel()
    assert run.cancelled()


# Pulse width modulation.


@pytest.fixture
def chip(tmp_path: Path) -> PwmChip:
    return PwmChip(tmp_path / "pwm")


async def test_a_channel_is_exported_lit_and_released(chip: PwmChip) -> None:
    lamp = PwmLamp("pwmchip0", 1, root=chip.path.parent, write=chip.write)
    lamp.shine(HALF)
    async with running(lamp.run()):
        await asyncio.sleep(0)
        assert chip.written == [
            ("export", "1"),
            ("period", str(PERIOD_NS)),
            ("enable", "1"),
            ("duty_cycle", str(PERIOD_NS // 2)),
        ]
        chip.written.clear()
        lamp.shine(FULL)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert chip.written == [("duty_cycle", str(PERIOD_NS))]
        chip.written.clear()
    assert chip.written == [("duty_cycle", "0"), ("enable", "0"), ("unexport", "1")]
    assert not chip.channel(1).exists()


async def test_a_channel_that_another_program_exported_stays_exported(chip: PwmChip) -> None:
    chip.export(0)
    for name, text in (("period", "5000000"), ("duty_cycle", "4000000"), ("enable", "1")):
        (chip.channel(0) / name).write_text(text)
    lamp = PwmLamp("pwmchip0", 0, period_ns=20_000, root=chip.path.parent, write=chip.write)
    async with running(lamp.run()):
        await asyncio.sleep(0)
        assert chip.written[:2] == [("duty_cycle", "0"), ("period", "20000")]
    assert chip.written[-2:] == [("duty_cycle", "0"), ("enable", "0")]
    assert chip.channel(0).is_dir()


async def test_a_chip_has_a_name_that_does_not_depend_on_its_number(tmp_path: Path) -> None:
    PwmChip(tmp_path / "pwm", "pwmchip0", "1f00098000.pwm")
    second = PwmChip(tmp_path / "pwm", "pwmchip3", "1f0009c000.pwm")
    lamp = PwmLamp("1f0009c000.pwm", 0, root=tmp_path / "pwm", write=second.write)
    lamp.shine(FULL)
    async with running(lamp.run()):
        await asyncio.sleep(0)
        assert second.lit(0)


async def test_a_channel_is_retried_when_udev_has_set_the_permissions(chip: PwmChip) -> None:
    lamp = PwmLamp("pwmchip0", 0, root=chip.path.parent, write=chip.write)
    lamp.shine(FULL)
    chip.refusal = "period", PermissionError(errno.EACCES, "denied", str(chip.channel(0) / "period"))
    with pytest.raises(
        DeviceLost, match=r"^pwm:pwmchip0/0: kioskd has no permission to write .*pwm0/period; give it"
    ):
        await lamp.run()
    chip.refusal = None
    async with running(lamp.run()):
        await asyncio.sleep(0)
        assert chip.lit(0)
    assert not chip.channel(0).exists()


async def test_a_missing_chip_or_channel_is_reported(chip: PwmChip) -> None:
    with pytest.raises(
        DeviceLost, match=r"^pwm:pwmchip7/0: .* no PWM chip of this name \(here: pwmchip0\); "
    ):
        await PwmLamp("pwmchip7", 0, root=chip.path.parent, write=chip.write).run()
    with pytest.raises(DeviceLost, match=r"^pwm:pwmchip0/9: the lamp is gone \(.*No such device"):
        await PwmLamp("pwmchip0", 9, root=chip.path.parent, write=chip.write).run()


async def test_a_channel_in_use_is_reported(chip: PwmChip) -> None:
    chip.refusal = "export", OSError(errno.EBUSY, "Device or resource busy")
    with pytest.raises(DeviceLost, match=r"^pwm:pwmchip0/0: another program is using it"):
        await PwmLamp("pwmchip0", 0, root=chip.path.parent, write=chip.write).run()


async def test_a_channel_that_is_lost_at_the_end_delays_nothing(chip: PwmChip) -> None:
    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        run = tasks.create_task(PwmLamp("pwmchip0", 0, root=chip.path.parent, write=chip.write).run())
        await asyncio.sleep(0)
        chip.refusal = "duty_cycle", OSError(errno.ENODEV, "No such device")
        run.cancel()
    assert run.cancelled()


def test_the_default_folders_are_the_kernels() -> None:
    assert (str(LEDS), str(PWM)) == ("/sys/class/leds", "/sys/class/pwm")
