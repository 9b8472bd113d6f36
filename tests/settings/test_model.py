from typing import Any

import pytest
from tests.support.settings import refusal, taken

from kioskd.settings.model import Settings


def test_written_out_defaults_are_accepted() -> None:
    assert Settings.model_validate(Settings().model_dump()) == Settings()


@pytest.mark.parametrize(
    ("section", "values"),
    [
        ("camera", {"source": "picamera"}),
        ("camera", {"source": "picamera:1", "when": "conversation"}),
        ("camera", {"source": "v4l2:HD Webcam C270", "when": "speech"}),
        ("camera", {"source": "folder:/srv/pictures", "when": "request"}),
        # What belongs to a camera that is off waits for it to be switched on.
        ("camera", {"every_s": 1, "size": 64, "quality": 20, "min_change": 0, "refresh_s": 1}),
        ("camera", {"source": "picamera", "when": "speech", "every_s": 5, "min_change": 0.1, "refresh_s": 5}),
        # Where a file says what is so anyway: config/kioskd.yaml does.
        (
            "camera",
            {"source": "picamera", "when": "request", "every_s": 2, "min_change": 0.02, "refresh_s": 30},
        ),
        ("camera", {"source": "picamera", "when": "speech", "every_s": 60, "refresh_s": 30}),
        ("controls", {"button": {"source": "gpio:c/1", "does": "hold", "mute_s": 2, "restart_s": 10}}),
        ("controls", {"button": {"source": "gpio:c/1", "does": "hold", "mute_s": 0, "restart_s": 0}}),
        ("controls", {"button": {"source": "gpio:c/1", "mute_s": 0, "restart_s": 3}}),
        ("controls", {"lamp": {"command": ("show",), "active": "high", "brightness": 100}}),
        ("controls", {"buttons": ({"source": "evdev:Pedal/KEY_A"}, {"source": "evdev:Pedal/KEY_B"})}),
        ("camera", {"every_s": 3600, "size": 4096, "quality": 95, "min_change": 1, "refresh_s": 3600}),
        ("camera", {"rotate": 180, "mirror": True, "lamp": "led:camera"}),
        ("controls", {"button": {"source": "evdev:Foot Pedal/KEY_SPACE", "does": "hold"}}),
        ("controls", {"button": {"source": "gpio:c/1", "double": "look", "mute_s": 0, "restart_s": 50}}),
        (
            "controls",
            {"button": {"source": "gpio:c/1", "pull": "down", "active": "high", "debounce_ms": 500}},
        ),
        ("controls", {"lamp": {"source": "rgb:pi/5,6,13", "active": "low"}}),
        ("controls", {"lamp": {"source": "pwm:pwmchip0/0", "brightness": 1}}),
        ("controls", {"lamps": ({"source": "led:ACT"}, {"command": ("show",)})}),
        ("controls", {"button": {"source": "gpio:pinctrl-rp1/0"}, "lamp": {"source": "gpio:gpiochip4/25"}}),
    ],
)
def test_valid_values_are_accepted(section: str, values: dict[str, Any]) -> None:
    assert taken(section, **values).model_dump(exclude_unset=True) == values


