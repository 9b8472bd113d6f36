"""Settings of the microphone and the speaker."""

from typing import Annotated, Any, Final, Literal, get_args

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from kioskd.yamlconf.section import Section
from kioskd.yamlconf.value_types import PathOnDisk, Range, SoundDeviceName, UnusedAt, said, shown

CueName = Literal["wake", "end", "mute", "error", "warn"]
CUES: Final[tuple[CueName, ...]] = get_args(CueName)


def _all_or_none(value: Any) -> Any:
    if isinstance(value, bool):
        return CUES if value else ()
    if not isinstance(value, list | tuple):
        raise said(
            f"{shown(value)} is not a list of chimes; write true, false, or a list of {', '.join(CUES)}"
        )
    return value


Cues = Annotated[
    tuple[CueName, ...], BeforeValidator(_all_or_none, json_schema_input_type=bool | list[CueName])
]


class MicrophoneSettings(Section):
    """The microphone, and how the kiosk keeps from hearing itself."""

    device: SoundDeviceName = "default"
    """Name of the capture device, as `kioskd devices` prints it. A part of the name is enough, if it matches
    one device only. default is the system's own choice. A card's number is rejected: it can change when the
    machine starts."""
    channel: Annotated[int, Range(1, 64, "it is a channel of the device")] | None = Field(
        default=None, examples=[1]
    )
    """Number of the one channel to listen to, counted from 1. Use it for a microphone array whose first
    channel is the processed one. If not set, the daemon mixes all channels."""
    echo: Literal["half_duplex", "cancel", "hardware"] = "half_duplex"
    """Way to keep the kiosk from hearing itself. half_duplex works with every device: the kiosk does not
    listen while it speaks, and only the button interrupts it. cancel uses WebRTC's echo canceller: the
    visitor can interrupt by voice. It needs the extra kioskd[echo], so run scripts/install.sh again. hardware
    is for devices that cancel their own echo, as speakerphones do: the visitor can interrupt by voice."""
    noise_suppression: bool | None = Field(default=None, examples=[True])
    """Whether the echo canceller removes the room's noise from the sound that is sent. It also makes the rest
    of an echo quieter. It needs `echo: cancel`. If not set, it is true there."""
    gain_control: bool | None = Field(default=None, examples=[False])
    """Whether the echo canceller makes quiet voices louder, and noise with them. It needs `echo: cancel`. If
    not set, it is false there."""
    preroll_ms: Annotated[int, Range(0, 5000, "older sound would be another visitor's words")] = 600
    """Milliseconds of sound from before the wake that the kiosk sends, so that the first word is not lost.
    People begin to speak as they press. Where only speech is sent, each utterance also begins with earlier
    sound: 600 ms, or `preroll_ms` if that is more."""

    @field_validator("noise_suppression", "gain_control")
    @classmethod
    def _only_with_a_canceller(cls, value: bool | None, info: ValidationInfo) -> bool | None:
        if value is not None and info.data.get("echo") not in (None, "cancel"):
            raise said("has no effect without the echo canceller; set echo to cancel, or remove this")
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
    """The speaker: its volume, its chimes, and the kiosk's own spoken prompts."""

    device: SoundDeviceName = "default"
    """Name of the playback device, as `kioskd devices` prints it. A part of the name is enough, if it matches
    one device only. default is the system's own choice. A card's number is rejected: it can change when the
    machine starts."""
    volume: Annotated[int, Range(0, 100, "it is a percentage")] = 70
    """Volume in percent of full scale. 70 is well below distortion on small speakers. People can
    set another volume: by `kioskd volume`, or by asking the model. Their volume stays within `volume_floor`
    and `volume_ceiling`. It holds in place of this one, also after a restart. Then the journal says so at
    each start and reload."""
    volume_floor: Annotated[int, Range(0, 100, "it is a percentage")] = 20
    """Lowest volume, in percent, that visitors and tools can set. It keeps the kiosk audible for the next
    visitor."""
    volume_ceiling: Annotated[int, Range(0, 100, "it is a percentage")] = Field(
        default=100, validate_default=True
    )
    """Highest volume, in percent, that visitors and tools can set. It must not be below `volume_floor`."""
    asleep: Literal["auto", "pause", "play"] = "auto"
    """Work of the speaker while the kiosk sleeps. pause stops it, which saves CPU. play plays a noise that is
    too quiet to hear: some amplifiers and speakers fall asleep without a signal, and lose the first syllable
    then. auto plays on HDMI, S/PDIF, USB and Bluetooth. It pauses on other cards and on sound servers."""
    cues: Cues = CUES
    """List of the chimes that the kiosk plays: when a conversation begins (wake) and ends (end), when the
    microphone is muted (mute), and when something fails (error). One more chime sounds before a conversation
    ends by time (warn). true is all of them, and false is none. The daemon removes them from the sound
    that it sends to the Live service."""
    prompts: bool = True
    """Whether the kiosk speaks a prompt when it cannot reach the service, is closed, or hears nothing."""
    prompts_folder: Annotated[
        PathOnDisk | None,
        UnusedAt("prompts", False, "with prompts: false the kiosk speaks no prompt; remove one of the two"),
    ] = Field(default=None, examples=["prompts"])
    """Folder with your own prompts, only with `prompts: true`. It holds texts as LANGUAGE.yaml, or recordings
    as LANGUAGE/CODE.wav (for example de/W1.wav). If not set, the kiosk speaks the prompts that come with
    it."""

    @field_validator("volume_ceiling")
    @classmethod
    def _above_the_floor(cls, value: int, info: ValidationInfo) -> int:
        floor = info.data.get("volume_floor")
        if floor is not None and value < floor:
            raise said(
                f"{value} is below volume_floor ({floor}): no volume would be left; write {floor} or more"
            )
        return value
