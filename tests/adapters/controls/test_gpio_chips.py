"""The choice of a GPIO chip, and the reasons why a line cannot be used."""

import errno
import math
import sys
from typing import Any

import pytest
from gpiod import LineSettings
from tests.support.gpio_sim import LINES, NO_SIM, sim_chip, sim_is_possible

from kioskd.adapters.controls.gpio_chips import (
    REFUSALS,
    Chip,
    chip_path,
    chips,
    gone,
    open_lines,
    pick,
    refused,
    require_gpiod,
)
from kioskd.errors import ConfigError, DeviceLost

PI_3 = [
    Chip("/dev/gpiochip0", "gpiochip0", "pinctrl-bcm2835", 54),
    Chip("/dev/gpiochip1", "gpiochip1", "brcmvirt-gpio", 2),
    Chip("/dev/gpiochip2", "gpiochip2", "raspberrypi-exp-gpio", 8),
]
PI_4 = [
    Chip("/dev/gpiochip0", "gpiochip0", "pinctrl-bcm2711", 58),
    Chip("/dev/gpiochip1", "gpiochip1", "raspberrypi-exp-gpio", 8),
]
PI_5 = [
    Chip("/dev/gpiochip10", "gpiochip10", "gpio-brcmstb@107d508500", 32),
    Chip("/dev/gpiochip11", "gpiochip11", "gpio-brcmstb@107d517c00", 32),
    Chip("/dev/gpiochip4", "gpiochip4", "pinctrl-rp1", 54),
]
LAPTOP = [Chip("/dev/gpiochip0", "gpiochip0", "INT34C5:00", 360)]
CLOSED = [Chip("/dev/gpiochip0", "gpiochip0", None, None)]


@pytest.mark.parametrize(
    ("here", "path"),
    [(PI_3, "/dev/gpiochip0"), (PI_4, "/dev/gpiochip0"), (PI_5, "/dev/gpiochip4")],
    ids=["3", "4", "5"],
)
def test_pi_is_the_headers_chip_on_every_raspberry_pi(here: list[Chip], path: str) -> None:
    assert chip_path("pi", lambda: here) == path


def test_a_label_names_a_chip_too() -> None:
    assert chip_path("raspberrypi-exp-gpio", lambda: PI_3) == "/dev/gpiochip2"
    assert chip_path("pinctrl-rp1", lambda: PI_5) == "/dev/gpiochip4"


def test_of_two_chips_with_one_label_the_first_is_used() -> None:
    twins = [Chip(f"/dev/gpiochip{number}", f"gpiochip{number}", "mcp23017", 16) for number in (5, 6)]
    assert pick("mcp23017", twins) == twins[0]


def test_a_missing_chip_is_reported_with_the_chips_that_are_here() -> None:
    with pytest.raises(DeviceLost) as caught:
        chip_path("pinctrl-rp1", lambda: PI_4)
    assert str(caught.value) == (
        "gpio:pinctrl-rp1: no GPIO chip has this name "
        "(chips here: gpiochip0 (pinctrl-bcm2711), gpiochip1 (raspberrypi-exp-gpio)); "
        "plug it in, or name another one (`kioskd devices` lists them), "
        "or remove the button or lamp from the configuration"
    )


def test_a_board_without_a_known_header_is_reported() -> None:
    with pytest.raises(
        DeviceLost, match=r"^gpio:pi: kioskd does not know this board's pin header \(chips here: gpiochip0"
    ):
        chip_path("pi", lambda: LAPTOP)


def test_a_machine_without_chips_is_reported() -> None:
    with pytest.raises(DeviceLost, match=r"\(chips here: none\)"):
        chip_path("/dev/gpiochip-none", list)


def test_a_chip_without_permission_is_listed_as_that() -> None:
    with pytest.raises(DeviceLost, match=r"\(chips here: gpiochip0 \(no permission\)\)"):
        chip_path("pi", lambda: CLOSED)


def test_opening_lines_of_a_missing_chip_is_a_lost_device() -> None:
    with pytest.raises(DeviceLost, match=r"^gpio:pinctrl-none: no GPIO chip has this name"):
        open_lines("pinctrl-none", [17], LineSettings())


@pytest.mark.parametrize(
    ("err", "says"),
    [
        (OSError(errno.EBUSY, "busy"), "another program is using it"),
        (PermissionError(errno.EACCES, "denied"), "kioskd has no permission; add the user"),
        (PermissionError(errno.EPERM, "denied"), "kioskd has no permission; add the user"),
        (
            OSError(errno.EIO, "Input/output error"),
            "Input/output error; see the chips' lines with `kioskd devices`",
        ),
        (
            ValueError("line offset of out range"),
            "line offset of out range; see the chips' lines with `kioskd devices`",
        ),
    ],
)
def test_a_refused_line_is_reported_with_the_reason_and_the_remedy(err: Exception, says: str) -> None:
    assert isinstance(err, REFUSALS)
    lost = refused("gpio:pi/17", err)
    assert str(lost).startswith(f"gpio:pi/17: {says}")
    assert (lost.listed, lost.device) == (True, "gpio:pi/17")


def test_a_lost_line_is_not_listed_any_more() -> None:
    lost = gone("gpio:pi/17", OSError(errno.ENODEV, "No such device"))
    assert str(lost) == "gpio:pi/17: its GPIO chip is gone ([Errno 19] No such device); connect it again"
    assert not lost.listed


@pytest.mark.parametrize("missing", ["gpiod", "one of an old major version"])
def test_a_missing_library_is_a_configuration_error(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # None in sys.modules means "cannot be imported". Any other module lacks LineSettings, as gpiod 1 did.
    library: Any = None if missing == "gpiod" else math
    monkeypatch.setitem(sys.modules, "gpiod", library)
    with pytest.raises(ConfigError, match=r"^gpio:gpiochip0/17: the Python package gpiod 2 cannot"):
        require_gpiod("gpio:gpiochip0/17")


@pytest.mark.hardware
def test_a_chip_is_found_by_its_name_its_path_and_its_label() -> None:
    if not sim_is_possible():
        pytest.skip(NO_SIM)
    with sim_chip() as chip:
        assert Chip(f"/dev/{chip.name}", chip.name, chip.label, LINES) in chips()
        for name in (chip.name, f"/dev/{chip.name}", chip.label):
            assert chip_path(name) == f"/dev/{chip.name}"
            open_lines(name, [0, 1], LineSettings()).release()


@pytest.mark.hardware
def test_a_line_that_is_in_use_or_missing_is_refused() -> None:
    if not sim_is_possible():
        pytest.skip(NO_SIM)
    with sim_chip() as chip:
        taken = open_lines(chip.label, [0], LineSettings())
        with pytest.raises(REFUSALS) as busy:
            open_lines(chip.label, [0], LineSettings())
        assert "another program is using it" in str(refused("gpio:sim/0", busy.value))
        taken.release()
        with pytest.raises(REFUSALS):
            open_lines(chip.label, [LINES], LineSettings())
