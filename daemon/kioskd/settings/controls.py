"""What a visitor presses, what shows the state, and what the kiosk sees with."""

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from kioskd.settings.forms import (
    ButtonSource,
    CameraSource,
    ClockTime,
    LampSource,
    Name,
    Range,
    program,
    said,
    shown,
)
from kioskd.settings.section import Section

Act = Literal["toggle", "wake", "end", "mute", "look", "hush"]


class ButtonSettings(Section):
    """What a visitor presses."""

    source: ButtonSource
    """gpio:CHIP/LINE, as in gpio:pi/17 (pi is the header of whatever Pi this is; a chip's name or label does, too), or
    evdev:NAME/KEY, as in evdev:Pedal/KEY_SPACE (USB buttons, pedals, presenters)."""
    does: Literal[Act, "hold"] = "toggle"
    """What a press does: toggle (wakes a sleeping kiosk, silences a reply, ends a conversation), hold (talk while it is
    held), wake, end, mute, look (show the model what the camera sees), hush (silence a reply)."""
    double: Act | None = None
    """What a second press within 0.4 s does in place of `does`."""
    mute_s: Annotated[float, Range(0, 50, "a button that is held for a minute counts as stuck")] = 2.0
    """Holding it for so many seconds, and letting go, mutes or unmutes; 0: never. Not with does: hold."""
    restart_s: Annotated[float, Range(0, 50, "a button that is held for a minute counts as stuck")] = 10.0
    """Holding it for so many seconds, and letting go, restarts the service; 0: never. Not with does: hold."""
    pull: Literal["up", "down", "none"] | None = None
    """Only gpio: the line's resistor. Without it: up, for a button between the line and ground; down with active: high,
    for one between the line and 3.3 V."""
    active: Literal["low", "high"] = "low"
    """Only gpio: the line's level when the button is pressed."""
    debounce_ms: Annotated[int, Range(0, 500, "contacts chatter for a few ms")] = 20
    """Only gpio: milliseconds for which the level must hold to count."""

    @field_validator("restart_s")
    @classmethod
    def _after_muting(cls, value: float, info: ValidationInfo) -> float:
        mute_s = info.data.get("mute_s")
        if value and mute_s is not None and value <= mute_s:
            raise said(
                f"{shown(value)} is not above mute_s ({shown(mute_s)}): nobody could mute; use more, or 0"
            )
        return value

    @field_validator("pull", "active", "debounce_ms")
    @classmethod
    def _of_a_line(cls, value: object, info: ValidationInfo) -> object:
        if str(info.data.get("source", "gpio:")).startswith("evdev:"):
            raise said("goes unused: it is for gpio lines, and this is an input device; take it out")
        return value


class NightSettings(Section):
    """When the lamp is to be dim."""

    from_: ClockTime = Field(alias="from")
    """Local time, HH:MM."""
    to: ClockTime
    """Local time, HH:MM; before `from` it is the next day's."""
    brightness: Annotated[int, Range(0, 100, "it is a percentage")] = 10
    """Percent; 0 is dark."""

    @field_validator("to")
    @classmethod
    def _some_night(cls, value: str, info: ValidationInfo) -> str:
        if value == info.data.get("from_"):
            raise said("is the same as from: that is no night at all; use another time")
        return value


class LampSettings(Section):
    """What shows the state."""

    source: LampSource | None = None
    """gpio:CHIP/LINE; rgb:CHIP/RED,GREEN,BLUE (three lines); pwm:CHIP/CHANNEL; led:NAME (a kernel LED)."""
    command: Annotated[tuple[Name, ...] | None, Field(max_length=64, validate_default=True)] = None
    """In place of a source: a program and its arguments, run with the state as one more argument at each change."""
    active: Literal["high", "low"] = "high"
    """Only gpio and rgb: the line's level when the lamp is lit."""
    brightness: Annotated[int, Range(1, 100, "it is a percentage")] = 100
    """Percent, for lamps that can be dimmed."""
    night: NightSettings | None = None
    """When it is to be dimmer."""

    @field_validator("command")
    @classmethod
    def _one_of_both(cls, value: tuple[str, ...] | None, info: ValidationInfo) -> tuple[str, ...] | None:
        if "source" in info.data and not value and info.data["source"] is None:
            raise said("names no lamp: it needs a source or a command; add source: gpio:pi/25, say")
        if value is not None and info.data.get("source") is not None:
            raise said("stands beside a source: a lamp is either; take out one of the two")
        return (program(value[0], info), *value[1:]) if value else value


class ControlsSettings(Section):
    """Buttons and lamps, where there are any."""

    button: ButtonSettings | None = None
    """The button. Without any `conversation.wake` must name something else."""
    buttons: Annotated[tuple[ButtonSettings, ...], Field(max_length=16)] = ()
    """More of them."""
    lamp: LampSettings | None = None
    """A light that shows the state."""
    lamps: Annotated[tuple[LampSettings, ...], Field(max_length=16)] = ()
    """More of them."""

    @property
    def all_buttons(self) -> tuple[ButtonSettings, ...]:
        """Every button, the first one first."""
        return (*((self.button,) if self.button else ()), *self.buttons)

    @property
    def all_lamps(self) -> tuple[LampSettings, ...]:
        """Every lamp, the first one first."""
        return (*((self.lamp,) if self.lamp else ()), *self.lamps)

    @field_validator("lamp")
    @classmethod
    def _a_line_of_its_own(cls, value: LampSettings | None, info: ValidationInfo) -> LampSettings | None:
        button = info.data.get("button")
        if value is not None and button is not None and value.source == button.source:
            raise said("has the button's own line: a line is either; give each its own")
        return value


class CameraSettings(Section):
    """What the kiosk sees with."""

    source: CameraSource = "off"
    """off; picamera (or picamera:1, the second); v4l2:NAME (a USB webcam); folder:PATH (its pictures in turn)."""
    when: Literal["conversation", "speech", "request"] = "request"
    """When it runs, and pictures are sent: all through a conversation, while the visitor speaks, or only when the model
    or a person asks. The default costs least: the service bills every picture."""
    every_s: Annotated[float, Range(1, 3600, "the service looks at one picture a second at most")] = 2.0
    """Seconds between pictures."""
    size: Annotated[int, Range(64, 4096, "it is pixels")] = 768
    """Pixels of the longer side; the service works on 768."""
    quality: Annotated[int, Range(20, 95, "it is JPEG quality in percent")] = 75
    """JPEG quality. 75 shows no blocks and is a third of 95's bytes."""
    rotate: Literal[0, 90, 180, 270] = 0
    """Degrees to turn the picture clockwise."""
    mirror: bool = False
    """Whether to swap left and right."""
    min_change: Annotated[float, Range(0, 1, "it is a share of full contrast")] = 0.02
    """How much a picture must differ from the last one sent to be sent: mean difference, 0 (always) to 1."""
    refresh_s: Annotated[float, Range(1, 3600, "it is the age of what the model sees")] = 30.0
    """Seconds after which a picture is sent although nothing has changed."""
    lamp: LampSource | None = None
    """The camera's own light, on exactly while it runs: as controls.lamp.source."""
