"""A rehearsal's script: what the visitor does, what the service says, what is expected.

Loaded like the settings: all faults at once, each with its line and column.
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
"""How long the kiosk must have been heard before an `interrupt`: long enough to be a reply and not its first click."""

_State = Literal[
    "asleep", "waking", "listening", "thinking", "speaking", "muted", "offline", "closed", "fault"
]
STATES: Final = frozenset(get_args(_State))
"""The states that are shown to people."""

# fmt: off
Condition = Literal[
    _State, "connected", "resumed", "link_lost", "reply_began", "reply_heard", "greeting_heard", "reply_silenced",
    "prompt_over", "picture_arrived", "asking",
]
# fmt: on
"""What a visitor can wait for: a state shown to people, or something that happens."""

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
        raise said(f"{shown(path.name)} is no folder: it has to hold pictures; mend the path, or make it")
    return path


def _which(value: Any) -> int | str:
    """Return the button's number, from 1, or its source."""
    if value is True:
        return 1
    if (isinstance(value, int) and 1 <= value <= MOST_BUTTONS) or (isinstance(value, str) and value):
        return value
    raise said(
        f"{shown(value)} names no button: one is named by its number, from 1, or by its source; "
        "write 2, or gpio:pi/17, say"
    )


MOST_BUTTONS: Final = 17
"""`controls.button`, and those of `controls.buttons`."""

ButtonChoice = Annotated[int | str, PlainValidator(_which)]
_RECORDING: Final = (
    "a recording is needed; mend the path (those in /usr/share/sounds/alsa come with Debian's alsa-utils)"
)
Recording = Annotated[PathOnDisk, AfterValidator(partial(_file, wanted=_RECORDING))]
_PICTURE: Final = "a JPEG, PNG or WebP is needed; mend the path"


class Wait(Section):
    """Go on when a state is shown, or something has happened since the visitor last did something."""

    model_config = ConfigDict(validate_by_name=True)

    for_: Condition = Field(alias="for")
    """A state that the kiosk shows, or something that happens."""
    at_most_s: StepSeconds = 15.0
    """Longer is a failure, and ends the rehearsal."""


class Step(Section):
    """One thing that the visitor does, or somebody at a distance: exactly one of these."""

    press: ButtonChoice | None = None
    """Press a button: the one with this number (2 is the first of `controls.buttons`) or source. The word `press` alone
    is the first."""
    hold: ButtonChoice | None = None
    """Press a button, and do not let it go. The word `hold` alone is the first."""
    release: ButtonChoice | None = None
    """Let a button go. The word `release` alone is the first."""
    wait: Wait | None = None
    """Go on when something is so."""
    pause_s: StepSeconds | None = None
    """Do nothing for so long."""
    say: Recording | None = None
    """Say this WAV, to its end. A relative path starts at the scenario's folder."""
    interrupt: Recording | None = None
    """Wait until the kiosk has been heard speaking for 0.7 s, then say this WAV into it."""
    command: Literal["wake", "sleep", "mute", "unmute", "hush", "look"] | None = None
    """What somebody at a distance does by the command of that name, `kioskd mute` for example."""
    please: OwnerText | None = None
    """What a person who stands there is asked to do, in words; a scripted visitor does nothing."""
    ask: OwnerText | None = None
    """A question that is typed, as by `kioskd ask`."""
    show: Annotated[PathOnDisk, AfterValidator(partial(_file, wanted=_PICTURE))] | None = None
    """A picture that the model is shown, as by `kioskd show`. A relative path starts at the scenario's folder."""

    @model_validator(mode="after")
    def _one(self) -> "Step":
        if len(self.model_fields_set) != 1:
            raise said(
                "is no single step: each does one thing; "
                f"use one of {', '.join(type(self).model_fields)}, one a list item"
            )
        return self


def _spelled_out(step: Any) -> Any:
    """`press` alone is a step too, and so are the others that have a first button."""
    return {step: True} if step in ("press", "hold", "release") else step


def _measure(name: str) -> str:
    if name not in MEASURES:
        near = difflib.get_close_matches(name, MEASURES, n=1)
        hint = f"did you mean {near[0]}?" if near else f"use one of {', '.join(MEASURES)}"
        raise said(f"{shown(name)} is nothing that a rehearsal measures: {hint}")
    return name


