"""Settings of the assistant and of a conversation."""

import re
from typing import Annotated, Final, Literal

from pydantic import (
    BeforeValidator,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)

from kioskd.live_models import ThinkingLevel
from kioskd.yamlconf.section import Section
from kioskd.yamlconf.value_types import (
    LanguageOrAuto,
    Name,
    OwnerText,
    PathOnDisk,
    Range,
    VoiceName,
    WakeWord,
    at_each,
    said,
    shown,
)

SHORTEST_PAUSE_MS: Final = 200
"""Sound that `media.voice` needs to detect speech, in milliseconds. A pause cannot be shorter."""


def _one_or_more(value: object) -> object:
    return (value,) if isinstance(value, str) else value


WakeWords = Annotated[
    tuple[WakeWord, ...],
    Field(max_length=2),
    BeforeValidator(_one_or_more, json_schema_input_type=str | list[str]),
]
"""One wake word or two."""

AUTO: Final = "auto"
"""The language setting that follows any visitor."""

Languages = Annotated[
    tuple[LanguageOrAuto, ...],
    Field(max_length=24, examples=["auto", ["de-DE", "fr-FR"]]),
    BeforeValidator(_one_or_more, json_schema_input_type=str | list[str]),
]
"""One language, several, or auto alone."""


Pace = Literal["normal", "slow"]

DEFAULT_PROFILE: Final = "default"
"""Name of the profile that has no settings of its own."""

_PROFILE_NAME: Final = "[a-z][a-z0-9_]{0,39}"


class ProfileSettings(Section):
    """A profile of a visitor. It changes how the kiosk speaks with them, in one conversation only.

    A profile needs at least one of these settings. All others stay as they are.
    """

    instructions: Annotated[OwnerText, StringConstraints(max_length=5_000)] | None = Field(
        default=None, examples=["Use short words and short sentences. Explain each unusual word."]
    )
    """Instructions to the model for these visitors, added to `assistant.instructions`."""
    voice: VoiceName | None = Field(default=None, examples=["Leda"])
    """Voice for these visitors. If not set, it is `assistant.voice`. A profile that is chosen in
    mid-conversation gets its voice with the next connection."""
    pace: Pace | None = Field(default=None, examples=["slow"])
    """Pace of these visitors, as in `conversation.pace`. If not set, `conversation.pace` applies."""

    @model_validator(mode="after")
    def _some_change(self) -> "ProfileSettings":
        if not self.model_fields_set:
            raise said("is empty, and would change nothing; write instructions, voice or pace, or remove it")
        return self


