"""What pydantic finds wrong with settings, in an owner's words; near misses by the names that there are."""

import difflib
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final, get_args

from pydantic_core import ErrorDetails

from kioskd.yamlconf.section import Section
from kioskd.yamlconf.value_types import alone, shown

Shape = dict[tuple[str, ...], list[str]]
"""The names of the settings of every section, by the section's path."""

SHORTEST: Final = 3
"""So many letters are the beginning of a name, and not just any letters."""

_NEEDED: Final = {
    "string": "a text is needed; put it in quotes",
    "int": "a whole number is needed; write it without quotes, fraction or unit",
    "float": "a number is needed; write it without quotes or unit",
    "finite_number": "a number with an end is needed; write one",
    "bool": "yes or no is needed; write true or false",
    "tuple": "a list is needed; write [ONE, TWO], or one - ITEM a line",
    "model": "a group of settings is needed; write NAME: VALUE lines below it",
    "dict": "a group of NAME: VALUE lines is needed; write them below it",
}

_ALONE: Final = {
    "string": "a text is needed",
    "int": "a whole number is needed",
    "float": "a number is needed",
    "finite_number": "a number is needed",
    "bool": "true or false is needed",
}
"""What stands alone on its line, where a list or a group was written in its place."""


def without_empty(data: Any, shape: Shape) -> Any:
    """Leave out sections with nothing (left) in them: all their settings are at the default."""
    if not isinstance(data, dict):
        return data
    return {name: value for name, value in data.items() if value is not None or (name,) not in shape}


def shape_of(model: type[Section], path: tuple[str, ...] = ()) -> Shape:
    """Return the names that there are in `model`, which stands at `path`, and in all that it holds."""
    shape = {path: [field.alias or name for name, field in model.model_fields.items()]}
    for name, field in model.model_fields.items():
        for inner in _sections(field.annotation):
            shape |= shape_of(inner, (*path, field.alias or name))
    return shape


def _sections(annotation: Any) -> Iterator[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for part in get_args(annotation):
        yield from _sections(part)


def _nearest(word: str, choices: Sequence[str], cutoff: float = 0.6) -> str | None:
    by_lower = {choice.lower(): choice for choice in choices}
    plain = word.lower().replace("-", "_")
    # `mic` is a microphone, however many letters it lacks.
    begun = [choice for choice in by_lower if len(plain) >= SHORTEST and choice.startswith(plain)]
    near = begun or difflib.get_close_matches(plain, by_lower, n=1, cutoff=cutoff)
    return by_lower[near[0]] if near else None


def _unknown(path: Sequence[str | int], shape: Shape) -> str:
    *section, name = (part for part in path if isinstance(part, str))
    siblings = shape.get(tuple(section), [])
    owners = [".".join(owner) or "no section" for owner, names in shape.items() if name in names]
    if owners:
        return f"is not a setting here: {name} belongs under {' or '.join(owners)}; move it"
    near = _nearest(name, siblings)
    if near:
        return f"is not a setting; did you mean {near}?"
    elsewhere = {known: ".".join(owner) for owner, names in shape.items() for known in names if owner}
    # In another section only what cannot well mean anything else.
    near = _nearest(name, list(elsewhere), cutoff=0.8)
    if near:
        return f"is not a setting here; did you mean {near}, under {elsewhere[near]}?"
    return f"is not a setting: here stand {', '.join(siblings)}; take it out"


def words(error: ErrorDetails, shape: Shape) -> str:
    """Say what pydantic found in plain words: what, why, what to do."""
    value = error["input"]
    match error["type"]:
        case "said":
            text = error["msg"]
        case "extra_forbidden":
            text = _unknown(error["loc"], shape)
        case "value_error":
            text = str(error["ctx"]["error"])
        case "missing":
            text = "is missing: this part cannot do without it; add it"
        case _ if value is None:
            text = "is empty: a value is needed; write one, or take the line out"
        case "literal_error":
            choices = [choice.strip("'") for choice in re.split(", | or ", error["ctx"]["expected"])]
            near = _nearest(value, choices) if isinstance(value, str) else None
            hint = f"did you mean {near}?" if near else f"use {', '.join(choices)}"
            text = f"{shown(value)} is not one of the choices; {hint}"
        case "string_too_long":
            text = f"{shown(value)} is too long: at most {error['ctx']['max_length']} are taken; shorten it"
        case kind:
            needed = _needed(kind, value, error["loc"], shape)
            text = f"{shown(value)} will not do: {needed or error['msg'].lower()}"
    return text


def _needed(kind: str, value: object, loc: Sequence[str | int], shape: Shape) -> str | None:
    """Return what is needed in place of `value`, and how it is written; by what was written instead."""
    symptom = next((symptom for symptom in _NEEDED if kind.startswith(symptom)), None)
    if symptom is None:
        return None
    if symptom in _ALONE and isinstance(value, dict | list | tuple):
        return f"{_ALONE[symptom]}; {alone(value)}"
    if symptom == "tuple" and isinstance(value, dict):
        return "a list is needed, also where it has one item only; put - before its first line"
    names = shape.get(tuple(part for part in loc if isinstance(part, str)), [])
    if symptom == "model" and names:
        below = f"write NAME: VALUE lines below it, with the names {', '.join(names)}"
        return f"a group of settings is needed; {below}"
    return _NEEDED[symptom]
