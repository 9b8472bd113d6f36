"""Patterns in a JSON Schema: which are taken, and where they stand.

One library reads them for the settings' check and for each call, as ECMA-262 does, in a time that grows with the text only.
So there is no looking around in them, and no reference back. What Python or others would read otherwise is not taken: the
owner may have tried it there.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

SchemaPath = tuple[str | int, ...]
"""Where something stands within a schema."""

LARGEST_PATTERN_BYTES: Final = 1 << 18
"""Of a pattern made ready: some short ones, as (a{1000}){1000}, would fill the memory."""
_LARGEST_CACHE_BYTES: Final = 1 << 20

NAMED: Final = frozenset(
    {"properties", "patternProperties", "dependentSchemas", "dependentRequired", "$defs", "definitions"}
)
"""Words whose group has names for keys."""
DATA: Final = frozenset({"const", "default", "enum", "examples"})
"""Words whose value is no schema."""
_PIECE: Final = re.compile(
    r"\\[NPp]\{[^}]*\} | \\. | (?P<set> \[ \^? \]? (?: \\. | [^]\\] )* \]? ) | \{\d+(?:,\d*)?\} | (?P<brace> \{ ) | .",
    re.VERBOSE | re.DOTALL,
)
_ODD_SET: Final = re.compile(r"^\[\[ | .\[: | -- | && | ~~ | \|\|", re.VERBOSE | re.DOTALL)
"""What some take for a set in a set, a class of characters, or a reckoning with sets."""


class PatternError(ValueError):
    """A pattern is not taken; `str()` says why and what to do."""


def validator(schema: Mapping[str, Any]) -> Any:
    """Return the check of `schema` (draft 2020-12), made ready. It fetches nothing, and has an end to each search.

    Raises:
        ValueError: it is no schema, or one of its patterns is not taken.
    """
    from jsonschema_rs import Draft202012Validator, RegexOptions  # noqa: PLC0415 - 25 ms, only where there are tools

    limits = RegexOptions(size_limit=LARGEST_PATTERN_BYTES, dfa_size_limit=_LARGEST_CACHE_BYTES)
    return Draft202012Validator(dict(schema), pattern_options=limits, offline=True)


def check(pattern: str) -> None:
    """Return if `pattern` can be searched for.

    Raises:
        PatternError: it is none, means different things to different readers, is too large, or looks around or back.
    """
    for piece in _PIECE.finditer(pattern):
        if piece["brace"]:
            raise PatternError("holds a brace that begins no count such as {2} or {1,3}; write \\{")
        if piece["set"] and _ODD_SET.search(re.sub(r"(?s)\\.", "x", piece["set"])):
            raise PatternError(
                "holds [[, [:, --, &&, ~~ or || within [...]: write \\ before each of these signs"
            )
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as err:
        raise PatternError(f"is no pattern: {' '.join(str(err).split())[:100]}; mend it") from None
    try:
        validator({"pattern": pattern})
    except ValueError:
        raise PatternError(
            "is no pattern that is taken: it is too large, looks around, or refers back; make it simpler"
        ) from None


def parts(schema: object, path: SchemaPath = ()) -> Iterator[tuple[SchemaPath, Mapping[str, Any]]]:
    """Yield each schema in `schema`, itself first, with its place. A group of names is none, and neither is data."""
    if isinstance(schema, list | tuple):
        for number, inner in enumerate(schema):
            yield from parts(inner, (*path, number))
    if not isinstance(schema, Mapping):
        return
    yield path, schema
    for word, inner in schema.items():
        if word in NAMED and isinstance(inner, Mapping):
            for name, each in inner.items():
                yield from parts(each, (*path, word, name))
        elif word not in DATA:
            yield from parts(inner, (*path, word))
