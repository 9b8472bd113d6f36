"""Settings of the assistant and of a conversation."""

from typing import Any

import pytest
from tests.support.settings import refusal, taken

from kioskd.core import policy
from kioskd.settings.conversation import DEFAULT_PROFILE, AssistantSettings, ExtensionSettings
from kioskd.settings.model import Settings


@pytest.mark.parametrize(
    ("section", "values"),
    [
        (
            "assistant",
            {"temperature": 0, "thinking": "minimal", "vocabulary": ("Huygens", "anchor escapement")},
        ),
        ("conversation", {"speech_start": "low", "speech_end": "high", "padding_ms": 0, "silence_ms": 800}),
        ("conversation", {"interruptions": "ignored", "search": True}),
        ("conversation", {"compression_tokens": {"trigger": 25_000, "target": 8_000}}),
        ("conversation", {"compression_tokens": {"trigger": 25_000}}),
        ("assistant", {"voice": "Sulafat", "language": ("de-DE",), "greeting": "Greet."}),
        ("assistant", {"language": ("auto",)}),
        ("assistant", {"language": ("de-DE", "fr-FR", "en-US")}),
        ("conversation", {"wake": ("start", "button"), "idle_s": 3, "longest_s": 3, "think_s": 2}),
        ("conversation", {"wake": ("button", "voice", "start", "remote")}),
        ("conversation", {"wake": ("wakeword",), "wakeword": ("hey_jarvis",)}),
        (
            "conversation",
            {
                "wake": ("wakeword",),
                "wakeword": ("alexa", "/etc/kioskd/museum.json"),
                "wakeword_sensitivity": "high",
            },
        ),
        ("conversation", {"turn_taking": "local", "uplink": "voice", "pace": "slow"}),
        ("conversation", {"turn_taking": "service", "uplink": "continuous"}),
        ("conversation", {"follow_up_s": 0}),
        ("conversation", {"follow_up_s": 3600, "longest_s": 3600}),
        ("conversation", {"turn_taking": "local", "silence_ms": 200}),
        ("conversation", {"pace": "slow", "silence_ms": 900}),
    ],
)
def test_valid_values_are_accepted(section: str, values: dict[str, Any]) -> None:
    assert taken(section, **values).model_dump(exclude_unset=True) == values


@pytest.mark.parametrize(
    ("section", "values", "words"),
    [
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
        ("assistant", {"language": "english"}, "is not a language with a country"),
        ("assistant", {"language": ()}, "is an empty list"),
        ("assistant", {"language": ("de-DE", "de-DE")}, "names one language twice"),
        ("assistant", {"language": ("auto", "de-DE")}, "lists auto beside languages"),
        ("conversation", {"wake": ()}, "nothing could ever wake the kiosk"),
        ("conversation", {"wake": ("button", "button")}, "twice"),
        ("conversation", {"wake": ("voice", "wakeword")}, "voice wakes before a wake word is over"),
        ("conversation", {"idle_s": 2.9}, "2.9 is below 3"),
        ("conversation", {"longest_s": 86_401}, "86401 is above 86400"),
        ("conversation", {"follow_up_s": -1}, "-1 is below 0"),
        ("conversation", {"wakeword": "Hey Jarvis"}, "for example hey_jarvis"),
        ("conversation", {"wake": ("wakeword",), "wakeword": ()}, "no word could wake the kiosk"),
        ("conversation", {"wake": ("wakeword",), "wakeword": ("alexa", "alexa")}, "one wake word twice"),
        ("conversation", {"wake": ("wakeword",), "wakeword": ("alexa",) * 3}, "at most 2"),
        ("conversation", {"wakeword_sensitivity": "high"}, "no wake word wakes this kiosk"),
        ("conversation", {"wakeword_sensitivity": "none"}, "'low', 'normal' or 'high'"),
        ("conversation", {"turn_taking": "local", "uplink": "continuous"}, "only speech is sent"),
        ("conversation", {"follow_up_s": 601}, "600 is below follow_up_s (601)"),
        ("conversation", {"turn_taking": "local", "silence_ms": 199}, "199 is below 200"),
        ("conversation", {"uplink": "voice", "silence_ms": 199}, "199 is below 200"),
        (
            "conversation",
            {"turn_taking": "local", "pace": "slow", "silence_ms": 900},
            "remove one of the two",
        ),
        (
            "conversation",
            {"pace": "slow", "speech_end": "low", "silence_ms": 900},
            "remove one of the two",
        ),
    ],
)
def test_invalid_values_are_rejected_with_the_expected_form(
    section: str, values: dict[str, Any], words: str
) -> None:
    message = refusal(section, **values)
    assert words in message
    assert "pass@" not in message


def test_profiles_and_extensions_are_taken() -> None:
    profiles = {
        "easy_language": {"instructions": "Use short words."},
        "slow2": {"pace": "slow", "voice": "Leda"},
    }
    assert taken("assistant", profiles=profiles).model_dump(exclude_unset=True) == {"profiles": profiles}
    made = Settings.model_validate({"conversation": {"extensions": {}}})
    assert made.conversation.extensions == ExtensionSettings(most=10, by_s=300.0)
    assert taken("conversation", extensions={"most": 0}) != taken("conversation")


@pytest.mark.parametrize(
    ("section", "values", "words"),
    [
        ("assistant", {"profiles": {"Easy": {"pace": "slow"}}}, "is not a name; write small letters"),
        ("assistant", {"profiles": {"default": {"pace": "slow"}}}, "is the name of having no profile"),
        ("assistant", {"profiles": {"easy": {}}}, "is empty, and would change nothing"),
        ("conversation", {"extensions": {"by_s": 5}}, "5 is below 20"),
        ("conversation", {"extensions": {"most": -1}}, "-1 is below 0"),
    ],
)
def test_profiles_and_extensions_that_make_no_sense_are_rejected(
    section: str, values: dict[str, Any], words: str
) -> None:
    assert words in refusal(section, **values)


def test_the_core_and_the_settings_have_one_name_for_no_profile() -> None:
    assert DEFAULT_PROFILE == policy.DEFAULT_PROFILE


@pytest.mark.parametrize(
    ("written", "kept", "first"),
    [
        ("de-DE", ("de-DE",), "de-DE"),
        (("fr-FR", "de-DE"), ("fr-FR", "de-DE"), "fr-FR"),
        ("auto", (), "en-US"),
    ],
)
def test_the_first_language_is_that_of_the_list_or_english(
    written: object, kept: tuple[str, ...], first: str
) -> None:
    assistant = AssistantSettings.model_validate({"language": written})
    assert (assistant.languages, assistant.first_language) == (kept, first)
