"""The rules for a setup, model by model."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from kioskd.simulator.auth import ApiEndpoint, Backend
from kioskd.simulator.function_rules import check_functions
from kioskd.simulator.schema import Content, Coverage, Generation, Setup, SpeechConfig, Thinking, WireTool
from kioskd.simulator.wire import POLICY, RefusalError

VOICES: Final = frozenset({
    "Zephyr", "Puck", "Charon", "Kore", "Fenrir", "Leda", "Orus", "Aoede", "Callirrhoe", "Autonoe",
    "Enceladus", "Iapetus", "Umbriel", "Algieba", "Despina", "Erinome", "Algenib", "Rasalgethi",
    "Laomedeia", "Achernar", "Alnilam", "Schedar", "Gacrux", "Pulcherrima", "Achird", "Zubenelgenubi",
    "Vindemiatrix", "Sadachbia", "Sadaltager", "Sulafat",
})  # fmt: skip
"""Prebuilt voices; their names are case sensitive."""

# The list comes from Vertex's documentation. The Developer API publishes none; there only the form is
# checked.
_VERTEX_LANGUAGES: Final = frozenset({
    "ar-EG", "bn-BD", "de-DE", "en-IN", "en-US", "es-US", "fr-FR", "hi-IN", "id-ID", "it-IT", "ja-JP",
    "ko-KR", "mr-IN", "nl-NL", "pl-PL", "pt-BR", "ro-RO", "ru-RU", "ta-IN", "te-IN", "th-TH", "tr-TR",
    "uk-UA", "vi-VN",
})  # fmt: skip
_LANGUAGE: Final = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")


@dataclass(frozen=True, slots=True)
class SimulatedModel:
    """The abilities of one model."""

    backends: frozenset[Backend]
    thinking: Literal["forbidden", "optional", "required"] = "optional"
    affective_dialog: bool = False
    proactivity: Literal["always", "optional", "absent"] = "absent"
    blocking_tools: Literal["only", "default", "optional", "forbidden"] = "default"
    client_content: Literal["any_time", "seed_only"] = "any_time"
    coverage: Coverage = "TURN_INCLUDES_ONLY_ACTIVITY"
    answer_parts: bool = True
    """Whether a function may answer with pictures, as from Gemini 3 on."""
    repeats_empty_calls: bool = False
    """Whether it repeats a call whose answer was empty."""
    reports_interaction_status: bool = False
    """Whether the end of a turn tells if the interaction goes on."""


_DEVELOPER: Final = frozenset[Backend]({"developer"})
_VERTEX: Final = frozenset[Backend]({"vertex"})
_LIVE_2_5: Final = SimulatedModel(
    _DEVELOPER, affective_dialog=True, proactivity="optional", answer_parts=False
)
_LIVE_3_8: Final = SimulatedModel(
    _DEVELOPER | _VERTEX,
    thinking="forbidden",
    proactivity="always",
    blocking_tools="optional",
    coverage="TURN_INCLUDES_AUDIO_ACTIVITY_AND_ALL_VIDEO",
    repeats_empty_calls=True,
)
PROFILES: Final[dict[str, SimulatedModel]] = {
    "gemini-3.8-live": _LIVE_3_8,
    "gemini-3.8-live-extended-thinking": replace(
        _LIVE_3_8,
        backends=_DEVELOPER,
        thinking="required",
        blocking_tools="forbidden",
        reports_interaction_status=True,
    ),
    "gemini-3.1-flash-live-preview": SimulatedModel(
        _DEVELOPER, blocking_tools="only", client_content="seed_only"
    ),
    "gemini-2.5-flash-native-audio-preview-12-2025": _LIVE_2_5,
    "gemini-live-2.5-flash-native-audio": replace(
        _LIVE_2_5, backends=_VERTEX, coverage="TURN_INCLUDES_ALL_INPUT"
    ),
}
"""The models that the simulator knows."""


def check_setup(setup: Setup, endpoint: ApiEndpoint) -> tuple[str, SimulatedModel]:
    """Return the model's short name and its abilities.

    Raises RefusalError for a setup that is not accepted.
    """
    name, profile = _model(setup.model, endpoint)
    _check_generation(setup.generation_config or Generation(), name, profile, endpoint)
    _check_session(setup, name, profile, endpoint)
    check_tools(setup.tools or (), profile, endpoint.backend)
    return name, profile


def check_tools(tools: Sequence[WireTool], profile: SimulatedModel, backend: Backend) -> None:
    """Raise RefusalError for a function that the service or the model does not support."""
    unsupported = {"forbidden": "BLOCKING", "only": "NON_BLOCKING"}.get(profile.blocking_tools, "")
    for function in (each for tool in tools for each in tool.function_declarations or ()):
        _ensure(
            function.behavior != unsupported, f"{unsupported} function calls are not supported by this model"
        )
    check_functions(tools, backend)


def check_content(content: Content, backend: Backend) -> None:
    """Raise RefusalError for a role or a part that is not allowed in a client's content."""
    roles = {None, "user", "model", *(("system",) if backend == "vertex" else ())}
    _ensure(content.role in roles, "Please use a valid role: user, model.")
    for part in content.parts or ():
        _ensure(
            part.function_call is None and part.function_response is None,
            "Function calls and responses are not allowed in client_content",
        )


