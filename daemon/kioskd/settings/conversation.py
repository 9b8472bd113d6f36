"""Who the visitor talks to, when a conversation starts and ends, and who has the word."""

from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints, ValidationInfo, field_validator

from kioskd.live_models import ThinkingLevel
from kioskd.yamlconf.section import Section
from kioskd.yamlconf.value_types import (
    Language,
    Name,
    OwnerText,
    PathOnDisk,
    Range,
    VoiceName,
    WakeWordName,
    said,
    shown,
)

SHORTEST_PAUSE_MS: Final = 200
"""What `media.voice` looks at to hear that somebody begins; a pause is no shorter."""


class AssistantSettings(Section):
    """Who the visitor talks to."""

    instructions: Annotated[OwnerText, StringConstraints(max_length=20_000)] = (
        "You are the voice of a kiosk. Answer in one to three short sentences: they are heard, not read."
    )
    """What the model is told about its part. The default suits any kiosk; say here what yours is for."""
    voice: VoiceName = "Kore"
    """One of the service's prebuilt voices; upper and lower case count. Kore is clear in a noisy room."""
    language: Language = "en-US"
    """Language and country the kiosk speaks."""
    temperature: Annotated[float, Range(0, 2, "it is all that the service takes")] | None = None
    """How freely the model picks its words: 0 always the likeliest, 2 wildly. Without it the service decides."""
    thinking: ThinkingLevel | None = None
    """How long the model thinks before it answers, where it has levels of thinking. Without it the service decides,
    or low where it insists on a word."""
    vocabulary: Annotated[
        tuple[Annotated[Name, StringConstraints(max_length=100)], ...], Field(max_length=200)
    ] = ()
    """Names and terms that visitors say and a stranger would mishear; they help the service to write down speech."""
    greeting: Annotated[OwnerText, StringConstraints(max_length=2_000)] | None = None
    """What to ask of the model after a wake, before the visitor speaks. Without it the kiosk listens in silence. A kiosk that
    wakes by itself greets as it starts, and then only after a conversation in which somebody was heard."""
    pictures: Annotated[tuple[PathOnDisk, ...], Field(max_length=16)] = ()
    """Pictures (JPEG, PNG, WebP) shown to the model when a conversation starts: a map, say."""


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

    wake: tuple[Literal["button", "voice", "wakeword", "start", "remote"], ...] = ("button",)
    """What wakes the kiosk, at least one of: button (one that wakes; such a one always does, named here or not); voice
    (somebody speaks) or wakeword (somebody says `wakeword`; from the extra kioskd[wakeword]); start (always on: wakes when
    the daemon starts, and again after each conversation); remote (the command kioskd wake, which always can; alone, for
    a kiosk that nothing here wakes). The button, because asleep costs nothing."""
    wakeword: WakeWordName = "okay_nabu"
    """Only with wake: [wakeword]. One of the words that the extra kioskd[wakeword] brings."""
    turn_taking: Literal["service", "local"] = "service"
    """Who decides that the visitor has finished speaking. The service hears meaning, a detector only sound. With local
    only speech is sent."""
    pace: Literal["normal", "slow"] = "normal"
    """slow is for visitors who take their time: pauses of up to 1.5 seconds do not end what they say."""
    idle_s: Annotated[float, Range(3, 3600, "the time a visitor has to begin to speak")] = 20.0
    """Seconds without a word from anybody until the kiosk sleeps. 20 lets a visitor think, and bills no empty room."""
    follow_up_s: Annotated[float, Range(0, 3600, "the time a visitor has to come back to a reply")] | None = (
        None
    )
    """Seconds that the kiosk goes on listening after a reply; 0 ends the conversation with each reply. Without it:
    idle_s."""
    longest_s: Annotated[float, Range(3, 86_400, "the time a conversation may take")] = Field(
        default=600.0, validate_default=True
    )
    """Seconds after which a conversation ends whatever happens: a bound on the bill. Not less than `idle_s` and
    `follow_up_s`."""
    think_s: Annotated[float, Range(2, 120, "the time the model has to begin to answer")] = 12.0
    """Seconds that the model may stay silent before the visitor has the word again. The model may choose not to
    answer; answers that come at all begin within a few seconds."""
    uplink: Literal["continuous", "voice"] | None = None
    """What is sent while the kiosk listens: continuous (everything, so that the service's own detector works at its
    best) or voice (only speech and its margins leave the device). Without it: continuous, or voice where turns are taken
    locally."""
    speech_start: Literal["low", "high"] | None = None
    """How readily the service hears that speech begins: low for a noisy room. Without it the service decides."""
    speech_end: Literal["low", "high"] | None = None
    """How readily the service hears that speech has ended: low lets the visitor pause. Without it the service decides."""
    padding_ms: Annotated[int, Range(0, 5000, "the visitor waits for it")] | None = None
    """Milliseconds of speech before the service takes it for speech. Without it the service decides."""
    silence_ms: Annotated[int, Range(50, 10_000, "the visitor waits for it")] | None = None
    """Milliseconds of silence before the service takes speech for ended; 200 or more where the kiosk's own detector does
    (turn_taking: local, or uplink: voice). Without it the service decides."""
    interruptions: Literal["allowed", "ignored"] | None = None
    """Whether the visitor's voice ends a reply. Without it the service decides: allowed."""
    search: bool = False
    """Whether the model may look things up with Google Search; the service bills each search."""
    compression_tokens: CompressionSettings | None = None
    """When the service shortens its memory of the conversation. Without it the service decides: late, at 80 percent."""

    @field_validator("wakeword")
    @classmethod
    def _of_a_wakeword(cls, value: str, info: ValidationInfo) -> str:
        default = cls.model_fields["wakeword"].default
        if value != default and "wakeword" not in info.data.get("wake", ("wakeword",)):
            raise said("goes unused: no wake word wakes this kiosk; add wakeword to wake, or take this out")
        return value

    @field_validator("silence_ms")
    @classmethod
    def _of_a_detector(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value is None:
            return value
        local = info.data.get("turn_taking") == "local"
        if value < SHORTEST_PAUSE_MS and (local or info.data.get("uplink") == "voice"):
            raise said(
                f"{value} is below {SHORTEST_PAUSE_MS}, the least that the kiosk's own detector can tell; use more"
            )
        if info.data.get("pace") == "slow" and (local or info.data.get("speech_end") is not None):
            raise said("leaves pace: slow nothing to do, which is a longer silence; take out one of the two")
        return value

    @field_validator("uplink")
    @classmethod
    def _local_turns_are_speech(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value == "continuous" and info.data.get("turn_taking") == "local":
            raise said("cannot be continuous: with turn_taking local only speech is sent; take this out")
        return value

    @field_validator("wake")
    @classmethod
    def _some_way_to_wake(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise said("is an empty list: nothing could ever wake the kiosk; use [button] or [start]")
        if len(set(value)) < len(value):
            raise said("names one way to wake twice: it counts once; take the second out")
        if {"voice", "wakeword"} <= set(value):
            raise said(
                "names voice, which wakes before a wake word is over and has it sent; take out one of the two"
            )
        return value

    @field_validator("longest_s")
    @classmethod
    def _not_shorter_than_a_wait(cls, value: float, info: ValidationInfo) -> float:
        for name in ("idle_s", "follow_up_s"):
            wait_s = info.data.get(name)
            if wait_s is not None and value < wait_s:
                raise said(
                    f"{shown(value)} is below {name} ({shown(wait_s)}), which would never run out; "
                    f"use {shown(wait_s)} or more, or lower {name}"
                )
        return value
