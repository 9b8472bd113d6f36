"""Settings of buttons, readers, the presence sensor, and lamps."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import Field, StringConstraints, ValidationInfo, field_validator

from kioskd.adapters.controls.kinds import (
    ButtonSourceText,
    CommandSource,
    LampSourceText,
    ReaderSourceText,
    button_source,
    lamp_source,
    reader_source,
)
from kioskd.adapters.controls.source import ButtonSource, LampSource, ReaderSource
from kioskd.yamlconf.document import ValuePath
from kioskd.yamlconf.section import Section
from kioskd.yamlconf.value_types import ClockTime, Name, OwnerText, Range, at, program, said, shown

SHORTEST_RESTART_S: Final = 3
"""Seconds of a press that no visitor makes by accident."""

ButtonAction = Literal["toggle", "wake", "end", "mute", "look", "hush"]


class ButtonSettings(Section):
    """A button that visitors press."""

    source: Annotated[ButtonSourceText, Field(examples=["gpio:pi/17"])]
    """Source of the presses. gpio:CHIP/LINE is a GPIO line, for example gpio:pi/17. CHIP is pi, which is the
    header of any Raspberry Pi, or the name or label of a chip. LINE is the number of the GPIO and not of the
    pin: GPIO 17 is on pin 11. evdev:NAME/KEY is a key of a USB button, pedal or presenter, for example
    `evdev:Pedal/KEY_SPACE`. `kioskd devices` prints the names."""
    does: Literal[ButtonAction, "hold"] = "toggle"
    """Action of a press. toggle wakes a sleeping kiosk, silences a reply, and ends a conversation. hold lets
    the visitor talk while the button is held. look shows the model a picture from the camera. hush silences a
    reply. The other actions are named after what they do. toggle, hold, wake and look are waking actions."""
    double: ButtonAction | None = Field(default=None, examples=["look"])
    """Action of two presses within 0.4 seconds, in place of `does`. The kiosk then answers a single press 0.4
    seconds later, and keeps what the visitor says meanwhile (see `microphone.preroll_ms`). `does: hold`
    begins at once all the same. If not set, two presses are two single presses."""
    profile: Name | None = Field(default=None, examples=["default"])
    """Profile of a visitor who wakes the kiosk by this button: its name in `assistant.profiles`, or default
    for none. It is for the actions toggle and wake. wake also changes the profile of a conversation that goes
    on. If not set, a new conversation has no profile, and wake leaves the profile as it is."""
    mute_s: Annotated[float, Range(0, 50, "a button that is held for a minute counts as stuck")] = 2.0
    """Seconds to hold the button and let go to mute or unmute the kiosk. 0 switches that off. With `does:
    hold` it has no effect."""
    restart_s: Annotated[float, Range(0, 50, "a button that is held for a minute counts as stuck")] = 10.0
    """Seconds to hold the button and let go to restart the service. 0 switches that off. Another value must
    be 3 or more, and above `mute_s`. With `does: hold` it has no effect."""
    pull: Literal["up", "down", "none"] | None = Field(default=None, examples=["up"])
    """Resistor of the line, only for gpio. If not set, it is up, for a button between the line and ground.
    With `active: high` it is down, for a button between the line and 3.3 V."""
    active: Literal["low", "high"] = "low"
    """Level of the line while the button is pressed, only for gpio. low is for a button between the line and
    ground, and high for one between the line and 3.3 V."""
    debounce_ms: Annotated[int, Range(0, 500, "contacts bounce for a few ms")] = 20
    """Milliseconds for which the line must keep its level before the level counts, only for gpio."""

    @field_validator("profile")
    @classmethod
    def _of_a_wake(cls, value: str | None, info: ValidationInfo) -> str | None:
        acts = {info.data.get("does", "wake"), info.data.get("double")}
        if value is not None and not acts & {"toggle", "wake"}:
            raise said("has no effect: it is for toggle and wake; set does to one of them, or remove it")
        return value

    @field_validator("mute_s", "restart_s")
    @classmethod
    def _not_of_a_talk(cls, value: float, info: ValidationInfo) -> float:
        if info.data.get("does") == "hold" and value not in (
            0,
            cls.model_fields[info.field_name or ""].default,
        ):
            raise said("has no effect: a button that is held to talk does nothing else; remove it")
        return value

    @field_validator("restart_s")
    @classmethod
    def _after_muting(cls, value: float, info: ValidationInfo) -> float:
        mute_s = info.data.get("mute_s")
        if value and mute_s is not None and value <= mute_s:
            raise said(
                f"{shown(value)} is not above mute_s ({shown(mute_s)}), so that muting would be impossible; "
                "write more, or 0 for never"
            )
        if 0 < value < SHORTEST_RESTART_S:
            raise said(
                f"{shown(value)} is below {SHORTEST_RESTART_S}: an ordinary press would restart the service; "
                f"write {SHORTEST_RESTART_S} or more, or 0 for never"
            )
        return value

    @field_validator("pull", "active", "debounce_ms")
    @classmethod
    def _of_a_line(cls, value: object, info: ValidationInfo) -> object:
        source = button_source(info.data["source"]) if "source" in info.data else None
        if source is not None and not source.is_line:
            raise said(f"has no effect: it is for gpio lines, and this is {source.called}; remove it")
        return value

    @property
    def parsed(self) -> ButtonSource:
        """The parsed `source`."""
        return button_source(self.source)


class ReaderSettings(Section):
    """A reader of QR codes, barcodes or NFC tags that types lines as a keyboard does."""

    source: Annotated[ReaderSourceText, Field(examples=["evdev:Barcode Scanner"])]
    """Source of the lines. evdev:NAME is a USB reader, all keys of it. NAME is a name that `kioskd devices`
    prints, or a part of it, or a path of /dev/input/by-id. No key of the reader reaches a console."""
    does: Literal["subject"] = "subject"
    """Action of a line. subject looks it up in `subjects`, wakes a sleeping kiosk, and changes the subject of
    a conversation. A line of more than 200 characters, and a line that no subject has, cause the error chime
    and nothing else. Half a second without a key begins a new line, and Enter ends it."""
    layout: Literal["us", "de"] = "us"
    """Keyboard that the reader types like. Readers have a setting for it, which is us when they are new."""

    @property
    def parsed(self) -> ReaderSource:
        """The parsed `source`."""
        return reader_source(self.source)


class PresenceSettings(Section):
    """A sensor that sees whether a visitor stands before the kiosk."""

    source: Annotated[ButtonSourceText, Field(examples=["gpio:pi/23"])]
    """Source of the sensor, as that of a button: gpio:CHIP/LINE or evdev:NAME/KEY. A pressed key, or an
    active line, means that a person is there."""
    active: Literal["low", "high"] = "high"
    """Level of the line while a person is there, only for gpio. Most PIR and radar sensors give high."""
    pull: Literal["up", "down", "none"] | None = Field(default=None, examples=["none"])
    """Resistor of the line, only for gpio. If not set, it is down, or up with `active: low`."""
    steady_s: Annotated[float, Range(0, 60, "a visitor who waits longer has left")] = 2.0
    """Seconds for which the sensor must see a person before a visitor counts as there. People who walk past
    are seen for less."""
    away_s: Annotated[float, Range(1, 600, "the time after which no person is there")] = 15.0
    """Seconds for which the sensor must see no person before the visitor counts as gone. Then a conversation
    ends as soon as the kiosk listens, without the rest of `conversation.idle_s`. A sensor of movement (PIR)
    does not see a person who stands still, so give it 15 or more."""
    holdoff_s: Annotated[float, Range(0, 3600, "the time without a greeting")] = 60.0
    """Seconds for which the sensor does not wake the kiosk, after a conversation in which no visitor said
    anything."""
    greets: bool = True
    """Whether a visitor who comes wakes the kiosk, which then greets. It needs a `greeting`, here or in
    `assistant`. With false, the sensor only ends conversations sooner."""
    greeting: Annotated[OwnerText, StringConstraints(max_length=2_000)] | None = Field(
        default=None, examples=["Greet the visitor, and offer help in one sentence."]
    )
    """Instruction to the model for its first words to a visitor who was seen, in place of
    `assistant.greeting`."""

    @field_validator("active", "pull")
    @classmethod
    def _of_a_line(cls, value: object, info: ValidationInfo) -> object:
        source = button_source(info.data["source"]) if "source" in info.data else None
        default = cls.model_fields[info.field_name or ""].default
        if source is not None and not source.is_line and value != default:
            raise said(f"has no effect: it is for gpio lines, and this is {source.called}; remove it")
        return value

    @field_validator("greeting")
    @classmethod
    def _greets(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("greets") is False:
            raise said("has no effect: greets is false; set it to true, or remove this")
        return value

    @property
    def debounce_ms(self) -> int:
        """Milliseconds that a new level must last. `steady_s` and `away_s` do the rest."""
        return 20

    @property
    def parsed(self) -> ButtonSource:
        """The parsed `source`."""
        return button_source(self.source)


class NightSettings(Section):
    """The hours in which a lamp is dimmer."""

    from_: ClockTime = Field(alias="from", examples=["22:00"])
    """Local time at which the night begins, as HH:MM in quotes."""
    to: Annotated[ClockTime, Field(examples=["07:00"])]
    """Local time at which the night ends, as HH:MM in quotes. A time before `from` is on the next day."""
    brightness: Annotated[int, Range(0, 100, "it is a percentage")] = 10
    """Brightness at night in percent. 0 is dark. It is never above the lamp's brightness by day. Lamps of
    gpio and rgb cannot be dimmed, so they need 0."""

    @field_validator("to")
    @classmethod
    def _some_night(cls, value: str, info: ValidationInfo) -> str:
        if value == info.data.get("from_"):
            raise said("is the same time as from, and the night would have no length; write another time")
        return value


class LampSettings(Section):
    """A lamp that shows the state of the kiosk. It needs `source` or `command`, and not both."""

    source: LampSourceText | None = Field(default=None, examples=["gpio:pi/25"])
    """Light that the kiosk drives. gpio:CHIP/LINE is one GPIO line, and rgb:CHIP/RED,GREEN,BLUE is three of
    them. pwm:CHIP/CHANNEL is a PWM channel. led:NAME is a kernel LED. `kioskd devices` prints the names."""
    command: Annotated[
        tuple[Name, ...] | None,
        Field(max_length=64, validate_default=True, examples=[["/usr/local/bin/show-state"]]),
    ] = None
    """Program and its arguments, in place of `source`. The kiosk runs it at each change, with the state as
    one more argument. It sets three variables in the program's environment, each only where it applies.
    KIOSKD_CODE is the code of a fault. KIOSKD_OVERLAY is asking (a tool waits for a press), announcing (the
    kiosk speaks an announcement), ending, armed_mute, armed_restart or recording. With ending, the kiosk
    listens, and the conversation will soon end by time. The two armed states say what letting the button go
    would do. With recording, the kiosk listens and stores what it hears. KIOSKD_ASKING is the name of the
    tool that waits."""
    active: Literal["high", "low"] = "high"
    """Level of the line while the lamp is lit, only for gpio and rgb."""
    brightness: Annotated[int, Range(1, 100, "it is a percentage")] = 100
    """Brightness in percent, only for lamps that can be dimmed: pwm and led."""
    night: NightSettings | None = None
    """Hours in which the lamp is dimmer. A lamp of gpio or rgb can be dark then (`brightness: 0`). A
    `command` decides on its brightness by itself."""

    @field_validator("active", "brightness")
    @classmethod
    def _of_its_source(cls, value: str | int, info: ValidationInfo) -> str | int:
        name = info.field_name or ""
        if value == cls.model_fields[name].default:
            return value
        if name == "active" and not _is_line(info):
            raise said("has no effect: it is for lamps of gpio and rgb only; remove it")
        if name == "brightness" and not _can_be_dimmed(info):
            raise said("has no effect: only lamps of pwm and led can be dimmed; remove it")
        return value

    @field_validator("night")
    @classmethod
    def _to_be_seen(cls, value: NightSettings | None, info: ValidationInfo) -> NightSettings | None:
        if value is None:
            return value
        if _can_be_dimmed(info):
            return _no_brighter(value, info.data.get("brightness", 100))
        if not _is_line(info):
            raise said("has no effect: the command decides how bright its lamp is; remove it")
        if value.brightness:
            raise said(
                "has no effect: this lamp cannot be dimmed; set night.brightness to 0 (dark), or remove it"
            )
        return value

    @field_validator("command")
    @classmethod
    def _one_of_both(cls, value: tuple[str, ...] | None, info: ValidationInfo) -> tuple[str, ...] | None:
        if "source" in info.data and not value and info.data["source"] is None:
            raise said("is missing: a lamp needs a source or a command; add source: gpio:pi/25, for example")
        if value is not None and info.data.get("source") is not None:
            raise said("excludes source: a lamp has one of the two; remove the other")
        return (program(value[0], info), *value[1:]) if value else value

    @property
    def parsed(self) -> LampSource:
        """The parsed `source` or `command`."""
        return _parsed(self.source, self.command)


def _no_brighter(night: NightSettings, day: int) -> NightSettings:
    if night.brightness <= day:
        return night
    if "brightness" in night.model_fields_set:
        raise at(
            ("brightness",),
            f"{shown(night.brightness)} is above the lamp's brightness by day ({shown(day)}); "
            f"write {shown(day)} or less",
        )
    return night.model_copy(update={"brightness": day})


def _parsed(source: str | None, argv: tuple[str, ...] | None) -> LampSource:
    return CommandSource(argv or ()) if source is None else lamp_source(source)


def _is_line(info: ValidationInfo) -> bool:
    return "source" not in info.data or _parsed(info.data["source"], None).is_line


def _can_be_dimmed(info: ValidationInfo) -> bool:
    return "source" not in info.data or _parsed(info.data["source"], None).dims


class ControlsSettings(Section):
    """Buttons, readers, the presence sensor, and lamps."""

    button: ButtonSettings | None = None
    """The button that the visitor presses. It has no default, because your wiring decides. Without any
    button, `conversation.wake` must name another way to wake the kiosk, for example [start]."""
    buttons: Annotated[tuple[ButtonSettings, ...], Field(max_length=16)] = ()
    """More buttons. Each entry has the settings of `button`."""
    readers: Annotated[
        tuple[ReaderSettings, ...], Field(max_length=4, examples=[[{"source": "evdev:Barcode Scanner"}]])
    ] = ()
    """Readers of QR codes, barcodes or NFC tags, which choose a subject. Each entry has a `source`,
    which is evdev:NAME. It may have `does: subject`, and a `layout`, which is us or de."""
    presence: PresenceSettings | None = None
    """The sensor that sees whether a visitor is there. It has no default, because your wiring decides."""
    lamp: LampSettings | None = None
    """The lamp that shows the state of the kiosk. It needs `source` or `command`, and not both."""
    lamps: Annotated[tuple[LampSettings, ...], Field(max_length=16)] = ()
    """More lamps. Each entry has the settings of `lamp`."""

    @property
    def all_buttons(self) -> tuple[ButtonSettings, ...]:
        """All buttons. `button` comes first."""
        return tuple(self.placed_buttons.values())

    @property
    def all_lamps(self) -> tuple[LampSettings, ...]:
        """All lamps. `lamp` comes first."""
        return tuple(self.placed_lamps.values())

    @property
    def placed_buttons(self) -> Mapping[ValuePath, ButtonSettings]:
        """All buttons by their places in this section."""
        return _placed("button", self.button, "buttons", self.buttons)

    @property
    def placed_readers(self) -> Mapping[ValuePath, ReaderSettings]:
        """All readers by their places in this section."""
        return _placed("", None, "readers", self.readers)

    @property
    def placed_lamps(self) -> Mapping[ValuePath, LampSettings]:
        """All lamps by their places in this section."""
        return _placed("lamp", self.lamp, "lamps", self.lamps)


def _placed(name: str, first: Any, plural: str, more: tuple[Any, ...]) -> dict[ValuePath, Any]:
    placed: dict[ValuePath, Any] = {} if first is None else {(name,): first}
    return placed | {(plural, index): each for index, each in enumerate(more)}
