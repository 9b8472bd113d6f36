"""The Live API's setup message, with exactly the fields that the service knows.

Names may be in camelCase or snake_case at every level, and `null` means unset. A name that is not in the
schema, or an unknown enum value, ends the connection with 1007: the service's JSON reader (proto3 JSON)
refuses both.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StrictBool, StrictFloat, StrictInt
from pydantic.alias_generators import to_camel

Int64 = StrictInt | Annotated[str, Field(pattern=r"^-?\d{1,19}$")]
"""A 64-bit integer: proto3 JSON writes it as a string, and reads strings and numbers."""
Number = StrictFloat | StrictInt
Anything = dict[str, Any]
"""An object whose contents change nothing in the simulator."""
Coverage = Literal[
    "TURN_INCLUDES_ONLY_ACTIVITY", "TURN_INCLUDES_ALL_INPUT", "TURN_INCLUDES_AUDIO_ACTIVITY_AND_ALL_VIDEO"
]
"""Rule that selects the input of a visitor's turn."""
_Start = Literal["START_SENSITIVITY_UNSPECIFIED", "START_SENSITIVITY_HIGH", "START_SENSITIVITY_LOW"]
_End = Literal["END_SENSITIVITY_UNSPECIFIED", "END_SENSITIVITY_HIGH", "END_SENSITIVITY_LOW"]
_Level = Literal["THINKING_LEVEL_UNSPECIFIED", "MINIMAL", "LOW", "MEDIUM", "HIGH", "XHIGH"]
_Modality = Literal["MODALITY_UNSPECIFIED", "TEXT", "IMAGE", "AUDIO", "VIDEO"]
_Handling = Literal["ACTIVITY_HANDLING_UNSPECIFIED", "START_OF_ACTIVITY_INTERRUPTS", "NO_INTERRUPTION"]
_Resolution = Literal[
    "MEDIA_RESOLUTION_UNSPECIFIED", "MEDIA_RESOLUTION_LOW", "MEDIA_RESOLUTION_MEDIUM", "MEDIA_RESOLUTION_HIGH"
]


class WireModel(BaseModel):
    """A message, or a part of one."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        extra="forbid",
        frozen=True,
    )


class Blob(WireModel):
    """Bytes in base64, in the standard or the URL-safe alphabet; decoded when they are needed."""

    data: str | None = None
    mime_type: str | None = None
    display_name: str | None = None


class Part(WireModel):
    """A part of a content."""

    text: str | None = None
    inline_data: Blob | None = None
    thought: StrictBool | None = None
    thought_signature: str | None = None
    file_data: Anything | None = None
    function_call: Anything | None = None
    function_response: Anything | None = None
    executable_code: Anything | None = None
    code_execution_result: Anything | None = None
    video_metadata: Anything | None = None
    media_resolution: Anything | None = None
    part_metadata: Anything | None = None


class Content(WireModel):
    """Parts of one role."""

    parts: tuple[Part, ...] | None = None
    role: str | None = None

    @property
    def words(self) -> str:
        """The text of all parts."""
        return " ".join(part.text for part in self.parts or () if part.text)


class PrebuiltVoice(WireModel):
    """One of the service's voices."""

    voice_name: str | None = None


class VoiceConfig(WireModel):
    """Choice of the voice."""

    prebuilt_voice_config: PrebuiltVoice | None = None
    replicated_voice_config: Anything | None = None
    voice: str | None = None


class SpeechConfig(WireModel):
    """Settings of the model's speech."""

    voice_config: VoiceConfig | None = None
    language_code: str | None = None
    multi_speaker_voice_config: Anything | None = None


class Thinking(WireModel):
    """Settings of the model's thinking."""

    include_thoughts: StrictBool | None = None
    thinking_budget: StrictInt | None = None
    thinking_level: _Level | None = None


class Generation(WireModel):
    """Settings of the model's output."""

    response_modalities: tuple[_Modality, ...] | None = None
    temperature: Number | None = None
    top_p: Number | None = None
    top_k: Number | None = None
    max_output_tokens: StrictInt | None = None
    seed: StrictInt | None = None
    candidate_count: StrictInt | None = None
    presence_penalty: Number | None = None
    frequency_penalty: Number | None = None
    media_resolution: _Resolution | None = None
    speech_config: SpeechConfig | None = None
    thinking_config: Thinking | None = None
    enable_affective_dialog: StrictBool | None = None
    translation_config: Anything | None = None


