"""What can be set: one frozen model a section, units in the names, the reason for each default under its field."""

from typing import Annotated

from pydantic import ValidationInfo, field_validator

from kioskd.adapters.source import Library, Source
from kioskd.settings.buttons_lamps import ControlsSettings
from kioskd.settings.camera import CameraSettings
from kioskd.settings.conversation import AssistantSettings, ConversationSettings
from kioskd.settings.limits import LimitsSettings, PrivacySettings
from kioskd.settings.service import ServiceSettings
from kioskd.settings.sound import MicrophoneSettings, SpeakerSettings
from kioskd.settings.tools import ToolsSetting
from kioskd.yamlconf.section import Section
from kioskd.yamlconf.value_types import Range, at_each, said


class MetricsSettings(Section):
    """Figures for Prometheus; `kioskd status --prometheus` has them, too."""

    port: Annotated[int, Range(0, 65_535, "ports end there")] = 0
    """Port of http://127.0.0.1:PORT/metrics, on this machine's loopback only: 1024 or more; 0 is off."""

    @field_validator("port")
    @classmethod
    def _not_a_privileged_one(cls, value: int) -> int:
        if 0 < value < 1024:
            raise said(f"{value} is for privileged programs, and this is none; use 1024 or more, 9464 say")
        return value


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
    tools: ToolsSetting = ()
    """What the model may call."""
    limits: LimitsSettings = LimitsSettings()
    """Bounds on the bill."""
    privacy: PrivacySettings = PrivacySettings()
    """What is kept. Nothing, unless the owner asks."""
    metrics: MetricsSettings = MetricsSettings()
    """Figures for Prometheus."""

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
        }
        for path, source in sources.items():
            owner = ".".join(("controls", *map(str, path)))
            for wire in source.wires:
                if wire in taken:
                    faults.append(((*path, "source"), f"{wire} is taken by {taken[wire]}; give each its own"))
                taken.setdefault(wire, owner)
        if faults:
            raise at_each(faults)
        return value

    @property
    def sources(self) -> tuple[Source, ...]:
        """Every source, taken apart: the camera's and its lamp's, the buttons' and the lamps'."""
        controls, own_lamp = self.controls, self.camera.own_lamp
        lamps = (*([own_lamp] if own_lamp else []), *controls.all_lamps)
        return (
            self.camera.parsed,
            *(button.parsed for button in controls.all_buttons),
            *(lamp.parsed for lamp in lamps),
        )

    @property
    def libraries(self) -> tuple[Library, ...]:
        """The libraries that the sources need, each once."""
        return tuple(dict.fromkeys(source.library for source in self.sources if source.library is not None))