class AssistantSettings(Section):
    """The assistant that the visitor talks to."""

    instructions: Annotated[OwnerText, StringConstraints(max_length=20_000)] = (
        "You are the voice of a kiosk. Answer in one to three short sentences: they are heard, not read."
    )
    """Instructions to the model: the part it plays, what it knows, how it speaks. The default suits any
    kiosk. Write here what yours is for."""
    voice: VoiceName = "Kore"
    """One of the service's prebuilt voices. Upper and lower case count. Kore is clear in a noisy room."""
    language: Languages = ("en-US",)
    """Language and country of the kiosk's speech, as en-US, de-DE or pt-BR. With a list, the model answers in
    the visitor's language. To a visitor of another language it speaks the first one. With auto, it follows
    any visitor. The kiosk's own prompts come in the language last heard in the conversation, if the service
    names it. Otherwise they come in the first language of the list, or in English with auto."""
    temperature: Annotated[float, Range(0, 2, "the service takes no other value")] | None = Field(
        default=None, examples=[0.7]
    )
    """Freedom of the model in its choice of words. With 0 it always takes the likeliest word, and with 2 it
    is wild. If not set, the service decides."""
    thinking: ThinkingLevel | None = Field(default=None, examples=["low"])
    """Level of thinking before each answer, only for models that have levels. The default model has none.
    If not set, the service decides. A model that needs a level then gets low."""
    vocabulary: Annotated[
        tuple[Annotated[Name, StringConstraints(max_length=100)], ...],
        Field(max_length=200, examples=[["Huygens", "anchor escapement"]]),
    ] = ()
    """Names and terms that visitors say and a stranger would mishear. They help the service to transcribe
    speech."""
    greeting: Annotated[OwnerText, StringConstraints(max_length=2_000)] | None = Field(
        default=None, examples=["Greet the visitor in one sentence."]
    )
    """Instruction to the model for its first words after a wake, before the visitor speaks. If not set, the
    kiosk listens in silence. With `conversation.wake: [start]` the kiosk greets when the daemon starts. After
    that it greets only after a conversation in which it heard a visitor. So it does not talk to an empty
    room."""
    pictures: Annotated[tuple[PathOnDisk, ...], Field(max_length=16, examples=[["map.jpg"]])] = ()
    """Pictures (JPEG, PNG, WebP) that the model gets when a conversation starts, for example a map. The
    service bills each once a conversation, and again with each turn as a part of its memory. The kiosk sends
    one at a time, when no sound waits. On a slow line it leaves out a picture that waited for 30 s, and logs
    that."""
    profiles: dict[str, ProfileSettings] = Field(
        default_factory=dict,
        max_length=16,
        examples=[{"easy_language": {"instructions": "Use short words.", "pace": "slow"}}],
    )
    """Profiles of visitors, by name. Each has some of the settings below `assistant.profiles.NAME`. A visitor
    has one for one conversation. A button chooses it (`does: wake` with `profile`), or the command `kioskd
    wake --profile NAME`. The model chooses it with its tool `choose_profile`, when the visitor asks. Names
    have small letters, digits and _. The name default stands for no profile."""

    @field_validator("profiles")
    @classmethod
    def _names_to_call_them(cls, value: dict[str, ProfileSettings]) -> dict[str, ProfileSettings]:
        form = "is not a name; write small letters, digits and _, for example easy_language"
        taken = "is the name of having no profile; write another name"
        faults = [
            ((name,), taken if name == DEFAULT_PROFILE else form)
            for name in value
            if name == DEFAULT_PROFILE or not re.fullmatch(_PROFILE_NAME, name)
        ]
        if faults:
            raise at_each(faults)
        return value

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages that the model is told to keep to; none with auto."""
        return () if self.language == (AUTO,) else self.language

    @property
    def first_language(self) -> str:
        """The language of the kiosk's own speech until a visitor's language is known."""
        return next(iter(self.languages), "en-US")

    @field_validator("language")
    @classmethod
    def _some_languages(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise said("is an empty list; write a language, for example en-US, or auto")
        if len(set(value)) < len(value):
            raise said("names one language twice; remove the second")
        if AUTO in value and len(value) > 1:
            raise said("lists auto beside languages, and auto means every language; remove one of the two")
        return value


class CompressionSettings(Section):
    """Sizes between which the service keeps its memory of a long conversation. A second of speech is 25
    tokens."""

    trigger: Annotated[
        int, Range(1_000, 131_072, "the models remember 131072 tokens"), Field(examples=[25_000])
    ]
    """Tokens of memory at which the service shortens it."""
    target: Annotated[int, Range(0, 131_072, "the models remember 131072 tokens")] | None = Field(
        default=None, examples=[8_000]
    )
    """Tokens of memory that the service keeps then, less than `trigger`. If not set, it is half of
    `trigger`."""

    @field_validator("target")
    @classmethod
    def _below_the_trigger(cls, value: int | None, info: ValidationInfo) -> int | None:
        trigger = info.data.get("trigger")
        if value is not None and trigger is not None and value >= trigger:
            raise said(f"{value} is not below trigger ({trigger}): nothing would be shortened; write less")
        return value


class ExtensionSettings(Section):
    """More time for a visitor, before a conversation ends by time.

    The kiosk warns of the end with a chime, on the lamp, and through the model. After the warning, a press of
    a button with `does: toggle` or `does: wake` gives more time. So does the model's tool `more_time`, when
    the visitor asks. The kiosk also warns 5 seconds before it ends a silent conversation, or at most a
    quarter of the silence. A press then starts the silence again, and counts as no extension. No visitor can
    put off limits of the day and quiet hours.
    """

    most: Annotated[int, Range(0, 100, "each extension is billed")] = 10
    """How often a visitor can have more time in one conversation. 0 is never. The standard WCAG 2.2
    asks for ten times or more."""
    by_s: Annotated[float, Range(20, 3600, "the time that an extension gives")] = 300.0
    """Seconds that the conversation still lasts after an extension, with `pace: slow` 2.5 times as many."""


class ConversationSettings(Section):
    """The start and the end of a conversation, and the rules of turn-taking in it."""

    wake: tuple[Literal["button", "voice", "wakeword", "start", "reader", "presence", "remote"], ...] = (
        "button",
    )
    """Ways to wake the kiosk, at least one. button: a button with a waking action. These buttons always
    wake, listed here or not. voice: any speech. It needs the extra kioskd[voice], so run
    scripts/install.sh again. wakeword: the word in the setting `wakeword`. voice and wakeword exclude
    each other. start: the kiosk is always on. It wakes when the daemon starts, and again after each
    conversation. reader: a line that a reader types, with a subject of its own. presence: the sensor
    `controls.presence` that sees a visitor. Both always wake, too. remote: the command `kioskd wake`.
    That command always works, listed here or not. List remote alone if nothing on the device should wake
    the kiosk. The default is the button, because a sleeping kiosk costs nothing."""
    wakeword: WakeWords = ("okay_nabu",)
    """Wake word, or a list of two, only with `wake: [wakeword]`: okay_nabu, hey_jarvis, hey_mycroft or alexa.
    A word of your own is the path of a microWakeWord model's .json file, beside its .tflite file. Each word
    costs processor time while the kiosk sleeps. A wake word needs the extra kioskd[wakeword], so run
    scripts/install.sh again."""
    wakeword_sensitivity: Literal["low", "normal", "high"] = "normal"
    """Sensitivity to the wake word, only with `wake: [wakeword]`. high hears a word that is said far away or
    unclearly, and wakes more often without one. low is for a room with a television. normal is what the maker
    of the word's model chose."""
    turn_taking: Literal["service", "local"] = "service"
    """Judge of whether the visitor has finished speaking. service understands the words. local is a detector
    on this device: it hears only sound, and nothing but speech is sent then. It needs the extra
    kioskd[voice], so run scripts/install.sh again. A button that is held to talk decides by itself."""
    pace: Pace = "normal"
    """Pace of the visitors. With slow, a pause of up to 1.5 seconds does not end a visitor's turn. That part
    has no effect with a button that is held to talk. With slow, `idle_s`, `follow_up_s`,
    `limits.warn_s` and `extensions.by_s` are 2.5 times as long."""
    idle_s: Annotated[float, Range(3, 3600, "the time a visitor has to begin to speak")] = 20.0
    """Seconds of silence from both sides until the kiosk sleeps. 20 lets a visitor think, and does not bill
    an empty room for long."""
    follow_up_s: Annotated[float, Range(0, 3600, "the time a visitor has to answer a reply")] | None = Field(
        default=None, examples=[20]
    )
    """Seconds for which the kiosk listens after a reply. With 0, each reply ends the conversation.
    If not set, it is as long as `idle_s`."""
    longest_s: Annotated[float, Range(3, 86_400, "the length of one conversation")] = Field(
        default=600.0, validate_default=True
    )
    """Seconds after which a conversation ends, whatever happens. It bounds the bill. It must not be less than
    `idle_s` and `follow_up_s`."""
    extensions: ExtensionSettings | None = Field(default=None, examples=[{"most": 10, "by_s": 300}])
    """More time for visitors who want it, before a conversation ends by time. If not set, there is none."""
    think_s: Annotated[float, Range(2, 120, "the time the model has to begin to answer")] = 12.0
    """Seconds of silence from the model after which it is the visitor's turn again. The model may choose not
    to answer. Where it does answer, it begins within a few seconds."""
    uplink: Literal["continuous", "voice"] | None = Field(default=None, examples=["continuous"])
    """Sound that the kiosk sends while it listens. continuous sends all of it, so that the service's own
    detector works at its best. With voice, only speech and a margin around it leave the device. If not set,
    it is continuous, or voice with `turn_taking: local`, which excludes continuous. voice needs the extra
    kioskd[voice]. A button that is held to talk decides by itself."""
    speech_start: Literal["low", "high"] | None = Field(default=None, examples=["low"])
    """Sensitivity of the service's detector to the beginning of speech. low is for a noisy room. It needs
    `turn_taking: service`, and no button that is held to talk. If not set, the service decides."""
    speech_end: Literal["low", "high"] | None = Field(default=None, examples=["low"])
    """Sensitivity of the service's detector to the end of speech. low lets the visitor pause. It needs
    `turn_taking: service`, and no button that is held to talk. If not set, the service decides."""
    padding_ms: Annotated[int, Range(0, 5000, "the visitor waits for it")] | None = Field(
        default=None, examples=[100]
    )
    """Milliseconds of speech that the service needs before it takes sound for speech. It needs
    `turn_taking: service`, and no button that is held to talk. If not set, the service decides."""
    silence_ms: Annotated[int, Range(50, 10_000, "the visitor waits for it")] | None = Field(
        default=None, examples=[800]
    )
    """Milliseconds of silence that end the visitor's turn. With `turn_taking: local` or `uplink: voice` the
    kiosk's own detector needs 200 or more. It has no effect with a button that is held to talk. It excludes
    `pace: slow` where `turn_taking` is local, or `speech_end` is set. If not set, `pace` decides, or the
    service."""
    interruptions: Literal["allowed", "ignored"] | None = Field(default=None, examples=["allowed"])
    """Whether the visitor's voice ends a reply of the kiosk. If not set, it is allowed. With
    `microphone.echo: half_duplex` it has no effect: the kiosk hears nothing while it speaks."""
    search: bool = False
    """Whether the model may look things up with Google Search. The service bills each search."""
    compression_tokens: CompressionSettings | None = None
    """Bounds on the service's memory of a long conversation, in tokens. The service bills the whole memory
    again with each turn. If not set, the service shortens its memory late, at 80 percent of its capacity."""

    @property
    def needs_speech_model(self) -> str | None:
        """The first of these settings that needs a neural network for speech, with its value. None: none
        does."""
        needs = {
            "wake = voice": "voice" in self.wake,
            "turn_taking = local": self.turn_taking == "local",
            "uplink = voice": self.uplink == "voice",
        }
        return next((f"conversation.{setting}" for setting, needed in needs.items() if needed), None)

    @field_validator("wakeword", "wakeword_sensitivity")
    @classmethod
    def _of_a_wakeword(cls, value: object, info: ValidationInfo) -> object:
        default = cls.model_fields[str(info.field_name)].default
        if value != default and "wakeword" not in info.data.get("wake", ("wakeword",)):
            raise said("has no effect: no wake word wakes this kiosk; add wakeword to wake, or remove this")
        return value

    @field_validator("wakeword")
    @classmethod
    def _some_words(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise said("is an empty list: no word could wake the kiosk; write, for example, okay_nabu")
        if len(set(value)) < len(value):
            raise said("names one wake word twice; remove the second")
        return value

    @field_validator("silence_ms")
    @classmethod
    def _of_a_detector(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value is None:
            return value
        local = info.data.get("turn_taking") == "local"
        if value < SHORTEST_PAUSE_MS and (local or info.data.get("uplink") == "voice"):
            raise said(
                f"{value} is below {SHORTEST_PAUSE_MS}, the shortest pause that the kiosk's own detector "
                f"can measure; write {SHORTEST_PAUSE_MS} or more"
            )
        if info.data.get("pace") == "slow" and (local or info.data.get("speech_end") is not None):
            raise said("replaces pace: slow, which only means a longer silence; remove one of the two")
        return value

    @field_validator("uplink")
    @classmethod
    def _local_turns_are_speech(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value == "continuous" and info.data.get("turn_taking") == "local":
            raise said("cannot be continuous: with turn_taking: local only speech is sent; remove this")
        return value

    @field_validator("wake")
    @classmethod
    def _some_way_to_wake(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise said("is an empty list: nothing could ever wake the kiosk; write [button] or [start]")
        if len(set(value)) < len(value):
            raise said("names one way to wake twice; remove the second")
        if {"voice", "wakeword"} <= set(value):
            raise said(
                "names voice and wakeword, and voice wakes before a wake word is over; remove one of the two"
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
                    f"write {shown(wait_s)} or more, or lower {name}"
                )
        return value
