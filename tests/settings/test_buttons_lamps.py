"""Settings of buttons and lamps, accepted or rejected."""

from typing import Any

import pytest
from tests.support.settings import refusal, taken

from kioskd.adapters.controls.kinds import LedLampSource
from kioskd.settings.buttons_lamps import LampSettings
from kioskd.settings.model import Settings


@pytest.mark.parametrize(
    "values",
    [
        {"button": {"source": "gpio:c/1", "does": "hold", "mute_s": 2, "restart_s": 10}},
        {"button": {"source": "gpio:c/1", "does": "hold", "mute_s": 0, "restart_s": 0}},
        {"button": {"source": "gpio:c/1", "mute_s": 0, "restart_s": 3}},
        {"lamp": {"command": ("show",), "active": "high", "brightness": 100}},
        {"buttons": ({"source": "evdev:Pedal/KEY_A"}, {"source": "evdev:Pedal/KEY_B"})},
        {"button": {"source": "evdev:Foot Pedal/KEY_SPACE", "does": "hold"}},
        {"button": {"source": "gpio:c/1", "double": "look", "mute_s": 0, "restart_s": 50}},
        {"button": {"source": "gpio:c/1", "pull": "down", "active": "high", "debounce_ms": 500}},
        {"lamp": {"source": "rgb:pi/5,6,13", "active": "low"}},
        {"lamp": {"source": "pwm:pwmchip0/0", "brightness": 1}},
        {"lamps": ({"source": "led:ACT"}, {"command": ("show",)})},
        {"button": {"source": "gpio:pinctrl-rp1/0"}, "lamp": {"source": "gpio:gpiochip4/25"}},
    ],
)
def test_valid_values_are_accepted(values: dict[str, Any]) -> None:
    assert taken("controls", **values).model_dump(exclude_unset=True) == values


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"button": {"source": "gpio:c/1", "double": "hold"}}, "'mute', 'look' or 'hush'"),
        ({"button": {"source": "gpio:c/1", "mute_s": 51}}, "51 is above 50"),
        ({"button": {"source": "gpio:c/1", "restart_s": -1}}, "-1 is below 0"),
        ({"button": {"source": "gpio:c/1", "mute_s": 3, "restart_s": 3}}, "3 is not above mute_s (3)"),
        ({"button": {"source": "gpio:c/1", "debounce_ms": 501}}, "501 is above 500"),
        ({"button": {"source": "evdev:Pedal/KEY_A", "active": "high"}}, "it is for gpio lines"),
        ({"lamp": {"source": "gpio:gpiochip0/-1"}}, "names no lamp"),
        ({"lamp": {"source": "gpio:/dev/gpiochip0/1"}}, "names no lamp"),
        ({"lamp": {"source": "evdev:Pedal/KEY_A"}}, "names no lamp"),
        ({"lamp": {"source": "rgb:pi/5,6"}}, "names no lamp"),
        ({"lamp": {"source": "led:/sys"}}, "names no lamp"),
        ({"lamp": {}}, "a lamp needs a source or a command"),
        ({"lamp": {"command": ()}}, "a lamp needs a source or a command"),
        ({"lamp": {"source": "led:a", "command": ("show",)}}, "excludes source"),
        ({"lamp": {"source": "led:a", "brightness": 0}}, "0 is below 1"),
        (
            {"lamp": {"source": "led:a", "night": {"from": "7:00", "to": "08:00"}}},
            "write HH:MM in quotes, for example",
        ),
        ({"button": {"source": "gpio:gpiochip0/\u0661"}}, "names no GPIO line"),
        ({"button": {"source": "evdev:/KEY_A"}}, "names no key"),
        (
            {"button": {"source": "gpio:c/1"}, "lamp": {"source": "gpio:c/1"}},
            "gpio:c/1 is already used by controls.button; write another one here",
        ),
        ({"lamp": {"source": "rgb:pi/5,5,6"}}, "names one line twice"),
        ({"lamp": {"source": "led:a", "active": "low"}}, "it is for lamps of gpio and rgb only"),
        ({"lamp": {"command": ("show",), "active": "low"}}, "it is for lamps of gpio and rgb only"),
        ({"lamp": {"source": "gpio:c/1", "brightness": 50}}, "can be dimmed"),
        ({"lamp": {"source": "rgb:c/1,2,3", "brightness": 50}}, "can be dimmed"),
        ({"lamp": {"command": ("show",), "brightness": 50}}, "can be dimmed"),
        (
            {"lamp": {"source": "gpio:c/1", "night": {"from": "22:00", "to": "07:00"}}},
            "set night.brightness to 0",
        ),
        (
            {"lamp": {"command": ("show",), "night": {"from": "22:00", "to": "07:00", "brightness": 0}}},
            "the command decides how bright its lamp is",
        ),
        ({"button": {"source": "gpio:c/1", "does": "hold", "mute_s": 5}}, "held to talk does nothing else"),
        (
            {"button": {"source": "gpio:c/1", "does": "hold", "restart_s": 20}},
            "held to talk does nothing else",
        ),
        (
            {"button": {"source": "gpio:c/1", "mute_s": 0, "restart_s": 0.01}},
            "an ordinary press would restart",
        ),
        (
            {"button": {"source": "gpio:c/1", "mute_s": 1, "restart_s": 2.9}},
            "an ordinary press would restart",
        ),
    ],
)
def test_invalid_values_are_rejected_with_the_expected_form(values: dict[str, Any], words: str) -> None:
    assert words in refusal("controls", **values)


def test_a_lamp_comes_from_its_source_or_its_command() -> None:
    assert isinstance(LampSettings(source="led:ACT").parsed, LedLampSource)
    command = LampSettings(command=("show", "it")).parsed
    assert (command.text, command.parts, command.wires) == ("command", ("show", "it"), ())


def test_the_settings_list_all_sources_and_their_libraries() -> None:
    settings = Settings.model_validate(
        {
            "camera": {"source": "picamera", "lamp": "gpio:pi/5"},
            "controls": {
                "button": {"source": "evdev:Pedal/KEY_A"},
                "buttons": ({"source": "gpio:pi/6"},),
                "lamps": ({"source": "led:ACT"}, {"command": ("show",)}),
            },
        }
    )
    assert [source.text for source in settings.sources] == [
        *("picamera", "evdev:Pedal/KEY_A", "gpio:pi/6", "gpio:pi/5", "led:ACT", "command"),
    ]
    assert [library.module for library in settings.libraries] == ["picamera2", "evdev", "gpiod"]
