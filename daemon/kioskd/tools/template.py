"""The owner's templates: texts with {parameter} in them.

They are filled in one pass, so that a value is never read as a template.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Final

from kioskd.tools.json_text import encode

FIELD: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_FIELD_OR_STRING: Final = re.compile(rf'{FIELD.pattern}|"(?:[^"\\]|\\.)*"')


class UnfitError(Exception):
    """A value does not fit its place in a template.

    The error's text says why, in words for the model, and without the value.
    """


def fields(template: str) -> set[str]:
    """Return the parameters that `template` names."""
    return set(FIELD.findall(template))


def fill(template: str, arguments: Mapping[str, object], write: Callable[[str, str], str]) -> str:
    """Return `template` with the result of `write(name, value)` for each parameter.

    `write` may raise. A missing parameter has an empty value.
    """
    return FIELD.sub(lambda match: write(match[1], as_text(arguments.get(match[1]))), template)


def is_json(template: str) -> bool:
    """Return whether `template` is a JSON text, object or list, apart from its parameters."""
    try:
        return isinstance(json.loads(FIELD.sub("1", template)), str | dict | list)
    except (ValueError, RecursionError):
        return False


def fill_json(template: str, arguments: Mapping[str, object]) -> str:
    """Return `template`, which is JSON, with each parameter as a JSON value or as part of a string."""

    def written(match: re.Match[str]) -> str:
        if match[1] is not None:
            return encode(arguments.get(match[1]))
        return fill(match[0], arguments, lambda _name, value: encode(value)[1:-1])

    return _FIELD_OR_STRING.sub(written, template)


def as_text(value: object) -> str:
    """Return a JSON value as text: a text as it is, null as an empty text, and others in JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else encode(value)


def remaining(arguments: Mapping[str, object], used: set[str]) -> dict[str, object]:
    """Return the arguments that no template uses."""
    return {name: value for name, value in arguments.items() if name not in used}
