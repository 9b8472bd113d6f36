"""The table of Live models, and its agreement with the simulated service of the rehearsal."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from kioskd import live_models
from kioskd.cli import Exit, main
from kioskd.live_models import (
    LEVELS,
    NEWEST,
    PROFILES,
    SHUT_DOWN,
    VERTEX_LANGUAGES,
    Provider,
    ThinkingLevel,
    WantedFeatures,
)
from kioskd.settings.camera import CameraSettings
from kioskd.settings.service import ServiceSettings
from kioskd.simulator import rules
from kioskd.simulator.auth import ApiEndpoint
from kioskd.simulator.schema import Setup
from kioskd.simulator.wire import RefusalError

EXTENDED = "gemini-3.8-live-extended-thinking"
ON_VERTEX = "gemini-live-2.5-flash-native-audio"
EARLIER = "gemini-2.5-flash-native-audio-preview-12-2025"
FLASH = "gemini-3.1-flash-live-preview"

PATHS: dict[Provider, str] = {
    "gemini": "models/{}",
    "vertex": "projects/p/locations/global/publishers/google/models/{}",
}


def refused(**asked: Any) -> dict[str, str]:
    return dict(live_models.refusals(WantedFeatures(**asked)))


def rehearsal_refuses(model: str, provider: Provider, setup: dict[str, Any]) -> bool:
    endpoint = (
        ApiEndpoint("vertex", "v1beta1") if provider == "vertex" else ApiEndpoint("developer", "v1alpha")
    )
    said = {"model": PATHS[provider].format(model), **setup}
    try:
        rules.check_setup(Setup.model_validate(said), endpoint)
    except RefusalError:
        return True
    return False


@pytest.mark.parametrize(
    ("asked", "name", "words"),
    [
        ({"model": NEWEST, "thinking": "low"}, "assistant.thinking", "has no thinking setting"),
        (
            {"model": EARLIER, "thinking": "low"},
            "assistant.thinking",
            "accepts a thinking budget, but no level",
        ),
        ({"model": ON_VERTEX}, "service.model", "gemini does not serve it; use gemini-3.8-live, or provider"),
        ({"model": EXTENDED, "provider": "vertex"}, "service.model", "vertex does not serve it"),
        ({"model": f"models/{ON_VERTEX}"}, "service.model", "gemini does not serve it"),
        ({"model": EXTENDED, "api_version": "v1beta"}, "service.api_version", "only v1alpha serves"),
        ({"model": NEWEST, "api_version": "v1", "by_token": True}, "service.api_version", "ephemeral tokens"),
        ({"model": NEWEST, "api_version": "v1beta1"}, "service.api_version", "gemini has no such version"),
        (
            {"model": NEWEST, "provider": "vertex", "api_version": "v1alpha"},
            "service.api_version",
            "vertex has no such version",
        ),
        (
            {"model": NEWEST, "provider": "vertex", "languages": ("en-GB",)},
            "assistant.language",
            "vertex does not offer this language; use en-IN or en-US",
        ),
        (
            {"model": NEWEST, "provider": "vertex", "languages": ("sv-SE",)},
            "assistant.language",
            "use ar-EG or bn-BD or",
        ),
        *(({"model": model}, "service.model", day) for model, day in SHUT_DOWN.items()),
    ],
)
def test_a_setting_that_the_model_lacks_is_rejected_with_the_reason(
    asked: dict[str, Any], name: str, words: str
) -> None:
    (what,) = refused(**asked).items()
    assert what[0] == name
    assert words in what[1]


@pytest.mark.parametrize(
    "asked",
    [
        {"model": NEWEST, "languages": ("en-GB",)},
        {"model": NEWEST, "provider": "vertex", "languages": ("de-DE",), "api_version": "v1beta1"},
        {"model": NEWEST, "by_token": True, "api_version": "v1alpha"},
        {"model": EXTENDED, "thinking": "high", "api_version": "v1alpha"},
        {"model": NEWEST, "by_token": True, "api_version": "v1beta"},
        {"model": ON_VERTEX, "provider": "vertex"},
        {"model": "gemini-9-live"},
        {"model": "models/gemini-3.8-live"},
    ],
)
def test_a_setting_that_the_model_has_is_accepted(asked: dict[str, Any]) -> None:
    assert refused(**asked) == {}


def test_several_rejected_settings_are_reported_together() -> None:
    asked = {"provider": "vertex", "thinking": "low", "api_version": "v1beta", "languages": ("cs-CZ",)}
    assert set(refused(model=NEWEST, **asked)) == {
        "assistant.thinking",
        "service.api_version",
        "assistant.language",
    }


def test_an_unknown_model_is_treated_like_the_newest() -> None:
    assert not live_models.known("gemini-9-live")
    assert live_models.profile("gemini-9-live") is PROFILES[NEWEST]
    assert set(refused(model="gemini-9-live", thinking="low")) == {"assistant.thinking"}
    assert all(live_models.known(model) for model in (*PROFILES, *SHUT_DOWN, f"models/{NEWEST}"))


def test_check_warns_of_an_unknown_model_and_rejects_one_that_was_shut_down(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "kioskd.yaml"
    for model, code, words in (
        ("gemini-9-live", Exit.OK, "note: service.model: this version does not know gemini-9-live"),
        (
            "gemini-2.0-flash-live-001",
            Exit.CONFIGURATION,
            ":2:18 service.model: gemini-2.0-flash-live-001 cannot",
        ),
    ):
        file.write_text(f"conversation: {{wake: [start]}}\nservice: {{model: {model}}}\n", encoding="utf-8")
        assert main(["check", "--config", str(file)]) == code
        assert words in capsys.readouterr().out


@pytest.mark.parametrize(
    ("asked", "version"),
    [
        ({"model": NEWEST}, "v1beta"),
        ({"model": NEWEST, "by_token": True}, "v1beta"),
        ({"model": EXTENDED, "by_token": True}, "v1alpha"),
        ({"model": EXTENDED}, "v1alpha"),
        ({"model": NEWEST, "provider": "vertex"}, "v1beta1"),
        ({"model": NEWEST, "provider": "vertex", "api_version": "v1"}, "v1"),
        ({"model": "gemini-9-live"}, "v1beta"),
    ],
)
def test_the_api_version_is_the_owners_or_the_one_that_serves_the_model(
    asked: dict[str, Any], version: str
) -> None:
    assert live_models.api_version(WantedFeatures(**asked)) == version


def test_the_default_model_is_the_newest() -> None:
    assert ServiceSettings().model == NEWEST


def test_the_default_thinking_level_is_one_of_the_models_levels() -> None:
    defaults = {found.thinking_default for found in PROFILES.values()} - {None}
    assert defaults == {"low"}
    for found in PROFILES.values():
        assert found.thinking_default is None or found.thinking_default in found.thinking_levels


def test_the_camera_settings_stay_within_the_limits_of_every_model() -> None:
    assert CameraSettings().size <= 768
    with pytest.raises(ValidationError, match="one picture a second at most"):
        CameraSettings(every_s=0.9)


def test_the_rehearsal_knows_the_same_models() -> None:
    assert set(rules.PROFILES) == set(PROFILES)


@pytest.mark.parametrize("provider", ["gemini", "vertex"])
@pytest.mark.parametrize("model", [*PROFILES, *SHUT_DOWN])
def test_the_rehearsal_serves_each_model_on_the_providers_of_the_table(
    model: str, provider: Provider
) -> None:
    default = live_models.profile(model).thinking_default
    thinking = (
        {"generation_config": {"thinking_config": {"thinking_level": default.upper()}}} if default else {}
    )
    # The simulator still serves models that were shut down, so that their way of taking turns stays tested.
    gone = model in SHUT_DOWN and provider in live_models.profile(model).providers and model in PROFILES
    wanted = bool(refused(model=model, provider=provider)) and not gone
    assert rehearsal_refuses(model, provider, thinking) == wanted


UNUSED_FEATURES = {
    NEWEST: (False, "always", "TURN_INCLUDES_AUDIO_ACTIVITY_AND_ALL_VIDEO"),
    f"{NEWEST}-extended-thinking": (False, "always", "TURN_INCLUDES_AUDIO_ACTIVITY_AND_ALL_VIDEO"),
    "gemini-3.1-flash-live-preview": (False, "absent", "TURN_INCLUDES_ONLY_ACTIVITY"),
    "gemini-2.5-flash-native-audio-preview-12-2025": (True, "optional", "TURN_INCLUDES_ONLY_ACTIVITY"),
    "gemini-live-2.5-flash-native-audio": (True, "optional", "TURN_INCLUDES_ALL_INPUT"),
}
"""The features that the daemon does not ask for, by the same pages.

