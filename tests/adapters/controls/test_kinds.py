"""The tables of button and lamp sources: each text has one kind, which declares what it needs."""

from typing import Any

import pytest

from kioskd.adapters.controls.command_lamp import CommandLamp
from kioskd.adapters.controls.evdev import EvdevButton
from kioskd.adapters.controls.gpio_button import GpioButton
from kioskd.adapters.controls.gpio_lamp import GpioLamp
from kioskd.adapters.controls.gpio_source import GpioSource
from kioskd.adapters.controls.kinds import (
    BUTTONS,
    LAMPS,
    CommandSource,
    button_source,
    lamp_source,
    listings,
)
from kioskd.adapters.controls.sysfs_light import LedLamp, PwmLamp
from kioskd.settings.buttons_lamps import ButtonSettings, LampSettings


@pytest.mark.parametrize(
    ("text", "prefix", "parts"),
    [
        ("gpio:gpiochip0/17", "gpio", ("gpiochip0", "17")),
        ("rgb:pi/5,6,13", "rgb", ("pi", "5", "6", "13")),
        ("pwm:pwmchip0/1", "pwm", ("pwmchip0", "1")),
        ("led:input3::capslock", "led", ("input3::capslock",)),
    ],
)
def test_a_lamps_source_has_a_kind_a_name_and_numbers(text: str, prefix: str, parts: tuple[str, ...]) -> None:
    source = lamp_source(text)
    assert (source.prefix, source.parts, source.text) == (prefix, parts, text)


def test_a_line_number_has_no_leading_zeros() -> None:
    source = button_source("gpio:gpiochip0/17")
    assert isinstance(source, GpioSource)
    assert (source.chip, source.lines) == ("gpiochip0", (17,))
    with pytest.raises(ValueError, match="gpio:gpiochip0/017"):
        lamp_source("gpio:gpiochip0/017")
    with pytest.raises(ValueError, match="gpio:gpiochip0/017"):
        button_source("gpio:gpiochip0/017")


@pytest.mark.parametrize(
    ("source", "device", "key"),
    [
        ("evdev:Pedal/KEY_SPACE", "Pedal", "KEY_SPACE"),
        ("evdev:A/B Switch/BTN_0", "A/B Switch", "BTN_0"),
    ],
)
def test_a_key_is_the_last_part_of_an_input_device(source: str, device: str, key: str) -> None:
    assert button_source(source).parts == (device, key)


@pytest.mark.parametrize("source", ["evdev:Pedal", "evdev:Pedal/space", "led:ACT", "evdev:/KEY_A", "gpio"])
def test_a_text_that_names_no_button_is_rejected(source: str) -> None:
    with pytest.raises(ValueError, match=source):
        button_source(source)


def test_a_line_has_the_same_name_in_all_kinds() -> None:
    assert lamp_source("rgb:pi/5,6,13").wires == ("gpio:pi/5", "gpio:pi/6", "gpio:pi/13")
    assert button_source("gpio:pi/6").wires == lamp_source("gpio:pi/6").wires == ("gpio:pi/6",)
    assert lamp_source("pwm:chip/0").wires == ("pwm:chip/0",)


@pytest.mark.parametrize(
    ("settings", "made"),
    [
        (LampSettings(source="gpio:pi/5"), GpioLamp),
        (LampSettings(source="rgb:pi/5,6,13", active="low"), GpioLamp),
        (LampSettings(source="pwm:pwmchip0/1"), PwmLamp),
        (LampSettings(source="led:ACT"), LedLamp),
        (LampSettings(command=("show",)), CommandLamp),
    ],
)
def test_each_kind_builds_its_lamp(settings: LampSettings, made: type[object]) -> None:
    assert isinstance(settings.parsed.build(settings), made)


def test_each_kind_builds_its_button_and_the_keys_of_one_kiosk_share_their_devices() -> None:
    line = ButtonSettings(source="gpio:pi/17", active="high")
    keys = [ButtonSettings(source="evdev:Pedal/KEY_A"), ButtonSettings(source="evdev:Pedal/KEY_B")]
    shared: dict[str, Any] = {}
    assert isinstance(line.parsed.build(line, shared), GpioButton)
    assert shared == {}
    buttons = [key.parsed.build(key, shared) for key in keys]
    assert all(isinstance(button, EvdevButton) for button in buttons)
    assert list(shared) == ["evdev"]
    devices = shared["evdev"]
    keys[0].parsed.build(keys[0], shared)
    assert shared["evdev"] is devices


def test_each_kind_declares_its_needs() -> None:
    kinds = {**LAMPS, **BUTTONS}
    assert {prefix: kind.access.group for prefix, kind in kinds.items() if kind.access is not None} == {
        "gpio": "gpio",
        "rgb": "gpio",
        "evdev": "input",
    }
    assert {prefix: kind.library.module for prefix, kind in kinds.items() if kind.library is not None} == {
        "gpio": "gpiod",
        "rgb": "gpiod",
        "evdev": "evdev",
    }
    assert lamp_source("led:ACT").attributes == ("/sys/class/leds/ACT/brightness",)
    assert [prefix for prefix, kind in LAMPS.items() if kind.is_line] == ["gpio", "rgb"]
    assert [prefix for prefix, kind in LAMPS.items() if kind.dims] == ["pwm", "led"]


def test_each_list_of_devices_is_printed_once() -> None:
    assert sorted(listing.key for listing in listings()) == [
        *("gpio_chips", "input_devices", "leds", "pwm_chips"),
    ]


def test_a_command_conflicts_with_no_other_lamp() -> None:
    assert CommandSource(("show",)).wires == ()
