"""What a visitor presses, and what shows the state."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import Field, ValidationInfo, field_validator

from kioskd.adapters.controls.kinds import (
    ButtonSourceText,
    CommandSource,
    LampSourceText,
    button_source,
    lamp_source,
)
from kioskd.adapters.controls.source import ButtonSource, LampSource
from kioskd.yamlconf.document import ValuePath
from kioskd.yamlconf.section import Section
from kioskd.yamlconf.value_types import ClockTime, Name, Range, at, program, said, shown

SHORTEST_RESTART_S: Final = 3
"""Longer than anybody presses who means nothing by it."""

ButtonAction = Literal["toggle", "wake", "end", "mute", "look", "hush"]


class ButtonSettings(Section):
    """What a visitor presses."""

    source: ButtonSourceText
    """gpio:CHIP/LINE, as in gpio:pi/17 (pi is the header of whatever Pi this is; a chip's name or label does, too), or
    evdev:NAME/KEY, as in evdev:Pedal/KEY_SPACE (USB buttons, pedals, presenters)."""
    does: Literal[ButtonAction, "hold"] = "toggle"
    """What a press does: toggle (wakes a sleeping kiosk, silences a reply, ends a conversation), hold (talk while it is
    held), wake, end, mute, look (show the model what the camera sees), hush (silence a reply)."""
    double: ButtonAction | None = None
    """What two presses within 0.4 s do in place of `does`, which then waits so long for a second one; but for hold."""
    mute_s: Annotated[float, Range(0, 50, "a button that is held for a minute counts as stuck")] = 2.0
    """Holding it for so many seconds, and letting go, mutes or unmutes; 0: never. Not with does: hold."""
    restart_s: Annotated[float, Range(0, 50, "a button that is held for a minute counts as stuck")] = 10.0
    """Holding it for so many seconds, and letting go, restarts the service; 0: never, else 3 at least. Not with
    does: hold."""
    pull: Literal["up", "down", "none"] | None = None
    """Only gpio: the line's resistor. Without it: up, for a button between the line and ground; down with active: high,
    for one between the line and 3.3 V."""
    active: Literal["low", "high"] = "low"
    """Only gpio: the line's level when the button is pressed."""
    debounce_ms: Annotated[int, Range(0, 500, "contacts chatter for a few ms")] = 20
    """Only gpio: milliseconds for which the level must hold to count."""

    @field_validator("mute_s", "restart_s")
    @classmethod
    def _not_of_a_talk(cls, value: float, info: ValidationInfo) -> float:
        if info.data.get("does") == "hold" and value not in (
            0,
            cls.model_fields[info.field_name or ""].default,
        ):
            raise said("goes unused: a button that is held to talk does nothing else; take it out")
        return value

    @field_validator("restart_s")
    @classmethod
    def _after_muting(cls, value: float, info: ValidationInfo) -> float:
        mute_s = info.data.get("mute_s")
        if value and mute_s is not None and value <= mute_s:
            raise said(
                f"{shown(value)} is not above mute_s ({shown(mute_s)}): nobody could mute; use more, or 0"
            )
        if 0 < value < SHORTEST_RESTART_S:
            raise said(
                f"{shown(value)} is below {SHORTEST_RESTART_S}: an ordinary press would restart the service; use more, or 0"
            )
        return value

    @field_validator("pull", "active", "debounce_ms")
    @classmethod
    def _of_a_line(cls, value: object, info: ValidationInfo) -> object:
        source = button_source(info.data["source"]) if "source" in info.data else None
        if source is not None and not source.is_line:
            raise said(f"goes unused: it is for gpio lines, and this is {source.called}; take it out")
        return value

    @property
    def parsed(self) -> ButtonSource:
        """`source`, taken apart."""
        return button_source(self.source)


class NightSettings(Section):
    """When the lamp is to be dim."""

    from_: ClockTime = Field(alias="from")
    """Local time, HH:MM."""
    to: ClockTime
    """Local time, HH:MM; before `from` it is the next day's."""
    brightness: Annotated[int, Range(0, 100, "it is a percentage")] = 10
    """Percent; 0 is dark. Never above the lamp's own."""

    @field_validator("to")
    @classmethod
    def _some_night(cls, value: str, info: ValidationInfo) -> str:
        if value == info.data.get("from_"):
            raise said("is the same as from: that is no night at all; use another time")
        return value


class LampSettings(Section):
    """What shows the state."""

    source: LampSourceText | None = None
    """gpio:CHIP/LINE; rgb:CHIP/RED,GREEN,BLUE (three lines); pwm:CHIP/CHANNEL; led:NAME (a kernel LED)."""
    command: Annotated[tuple[Name, ...] | None, Field(max_length=64, validate_default=True)] = None
    """In place of a source: a program and its arguments, run with the state as one more argument at each change, and with
    KIOSKD_CODE, KIOSKD_OVERLAY and KIOSKD_ASKING in its environment."""
    active: Literal["high", "low"] = "high"
    """Only gpio and rgb: the line's level when the lamp is lit."""
    brightness: Annotated[int, Range(1, 100, "it is a percentage")] = 100
    """Percent, for lamps that can be dimmed: pwm and led."""
    night: NightSettings | None = None
    """When it is to be dimmer; of gpio and rgb, which are on or off: dark."""

    @field_validator("active", "brightness")
    @classmethod
    def _of_its_source(cls, value: str | int, info: ValidationInfo) -> str | int:
        name = info.field_name or ""
        if value == cls.model_fields[name].default:
            return value
        if name == "active" and not _is_line(info):
            raise said("goes unused: it is for gpio and rgb lines, and this lamp is none; take it out")
        if name == "brightness" and not _can_be_dimmed(info):
            raise said("goes unused: this lamp cannot be dimmed, only those of pwm and led can; take it out")
        return value

    @field_validator("night")
    @classmethod
    def _to_be_seen(cls, value: NightSettings | None, info: ValidationInfo) -> NightSettings | None:
        if value is None:
            return value
        if _can_be_dimmed(info):
            return _no_brighter(value, info.data.get("brightness", 100))
        if not _is_line(info):
            raise said("goes unused: how bright it is, is the command's own business; take it out")
        if value.brightness:
            raise said("goes unused: this lamp is on or off; set its brightness to 0 (dark), or take it out")
        return value

    @field_validator("command")
    @classmethod
    def _one_of_both(cls, value: tuple[str, ...] | None, info: ValidationInfo) -> tuple[str, ...] | None:
        if "source" in info.data and not value and info.data["source"] is None:
            raise said("names no lamp: it needs a source or a command; add source: gpio:pi/25, say")
        if value is not None and info.data.get("source") is not None:
            raise said("stands beside a source: a lamp is either; take out one of the two")
        return (program(value[0], info), *value[1:]) if value else value

    @property
    def parsed(self) -> LampSource:
        """`source` or `command`, taken apart."""
        return _parsed(self.source, self.command)


def _no_brighter(night: NightSettings, day: int) -> NightSettings:
    if night.brightness <= day:
        return night
    if "brightness" in night.model_fields_set:
        raise at(
            ("brightness",),
            f"{shown(night.brightness)} is above the lamp's brightness ({shown(day)}): it would be brighter "
            "at night; use less",
        )
    return night.model_copy(update={"brightness": day})


def _parsed(source: str | None, argv: tuple[str, ...] | None) -> LampSource:
    return CommandSource(argv or ()) if source is None else lamp_source(source)


def _is_line(info: ValidationInfo) -> bool:
    return "source" not in info.data or _parsed(info.data["source"], None).is_line


def _can_be_dimmed(info: ValidationInfo) -> bool:
    return "source" not in info.data or _parsed(info.data["source"], None).dims


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
        """Each button, the first one first."""
        return tuple(self.placed_buttons.values())

    @property
    def all_lamps(self) -> tuple[LampSettings, ...]:
        """Every lamp, the first one first."""
        return tuple(self.placed_lamps.values())

    @property
    def placed_buttons(self) -> Mapping[ValuePath, ButtonSettings]:
        """Every button by where it stands in this section."""
        return _placed("button", self.button, "buttons", self.buttons)

    @property
    def placed_lamps(self) -> Mapping[ValuePath, LampSettings]:
        """Every lamp by where it stands in this section."""
        return _placed("lamp", self.lamp, "lamps", self.lamps)


def _placed(name: str, first: Any, plural: str, more: tuple[Any, ...]) -> dict[ValuePath, Any]:
    placed: dict[ValuePath, Any] = {} if first is None else {(name,): first}
    return placed | {(plural, index): each for index, each in enumerate(more)}
