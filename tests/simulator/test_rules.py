"""Setups that each model accepts or rejects."""

from typing import Any

import pytest

from kioskd.simulator.auth import ApiEndpoint
from kioskd.simulator.rules import PROFILES, VOICES, check_setup
from kioskd.simulator.schema import Setup
from kioskd.simulator.wire import RefusalError

DEVELOPER = ApiEndpoint("developer", "v1beta")
VERTEX = ApiEndpoint("vertex", "v1beta1")
LIVE = "gemini-3.8-live"
THINKING = "gemini-3.8-live-extended-thinking"
OLD = "gemini-3.1-flash-live-preview"
OLDER = "gemini-2.5-flash-native-audio-preview-12-2025"
VERTEX_OLDER = "gemini-live-2.5-flash-native-audio"


def check(model: str, endpoint: ApiEndpoint = DEVELOPER, **fields: Any) -> str:
    prefix = "models/" if endpoint is DEVELOPER else "projects/p/locations/global/publishers/google/models/"
    return check_setup(Setup.model_validate({"model": prefix + model, **fields}), endpoint)[0]


def refusal(model: str, endpoint: ApiEndpoint = DEVELOPER, **fields: Any) -> RefusalError:
    with pytest.raises(RefusalError) as refused:
        check(model, endpoint, **fields)
    return refused.value


@pytest.mark.parametrize("name", PROFILES)
def test_every_model_exists_on_some_backend(name: str) -> None:
    thinking = {"generationConfig": {"thinkingConfig": {"thinkingLevel": "LOW"}}} if name == THINKING else {}
    endpoint = VERTEX if "developer" not in PROFILES[name].backends else DEVELOPER
    assert check(name, endpoint, **thinking) == name


@pytest.mark.parametrize(
    ("model", "endpoint"),
    [
        ("gemini-9-live", DEVELOPER),
        (VERTEX_OLDER, DEVELOPER),
        (OLD, VERTEX),
        ("gemini-2.0-flash-live-001", DEVELOPER),
    ],
)
def test_an_unknown_model_is_not_found(model: str, endpoint: ApiEndpoint) -> None:
    refused = refusal(model, endpoint)
    assert refused.code == 1008
    assert "is not found for API version" in refused.reason


def test_the_model_name_has_the_backends_own_form() -> None:
    with pytest.raises(RefusalError) as refused:
        check_setup(Setup(model="gemini-3.8-live"), DEVELOPER)
    assert refused.value.code == 1008
    assert check_setup(Setup(model="publishers/google/models/gemini-3.8-live"), VERTEX)[0] == LIVE


def test_a_setup_without_a_model_is_refused() -> None:
    with pytest.raises(RefusalError, match="model is required"):
        check_setup(Setup(), DEVELOPER)


def generation(**fields: Any) -> dict[str, Any]:
    return {"generationConfig": fields}


def voice(name: str) -> dict[str, Any]:
    return generation(speechConfig={"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": name}}})


def function(**fields: Any) -> dict[str, Any]:
    return {"tools": [{"functionDeclarations": [{"name": "f", **fields}]}]}


def parameter(**fields: Any) -> dict[str, Any]:
    return function(parameters={"type": "OBJECT", "properties": {"a": fields}})


def nested(levels: int) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "STRING"}
    for _ in range(levels):
        found = {"type": "ARRAY", "items": found}
    return found


