from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError
from tests.support.settings import refusal, taken

from kioskd.settings.model import Settings
from kioskd.yamlconf.field_docs import descriptions
from kioskd.yamlconf.section import Section
from kioskd.yamlconf.value_types import shown


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
        ("microphone", {"device": "hw:CARD=Jabra,DEV=0", "echo": "hardware", "preroll_ms": 0}),
        ("speaker", {"volume": 0}),
        ("speaker", {"volume_floor": 0, "volume_ceiling": 0}),
        ("speaker", {"volume_floor": 100, "cues": ("end",), "prompts": False}),
        ("microphone", {"channel": 1}),
        ("microphone", {"channel": 64}),
        ("service", {"media_resolution": "high"}),
        ("conversation", {"wake": ("button", "voice", "start", "remote")}),
        ("conversation", {"wake": ("wakeword",), "wakeword": "hey_jarvis"}),
        ("conversation", {"turn_taking": "local", "uplink": "voice", "pace": "slow"}),
        ("conversation", {"turn_taking": "service", "uplink": "continuous"}),
        ("conversation", {"follow_up_s": 0}),
        ("conversation", {"follow_up_s": 3600, "longest_s": 3600}),
        ("conversation", {"turn_taking": "local", "silence_ms": 200}),
        ("conversation", {"pace": "slow", "silence_ms": 900}),
        ("speaker", {"device": "Jabra SPEAK 410"}),
    ],
)
def test_what_works_is_taken(section: str, values: dict[str, Any]) -> None:
    assert taken(section, **values).model_dump(exclude_unset=True) == values


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
        ("conversation", {"wake": ("voice", "wakeword")}, "voice, which wakes before a wake word is over"),
        ("conversation", {"idle_s": 2.9}, "2.9 is below 3"),
        ("conversation", {"longest_s": 86_401}, "86401 is above 86400"),
        ("microphone", {"preroll_ms": 5001}, "use 0 to 5000"),
        (
            "speaker",
            {"prompts": False, "prompts_folder": "words"},
            "with prompts: false nothing is said aloud",
        ),
        ("microphone", {"channel": 0}, "0 is below 1, it is a channel of the device"),
        ("microphone", {"channel": 65}, "65 is above 64"),
        ("speaker", {"volume_floor": 101}, "101 is above 100"),
        ("speaker", {"volume_ceiling": 19}, "19 is below volume_floor (20)"),
        ("speaker", {"cues": "wake"}, "it takes true, false or a list"),
        ("speaker", {"cues": ("beep",)}, "'wake', 'end', 'mute' or 'error'"),
        ("conversation", {"follow_up_s": -1}, "-1 is below 0"),
        ("conversation", {"wakeword": "Hey Jarvis"}, "write hey_jarvis"),
        ("conversation", {"turn_taking": "local", "uplink": "continuous"}, "only speech is sent"),
        ("conversation", {"follow_up_s": 601}, "600 is below follow_up_s (601)"),
        ("conversation", {"turn_taking": "local", "silence_ms": 199}, "199 is below 200"),
        ("conversation", {"uplink": "voice", "silence_ms": 199}, "199 is below 200"),
        (
            "conversation",
            {"turn_taking": "local", "pace": "slow", "silence_ms": 900},
            "take out one of the two",
        ),
        (
            "conversation",
            {"pace": "slow", "speech_end": "low", "silence_ms": 900},
            "take out one of the two",
        ),
        ("microphone", {"device": "hw:1,0"}, "write a name that kioskd devices prints, or hw:CARD=NAME"),
        ("microphone", {"device": "hw:1"}, "means a card by its number"),
        ("speaker", {"device": "plughw:0"}, "means a card by its number"),
        ("speaker", {"device": "hw:CARD=1"}, "means a card by its number"),
        ("speaker", {"device": "USB Audio (hw:1,0)"}, "means a card by its number"),
        ("speaker", {"device": "1"}, "means a card by its number"),
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
        return [f"{model.__name__}.{name}" for name in model.model_fields.keys() - descriptions(model).keys()]

    def below(section: type[Section]) -> Iterator[type[Section]]:
        for each in section.__subclasses__():
            if each.__module__.startswith("kioskd."):
                yield each
            yield from below(each)

    assert [name for section in below(Section) for name in undescribed(section)] == []


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().speaker.volume = 3  # type: ignore[misc]  # that it cannot be is the point


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


@pytest.mark.parametrize("part", ["noise_suppression", "gain_control"])
def test_parts_of_the_canceller_need_the_canceller(part: str) -> None:
    assert "set echo to cancel" in refusal("microphone", **{"echo": "half_duplex", part: True})
    Settings.model_validate({"microphone": {"echo": "cancel", part: True}})
