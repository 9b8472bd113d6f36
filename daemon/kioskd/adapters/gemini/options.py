"""Settings of the owner for the model and for the service's speech detector, and their form in the setup."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from kioskd.adapters.gemini.functions import BlockingRule, Resolution, declarations
from kioskd.adapters.gemini.tool_trial import GOOGLE_SEARCH
from kioskd.ports import Tool


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """Settings beyond voice and instructions. None: the setup does not mention the setting, and the service
    decides.
    """

    temperature: float | None = None
    thinking: Literal["minimal", "low", "medium", "high"] | None = None
    vocabulary: tuple[str, ...] = ()
    """Words of visitors that are easily misheard; they help the transcription of speech."""
    speech_start: Literal["low", "high"] | None = None
    """How readily the service detects the start of speech."""
    speech_end: Literal["low", "high"] | None = None
    """How readily the service detects the end of speech."""
    padding_ms: int | None = None
    """Milliseconds of speech before the service counts it as speech."""
    silence_ms: int | None = None
    """Milliseconds of silence before the service counts speech as ended."""
    interruptions: Literal["allowed", "ignored"] | None = None
    """Whether the visitor's voice ends a reply."""
    search: bool = False
    """Whether the model is allowed to use Google Search."""
    compression_trigger: int | None = None
    """Tokens of context at which the service shortens it."""
    compression_target: int | None = None
    """Tokens of context that remain after shortening."""
    own_turns: bool = False
    """Whether the daemon says when the visitor's turn begins and ends. The service then does not detect
    speech, and the setup leaves out the four settings of its detector."""
    turn_coverage: Literal["activity", "all_input", "activity_and_pictures"] | None = "activity"
    """Parts of the input that belong to the visitor's turn. The setup always states it, as the default
    differs by model."""
    media_resolution: Resolution | None = None
    """Detail of pictures for the model: 64 tokens each, or 256, or 256 and more."""
    functions: BlockingRule = "non_blocking"
    """Whether the model waits for tools. Like the next two, this is a property of the model."""
    client_content: Literal["any_time", "seed_only"] = "any_time"
    """When the model accepts written content."""
    pictures_in_answers: bool = True
    """Whether the model accepts pictures as parts of a tool's answer; models before Gemini 3 do not."""


@dataclass(frozen=True, slots=True)
class SessionProfile:
    """The settings of a session that differ by the visitor's profile, each in its final form."""

    instructions: str
    voice: str
    speech_end: Literal["low", "high"] | None = None
    silence_ms: int | None = None


UNSAID: Final = SessionOptions()

_HANDLING: Final = {None: None, "allowed": "START_OF_ACTIVITY_INTERRUPTS", "ignored": "NO_INTERRUPTION"}
_COVERAGE: Final = {
    None: None,
    "activity": "TURN_INCLUDES_ONLY_ACTIVITY",
    "all_input": "TURN_INCLUDES_ALL_INPUT",
    "activity_and_pictures": "TURN_INCLUDES_AUDIO_ACTIVITY_AND_ALL_VIDEO",
}


def session_fields(options: SessionOptions, declared: Sequence[Tool]) -> dict[str, object]:
    """Return the setup's fields for `options` and the `declared` tools, by their names in the SDK's
    LiveConnectConfig.

    The SDK leaves out a field that is None, as some models reject even the field's name. Compression of the
    context is always requested: without it a session ends after 15 minutes of audio.
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
    """Return the service's name for one of our choices."""
    return None if choice is None else prefix + choice.upper()