@pytest.mark.parametrize(
    ("section", "values", "words"),
    [
        ("camera", {"source": "usb"}, "use off, picamera, v4l2:NAME or folder:PATH"),
        ("camera", {"source": "v4l2:"}, "is no camera"),
        ("camera", {"source": "picamera:one"}, "is no camera"),
        ("camera", {"every_s": 0.9}, "0.9 is below 1"),
        ("camera", {"size": 63}, "63 is below 64"),
        ("camera", {"quality": 96}, "96 is above 95"),
        ("camera", {"rotate": 45}, "0, 90, 180 or 270"),
        ("camera", {"min_change": 1.1}, "1.1 is above 1"),
        ("camera", {"refresh_s": 0}, "0 is below 1"),
        ("camera", {"when": "always"}, "'conversation', 'speech' or 'request'"),
        ("camera", {"lamp": "evdev:Pedal/KEY_A"}, "names no lamp"),
        ("controls", {"button": {"source": "gpio:c/1", "double": "hold"}}, "'mute', 'look' or 'hush'"),
        ("controls", {"button": {"source": "gpio:c/1", "mute_s": 51}}, "51 is above 50"),
        ("controls", {"button": {"source": "gpio:c/1", "restart_s": -1}}, "-1 is below 0"),
        (
            "controls",
            {"button": {"source": "gpio:c/1", "mute_s": 3, "restart_s": 3}},
            "3 is not above mute_s (3)",
        ),
        ("controls", {"button": {"source": "gpio:c/1", "debounce_ms": 501}}, "501 is above 500"),
        ("controls", {"button": {"source": "evdev:Pedal/KEY_A", "active": "high"}}, "it is for gpio lines"),
        ("controls", {"lamp": {"source": "gpio:gpiochip0/-1"}}, "names no lamp"),
        ("controls", {"lamp": {"source": "gpio:/dev/gpiochip0/1"}}, "names no lamp"),
        ("controls", {"lamp": {"source": "evdev:Pedal/KEY_A"}}, "names no lamp"),
        ("controls", {"lamp": {"source": "rgb:pi/5,6"}}, "names no lamp"),
        ("controls", {"lamp": {"source": "led:/sys"}}, "names no lamp"),
        ("controls", {"lamp": {}}, "it needs a source or a command"),
        ("controls", {"lamp": {"command": ()}}, "it needs a source or a command"),
        ("controls", {"lamp": {"source": "led:a", "command": ("show",)}}, "take out one of the two"),
        ("controls", {"lamp": {"source": "led:a", "brightness": 0}}, "0 is below 1"),
        (
            "controls",
            {"lamp": {"source": "led:a", "night": {"from": "7:00", "to": "08:00"}}},
            'write "22:00", say',
        ),
        ("controls", {"button": {"source": "gpio:gpiochip0/\u0661"}}, "names no GPIO line"),
        ("controls", {"button": {"source": "evdev:/KEY_A"}}, "names no key"),
        (
            "controls",
            {"button": {"source": "gpio:c/1"}, "lamp": {"source": "gpio:c/1"}},
            "gpio:c/1 is taken by controls.button; give each its own",
        ),
        ("controls", {"lamp": {"source": "rgb:pi/5,5,6"}}, "names one line twice"),
        ("controls", {"lamp": {"source": "led:a", "active": "low"}}, "it is for gpio and rgb lines"),
        ("controls", {"lamp": {"command": ("show",), "active": "low"}}, "it is for gpio and rgb lines"),
        ("controls", {"lamp": {"source": "gpio:c/1", "brightness": 50}}, "cannot be dimmed"),
        ("controls", {"lamp": {"source": "rgb:c/1,2,3", "brightness": 50}}, "cannot be dimmed"),
        ("controls", {"lamp": {"command": ("show",), "brightness": 50}}, "cannot be dimmed"),
        (
            "controls",
            {"lamp": {"source": "gpio:c/1", "night": {"from": "22:00", "to": "07:00"}}},
            "set its brightness to 0",
        ),
        (
            "controls",
            {"lamp": {"command": ("show",), "night": {"from": "22:00", "to": "07:00", "brightness": 0}}},
            "the command's own business",
        ),
        (
            "controls",
            {"button": {"source": "gpio:c/1", "does": "hold", "mute_s": 5}},
            "held to talk does nothing else",
        ),
        (
            "controls",
            {"button": {"source": "gpio:c/1", "does": "hold", "restart_s": 20}},
            "held to talk does nothing else",
        ),
        (
            "controls",
            {"button": {"source": "gpio:c/1", "mute_s": 0, "restart_s": 0.01}},
            "an ordinary press would restart",
        ),
        (
            "controls",
            {"button": {"source": "gpio:c/1", "mute_s": 1, "restart_s": 2.9}},
            "an ordinary press would restart",
        ),
        ("camera", {"source": "picamera", "every_s": 9}, "sent only on request"),
        ("camera", {"source": "picamera", "min_change": 0.5}, "sent only on request"),
        ("camera", {"source": "picamera", "when": "request", "refresh_s": 60}, "sent only on request"),
        (
            "camera",
            {"source": "picamera", "when": "speech", "every_s": 9, "refresh_s": 8},
            "8 is below every_s (9)",
        ),
        (
            "camera",
            {"source": "picamera", "when": "speech", "min_change": 0, "refresh_s": 60},
            "every picture is sent",
        ),
    ],
)
def test_invalid_values_are_refused_with_the_expected_form(
    section: str, values: dict[str, Any], words: str
) -> None:
    message = refusal(section, **values)
    assert words in message
    assert "pass@" not in message
