"""Pydantic's errors as messages for the owner of the YAML, with near misses among the known names."""

import difflib
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final, get_args, get_origin

from pydantic_core import ErrorDetails

from kioskd.yamlconf.section import Section
from kioskd.yamlconf.value_types import alone, shown

Shape = dict[tuple[str, ...], list[str]]
"""Names of the settings of each section, by the section's path."""

ANY_NAME: Final = "NAME"
"""The part of a section's path that stands for a name of the owner's own choice."""

SHORTEST: Final = 3
"""Letters that count as the beginning of a name."""

_NEEDED: Final = {
    "string": ("a text", "write it in quotes"),
    "int": ("a whole number", "write one without quotes, fraction or unit"),
    "float": ("a number", "write one without quotes or unit"),
    "finite_number": ("a finite number", "write one"),
    "bool": ("understood here", "write true or false"),
    "tuple": ("a list", "write [ONE, TWO], or one - ITEM a line"),
    "model": ("a group of settings", "write NAME: VALUE lines below it"),
    "dict": ("a group of settings", "write NAME: VALUE lines below it"),
}
"""The kind of value that a setting needs, and how to write it, by the beginning of pydantic's error type."""

_ALONE: Final = frozenset({"string", "int", "float", "finite_number", "bool"})
"""Kinds of values that stand alone on the line of their setting."""


def without_empty(data: Any, shape: Shape) -> Any:
    """Return `data` without empty sections: all their settings are at the default."""
    if not isinstance(data, dict):
        return data
    return {name: value for name, value in data.items() if value is not None or (name,) not in shape}


def shape_of(model: type[Section], path: tuple[str, ...] = ()) -> Shape:
    """Return the names in `model`, which stands at `path`, and in all sections within it."""
    shape = {path: [field.alias or name for name, field in model.model_fields.items()]}
    for name, field in model.model_fields.items():
        place = (*path, field.alias or name)
        if get_origin(field.annotation) is dict:
            place = (*place, ANY_NAME)
        for inner in _sections(field.annotation):
            shape |= shape_of(inner, place)
    return shape


def _names_at(path: tuple[str, ...], shape: Shape) -> list[str]:
    """Return the names of the settings in the section at `path`."""
    return shape.get(path) or shape.get((*path[:-1], ANY_NAME), [])


def _sections(annotation: Any) -> Iterator[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for part in get_args(annotation):
        yield from _sections(part)


def _nearest(word: str, choices: Sequence[str], cutoff: float = 0.6) -> str | None:
    by_lower = {choice.lower(): choice for choice in choices}
    plain = word.lower().replace("-", "_")
    # `mic` means microphone, although many letters are missing.
    begun = [choice for choice in by_lower if len(plain) >= SHORTEST and choice.startswith(plain)]
    near = begun or difflib.get_close_matches(plain, by_lower, n=1, cutoff=cutoff)
    return by_lower[near[0]] if near else None


def _unknown(path: Sequence[str | int], shape: Shape) -> str:
    *section, name = (part for part in path if isinstance(part, str))
    siblings = _names_at(tuple(section), shape)
    owners = [".".join(owner) or "no section" for owner, names in shape.items() if name in names]
    if owners:
        return f"is not a setting here: {name} belongs under {' or '.join(owners)}; move it"
    near = _nearest(name, siblings)
    if near:
        return f"is not a setting; did you mean {near}?"
    elsewhere = {known: ".".join(owner) for owner, names in shape.items() for known in names if owner}
    # Another section is named only for a name that is very near.
    near = _nearest(name, list(elsewhere), cutoff=0.8)
    if near:
        return f"is not a setting here; did you mean {near}, under {elsewhere[near]}?"
    return f"is not a setting: this section has {', '.join(siblings)}; remove it"


def words(error: ErrorDetails, shape: Shape) -> str:
    """Return the message for an error of pydantic's: the fault, its reason, the remedy."""
    value = error["input"]
    match error["type"]:
        case "said":
            text = error["msg"]
        case "extra_forbidden":
            text = _unknown(error["loc"], shape)
        case "value_error":
            text = str(error["ctx"]["error"])
        case "missing":
            text = "is missing, and has no default; add it"
        case _ if value is None:
            text = "is empty; write a value, or remove the line"
        case "literal_error":
            choices = [choice.strip("'") for choice in re.split(", | or ", error["ctx"]["expected"])]
            near = _nearest(value, choices) if isinstance(value, str) else None
            hint = f"did you mean {near}?" if near else f"write one of {', '.join(choices)}"
            text = f"{shown(value)} is not one of the choices; {hint}"
        case "string_too_long":
            text = f"{shown(value)} is too long; write at most {error['ctx']['max_length']} characters"
        case kind:
            text = _of_type(kind, value, error["loc"], shape) or f"{shown(value)}: {error['msg'].lower()}"
    return text


def _of_type(kind: str, value: object, loc: Sequence[str | int], shape: Shape) -> str | None:
    """Return the message for a value of the wrong type. None: the error is of another kind."""
    symptom = next((symptom for symptom in _NEEDED if kind.startswith(symptom)), None)
    if symptom is None:
        return None
    needed, remedy = _NEEDED[symptom]
    names = _names_at(tuple(part for part in loc if isinstance(part, str)), shape)
    if symptom in _ALONE and isinstance(value, dict | list | tuple):
        remedy = alone(value)
    elif symptom in ("int", "float") and (number := re.fullmatch(r"([0-9]{1,12}) ?(\D{0,9})", str(value))):
        remedy = f"write {number[1]}, without {number[2] or 'quotes'}"
    elif symptom == "tuple" and isinstance(value, dict):
        remedy = "put - before its first line, also where the list has one item only"
    elif symptom == "model" and names:
        remedy = f"{remedy}, with the names {', '.join(names)}"
    return f"{shown(value)} is not {needed}; {remedy}"