REFUSED_PARAMETERS: list[tuple[dict[str, Any], str]] = [
    (
        {"type": "STRING", "format": "uri"},
        "[a].format: only 'enum' and 'date-time' are supported for STRING type",
    ),
    ({"type": "INTEGER", "format": "uint32"}, "only 'int32' and 'int64' are supported for INTEGER type"),
    ({"type": "STRING", "enum": ["b", ""]}, "enum[1]: cannot be empty"),
    ({"type": "INTEGER", "enum": ["1"]}, "enum: only allowed for STRING type"),
    ({"type": "OBJECT"}, "[a].properties: should be non-empty for OBJECT type"),
    ({"type": "ARRAY"}, "[a].items: missing field"),
    ({"type": "STRING", "required": ["b"]}, "required: only allowed for OBJECT type"),
    (
        {"type": "OBJECT", "properties": {"b": {"type": "STRING"}}, "required": ["c"]},
        "required[0]: property is not defined",
    ),
    ({"description": "no type"}, "TYPE_UNSPECIFIED"),
    ({"type": "STRING", "additionalProperties": False}, 'Unknown name "additional_properties"'),
    ({"anyOf": [{"type": "STRING", "format": "uri"}]}, "any_of[0].format"),
    (nested(14), "exceeds the maximum allowed nesting depth"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("model", "fields", "reason"),
    [
        (LIVE, generation(thinkingConfig={"thinkingBudget": 0}), "thinking_config is not supported"),
        (LIVE, generation(enableAffectiveDialog=True), "enable_affective_dialog is not supported"),
        (LIVE, {"proactivity": {"proactiveAudio": False}}, "proactive_audio cannot be disabled"),
        (OLD, {"proactivity": {"proactiveAudio": True}}, "proactivity is not supported"),
        (LIVE, {"sessionResumption": {"transparent": True}}, "Transparent session resumption"),
        (LIVE, {"explicitVadSignal": True}, 'Unknown name "explicit_vad_signal"'),
        (LIVE, {"avatarConfig": {}}, 'Unknown name "avatar_config"'),
        (LIVE, generation(responseModalities=["TEXT"]), "only AUDIO is"),
        (LIVE, generation(responseModalities=["AUDIO", "TEXT"]), "only AUDIO is"),
        (LIVE, voice("kore"), "voice api_name 'kore' is not available"),
        (LIVE, generation(speechConfig={"multiSpeakerVoiceConfig": {}}), "Multi-speaker"),
        (LIVE, generation(speechConfig={"languageCode": "english"}), "Unsupported language code"),
        (LIVE, generation(temperature=3), "temperature"),
        (LIVE, generation(topP=1.5), "top_p"),
        (LIVE, generation(candidateCount=2), "Only one candidate"),
        (
            LIVE,
            {"contextWindowCompression": {"triggerTokens": 5, "slidingWindow": {"targetTokens": "9"}}},
            "target_tokens must be less",
        ),
        (LIVE, function(name="not a name"), "Invalid function name"),
        (
            LIVE,
            function(parameters={"type": "OBJECT", "properties": {"a": {"type": "TEXT"}}}),
            "TEXT is no type",
        ),
        (LIVE, function(parameters={"type": "ARRAY"}), "should be of type OBJECT"),
        *((LIVE, parameter(**fields), reason) for fields, reason in REFUSED_PARAMETERS),
        (LIVE, function(parameters={"type": "OBJECT"}), "should be non-empty for OBJECT type"),
        (LIVE, {"tools": [{"functionDeclarations": [{"name": "f"}, {"name": "f"}]}]}, "Duplicate function"),
        (LIVE, {"tools": [{"functionDeclarations": [{"name": f"f{n}"} for n in range(513)]}]}, "At most 512"),
        (OLD, function(behavior="NON_BLOCKING"), "NON_BLOCKING function calls are not supported"),
        (THINKING, generation(), "Exactly one of"),
        (
            THINKING,
            generation(thinkingConfig={"thinkingLevel": "LOW", "thinkingBudget": 1}),
            "Exactly one of",
        ),
        (
            THINKING,
            {**generation(thinkingConfig={"thinkingLevel": "LOW"}), **function(behavior="BLOCKING")},
            "BLOCKING function calls are not supported",
        ),
    ],
)
def test_a_setup_that_a_model_does_not_accept_is_refused(
    model: str, fields: dict[str, Any], reason: str
) -> None:
    refused = refusal(model, **fields)
    assert refused.code == 1007
    assert reason in refused.reason


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        (LIVE, {"proactivity": {"proactiveAudio": True}}),
        (
            LIVE,
            function(
                behavior="BLOCKING", parameters={"type": "object", "properties": {"a": {"type": "string"}}}
            ),
        ),
        (LIVE, generation(speechConfig={"languageCode": "cmn-CN"})),
        (OLDER, generation(enableAffectiveDialog=True, thinkingConfig={"thinkingBudget": 0})),
        *((LIVE, voice(name)) for name in sorted(VOICES)),
    ],
)
def test_a_setup_that_a_model_accepts_is_accepted(model: str, fields: dict[str, Any]) -> None:
    assert check(model, **fields) == model


def test_vertex_has_transparent_resumption_and_a_list_of_languages() -> None:
    assert check(LIVE, VERTEX, sessionResumption={"transparent": True}, explicitVadSignal=True) == LIVE
    assert (
        "Unsupported language"
        in refusal(LIVE, VERTEX, **generation(speechConfig={"languageCode": "cmn-CN"})).reason
    )


def test_only_vertex_rejects_fields_beside_a_union() -> None:
    union = parameter(anyOf=[{"type": "STRING"}, {"type": "NUMBER"}], description="D")
    assert check(LIVE, **union) == LIVE
    assert (
        "`f` functionDeclaration schema specified other fields alongside any_of"
        in refusal(LIVE, VERTEX, **union).reason
    )
