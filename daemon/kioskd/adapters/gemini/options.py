"""What an owner may tell the model and the service's own detectors, as the setup says it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from google.genai import types


@dataclass(frozen=True, slots=True)
class Options:
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


UNSAID: Final = Options()


def thinking(options: Options) -> "types.ThinkingConfig | None":
    """Return what to say of thinking; some models refuse the very word."""
    from google.genai import types  # noqa: PLC0415 - loaded by now

    if options.thinking is None:
        return None
    return types.ThinkingConfig(thinking_level=types.ThinkingLevel(options.thinking.upper()))


def visitor_transcription(options: Options) -> "types.AudioTranscriptionConfig":
    """Return how to write down what the visitor says."""
    from google.genai import types  # noqa: PLC0415

    return types.AudioTranscriptionConfig(custom_vocabulary=list(options.vocabulary) or None)


def tools(options: Options) -> "list[types.Tool] | None":
    """Return what the model may use."""
    from google.genai import types  # noqa: PLC0415

    return [types.Tool(google_search=types.GoogleSearch())] if options.search else None


def compression(options: Options) -> "types.ContextWindowCompressionConfig":
    """Return when the context is shortened. Always said: without it a session ends after 15 minutes of audio."""
    from google.genai import types  # noqa: PLC0415

    return types.ContextWindowCompressionConfig(
        trigger_tokens=options.compression_trigger,
        sliding_window=types.SlidingWindow(target_tokens=options.compression_target),
    )


def realtime_input(options: Options) -> "types.RealtimeInputConfig":
    """Return how the service is to tell speech from the rest."""
    from google.genai import types  # noqa: PLC0415

    detection = types.AutomaticActivityDetection(
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
    handling = {
        None: None,
        "allowed": types.ActivityHandling.START_OF_ACTIVITY_INTERRUPTS,
        "ignored": types.ActivityHandling.NO_INTERRUPTION,
    }
    return types.RealtimeInputConfig(
        automatic_activity_detection=detection if detection.model_dump(exclude_none=True) else None,
        activity_handling=handling[options.interruptions],
        # Said, as the default differs by model. No camera is sent, and silence would be billed again each turn.
        turn_coverage=types.TurnCoverage.TURN_INCLUDES_ONLY_ACTIVITY,
    )
