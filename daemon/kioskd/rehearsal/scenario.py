"""A rehearsal's script: acts of the visitor, replies of the service, and expectations.

Scenarios are loaded like the settings: all faults at once, each with its line and column.
"""

import difflib
import operator
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationInfo,
    field_validator,
    model_validator,
)

from kioskd import regular_file
from kioskd.errors import Code, ConfigError
from kioskd.rehearsal.summary import MEASURES, ExpectationResult, Summary
from kioskd.settings.load import read_as
from kioskd.settings.model import Settings
from kioskd.simulator.script import ServiceScript
from kioskd.yamlconf.section import Section
from kioskd.yamlconf.value_types import OwnerText, PathOnDisk, Range, said, shown

SPOKEN_BEFORE_INTERRUPTION_S: Final = 0.7
"""Seconds for which the kiosk must be audible before an `interrupt`: more than a reply's first click."""

_State = Literal[
    "asleep", "waking", "listening", "thinking", "speaking", "muted", "offline", "closed", "fault"
]
STATES: Final = frozenset(get_args(_State))
"""States that the kiosk shows to people."""

# fmt: off
Condition = Literal[
    _State, "connected", "resumed", "link_lost", "reply_began", "reply_heard", "greeting_heard",
    "reply_silenced", "prompt_over", "announcement_began", "announcement_over", "picture_arrived", "asking",
    "warned",
]
# fmt: on
"""A condition for which a visitor can wait: a state that the kiosk shows, or an event."""

StepSeconds = Annotated[float, Range(0.01, 600, "a rehearsal takes minutes")]


def _file(path: Path, *, wanted: str) -> Path:
    try:
        regular_file.check(path)
    except FileNotFoundError:
        raise said(f"{shown(path.name)} is not there: {wanted}") from None
    except OSError as error:
        raise said(f"{shown(path.name)} cannot be read ({error.strerror}): {wanted}") from None
    return path


def _folder(path: Path) -> Path:
    if not path.is_dir():
        raise said(f"{shown(path.name)} is not a folder; name a folder with pictures, or create it")
    return path


def _which(value: Any) -> int | str:
    """Return the button's number, from 1, or its source."""
    if value is True:
        return 1
    if (isinstance(value, int) and 1 <= value <= MOST_BUTTONS) or (isinstance(value, str) and value):
        return value
    raise said(f"{shown(value)} is not a button; write its number or its source, for example 2 or gpio:pi/17")


MOST_BUTTONS: Final = 17
"""Most buttons that settings can have: `controls.button`, and those of `controls.buttons`."""

ButtonChoice = Annotated[int | str, PlainValidator(_which)]
_RECORDING: Final = (
    "a recording is needed; correct the path (Debian's alsa-utils brings those in /usr/share/sounds/alsa)"
)
Recording = Annotated[PathOnDisk, AfterValidator(partial(_file, wanted=_RECORDING))]
_PICTURE: Final = "a JPEG, PNG or WebP is needed; correct the path"


class Wait(Section):
    """A wait until the kiosk shows a state, or until an event since the visitor's last act."""

    model_config = ConfigDict(validate_by_name=True)

    for_: Condition = Field(alias="for")
    """A state that the kiosk shows, or an event."""
    at_most_s: StepSeconds = 15.0
    """Longest wait in seconds. After it the rehearsal ends as failed."""


class Announced(Section):
    """An announcement of the owner, as of `kioskd say`."""

    text: OwnerText
    """The words to speak."""
    now: bool = False
    """Whether it waits for no pause."""


def _with_text(announced: Any) -> Any:
    """Return the announcement with the name of its text, also for the text alone."""
    return {"text": announced} if isinstance(announced, str) else announced


