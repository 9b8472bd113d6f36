"""All settings: one frozen model for each section, with units in the names and a text under each field.

That text is the only one. `scripts/settings-reference` makes config/kioskd.yaml and the manual's page from
it.
"""

from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from kioskd.adapters.source import Library, Source
from kioskd.settings.announcements import AnnouncementsSettings
from kioskd.settings.buttons_lamps import ControlsSettings
from kioskd.settings.camera import CameraSettings
from kioskd.settings.captions import CaptionsSettings
from kioskd.settings.conversation import AssistantSettings, ConversationSettings
from kioskd.settings.fleet import FleetBrokerSettings, FleetSettings
from kioskd.settings.limits import LimitsSettings, PrivacySettings
from kioskd.settings.service import ServiceSettings
from kioskd.settings.sound import MicrophoneSettings, SpeakerSettings
from kioskd.settings.subjects import SubjectsSetting
from kioskd.settings.tools import ToolsSetting
from kioskd.yamlconf.section import Section
from kioskd.yamlconf.value_types import Range, at_each, said


class MetricsSettings(Section):
    """Metrics for Prometheus. `kioskd status --prometheus` prints the same metrics."""

    port: Annotated[int, Range(0, 65_535, "it is the number of a port")] = 0
    """Port of http://127.0.0.1:PORT/metrics, which only a collector on this machine can reach. 0 is off.
    Another value must be 1024 or more."""

    @field_validator("port")
    @classmethod
    def _not_a_privileged_one(cls, value: int) -> int:
        if 0 < value < 1024:
            raise said(f"{value} is a port for root only; write 1024 or more, for example 9464")
        return value


class Settings(Section):
    """All settings of a kiosk. A section without a text of its own has the text of its class."""

    service: ServiceSettings = ServiceSettings()
    assistant: AssistantSettings = AssistantSettings()
    conversation: ConversationSettings = ConversationSettings()
    microphone: MicrophoneSettings = MicrophoneSettings()
    speaker: SpeakerSettings = SpeakerSettings()
    camera: CameraSettings = CameraSettings()
    controls: ControlsSettings = ControlsSettings()
    subjects: Annotated[
        SubjectsSetting,
        Field(
            examples=[
                {"https://museum.example/clock": {"about": "The clock of 1720: an eight-day movement."}}
            ]
        ),
    ] = Field(default_factory=dict)
    """Subjects: the things that visitors stand before. Each name is the line that a reader types. It is the
    text of a QR code, or the number of an NFC tag, for example. In a name, `*` stands for any characters. A
    name without `*` comes first, and then the first pattern that fits. Upper and lower case count. The line
    itself never leaves the device. `kioskd wake --about NAME` does the same. At most 500 subjects."""
    tools: ToolsSetting = ()
    """Tools: the actions that the model is allowed to do for the visitor. Each entry has a `kind`, which
    decides what else it takes. `kioskd help settings` lists the settings of each kind. In the source code,
    each of config/examples/tools-*.yaml is a complete example. `kioskd tools list` prints the tools that the
    model gets."""
    announcements: AnnouncementsSettings = AnnouncementsSettings()
    captions: CaptionsSettings = CaptionsSettings()
    limits: LimitsSettings = LimitsSettings()
    privacy: PrivacySettings = PrivacySettings()
    metrics: MetricsSettings = MetricsSettings()
    fleet: FleetSettings | None = None
    """A kiosk among many. Without this section the kiosk belongs to no fleet."""

    @field_validator("controls")
    @classmethod
    def _a_line_each(cls, value: ControlsSettings, info: ValidationInfo) -> ControlsSettings:
        camera = info.data.get("camera")
        own_lamp = camera.own_lamp if camera else None
        taken = dict.fromkeys(own_lamp.parsed.wires, "camera.lamp") if own_lamp else {}
        faults = []
        sources: dict[tuple[str | int, ...], Source] = {
            **{path: button.parsed for path, button in value.placed_buttons.items()},
            **{path: lamp.parsed for path, lamp in value.placed_lamps.items()},
            **{path: reader.parsed for path, reader in value.placed_readers.items()},
            **({("presence",): value.presence.parsed} if value.presence else {}),
        }
        for path, source in sources.items():
            owner = ".".join(("controls", *map(str, path)))
            if (wire := next((wire for wire in source.wires if wire in taken), None)) is not None:
                what = f"{wire} is already used by {taken[wire]}; write another one here"
                faults.append(((*path, "source"), what))
            taken |= dict.fromkeys(set(source.wires) - set(taken), owner)
        if faults:
            raise at_each(faults)
        return value

    @property
    def fleet_broker(self) -> FleetBrokerSettings | None:
        """The broker of the fleet; None if this kiosk belongs to no fleet, or to one without a broker."""
        return None if self.fleet is None else self.fleet.mqtt

    @property
    def sources(self) -> tuple[Source, ...]:
        """Every source, parsed: of the camera and its lamp, of the controls."""
        controls, own_lamp = self.controls, self.camera.own_lamp
        lamps = (*([own_lamp] if own_lamp else []), *controls.all_lamps)
        return (
            self.camera.parsed,
            *(button.parsed for button in controls.all_buttons),
            *(lamp.parsed for lamp in lamps),
            *(reader.parsed for reader in controls.readers),
            *([controls.presence.parsed] if controls.presence else []),
        )

    @property
    def libraries(self) -> tuple[Library, ...]:
        """The libraries that the sources need, without duplicates."""
        return tuple(dict.fromkeys(source.library for source in self.sources if source.library is not None))
