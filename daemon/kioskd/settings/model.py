"""What can be set: one frozen model a section, units in the names, the reason for each default under its field.

The shape holds what later versions will do, so that nobody's file has to change; `Later` refuses it until then.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationInfo, field_validator

from kioskd.profiles import NEWEST, Level, Provider
from kioskd.settings.forms import (
    ApiVersion,
    ButtonSource,
    CameraSource,
    GpioSource,
    HttpProxy,
    Https,
    Language,
    Later,
    Location,
    Name,
    PathOnDisk,
    Project,
    QuietHours,
    Range,
    Text,
    Voice,
    said,
    shown,
)

Value = TypeVar("Value")


class Section(BaseModel):
    """A part of the YAML: nothing unknown, nothing converted, nothing changed afterwards."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )


def _of(value: Value, provider: Provider, info: ValidationInfo) -> Value:
    """Refuse what only the other provider would use."""
    given = info.data.get("provider", provider)
    if value is not None and given != provider:
        raise said(f"goes unused: it is for provider {provider}, and this is {given}; take it out")
    return value


class ServiceSettings(Section):
    """Which Live service, and how to reach it. The key itself never stands in this file."""

    provider: Provider = "gemini"
    """Who runs the service: gemini (the Gemini Developer API) or vertex (Google Cloud)."""
    model: Name = NEWEST
    """The Live model. The default is the one that is generally available and has no shutdown date."""
    api_version: ApiVersion | None = None
    """Version of the service's interface. Without it: the one that is known to serve provider and model."""
    project: Annotated[Project | None, Field(validate_default=True)] = None
    """Google Cloud project (vertex, which cannot do without)."""
    location: Location | None = None
    """Google Cloud location (vertex). Without it: global, which is wherever there is room."""
    credentials_file: PathOnDisk | None = None
    """Service account's credentials in JSON (vertex), readable by the daemon's own user only. Without it: Google's
    application default credentials."""
    token_url: Https | None = None
    """https address of the owner's server that mints ephemeral tokens, so that the device holds no key (gemini)."""
    key_file: PathOnDisk | None = None
    """File that holds the key (gemini), readable by its owner only. Without it: the systemd credential gemini-api-key,
    then the environment's GEMINI_API_KEY, then GOOGLE_API_KEY."""
    endpoint: Https | None = None
    """https address of a gateway to use in the service's place. Without it: the service itself."""
    ca_file: PathOnDisk | None = None
    """Certificates (PEM) to trust in place of the public ones, for a gateway with its own."""
    proxy: HttpProxy | None = None
    """Address of an HTTP proxy (CONNECT) for all of this. Without it: the environment's https_proxy, if any."""
    renew_s: Annotated[float, Range(5, 780, "the service ends connections at ten to fifteen minutes")] = 540.0
    """Seconds after which a connection is renewed unasked, in the next quiet moment or a minute later. The default
    is a minute before the service ends them; few seconds are for rehearsals."""
    media_resolution: Annotated[Literal["low", "medium", "high"] | None, Later("cameras are", (None,))] = None
    """How closely the model looks at pictures."""

    @field_validator("project")
    @classmethod
    def _vertex_has_a_project(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None and info.data.get("provider") == "vertex":
            raise said("is missing: vertex serves within a Google Cloud project; add project: NAME")
        return _of(value, "vertex", info)

    @field_validator("location", "credentials_file")
    @classmethod
    def _of_vertex(cls, value: str | Path | None, info: ValidationInfo) -> str | Path | None:
        return _of(value, "vertex", info)

    @field_validator("token_url", "key_file")
    @classmethod
    def _of_gemini(cls, value: str | Path | None, info: ValidationInfo) -> str | Path | None:
        if value is not None and info.field_name == "key_file" and info.data.get("token_url") is not None:
            raise said("goes unused: with token_url the device holds no key; take out one of the two")
        return _of(value, "gemini", info)


class AssistantSettings(Section):
    """Who the visitor talks to."""

    instructions: Annotated[Text, StringConstraints(max_length=20_000)] = (
        "You are the voice of a kiosk. Answer in one to three short sentences: they are heard, not read."
    )
    """What the model is told about its part. The default suits any kiosk; say here what yours is for."""
    voice: Voice = "Kore"
    """One of the service's prebuilt voices; upper and lower case count. Kore is clear in a noisy room."""
    language: Language = "en-US"
    """Language and country the kiosk speaks."""
    temperature: Annotated[float, Range(0, 2, "it is all that the service takes")] | None = None
    """How freely the model picks its words: 0 always the likeliest, 2 wildly. Without it the service decides."""
    thinking: Level | None = None
    """How long the model thinks before it answers, where it has levels of thinking. Without it the service decides,
    or low where it insists on a word."""
    vocabulary: Annotated[
        tuple[Annotated[Name, StringConstraints(max_length=100)], ...], Field(max_length=200)
    ] = ()
    """Names and terms that visitors say and a stranger would mishear; they help the service to write down speech."""
    greeting: Annotated[Text, StringConstraints(max_length=2_000)] | None = None
    """What to ask of the model after a wake, before the visitor speaks. Without it the kiosk listens in silence."""
    pictures: Annotated[tuple[PathOnDisk, ...], Later("pictures are", ((),))] = ()
    """Pictures shown to the model when a conversation starts."""


class CompressionSettings(Section):
    """When the service shortens its memory of a long conversation, in tokens; 25 are a second of speech."""

    trigger: Annotated[int, Range(1_000, 131_072, "the models remember 131072 tokens")]
    """Tokens of memory at which it is shortened."""
    target: Annotated[int, Range(0, 131_072, "the models remember 131072 tokens")] | None = None
    """Tokens of memory that are left then. Without it the service leaves half of `trigger`."""

    @field_validator("target")
    @classmethod
    def _below_the_trigger(cls, value: int | None, info: ValidationInfo) -> int | None:
        trigger = info.data.get("trigger")
        if value is not None and trigger is not None and value >= trigger:
            raise said(f"{value} is not below trigger ({trigger}): nothing would be shortened; use less")
        return value


class ConversationSettings(Section):
    """When a conversation starts, ends, and who has the word."""

    wake: tuple[
        Annotated[
            Literal["button", "voice", "wakeword", "start", "remote"],
            Later("this way to wake is", ("button", "start")),
        ],
        ...,
    ] = ("button",)
    """What wakes the kiosk, at least one of: button; start (always on: wakes when the daemon starts, and again after
    each conversation). The button, because asleep costs nothing."""
    turn_taking: Annotated[Literal["service", "local"], Later("local turn taking is", ("service",))] = (
        "service"
    )
    """Who decides that the visitor has finished speaking. The service hears meaning, a detector only sound."""
    idle_s: Annotated[float, Range(3, 3600, "the time a visitor has to begin to speak")] = 20.0
    """Seconds without a word from anybody until the kiosk sleeps. 20 lets a visitor think, and bills no empty room."""
    longest_s: Annotated[float, Range(3, 86_400, "the time a conversation may take")] = Field(
        default=600.0, validate_default=True
    )
    """Seconds after which a conversation ends whatever happens: a bound on the bill. Not less than `idle_s`."""
    think_s: Annotated[float, Range(2, 120, "the time the model has to begin to answer")] = 12.0
    """Seconds that the model may stay silent before the visitor has the word again. The model may choose not to
    answer; answers that come at all begin within a few seconds."""
    uplink: Annotated[Literal["continuous", "voice"], Later("voice-only uplink is", ("continuous",))] = (
        "continuous"
    )
    """What is sent while the kiosk listens: everything, so that the service's own detector works at its best."""

    speech_start: Literal["low", "high"] | None = None
    """How readily the service hears that speech begins: low for a noisy room. Without it the service decides."""
    speech_end: Literal["low", "high"] | None = None
    """How readily the service hears that speech has ended: low lets the visitor pause. Without it the service decides."""
    padding_ms: Annotated[int, Range(0, 5000, "the visitor waits for it")] | None = None
    """Milliseconds of speech before the service takes it for speech. Without it the service decides."""
    silence_ms: Annotated[int, Range(50, 10_000, "the visitor waits for it")] | None = None
    """Milliseconds of silence before the service takes speech for ended. Without it the service decides."""
    interruptions: Literal["allowed", "ignored"] | None = None
    """Whether the visitor's voice ends a reply. Without it the service decides: allowed."""
    search: bool = False
    """Whether the model may look things up with Google Search; the service bills each search."""
    compression_tokens: CompressionSettings | None = None
    """When the service shortens its memory of the conversation. Without it the service decides: late, at 80 percent."""

    @field_validator("wake")
    @classmethod
    def _some_way_to_wake(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise said("is an empty list: nothing could ever wake the kiosk; use [button] or [start]")
        if len(set(value)) < len(value):
            raise said("names one way to wake twice: it counts once; take the second out")
        return value

    @field_validator("longest_s")
    @classmethod
    def _not_shorter_than_idle(cls, value: float, info: ValidationInfo) -> float:
        idle_s = info.data.get("idle_s")
        if idle_s is not None and value < idle_s:
            raise said(
                f"{shown(value)} is below idle_s ({shown(idle_s)}), which would never run out; "
                f"use {shown(idle_s)} or more, or lower idle_s"
            )
        return value


class MicrophoneSettings(Section):
    """What the kiosk hears with."""

    device: Name = "default"
    """Name of the capture device, as `kioskd devices` prints it."""
    echo: Literal["half_duplex", "cancel", "hardware"] = "half_duplex"
    """What keeps the kiosk from hearing itself: half_duplex (does not listen while it speaks; the button interrupts),
    cancel (WebRTC's echo canceller, from the extra kioskd[echo]; the visitor may interrupt by voice) or hardware (the
    device cancels echo, as speakerphones do; the visitor may interrupt by voice)."""
    noise_suppression: bool | None = None
    """Only with `echo: cancel`, on unless set: take the room's noise out of what is sent. It also keeps what is left of
    an echo quiet."""
    gain_control: bool | None = None
    """Only with `echo: cancel`, off unless set: raise quiet voices, and noise with them."""
    preroll_ms: Annotated[int, Range(0, 5000, "more would be an older visitor's words")] = 600
    """Milliseconds kept from before the wake, so that the first word is not lost. People begin to speak as they press."""

    @field_validator("noise_suppression", "gain_control")
    @classmethod
    def _only_with_a_canceller(cls, value: bool | None, info: ValidationInfo) -> bool | None:
        if value is not None and info.data.get("echo") not in (None, "cancel"):
            raise said("is a part of the echo canceller: set echo to cancel, or take this out")
        return value


class SpeakerSettings(Section):
    """What the kiosk speaks with."""

    device: Name = "default"
    """Name of the playback device, as `kioskd devices` prints it."""
    volume: Annotated[int, Range(0, 100, "it is a percentage")] = 70
    """Percent of full scale. 70 is well below distortion on small speakers."""
    cues: Annotated[bool, Later("chimes are", (False,))] = False
    """Whether chimes tell of waking and sleeping."""


class CameraSettings(Section):
    """What the kiosk sees with."""

    source: Annotated[CameraSource, Later("cameras are", ("off",))] = "off"
    """off; later picamera, or folder:PATH (its JPEG files in turn)."""
    when: Annotated[Literal["conversation", "speech", "request"], Later("cameras are", ("conversation",))] = (
        "conversation"
    )
    """When pictures are sent."""
    every_s: Annotated[
        float,
        Range(1, 3600, "the service looks at one picture a second at most"),
        Later("cameras are", (1.0,)),
    ] = 1.0
    """Seconds between pictures."""
    size: Annotated[int, Range(64, 4096, "it is pixels"), Later("cameras are", (768,))] = 768
    """Pixels of the longer side; the service works on 768."""


class ButtonSettings(Section):
    """What a visitor presses."""

    source: Annotated[ButtonSource, Later("USB buttons are", ("gpio:",))]
    """gpio:CHIP/LINE, as in gpio:gpiochip0/17; the button pulls the line to ground."""
    does: Annotated[Literal["toggle", "hold"], Later("push-to-talk is", ("toggle",))] = "toggle"
    """What a press does: toggle wakes a sleeping kiosk and silences or ends a conversation."""


class LampSettings(Section):
    """What shows the state."""

    source: GpioSource
    """gpio:CHIP/LINE, as in gpio:gpiochip0/25; high is lit."""


class ControlsSettings(Section):
    """Button and lamp, where there are any."""

    button: ButtonSettings | None = None
    """The wake button. Without it `conversation.wake` must name something else."""
    lamp: LampSettings | None = None
    """A light that shows the state."""

    @field_validator("lamp")
    @classmethod
    def _a_line_of_its_own(cls, value: LampSettings | None, info: ValidationInfo) -> LampSettings | None:
        button = info.data.get("button")
        if value is not None and button is not None and value.source == button.source:
            raise said("has the button's own line: a line is either; give each its own")
        return value


class LimitsSettings(Section):
    """Bounds on the bill."""

    minutes_per_day: Annotated[int, Range(0, 1440, "a day has 1440 minutes"), Later("limits are", (0,))] = 0
    """Minutes of conversation a day; 0 is no limit."""
    tokens_per_day: Annotated[int, Range(0, 10**12, "it is a count"), Later("limits are", (0,))] = 0
    """Tokens a day; 0 is no limit."""
    quiet_hours: Annotated[tuple[QuietHours, ...], Later("quiet hours are", ((),))] = ()
    """Spans of local time, HH:MM-HH:MM, in which nothing wakes the kiosk."""


class PrivacySettings(Section):
    """What is kept. Nothing, unless the owner asks."""

    transcripts: Annotated[Literal["off", "on"], Later("transcripts are", ("off",))] = "off"
    """Whether the words of a conversation are kept."""
    recordings: Annotated[Literal["off", "on"], Later("recordings are", ("off",))] = "off"
    """Whether the sound of a conversation is kept."""


class Settings(Section):
    """Everything an owner can set."""

    service: ServiceSettings = ServiceSettings()
    """Which Live service, and how to reach it."""
    assistant: AssistantSettings = AssistantSettings()
    """Who the visitor talks to."""
    conversation: ConversationSettings = ConversationSettings()
    """When a conversation starts, ends, and who has the word."""
    microphone: MicrophoneSettings = MicrophoneSettings()
    """What the kiosk hears with."""
    speaker: SpeakerSettings = SpeakerSettings()
    """What the kiosk speaks with."""
    camera: CameraSettings = CameraSettings()
    """What the kiosk sees with."""
    controls: ControlsSettings = ControlsSettings()
    """Button and lamp, where there are any."""
    tools: Annotated[tuple[Any, ...], Later("tools are", ((),))] = ()
    """What the model may call."""
    limits: LimitsSettings = LimitsSettings()
    """Bounds on the bill."""
    privacy: PrivacySettings = PrivacySettings()
    """What is kept. Nothing, unless the owner asks."""
