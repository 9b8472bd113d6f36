"""Patterns in a JSON Schema: which are taken, made ready for a search that can be given up.

The settings' check and the daemon ask here, so that what the one lets pass the other can use. A pattern is taken if
Python's `re` and the library `regex`, which alone can give up, both read it, and read it alike.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

Path = tuple[str | int, ...]
"""Where something stands within a schema."""

_NAMED: Final = frozenset(
    {"properties", "patternProperties", "dependentSchemas", "dependentRequired", "$defs", "definitions"}
)
"""Words whose group has names for keys."""
_DATA: Final = frozenset({"const", "default", "enum", "examples"})
"""Words whose value is no schema."""
_PIECE: Final = re.compile(
    r"\\[NPp]\{[^}]*\} | \\. | (?P<set> \[ \^? \]? (?: \\. | [^]\\] )* \]? ) | \{\d+(?:,\d*)?\} | \{,\d+\} | (?P<brace> \{ ) | .",
    re.VERBOSE | re.DOTALL,
)
_ODD_SET: Final = re.compile(r"^\[\[ | .\[: | -- | && | ~~ | \|\|", re.VERBOSE | re.DOTALL)
"""What some take for a set in a set, a class of characters, or a reckoning with sets."""


class PatternError(ValueError):
    """A pattern is not taken; `str()` says why and what to do."""


def compiled(pattern: str) -> Any:
    """Return `pattern` ready to search with: its `search` takes a text and `timeout`, in seconds.

    Raises:
        PatternError: it is none, or means different things to different readers.
    """
    import regex  # type: ignore[import-untyped] # noqa: PLC0415 - only where there are patterns; no types

    for piece in _PIECE.finditer(pattern):
        if piece["brace"]:
            raise PatternError("holds a brace that begins no count such as {2} or {1,3}; write \\{")
        if piece["set"] and _ODD_SET.search(re.sub(r"(?s)\\.", "x", piece["set"])):
            raise PatternError(
                "holds [[, [:, --, &&, ~~ or || within [...]: write \\ before each of these signs"
            )
    try:
        re.compile(pattern)
        return regex.compile(pattern, regex.VERSION0)
    except (re.error, regex.error, OverflowError, RecursionError) as err:
        raise PatternError(f"is no pattern: {' '.join(str(err).split())[:100]}; mend it") from None


def parts(schema: object, path: Path = ()) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Yield each schema in `schema`, itself first, with its place. A group of names is none, and neither is data."""
    if isinstance(schema, list | tuple):
        for number, inner in enumerate(schema):
            yield from parts(inner, (*path, number))
    if not isinstance(schema, Mapping):
        return
    yield path, schema
    for word, inner in schema.items():
        if word in _NAMED and isinstance(inner, Mapping):
            for name, each in inner.items():
                yield from parts(each, (*path, word, name))
        elif word not in _DATA:
            yield from parts(inner, (*path, word))
