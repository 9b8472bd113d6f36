"""Values that several settings have in common: places of devices, and how a value is shown."""

import pytest

from kioskd.yamlconf.value_types import input_key, place, shown


def test_a_place_is_kind_name_and_numbers() -> None:
    assert place("gpio:gpiochip0/17") == ("gpio", "gpiochip0", (17,))
    assert place("rgb:pi/5,6,13") == ("rgb", "pi", (5, 6, 13))
    assert place("pwm:pwmchip0/1") == ("pwm", "pwmchip0", (1,))
    assert place("led:input3::capslock") == ("led", "input3::capslock", ())
    with pytest.raises(ValueError, match="gpio:gpiochip0/017"):
        place("gpio:gpiochip0/017")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "nothing"),
        (True, "true"),
        (20.0, "20"),
        (7, "7"),
        ("gpio:gpiochip0/1", "gpio:gpiochip0/1"),
        ("20", "'20'"),
        ("a\nb", r"'a\nb'"),
        ("x" * 41, "a text of 41 characters"),
        ((), "[]"),
        ((1,), "a list"),
        ({"a": 1}, "a group of settings"),
    ],
)
def test_a_value_is_shown_short_and_on_one_line(value: object, text: str) -> None:
    assert shown(value) == text


@pytest.mark.parametrize(
    ("source", "device", "key"),
    [
        ("evdev:Pedal/KEY_SPACE", "Pedal", "KEY_SPACE"),
        ("evdev:A/B Switch/BTN_0", "A/B Switch", "BTN_0"),
    ],
)
def test_a_key_is_the_last_part_of_an_input_device(source: str, device: str, key: str) -> None:
    assert input_key(source) == (device, key)


@pytest.mark.parametrize("source", ["evdev:Pedal", "evdev:Pedal/space", "gpio:pi/1", "evdev:/KEY_A"])
def test_sources_without_a_key_name_are_refused(source: str) -> None:
    with pytest.raises(ValueError, match=source):
        input_key(source)
