"""Tool schemas, calls and answers from an attacker."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from kioskd.adapters.clock import SystemClock
from kioskd.tools.arguments import Arguments
from kioskd.tools.contract import Declaration, Guarded, ToolResult, read_answer
from kioskd.tools.guard import Guard
from kioskd.tools.kinds.mcp.schema import usable
from kioskd.tools.kinds.python.tool import PythonTool
from kioskd.tools.toolbox import Toolbox

WORDS: Final = (
    *(
        "anyOf",
        "allOf",
        "oneOf",
        "prefixItems",
        "items",
        "not",
        "if",
        "then",
        "else",
        "contains",
        "properties",
    ),
    *("additionalProperties", "propertyNames", "dependentSchemas", "$ref", "$defs", "pattern"),
)
NUMBERS: Final = (0, -1, 1e-300, 1e308, 2**1022, 10**400, 0.1, float("inf"), True, None)
TEXTS: Final = ("", "a", "a" * 300, "\ud800", "\U0001f600" * 50, "$ref", "#/$defs/x", "(a|aa)+$", "\x00")
SOUND: Final = tuple(text for text in TEXTS if "\ud800" not in text)
STEPS: Final = (1, 3, 0.1, 1e-300, 2**1022)
"""Values that are valid in schemas. They are chosen mostly, so that some schemas are accepted."""


def schema(dice: random.Random, deep: int = 0) -> Any:
    """Return a value that is a schema, or looks like one."""
    if deep > dice.randint(1, 4):
        return dice.choice(
            [True, False, {}, {"type": "string"}, {"const": dice.choice(SOUND)}, {"type": ["number", "null"]}]
        )
    found: dict[str, Any] = {}
    for word in dice.sample(WORDS, dice.randint(1, 4)):
        many = dice.choice([1, 2, 40]) if deep < 1 else dice.choice([1, 1, 2])
        match word:
            case "anyOf" | "allOf" | "oneOf" | "prefixItems":
                found[word] = [schema(dice, deep + 1) for _ in range(many)]
            case "properties" | "dependentSchemas" | "$defs":
                found[word] = {dice.choice(SOUND) + str(n): schema(dice, deep + 1) for n in range(many)}
            case "$ref" | "pattern":
                found[word] = dice.choice(
                    [*SOUND, "#", "#/$defs/a0", "#/properties/a0", "http://127.0.0.1:9/"]
                )
            case _:
                found[word] = schema(dice, deep + 1)
    if dice.random() < 0.3:
        found |= {
            dice.choice(["multipleOf", "minimum", "maxLength", "minItems"]): dice.choice(
                STEPS if dice.random() < 0.97 else NUMBERS
            )
        }
    if dice.random() < 0.3:
        found |= {
            "enum": [dice.choice(SOUND) for _ in range(dice.choice([1, 60]) if deep < 2 else 1)],
            "uniqueItems": True,
        }
    return found


def arguments(dice: random.Random, deep: int = 0) -> Any:
    """Return arguments of any size and shape."""
    match dice.randint(0, 6 if deep < 4 else 2):
        case 0:
            return dice.choice(NUMBERS)
        case 1:
            return dice.choice(TEXTS) * dice.choice([1, 3, 100])
        case 2:
            return [dice.choice(NUMBERS)] * dice.choice([0, 1, 3000])
        case 3 | 4:
            return [arguments(dice, deep + 1) for _ in range(dice.choice([0, 2, 5]))]
    return {dice.choice(TEXTS) + str(n): arguments(dice, deep + 1) for n in range(dice.choice([1, 5, 20]))}


ANSWERS: Final[tuple[Callable[[random.Random], bytes], ...]] = (
    lambda dice: json.dumps(arguments(dice)).encode(),
    lambda dice: b"[" * dice.choice([50, 5_000, 400_000]),
    lambda dice: _nested(dice.choice([30, 45, 3_000])),
    lambda dice: b"[" + b"[]," * dice.choice([10, 6_000, 300_000]) + b"[]]",
    lambda dice: b'"' + b"\\ud83d" * dice.choice([1, 100_000]) + b'"',
    lambda dice: b"9" * dice.choice([400, 4_000, 300_000]),
    lambda dice: json.dumps({f"k{n}": "\u202e\x1b[2J" * 40 for n in range(dice.choice([1, 2_000]))}).encode(),
    lambda dice: dice.randbytes(dice.choice([0, 10, 100_000])),
)
"""Makers of answers where JSON is expected: long, nested, odd, or not JSON at all."""


def _nested(depth: int) -> bytes:
    return b'{"a":' * depth + b"1" + b"}" * depth


@dataclass(frozen=True, slots=True)
class Case:
    """One tool of an attacker, one call of it, and its answer."""

    schema: dict[str, Any]
    asked: dict[str, Any]
    answer: bytes


def cases(seed: int) -> Iterator[Case]:
    """Yield cases without end; the same seed gives the same cases."""
    dice = random.Random(seed)
    while True:
        yield Case(
            {"type": "object"} | schema(dice),
            {dice.choice(TEXTS) + "0": arguments(dice) for _ in range(3)},
            dice.choice(ANSWERS)(dice),
        )


async def made(seed: int, count: int) -> AsyncIterator[Case]:
    """Yield `count` cases. A thread creates them, so that their cost does not count for the daemon."""
    making = cases(seed)
    for _ in range(count):
        yield await asyncio.to_thread(next, making)


def warm() -> None:
    """Load the modules that check arguments, so that the first case does not pay for it."""
    Arguments({"type": "object"}).fault({"a": 1})


async def suffer(case: Case) -> bool:
    """List, call and answer, each in its own round of the loop; return whether the schema was accepted."""
    await asyncio.sleep(0)
    taken = usable(case.schema)
    await asyncio.sleep(0)
    if taken is None:
        return False

    async def work(_arguments: Any) -> ToolResult:
        await asyncio.sleep(0)
        return read_answer(case.answer, "json")

    tool = PythonTool(Declaration("t", "", taken), work)
    box = Toolbox([Guarded(tool, Guard(per_turn=0))], clock=SystemClock(), confirm=_yes)
    result = await box.call("t", case.asked, turn=1, conversation=1)
    await asyncio.sleep(0)
    result.as_json(8192)
    return True


async def _yes(_name: str, _question: str) -> bool:
    return True
