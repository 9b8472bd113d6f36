"""Messages of the Live service, built from the SDK's own types, with extreme values in all fields.

`mutations` damages messages that services really send; this module also reaches fields without an example.
"""

import enum
import functools
import json
import random
import types
import typing
from collections.abc import Iterator
from typing import Any, Final

from google.genai.types import LiveServerMessage
from pydantic import BaseModel

EDGES: Final[tuple[Any, ...]] = (
    None, True, False, 0, -1, 1, 2**31, 2**63 - 1, 2**63, -(2**70), 10**400, 1e308, -0.0, float("nan"),
    float("inf"), float("-inf"), "", " ", "\ud83d", "\ude00\ud83d", "\x00\x1b[2J", "\u202ea\u2066", "\u200b",
    "9" * 5_000, "x" * 20_000, "-1s", "1e999s", "audio/pcm;rate=48000", [], [[]], [None], {}, {"": None},
    {"\ud83d": "\ud83d"}, [{}] * 50,
)  # fmt: skip
"""Extreme values that a field may hold."""


def typed_messages(seed: int, count: int) -> Iterator[str]:
    """Yield `count` messages; the same seed gives the same messages."""
    chance = random.Random(seed)
    for _ in range(count):
        message: dict[str, Any] = {}
        for _ in range(chance.choice((1, 1, 1, 2, 3))):
            message |= _object(LiveServerMessage, chance, 0)
        yield json.dumps(message)


def _object(model: type[BaseModel], chance: random.Random, depth: int) -> dict[str, Any]:
    known = _fields(model)
    fields = chance.sample(known, k=min(len(known), chance.choice((1, 1, 2, 3))))
    return {name: _value(kind, chance, depth + 1) for name, kind in fields}


@functools.cache
def _fields(model: type[BaseModel]) -> list[tuple[str, Any]]:
    """Return each field's name on the wire and its type."""
    return [
        (model.model_fields[name].alias or _camel(name), model.model_fields[name].annotation)
        for name in sorted(model.model_fields)
    ]


def _value(kind: Any, chance: random.Random, depth: int) -> Any:
    if chance.random() < 0.3 or depth > 7:
        return chance.choice(EDGES)
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return _value(chance.choice([one for one in inner if one is not type(None)]), chance, depth)
    if origin is list:
        return [_value(inner[0], chance, depth + 1) for _ in range(chance.choice((0, 1, 1, 2, 9)))]
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return _object(kind, chance, depth)
    return _plain_value(kind, chance)


def _plain_value(kind: Any, chance: random.Random) -> Any:
    values: tuple[Any, ...] = ("text", "f1", "9.5s", "audio/pcm;rate=24000", "\ud83dx", "\x9b", "a" * 300)
    if typing.get_origin(kind) is dict:
        values = tuple({name: edge} for name in ("a", "\ud83d", "") for edge in EDGES)
    elif isinstance(kind, type) and issubclass(kind, enum.Enum):
        values = (*(one.value for one in kind), "NEW_VALUE", "\ud83d")
    elif kind is bool:
        values = (True, True, True, False)
    elif kind is int:
        values = (0, 7, -3, 2**64, -(2**31), 10**30)
    elif kind is bytes:
        values = ("AAAA", "AAA", "", "!", "A" * 4_000)
    return chance.choice(values)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))
