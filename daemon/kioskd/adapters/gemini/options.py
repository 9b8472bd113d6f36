"""What an owner may tell the model and the service's own detectors, as the setup says it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from kioskd.adapters.gemini.functions import BlockingRule, Resolution, declarations
from kioskd.adapters.gemini.tool_trial import GOOGLE_SEARCH
from kioskd.ports import Tool

if TYPE_CHECKING:
    from google.genai import types


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


def thinking(options: SessionOptions) -> "types.ThinkingConfig | None":
    """Return what to say of thinking; some models refuse the very word."""
    from google.genai import types  # noqa: PLC0415 - loaded by now

    if options.thinking is None:
        return None
    return types.ThinkingConfig(thinking_level=types.ThinkingLevel(options.thinking.upper()))


def visitor_transcription(options: SessionOptions) -> "types.AudioTranscriptionConfig":
    """Return how to write down what the visitor says."""
    from google.genai import types  # noqa: PLC0415

    return types.AudioTranscriptionConfig(custom_vocabulary=list(options.vocabulary) or None)


def media_resolution(options: SessionOptions) -> "types.MediaResolution | None":
    """Return how closely the model is to look."""
    from google.genai import types  # noqa: PLC0415

    if options.media_resolution is None:
        return None
    return types.MediaResolution(f"MEDIA_RESOLUTION_{options.media_resolution.upper()}")


def tools(options: SessionOptions, declared: Sequence[Tool]) -> "list[types.Tool] | None":
    """Return what the model may use: the service's search where `declared` has it, and our own."""
    from google.genai import types  # noqa: PLC0415

    own = [tool for tool in declared if tool is not GOOGLE_SEARCH]
    search = types.Tool(google_search=types.GoogleSearch()) if len(own) < len(declared) else None
    return [tool for tool in (search, declarations(own, options.functions)) if tool is not None] or None


def compression(options: SessionOptions) -> "types.ContextWindowCompressionConfig":
    """Return when the context is shortened. Always said: without it a session ends after 15 minutes of audio."""
    from google.genai import types  # noqa: PLC0415

    return types.ContextWindowCompressionConfig(
        trigger_tokens=options.compression_trigger,
        sliding_window=types.SlidingWindow(target_tokens=options.compression_target),
    )


def realtime_input(options: SessionOptions) -> "types.RealtimeInputConfig":
    """Return how the service is to tell speech from the rest, and what of all belongs to a turn."""
    from google.genai import types  # noqa: PLC0415

    handling = {
        None: None,
        "allowed": types.ActivityHandling.START_OF_ACTIVITY_INTERRUPTS,
        "ignored": types.ActivityHandling.NO_INTERRUPTION,
    }
    coverage = {
        None: None,
        "activity": types.TurnCoverage.TURN_INCLUDES_ONLY_ACTIVITY,
        "all_input": types.TurnCoverage.TURN_INCLUDES_ALL_INPUT,
        "activity_and_pictures": types.TurnCoverage.TURN_INCLUDES_AUDIO_ACTIVITY_AND_ALL_VIDEO,
    }
    detection = _detection(options)
    return types.RealtimeInputConfig(
        automatic_activity_detection=detection if detection.model_dump(exclude_none=True) else None,
        activity_handling=handling[options.interruptions],
        turn_coverage=coverage[options.turn_coverage],
    )


def _detection(options: SessionOptions) -> "types.AutomaticActivityDetection":
    from google.genai import types  # noqa: PLC0415

    if options.own_turns:
        return types.AutomaticActivityDetection(disabled=True)
    return types.AutomaticActivityDetection(
        start_of_speech_sensitivity=(
            types.StartSensitivity(f"START_SENSITIVITY_{options.speech_start.upper()}")
            if options.speech_start
            else None
        ),
        end_of_speech_sensitivity=(
            types.EndSensitivity(f"END_SENSITIVITY_{options.speech_end.upper()}")
            if options.speech_end
            else None
        ),
        prefix_padding_ms=options.padding_ms,
        silence_duration_ms=options.silence_ms,
    )