def _code(value: Any) -> Code:
    if value not in set(Code):
        raise said(f"{shown(value)} is no code of a prompt: use one of {', '.join(Code)}")
    return Code(value)


_BOUNDS: Final[tuple[tuple[str, str, Callable[[float, float], bool]], ...]] = (
    ("is_", "is", operator.eq),
    ("at_least", "at least", operator.ge),
    ("at_most", "at most", operator.le),
)


class Expectation(Section):
    """Something that a measured number must satisfy, or the number of what was heard or written.

    What did not occur satisfies nothing.
    """

    model_config = ConfigDict(validate_by_name=True)

    what: Annotated[str, AfterValidator(_measure)] | None = None
    """The name of a number in `summary.json`."""
    journal: OwnerText | None = None
    """In place of `what`: words that a line of the daemon's journal contains. Without a bound, one line at least."""
    prompt: Annotated[Code, PlainValidator(_code)] | None = None
    """In place of `what`: the code of what the kiosk said for itself, and was heard. Without a bound, once at least."""
    cue: Literal["wake", "end", "mute", "unmute", "error"] | None = None
    """In place of `what`: a chime that was heard. Without a bound, once at least."""
    is_: float | None = Field(default=None, alias="is")
    """Exactly this."""
    at_least: float | None = None
    """This or more."""
    at_most: float | None = None
    """This or less."""

    @model_validator(mode="after")
    def _bounded(self) -> "Expectation":
        about = [self.what, self.journal, self.prompt, self.cue]
        if len(about) - about.count(None) != 1:
            raise said("is about nothing, or about two things: give one of what, journal, prompt and cue")
        if self.what is not None and not self._has_bound:
            raise said("expects nothing of it: a bound is missing; give is, at_least or at_most")
        return self

    @property
    def _has_bound(self) -> bool:
        return any(getattr(self, key) is not None for key, _, _ in _BOUNDS)

    def check(self, summary: Summary, journal: Sequence[str] = ()) -> ExpectationResult:
        """Compare with what was measured, and with the daemon's log lines."""
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
        """Return what this is about, in words, and its number."""
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
    """One rehearsal."""

    name: OwnerText
    """What this rehearsal shows, in a few words."""
    settings: Settings = Settings()
    """What it needs changed in the settings: merged over the owner's, key by key."""
    visitor: tuple[Annotated[Step, BeforeValidator(_spelled_out)], ...]
    """What the visitor does, in order. The rehearsal ends after the last step."""
    pictures: Annotated[PathOnDisk, AfterValidator(_folder)] | None = None
    """A folder whose pictures are seen, one after the other, in place of what the settings' camera would see; with
    scripted devices. A relative path starts at the scenario's folder. Without it a colourful card, and the settings' own
    folder where their camera is one."""
    service: ServiceScript = ServiceScript()
    """What the Live service's simulator says, and what goes wrong with it."""
    expect: tuple[Expectation, ...] = ()
    """What the numbers must be for the rehearsal to have succeeded."""
    longest_s: Annotated[float, Range(1, 900, "all of it is kept in memory")] = 110.0
    """The rehearsal is ended then, as failed."""

    @field_validator("visitor")
    @classmethod
    def _something_to_do(cls, steps: tuple[Step, ...]) -> tuple[Step, ...]:
        if not steps:
            raise said("is an empty list: nothing would happen; begin with press")
        return steps

    @field_validator("service")
    @classmethod
    def _from_the_folder(cls, service: ServiceScript, info: ValidationInfo) -> ServiceScript:
        """Let the replies' relative paths start at the scenario's folder, as all others do."""
        folder = Path((info.context or {}).get("folder", "."))
        replies = tuple(
            reply if reply.wav is None else reply.model_copy(update={"wav": folder / reply.wav})
            for reply in service.replies
        )
        return service.model_copy(update={"replies": replies})

    @property
    def recordings(self) -> tuple[Path, ...]:
        """The WAVs that the visitor says, each once."""
        said_ = (step.say or step.interrupt for step in self.visitor)
        return tuple(dict.fromkeys(path for path in said_ if path is not None))


def load_scenario(path: Path) -> Scenario:
    """Return the scenario in `path`; raise ConfigError, which names all its faults, or that it is not there."""
    if not path.exists():
        raise ConfigError(
            f"{path}: is not there: a rehearsal needs a scenario; mend --scenario, or leave it out"
        )
    return read_as(Scenario, path)[0]