Affective dialog; whether the model may choose not to answer; the default coverage of a turn.
"""


@pytest.mark.parametrize("model", PROFILES)
def test_the_rehearsal_rejects_the_settings_that_the_table_rejects(model: str) -> None:
    found, (provider, *_) = PROFILES[model], sorted(PROFILES[model].providers)
    default = found.thinking_default
    thinking = {"thinking_config": {"thinking_level": default.upper()}} if default else {}

    def refuses(generation: dict[str, Any] | None = None, **setup: Any) -> bool:
        said = {"generation_config": {**thinking, **(generation or {})}, **setup}
        return rehearsal_refuses(model, provider, said)

    assert not refuses()
    budget = {"thinking_config": {"thinking_budget": 100}}
    assert refuses(budget) == (not found.thinking_budget and not found.thinking_levels)
    assert refuses({"thinking_config": None}) == (default is not None)
    affective_dialog, proactive_audio, coverage = UNUSED_FEATURES[model]
    assert refuses({"enable_affective_dialog": True}) == (not affective_dialog)
    assert refuses(proactivity={"proactive_audio": True}) == (proactive_audio == "absent")
    assert refuses(proactivity={"proactive_audio": False}) == (proactive_audio != "optional")
    for behavior, only in (("BLOCKING", "non_blocking_only"), ("NON_BLOCKING", "blocking_only")):
        tool = {"function_declarations": [{"name": "f", "behavior": behavior}]}
        assert refuses(tools=[tool]) == (found.functions == only)
    assert rules.PROFILES[model].client_content == found.client_content
    assert rules.PROFILES[model].coverage == coverage


@pytest.mark.parametrize(
    ("asked", "other"),
    [
        ({"model": NEWEST, "by_token": True}, "v1alpha"),
        ({"model": NEWEST, "by_token": True, "api_version": "v1beta"}, None),
        ({"model": EXTENDED, "by_token": True}, None),
        ({"model": NEWEST, "provider": "vertex"}, None),
    ],
)
def test_a_token_has_another_version_to_try_where_none_is_set(
    asked: dict[str, Any], other: str | None
) -> None:
    assert live_models.other_version(WantedFeatures(**asked)) == other


def test_check_rejects_a_dead_model_and_warns_of_one_that_is_probably_dead(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "kioskd.yaml"
    gone = f"{FLASH} cannot be used: it was shut down on 2026-11-17; use gemini-3.8-live"
    probably = f"note: service.model: {EARLIER} was probably shut down on 2026-11-17; use gemini-3.8-live"
    for model, code, said in ((FLASH, Exit.CONFIGURATION, gone), (EARLIER, Exit.OK, probably)):
        file.write_text(f"conversation: {{wake: [start]}}\nservice: {{model: {model}}}\n", encoding="utf-8")
        assert main(["check", "--config", str(file)]) == code
        assert said in capsys.readouterr().out


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("model", PROFILES)
def test_the_rehearsal_accepts_every_level_of_the_table(model: str, level: ThinkingLevel) -> None:
    (provider, *_) = sorted(PROFILES[model].providers)
    if "assistant.thinking" not in refused(model=model, provider=provider, thinking=level):
        setup = {"generation_config": {"thinking_config": {"thinking_level": level.upper()}}}
        assert not rehearsal_refuses(model, provider, setup)


@pytest.mark.parametrize("language", [*sorted(VERTEX_LANGUAGES), "en-GB", "sv-SE"])
def test_the_rehearsal_accepts_the_same_languages(language: str) -> None:
    setup = {"generation_config": {"speech_config": {"language_code": language}}}
    wanted = bool(refused(model=NEWEST, provider="vertex", languages=(language,)))
    assert rehearsal_refuses(NEWEST, "vertex", setup) == wanted
