"""Lamp patterns: each state has a rhythm of light and dark of its own, so that no state needs a colour.

A few seconds are enough to tell the rhythms apart. They differ in their number of flashes, their length,
pace, or share of light. No lamp flashes more than three times in any second: that bound keeps lights harmless
to people with photosensitive epilepsy (WCAG 2.3.1).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

PatternStep = tuple[float, float]
"""Duration in seconds, and the level for that time: 0 dark, 1 lit."""

Colour = tuple[float, float, float]
"""Red, green, blue, each 0 or 1, so that lines without dimming show the same colour."""

RED: Final = (1.0, 0.0, 0.0)
GREEN: Final = (0.0, 1.0, 0.0)
BLUE: Final = (0.0, 0.0, 1.0)
CYAN: Final = (0.0, 1.0, 1.0)
MAGENTA: Final = (1.0, 0.0, 1.0)
YELLOW: Final = (1.0, 1.0, 0.0)
WHITE: Final = (1.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Pattern:
    """A rhythm, again and again from its start; one step that lasts for ever is steady."""

    steps: tuple[PatternStep, ...]
    colour: Colour


def _beat(*seconds: float) -> tuple[PatternStep, ...]:
    """Return steps that are lit and dark in turn, lit first."""
    return tuple((each, float(number % 2 == 0)) for number, each in enumerate(seconds))


_DARK: Final = ((math.inf, 0.0),)
_LIT: Final = ((math.inf, 1.0),)

STATES: Final[Mapping[str, Pattern]] = {
    # A slow blink.
    "starting": Pattern(_beat(1.0, 1.0), WHITE),
    "asleep": Pattern(_DARK, BLUE),
    # A quick blink.
    "waking": Pattern(_beat(0.2, 0.2), CYAN),
    "listening": Pattern(_LIT, GREEN),
    # Two flashes and a pause.
    "thinking": Pattern(_beat(0.15, 0.15, 0.15, 0.75), MAGENTA),
    # Long on, short off.
    "speaking": Pattern(_beat(0.8, 0.2), BLUE),
    # Lit, with a double wink.
    "muted": Pattern(_beat(1.6, 0.15, 0.15, 0.15), RED),
    # One flash in two seconds; one in five; three and a pause.
    "offline": Pattern(_beat(0.1, 1.9), YELLOW),
    "closed": Pattern(_beat(0.1, 4.9), YELLOW),
    "fault": Pattern(_beat(0.15, 0.2, 0.15, 0.2, 0.15, 1.65), RED),
}
"""Pattern of each state shown to people."""

OVERLAYS: Final[Mapping[str, Pattern]] = {
    # Two long flashes and a pause.
    "asking": Pattern(_beat(0.5, 0.2, 0.5, 0.8), WHITE),
    # One long flash and one short flash.
    "announcing": Pattern(_beat(0.6, 0.4, 0.15, 0.4), BLUE),
    # Lit as in `listening`, with three winks in a row.
    "ending": Pattern(_beat(1.0, 0.15, 0.15, 0.15, 0.15, 0.15), GREEN),
    # A flicker that is mostly lit, and one that is mostly dark: a person with a finger on the button sees it
    # in half a second.
    "armed_mute": Pattern(_beat(0.35, 0.1), RED),
    "armed_restart": Pattern(_beat(0.1, 0.35), WHITE),
    # Lit as in `listening`, with a wink every four seconds: speech is being recorded.
    "recording": Pattern(_beat(4.0, 0.2), GREEN),
}
"""Patterns that hide the state: a question to the visitor, a near end, the armed action, or a recording."""

TELLING: Final = frozenset({"asleep", "offline", "closed", "fault"})
"""In these states the lamp blinks the code of a trouble, if there is one: the kiosk serves no visitor."""

LONG_FLASHES: Final[Mapping[str, int]] = {"W": 1, "K": 2, "D": 3, "B": 4, "S": 5}
"""Number of long flashes for a code's letter; the code's digit is the number of short flashes."""

_LONG_S: Final = 0.7
_SHORT_S: Final = 0.2
_OFF_S: Final = 0.4
_BETWEEN_S: Final = 0.9
_AFTER_S: Final = 2.5


def pattern(state: str, code: str | None = None, overlay: str = "") -> Pattern:
    """Return the pattern for `state`; `code` is a letter and a digit (W1), `overlay` a key of `OVERLAYS`."""
    if overlay:
        return OVERLAYS[overlay]
    shown = STATES[state]
    return Pattern(_flashes(code), shown.colour) if code and state in TELLING else shown


def _flashes(code: str) -> tuple[PatternStep, ...]:
    longs, shorts = LONG_FLASHES[code[0]], int(code[1])
    letter = (_LONG_S, _OFF_S) * longs
    digit = (_SHORT_S, _OFF_S) * shorts
    return _beat(*letter[:-1], _BETWEEN_S, *digit[:-1], _AFTER_S)


def at(pattern: Pattern, t_s: float) -> tuple[float, float]:
    """Return the level `t_s` seconds after the pattern's start, and when it ends (`math.inf`: never)."""
    period_s = sum(seconds for seconds, _ in pattern.steps)
    if period_s == math.inf:
        return pattern.steps[0][1], math.inf
    start_s = end_s = math.floor(t_s / period_s) * period_s
    for seconds, level in pattern.steps:
        end_s += seconds
        if t_s < end_s:
            return level, end_s
    # Rounding made the sum of the steps fall short of the period.
    seconds, level = pattern.steps[0]
    return level, start_s + period_s + seconds


DAY_S: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class NightDimming:
    """Span of the local day in which lamps are dimmer, also across midnight; times in seconds."""

    from_s: float
    to_s: float
    brightness: float
    """Percent."""


def brightness_at(day_s: float, brightness: float, night: NightDimming | None) -> tuple[float, float]:
    """Return the percent that apply `day_s` seconds after midnight, and for how many seconds (`math.inf`: for
    ever).

    A night that ends at its beginning has no effect.
    """
    if night is None or night.from_s == night.to_s:
        return brightness, math.inf
    to_dusk_s, to_dawn_s = ((border - day_s) % DAY_S or DAY_S for border in (night.from_s, night.to_s))
    return (night.brightness, to_dawn_s) if to_dawn_s < to_dusk_s else (brightness, to_dusk_s)


def dimmed(brightness: float) -> float:
    """Return the light, 0 to 1, that looks as bright as `brightness` percent (CIE 1931 lightness)."""
    return brightness / 903.3 if brightness <= 8 else ((brightness + 16) / 116) ** 3