def _model(given: str | None, endpoint: ApiEndpoint) -> tuple[str, SimulatedModel]:
    if not given:
        raise RefusalError("setup.model is required")
    place = r"(projects/[^/]+/locations/[^/]+/)?publishers/google/" if endpoint.backend == "vertex" else ""
    match = re.fullmatch(place + r"models/(?P<name>[^/]+)", given)
    profile = PROFILES.get(match["name"]) if match else None
    if match is None or profile is None or endpoint.backend not in profile.backends:
        raise RefusalError(
            f"{given} is not found for API version {endpoint.version}, "
            "or is not supported for bidiGenerateContent.",
            POLICY,
        )
    return match["name"], profile


def _check_generation(config: Generation, name: str, profile: SimulatedModel, endpoint: ApiEndpoint) -> None:
    _ensure(
        set(config.response_modalities or ("AUDIO",)) == {"AUDIO"},
        "The requested combination of response modalities is not supported by the model "
        f"{name}: only AUDIO is",
    )
    _ensure(
        not config.enable_affective_dialog or profile.affective_dialog,
        f"enable_affective_dialog is not supported by the model {name}",
    )
    thinking = config.thinking_config or Thinking()
    if profile.thinking == "forbidden":
        _ensure(config.thinking_config is None, f"thinking_config is not supported by the model {name}")
    elif profile.thinking == "required":
        _ensure(
            (thinking.thinking_budget is None) != (thinking.thinking_level is None),
            f"Exactly one of thinking_level and thinking_budget is required by the model {name}",
        )
    _ensure(0 <= (config.temperature or 0) <= 2, "temperature must be in the range [0.0, 2.0]")
    _ensure(0 <= (config.top_p or 0) <= 1, "top_p must be in the range [0.0, 1.0]")
    _ensure((config.candidate_count or 1) == 1, "Only one candidate is supported")
    speech = config.speech_config or SpeechConfig()
    _ensure(
        speech.multi_speaker_voice_config is None, "Multi-speaker voices are not supported in a Live session"
    )
    voice = speech.voice_config.prebuilt_voice_config if speech.voice_config else None
    if voice and voice.voice_name:
        _ensure(
            voice.voice_name in VOICES,
            f"Requested voice api_name '{voice.voice_name}' is not available for model {name}",
        )
    if code := speech.language_code:
        on_vertex = endpoint.backend == "vertex"
        known = code in _VERTEX_LANGUAGES if on_vertex else _LANGUAGE.fullmatch(code) is not None
        _ensure(known, f"Unsupported language code '{code}' for model {name}")


def _check_session(setup: Setup, name: str, profile: SimulatedModel, endpoint: ApiEndpoint) -> None:
    on_vertex = endpoint.backend == "vertex"
    if setup.proactivity is not None:
        _ensure(profile.proactivity != "absent", f"proactivity is not supported by the model {name}")
        _ensure(
            profile.proactivity != "always" or setup.proactivity.proactive_audio is not False,
            f"proactive_audio cannot be disabled for the model {name}",
        )
    resumption = setup.session_resumption
    _ensure(
        on_vertex or resumption is None or resumption.transparent is None,
        "Transparent session resumption is not supported",
    )
    for field in ("explicit_vad_signal", "avatar_config"):
        _ensure(
            on_vertex or getattr(setup, field) is None,
            f"Invalid JSON payload received. Unknown name \"{field}\" at 'setup': Cannot find field.",
        )
    compression = setup.context_window_compression
    if compression is not None and compression.sliding_window is not None:
        target, trigger = compression.sliding_window.target_tokens, compression.trigger_tokens
        _ensure(
            target is None or trigger is None or int(target) < int(trigger),
            "sliding_window.target_tokens must be less than trigger_tokens",
        )


def _ensure(condition: bool, reason: str) -> None:
    if not condition:
        raise RefusalError(reason)
