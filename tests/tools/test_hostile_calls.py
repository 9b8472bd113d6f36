"""Hostile schemas (a thousand with KIOSKD_SLOW=1), each with a hostile call: nothing ends, and nothing holds the loop up."""

import os
import random
import sys
import time
from typing import Any

from kioskd.adapters.clock import SystemClock
from kioskd.tools.contract import Declaration, Guard, Guarded
from kioskd.tools.mcp_schema import usable
from kioskd.tools.python import PythonTool
from kioskd.tools.toolbox import Toolbox

CASES = 1000 if os.environ.get("KIOSKD_SLOW") else 200
HOLD_MS = 50.0
WORDS = (
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
NUMBERS = (0, -1, 1e-300, 1e308, 2**1022, 10**400, 0.1, float("inf"), True, None)
TEXTS = ("", "a", "a" * 300, "\ud800", "\U0001f600" * 50, "$ref", "#/$defs/x", "(a|aa)+$", "\x00")
SOUND = tuple(text for text in TEXTS if "\ud800" not in text)
STEPS = (1, 3, 0.1, 1e-300, 2**1022)
"""What a schema holds mostly, so that some are taken."""


def schema(dice: random.Random, deep: int = 0) -> Any:
    """Return what may be a schema, or only looks like one."""
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
    match dice.randint(0, 6 if deep < 6 else 2):
        case 0:
            return dice.choice(NUMBERS)
        case 1:
            return dice.choice(TEXTS) * dice.choice([1, 3, 100])
        case 2:
            return [dice.choice(NUMBERS)] * dice.choice([0, 1, 3000])
        case 3 | 4:
            return [arguments(dice, deep + 1) for _ in range(dice.choice([0, 2, 5]))]
    return {dice.choice(TEXTS) + str(n): arguments(dice, deep + 1) for n in range(dice.choice([1, 5, 20]))}


async def yes(_name: str, _question: str) -> bool:
    return True


async def test_hostile_calls_end_nothing_and_hold_nothing_up() -> None:
    dice, longest_ms, kept = random.Random(13), 0.0, 0
    for _ in range(CASES):
        given = {"type": "object"} | schema(dice)
        asked = {dice.choice(TEXTS) + "0": arguments(dice) for _ in range(3)}
        taken, tries = None, []
        for _try in range(3):  # a busy machine takes longer, never shorter
            began = time.perf_counter()
            taken = usable(given)
            tries.append((time.perf_counter() - began) * 1000)
            if tries[-1] < HOLD_MS:
                break
        longest_ms = max(longest_ms, min(tries))
        if taken is None:
            continue
        kept += 1
        tries = []
        for _try in range(3):
            tool = PythonTool(Declaration("t", "", taken), _answer)
            box = Toolbox([Guarded(tool, Guard(per_turn=0))], clock=SystemClock(), confirm=yes)
            began = time.perf_counter()
            result = await box.call("t", asked, turn=1, conversation=1)
            result.as_json(8192)
            tries.append((time.perf_counter() - began) * 1000)
            if tries[-1] < HOLD_MS:
                break
        longest_ms = max(longest_ms, min(tries))
    sys.stdout.write(f"{kept} of {CASES} schemas were taken; the longest hold was {longest_ms:.0f} ms\n")
    assert kept > CASES / 20
    assert longest_ms < HOLD_MS


async def _answer(_arguments: Any) -> str:
    return "done"
