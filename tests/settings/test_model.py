from typing import Any

import pytest
from pydantic import ValidationError

from kioskd.settings.forms import Later, gpio_line, shown
from kioskd.settings.model import Section, Settings


def refusal(section: str, **values: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({section: values})
    (error,) = caught.value.errors()
    return error["msg"]


@pytest.mark.parametrize(
    ("section", "values"),
    [
        ("service", {"media_resolution": "low"}),
        ("assistant", {"pictures": ("map.jpg",)}),
        ("conversation", {"wake": ("voice",)}),
        ("conversation", {"wake": ("wakeword",)}),
        ("conversation", {"wake": ("button", "remote")}),
        ("conversation", {"turn_taking": "local"}),
        ("conversation", {"uplink": "voice"}),
        ("speaker", {"cues": True}),
        ("camera", {"source": "picamera"}),
        ("camera", {"source": "folder:/srv/pictures"}),
        ("camera", {"when": "speech"}),
        ("camera", {"every_s": 2}),
        ("camera", {"size": 512}),
        ("controls", {"button": {"source": "evdev:Pedal/KEY_SPACE"}}),
        ("controls", {"button": {"source": "gpio:gpiochip0/17", "does": "hold"}}),
        ("limits", {"minutes_per_day": 30}),
        ("limits", {"tokens_per_day": 1000}),
        ("limits", {"quiet_hours": ("22:00-07:00",)}),
        ("privacy", {"transcripts": "on"}),
        ("privacy", {"recordings": "on"}),
    ],
)
def test_what_this_version_cannot_do_is_refused_with_what_it_can(
    section: str, values: dict[str, Any]
) -> None:
    message = refusal(section, **values)
    assert "not supported by this version; " in message
    assert message.split("; ")[-1].startswith(("use ", "leave it out"))


def test_tools_are_refused() -> None:
    with pytest.raises(ValidationError, match="tools are not supported by this version; use \\[\\]"):
        Settings.model_validate({"tools": ({"kind": "http"},)})


def test_what_a_default_says_is_taken_when_it_is_written_out() -> None:
    assert Settings.model_validate(Settings().model_dump()) == Settings()


@pytest.mark.parametrize(
    ("section", "values"),
    [
        ("service", {"model": "gemini-live-2.5-flash", "api_version": "v1alpha"}),
        ("service", {"endpoint": "https://127.0.0.1:8443/live"}),
        ("service", {"endpoint": "https://[::1]:8443"}),
        ("service", {"provider": "vertex", "project": "my-project"}),
        ("service", {"provider": "vertex", "project": "123456789012", "location": "eu"}),
        ("service", {"provider": "vertex", "project": "example.com:old", "location": "europe-west4"}),
        ("service", {"token_url": "https://tokens.example/kiosk", "proxy": "http://proxy.example:3128"}),
        ("service", {"renew_s": 5}),
        ("service", {"renew_s": 780}),
        (
            "assistant",
            {"temperature": 0, "thinking": "minimal", "vocabulary": ("Huygens", "anchor escapement")},
        ),
        ("conversation", {"speech_start": "low", "speech_end": "high", "padding_ms": 0, "silence_ms": 800}),
        ("conversation", {"interruptions": "ignored", "search": True}),
        ("conversation", {"compression_tokens": {"trigger": 25_000, "target": 8_000}}),
        ("conversation", {"compression_tokens": {"trigger": 25_000}}),
        ("assistant", {"voice": "Sulafat", "language": "de-DE", "greeting": "Greet."}),
        ("conversation", {"wake": ("start", "button"), "idle_s": 3, "longest_s": 3, "think_s": 2}),
        ("microphone", {"device": "hw:1,0", "echo": "hardware", "preroll_ms": 0}),
        ("speaker", {"volume": 0}),
        ("controls", {"button": {"source": "gpio:pinctrl-rp1/0"}, "lamp": {"source": "gpio:gpiochip4/25"}}),
    ],
)
def test_what_works_is_taken(section: str, values: dict[str, Any]) -> None:
    taken = getattr(Settings.model_validate({section: values}), section).model_dump(exclude_unset=True)
    assert taken == values


@pytest.mark.parametrize(
    ("section", "values", "words"),
    [
        ("service", {"endpoint": "http://127.0.0.1"}, "must begin with https://"),
        ("service", {"endpoint": "gateway.example"}, "must begin with https://"),
        ("service", {"endpoint": "https://"}, "names no host"),
        ("service", {"endpoint": "https://a b"}, "names no host"),
        ("service", {"endpoint": "https://host:0"}, "names no host"),
        ("service", {"endpoint": "https://host:port"}, "cannot be read"),
        ("service", {"endpoint": "https://[::1"}, "cannot be read"),
        ("service", {"endpoint": "https://me:pass@host"}, "holds more than host, port and path"),
        ("service", {"endpoint": "https://host?key=x"}, "holds more than host, port and path"),
        ("service", {"api_version": "v1 beta"}, "write v1beta"),
        ("service", {"model": "  "}, "is empty"),
        ("service", {"key_file": ""}, "is no path"),
        ("service", {"provider": "vertex"}, "add project: NAME"),
        ("service", {"project": "p"}, "it is for provider vertex, and this is gemini"),
        ("service", {"location": "eu"}, "it is for provider vertex"),
        ("service", {"credentials_file": "a.json"}, "it is for provider vertex"),
        (
            "service",
            {"provider": "vertex", "project": "p", "key_file": "k"},
            "it is for provider gemini, and this is vertex",
        ),
        (
            "service",
            {"provider": "vertex", "project": "p", "token_url": "https://t.example"},
            "it is for provider gemini",
        ),
        (
            "service",
            {"provider": "vertex", "project": "p", "location": "e/../v"},
            "is no location",
        ),
        ("service", {"token_url": "https://t.example", "key_file": "k"}, "take out one of the two"),
        ("service", {"proxy": "proxy:3128"}, "write http://proxy.example:3128"),
        ("service", {"proxy": "https://proxy:3128"}, "write http://proxy.example:3128"),
        ("service", {"proxy": "http://proxy"}, "write http://proxy.example:3128"),
        ("service", {"proxy": "http://[::1:3128"}, "write http://proxy.example:3128"),
        ("service", {"proxy": "http://me:pass@proxy:3128"}, "more than host and port"),
        (
            "service",
            {"renew_s": 4.9},
            "4.9 is below 5, the service ends connections at ten to fifteen minutes",
        ),
        ("service", {"renew_s": 781}, "781 is above 780"),
        ("assistant", {"temperature": 2.1}, "2.1 is above 2"),
        ("assistant", {"thinking": "max"}, "'minimal', 'low', 'medium' or 'high'"),
        ("assistant", {"vocabulary": ("",)}, "is empty"),
        ("conversation", {"silence_ms": 10}, "10 is below 50"),
        ("conversation", {"padding_ms": 9999}, "9999 is above 5000"),
        ("conversation", {"compression_tokens": {"trigger": 1}}, "1 is below 1000"),
        (
            "conversation",
            {"compression_tokens": {"trigger": 5000, "target": 5000}},
            "5000 is not below trigger (5000)",
        ),
        ("service", {"key_file": "a\nb"}, "is no path"),
        ("assistant", {"language": "english"}, "takes language and country"),
        ("conversation", {"wake": ()}, "nothing could ever wake the kiosk"),
        ("conversation", {"wake": ("button", "button")}, "twice"),
        ("conversation", {"idle_s": 2.9}, "2.9 is below 3"),
        ("conversation", {"longest_s": 86_401}, "86401 is above 86400"),
        ("microphone", {"preroll_ms": 5001}, "use 0 to 5000"),
        ("camera", {"source": "usb"}, "use off, picamera or folder:PATH"),
        ("controls", {"lamp": {"source": "gpio:gpiochip0/-1"}}, "names no GPIO line"),
        ("controls", {"lamp": {"source": "gpio:/dev/gpiochip0/1"}}, "names no GPIO line"),
        ("controls", {"lamp": {"source": "evdev:Pedal/KEY_A"}}, "names no GPIO line"),
        ("controls", {"button": {"source": "gpio:gpiochip0/\u0661"}}, "names no GPIO line"),
        ("controls", {"button": {"source": "evdev:/KEY_A"}}, "names no key"),
        (
            "controls",
            {"button": {"source": "gpio:c/1"}, "lamp": {"source": "gpio:c/1"}},
            "the button's own line",
        ),
        ("limits", {"quiet_hours": ("24:00-07:00",)}, "is no span of time"),
        ("limits", {"quiet_hours": ("07:00-07:00",)}, "is no span of time"),
    ],
)
def test_what_is_written_wrongly_is_refused_with_its_form(
    section: str, values: dict[str, Any], words: str
) -> None:
    message = refusal(section, **values)
    assert words in message
    assert "pass@" not in message


def test_every_setting_says_what_it_is_for() -> None:
    def undescribed(model: type[Section]) -> list[str]:
        return [
            f"{model.__name__}.{name}" for name, field in model.model_fields.items() if not field.description
        ]

    assert [name for section in Section.__subclasses__() for name in undescribed(section)] == []


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().speaker.volume = 3  # type: ignore[misc]  # that it cannot be is the point


def test_a_gpio_line_is_chip_and_number() -> None:
    assert gpio_line("gpio:gpiochip0/17") == ("gpiochip0", 17)
    with pytest.raises(ValueError, match="gpio:gpiochip0/017"):
        gpio_line("gpio:gpiochip0/017")


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


def test_the_schema_offers_an_editor_only_what_this_version_takes() -> None:
    definitions = Settings.model_json_schema()["$defs"]
    assert definitions["CameraSettings"]["properties"]["source"]["enum"] == ["off"]
    assert definitions["ButtonSettings"]["properties"]["source"]["pattern"] == "^(gpio:)"
    assert definitions["ConversationSettings"]["properties"]["wake"]["items"]["enum"] == ["button", "start"]
    assert definitions["SpeakerSettings"]["properties"]["volume"]["maximum"] == 100


def test_only_default_values_are_marked_as_working_where_a_whole_setting_is_for_later() -> None:
    for section in Section.__subclasses__():
        for name, field in section.model_fields.items():
            for marker in field.metadata:
                if isinstance(marker, Later) and not field.is_required():
                    assert field.default in marker.works, f"{section.__name__}.{name}"


@pytest.mark.parametrize("part", ["noise_suppression", "gain_control"])
def test_parts_of_the_canceller_need_the_canceller(part: str) -> None:
    assert "set echo to cancel" in refusal("microphone", **{"echo": "half_duplex", part: True})
    Settings.model_validate({"microphone": {"echo": "cancel", part: True}})