class Step(Section):
    """One act of the visitor or of an operator; exactly one of these."""

    press: ButtonChoice | None = None
    """Press the button with this number (2 is the first of `controls.buttons`) or source.

    The word `press` alone presses the first button.
    """
    hold: ButtonChoice | None = None
    """Press a button and hold it. The word `hold` alone holds the first button."""
    release: ButtonChoice | None = None
    """Release a button. The word `release` alone releases the first button."""
    wait: Wait | None = None
    """Wait until a condition is true."""
    pause_s: StepSeconds | None = None
    """Do nothing for this time in seconds."""
    say: Recording | None = None
    """Play this WAV to the microphone, to its end. A relative path starts at the scenario's folder."""
    interrupt: Recording | None = None
    """Wait until the kiosk has been speaking for 0.7 s, then play this WAV to the microphone."""
    scan: OwnerText | None = None
    """Show the reader a code: it types this line."""
    command: Literal["wake", "sleep", "mute", "unmute", "hush", "look"] | None = None
    """Run the command of this name, such as `kioskd mute`."""
    please: OwnerText | None = None
    """Ask the person at the kiosk to do this, in words. A scripted visitor does nothing."""
    ask: OwnerText | None = None
    """Send this typed question to the model, as `kioskd ask` does."""
    announce: Annotated[
        Announced | None, BeforeValidator(_with_text, json_schema_input_type=Announced | str)
    ] = None
    """Have the kiosk announce this text, as `kioskd say` does. The script goes on at once."""
    show: Annotated[PathOnDisk, AfterValidator(partial(_file, wanted=_PICTURE))] | None = None
    """Show this picture to the model, as `kioskd show` does.

    A relative path starts at the scenario's folder.
    """

    @model_validator(mode="after")
    def _one(self) -> "Step":
        if len(self.model_fields_set) != 1:
            raise said(
                "is not a single step; each list item has exactly one of "
                f"{', '.join(type(self).model_fields)}"
            )
        return self


def _spelled_out(step: Any) -> Any:
    """Return the step with its value, also for the words `press`, `hold` and `release` alone."""
    return {step: True} if step in ("press", "hold", "release") else step


def _measure(name: str) -> str:
    if name not in MEASURES:
        near = difflib.get_close_matches(name, MEASURES, n=1)
        hint = f"did you mean {near[0]}?" if near else f"use one of {', '.join(MEASURES)}"
        raise said(f"{shown(name)} is not a number of summary.json: {hint}")
    return name


def _code(value: Any) -> Code:
    if value not in set(Code):
        raise said(f"{shown(value)} is not the code of a prompt: use one of {', '.join(Code)}")
    return Code(value)


_BOUNDS: Final[tuple[tuple[str, str, Callable[[float, float], bool]], ...]] = (
    ("is_", "is", operator.eq),
    ("at_least", "at least", operator.ge),
    ("at_most", "at most", operator.le),
)