class ParameterSchema(WireModel):
    """The shape of a function's arguments: the OpenAPI subset that the service reads."""

    type: str | None = None
    format: str | None = None
    title: str | None = None
    description: str | None = None
    nullable: StrictBool | None = None
    enum: tuple[str, ...] | None = None
    items: "ParameterSchema | None" = None
    properties: "dict[str, ParameterSchema] | None" = None
    required: tuple[str, ...] | None = None
    additional_properties: Any = None
    property_ordering: tuple[str, ...] | None = None
    any_of: "tuple[ParameterSchema, ...] | None" = None
    default: Any = None
    example: Any = None
    pattern: str | None = None
    minimum: Number | None = None
    maximum: Number | None = None
    min_items: Int64 | None = None
    max_items: Int64 | None = None
    min_length: Int64 | None = None
    max_length: Int64 | None = None
    min_properties: Int64 | None = None
    max_properties: Int64 | None = None


class FunctionDeclaration(WireModel):
    """A function that the model may call."""

    name: str | None = None
    description: str | None = None
    parameters: ParameterSchema | None = None
    parameters_json_schema: Any = None
    response: ParameterSchema | None = None
    response_json_schema: Any = None
    behavior: Literal["UNSPECIFIED", "BLOCKING", "NON_BLOCKING"] | None = None


class WireTool(WireModel):
    """Tools that the model may use."""

    function_declarations: tuple[FunctionDeclaration, ...] | None = None
    google_search: Anything | None = None
    google_search_retrieval: Anything | None = None
    google_maps: Anything | None = None
    code_execution: Anything | None = None
    url_context: Anything | None = None
    retrieval: Anything | None = None
    computer_use: Anything | None = None
    file_search: Anything | None = None


class Resumption(WireModel):
    """Request for resumption handles, and the handle of a session to be resumed."""

    handle: SecretStr | None = None
    transparent: StrictBool | None = None


class Transcription(WireModel):
    """Request for transcripts."""

    language_codes: tuple[str, ...] | None = None
    language_auto: Anything | None = None
    language_hints: Anything | None = None
    custom_vocabulary: tuple[str, ...] | None = None
    adaptation_phrases: tuple[str, ...] | None = None
    word_timestamp: StrictBool | None = None
    diarization: StrictBool | None = None
    mode: Literal["MODE_UNSPECIFIED", "VERBATIM", "SMART"] | None = None
    source_text: str | None = None


class Detection(WireModel):
    """Settings of the service's speech detection."""

    disabled: StrictBool | None = None
    start_of_speech_sensitivity: _Start | None = None
    end_of_speech_sensitivity: _End | None = None
    prefix_padding_ms: Annotated[StrictInt, Field(ge=0)] | None = None
    silence_duration_ms: Annotated[StrictInt, Field(ge=0)] | None = None


class Realtime(WireModel):
    """Settings of turn-taking."""

    automatic_activity_detection: Detection | None = None
    activity_handling: _Handling | None = None
    turn_coverage: Literal["TURN_COVERAGE_UNSPECIFIED", Coverage] | None = None
    interim_transcript_timestamp_enabled: StrictBool | None = None


class Window(WireModel):
    """Size of the context after compression."""

    target_tokens: Int64 | None = None


class Compression(WireModel):
    """Settings of the context's compression."""

    trigger_tokens: Int64 | None = None
    sliding_window: Window | None = None


class Proactivity(WireModel):
    """Whether the model may stay silent."""

    proactive_audio: StrictBool | None = None
    proactive_video: StrictBool | None = None


class History(WireModel):
    """Whether the conversation starts with a history from the client."""

    initial_history_in_client_content: StrictBool | None = None


class Setup(WireModel):
    """The first message from a client: the settings of its session."""

    model: str | None = None
    generation_config: Generation | None = None
    system_instruction: Content | None = None
    tools: tuple[WireTool, ...] | None = None
    session_resumption: Resumption | None = None
    context_window_compression: Compression | None = None
    input_audio_transcription: Transcription | None = None
    output_audio_transcription: Transcription | None = None
    realtime_input_config: Realtime | None = None
    proactivity: Proactivity | None = None
    explicit_vad_signal: StrictBool | None = None
    history_config: History | None = None
    avatar_config: Anything | None = None
    safety_settings: tuple[Anything, ...] | None = None
    labels: dict[str, str] | None = None
