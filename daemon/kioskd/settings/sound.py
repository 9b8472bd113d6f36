"""What the kiosk hears and speaks with."""

from typing import Annotated, Any, Final, Literal, get_args

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from kioskd.yamlconf.section import Section
from kioskd.yamlconf.value_types import PathOnDisk, Range, SoundDeviceName, UnusedAt, said, shown

CueName = Literal["wake", "end", "mute", "error"]
CUES: Final[tuple[CueName, ...]] = get_args(CueName)


def _all_or_none(value: Any) -> Any:
    if isinstance(value, bool):
        return CUES if value else ()
    if not isinstance(value, list | tuple):
        raise said(
            f"{shown(value)} names no chimes: it takes true, false or a list of {', '.join(CUES)}; write true"
        )
    return value


Cues = Annotated[
    tuple[CueName, ...], BeforeValidator(_all_or_none, json_schema_input_type=bool | list[CueName])
]


class MicrophoneSettings(Section):
    """What the kiosk hears with."""

    device: SoundDeviceName = "default"
    """Name of the capture device, as `kioskd devices` prints it; never its number, which changes."""
    channel: Annotated[int, Range(1, 64, "it is a channel of the device")] | None = None
    """The one channel to listen to, for microphone arrays whose first is the processed one, say. Without it: all of them,
    mixed."""
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
    """Milliseconds kept from before the wake, so that the first word is not lost. People begin to speak as they press.
    Within a conversation of which only speech is sent, 600 come with each beginning, if these are not more."""

    @field_validator("noise_suppression", "gain_control")
    @classmethod
    def _only_with_a_canceller(cls, value: bool | None, info: ValidationInfo) -> bool | None:
        if value is not None and info.data.get("echo") not in (None, "cancel"):
            raise said("is a part of the echo canceller: set echo to cancel, or take this out")
        return value

    @property
    def half_duplex(self) -> bool:
        """Whether the kiosk does not listen while it speaks."""
        return self.echo == "half_duplex"

    @property
    def cancels(self) -> bool:
        """Whether the kiosk cancels the echo itself."""
        return self.echo == "cancel"

    @property
    def device_cancels(self) -> bool:
        """Whether the device cancels the echo."""
        return self.echo == "hardware"


class SpeakerSettings(Section):
    """What the kiosk speaks with."""

    device: SoundDeviceName = "default"
    """Name of the playback device, as `kioskd devices` prints it; never its number, which changes."""
    volume: Annotated[int, Range(0, 100, "it is a percentage")] = 70
    """Percent of full scale. 70 is well below distortion on small speakers."""
    volume_floor: Annotated[int, Range(0, 100, "it is a percentage")] = 20
    """The least that visitors and tools may turn it down to, so that nobody leaves a kiosk that cannot be heard."""
    volume_ceiling: Annotated[int, Range(0, 100, "it is a percentage")] = Field(
        default=100, validate_default=True
    )
    """The most that visitors and tools may turn it up to."""
    cues: Cues = CUES
    """Short chimes: true is all of [wake, end, mute, error], false is none. None of them is ever heard by the service."""
    prompts: bool = True
    """Whether the kiosk says aloud what is wrong when it cannot reach the service, is closed, or hears nothing."""
    prompts_folder: Annotated[
        PathOnDisk | None,
        UnusedAt("prompts", False, "with prompts: false nothing is said aloud; take out one of the two"),
    ] = None
    """Folder of the owner's own words for that: LANGUAGE.yaml, or LANGUAGE/CODE.wav, as in de/W1.wav."""

    @field_validator("volume_ceiling")
    @classmethod
    def _above_the_floor(cls, value: int, info: ValidationInfo) -> int:
        floor = info.data.get("volume_floor")
        if floor is not None and value < floor:
            raise said(
                f"{value} is below volume_floor ({floor}): no volume would be left; use {floor} or more"
            )
        return value