class Expectation(Section):
    """Bounds for a measured number, or for the number of prompts, chimes or journal lines.

    A number that was not measured satisfies no bound.
    """

    model_config = ConfigDict(validate_by_name=True)

    what: Annotated[str, AfterValidator(_measure)] | None = None
    """The name of a number in `summary.json`."""
    journal: OwnerText | None = None
    """In place of `what`: words that lines of the daemon's journal contain.

    Without a bound: at least one line.
    """
    prompt: Annotated[Code, PlainValidator(_code)] | None = None
    """In place of `what`: the code of a prompt that was heard. Without a bound: at least once."""
    cue: Literal["wake", "end", "mute", "unmute", "error", "warn"] | None = None
    """In place of `what`: a chime that was heard. Without a bound: at least once."""
    is_: float | None = Field(default=None, alias="is")
    """The exact number."""
    at_least: float | None = None
    """The smallest number."""
    at_most: float | None = None
    """The largest number."""

    @model_validator(mode="after")
    def _bounded(self) -> "Expectation":
        about = [self.what, self.journal, self.prompt, self.cue]
        if len(about) - about.count(None) != 1:
            raise said("needs exactly one of what, journal, prompt and cue")
        if self.what is not None and not self._has_bound:
            raise said("has no bound; give is, at_least or at_most")
        return self

    @property
    def _has_bound(self) -> bool:
        return any(getattr(self, key) is not None for key, _, _ in _BOUNDS)

    def check(self, summary: Summary, journal: Sequence[str] = ()) -> ExpectationResult:
        """Compare with the measured numbers and the daemon's log lines."""
        name, seen = self._seen(summary, journal)
        if not self._has_bound:
            return ExpectationResult(text=f"{name} at least 1: {seen:g}", met=bool(seen))
        wanted: list[str] = []
        met = seen is not None
        for key, words, holds in _BOUNDS:
            bound: float | None = getattr(self, key)
            if bound is not None:
                wanted.append(f"{words} {bound:g}")
                met = met and seen is not None and holds(seen, bound)
        measured = "did not occur" if seen is None else f"{seen:g}"
        return ExpectationResult(text=f"{name} {' and '.join(wanted)}: {measured}", met=met)

    def _seen(self, summary: Summary, journal: Sequence[str]) -> tuple[str, float | None]:
        """Return words for the expected number, and the number."""
        if self.journal is not None:
            lines = sum(1 for line in journal if self.journal in line)
            return f'lines of the journal with "{self.journal}"', lines
        if self.prompt is not None:
            return f"prompt {self.prompt} heard", summary.prompts.count(self.prompt)
        if self.cue is not None:
            return f"cue {self.cue} heard", summary.cues.count(self.cue)
        assert self.what is not None
        return self.what, getattr(summary, self.what)


class Scenario(Section):
    """The script of one rehearsal."""

    name: OwnerText
    """Title of the rehearsal, in a few words."""
    settings: Settings = Settings()
    """Changes of the settings for this rehearsal, merged over the owner's key by key."""
    visitor: tuple[Annotated[Step, BeforeValidator(_spelled_out)], ...]
    """Acts of the visitor, in order. The rehearsal ends after the last one."""
    pictures: Annotated[PathOnDisk, AfterValidator(_folder)] | None = None
    """A folder whose pictures replace those of the camera, one after the other; with scripted devices only.

    A relative path starts at the scenario's folder. Without it the camera sees a colourful card, or the
    folder that the settings' own `camera.source` names.
    """
    service: ServiceScript = ServiceScript()
    """Replies and faults of the simulator."""
    expect: tuple[Expectation, ...] = ()
    """Expectations that a successful rehearsal meets."""
    longest_s: Annotated[float, Range(1, 900, "a rehearsal is kept in memory")] = 110.0
    """Seconds after which the rehearsal is ended as failed."""

    @field_validator("visitor")
    @classmethod
    def _something_to_do(cls, steps: tuple[Step, ...]) -> tuple[Step, ...]:
        if not steps:
            raise said("is an empty list; write at least one step, such as press")
        return steps

    @field_validator("service")
    @classmethod
    def _from_the_folder(cls, service: ServiceScript, info: ValidationInfo) -> ServiceScript:
        """Make the replies' relative paths start at the scenario's folder, like all other paths."""
        folder = Path((info.context or {}).get("folder", "."))
        replies = tuple(
            reply if reply.wav is None else reply.model_copy(update={"wav": folder / reply.wav})
            for reply in service.replies
        )
        return service.model_copy(update={"replies": replies})

    @property
    def recordings(self) -> tuple[Path, ...]:
        """The WAVs of the visitor, each once."""
        said_ = (step.say or step.interrupt for step in self.visitor)
        return tuple(dict.fromkeys(path for path in said_ if path is not None))


def load_scenario(path: Path) -> Scenario:
    """Return the scenario in `path`.

    Raises ConfigError for a missing file, or with all faults of the file.
    """
    if not path.exists():
        raise ConfigError(f"{path}: there is no such scenario; correct --scenario, or leave it out")
    return read_as(Scenario, path)[0]
