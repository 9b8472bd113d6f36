"""What an owner may tell the model and the service's own detectors, as the setup says it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from kioskd.adapters.gemini.functions import BlockingRule, Resolution, declarations
from kioskd.adapters.gemini.tool_trial import GOOGLE_SEARCH
from kioskd.ports import Tool


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """Wishes beyond voice and instructions. None leaves it to the service, and is not said."""

    temperature: float | None = None
    thinking: Literal["minimal", "low", "medium", "high"] | None = None
    vocabulary: tuple[str, ...] = ()
    """What visitors say and a stranger would mishear; for the transcription of their speech."""
    speech_start: Literal["low", "high"] | None = None
    """How readily the service hears that speech begins."""
    speech_end: Literal["low", "high"] | None = None
    """How readily it hears that speech has ended."""
    padding_ms: int | None = None
    """Speech before it counts as speech."""
    silence_ms: int | None = None
    """Silence before speech counts as ended."""
    interruptions: Literal["allowed", "ignored"] | None = None
    """Whether the visitor's voice ends a reply."""
    search: bool = False
    """Whether the model may use Google Search."""
    compression_trigger: int | None = None
    """Tokens of context at which it is shortened."""
    compression_target: int | None = None
    """Tokens of context that are left then."""
    own_turns: bool = False
    """Whether we say when the visitor's turn begins and ends: the service then listens for no speech, and the four
    settings of its detector are not said."""
    turn_coverage: Literal["activity", "all_input", "activity_and_pictures"] | None = "activity"
    """What of the input belongs to the visitor's turn. Said by default, as what it is unsaid differs by model."""
    media_resolution: Resolution | None = None
    """How closely pictures are looked at: 64 tokens each, or 256, or 256 and more."""
    functions: BlockingRule = "non_blocking"
    """Whether the model waits for tools: a fact about it, like the next two."""
    client_content: Literal["any_time", "seed_only"] = "any_time"
    """When the model takes what is written rather than said."""
    pictures_in_answers: bool = True
    """Whether the model takes pictures as parts of a tool's answer: those before Gemini 3 do not."""


UNSAID: Final = SessionOptions()

_HANDLING: Final = {None: None, "allowed": "START_OF_ACTIVITY_INTERRUPTS", "ignored": "NO_INTERRUPTION"}
_COVERAGE: Final = {
    None: None,
    "activity": "TURN_INCLUDES_ONLY_ACTIVITY",
    "all_input": "TURN_INCLUDES_ALL_INPUT",
    "activity_and_pictures": "TURN_INCLUDES_AUDIO_ACTIVITY_AND_ALL_VIDEO",
}


def session_fields(options: SessionOptions, declared: Sequence[Tool]) -> dict[str, object]:
    """Return what the setup says of `options` and of the `declared` tools, by the names of the SDK's LiveConnectConfig.

    What is None is left to the service: some models refuse the very word. The context's compression is always said:
    without it a session ends after 15 minutes of audio.
    """
    from google.genai import types  # noqa: PLC0415 - loaded by now

    own = [tool for tool in declared if tool is not GOOGLE_SEARCH]
    search = types.Tool(google_search=types.GoogleSearch()) if len(own) < len(declared) else None
    tools = [tool for tool in (search, declarations(own, options.functions)) if tool is not None]
    return {
        "temperature": options.temperature,
        "media_resolution": _named("MEDIA_RESOLUTION_", options.media_resolution),
        "thinking_config": {"thinking_level": options.thinking.upper()} if options.thinking else None,
        "tools": tools or None,
        "input_audio_transcription": {"custom_vocabulary": list(options.vocabulary) or None},
        "context_window_compression": {
            "trigger_tokens": options.compression_trigger,
            "sliding_window": {"target_tokens": options.compression_target},
        },
        "realtime_input_config": {
            "automatic_activity_detection": _detection(options),
            "activity_handling": _HANDLING[options.interruptions],
            "turn_coverage": _COVERAGE[options.turn_coverage],
        },
    }


def _detection(options: SessionOptions) -> dict[str, object] | None:
    if options.own_turns:
        return {"disabled": True}
    found: dict[str, object] = {
        "start_of_speech_sensitivity": _named("START_SENSITIVITY_", options.speech_start),
        "end_of_speech_sensitivity": _named("END_SENSITIVITY_", options.speech_end),
        "prefix_padding_ms": options.padding_ms,
        "silence_duration_ms": options.silence_ms,
    }
    return found if any(value is not None for value in found.values()) else None


def _named(prefix: str, choice: str | None) -> str | None:
    """Return what the service calls a choice of ours."""
    return None if choice is None else prefix + choice.upper()
