"""Turns a button's edges, and the time between them, into gestures.

A press acts at once. Only a button with a double press waits, until no second press can follow: a double
press replaces both single ones. Talking never waits. A long hold *arms* an action, and releasing the button
commits it. The lamp shows the armed action, so the visitor can hold on until another one is armed. Three
kinds of press do nothing: the button was down at the first look, is stuck, or bounces. In all three cases the
button must be released and come to rest first.
"""

import enum
import math
from dataclasses import dataclass, field, replace
from typing import Final, Literal

ButtonRole = Literal["toggle", "hold", "wake", "end", "mute", "look", "hush"]
"""Action of a press; `hold` talks for as long as the button is held."""

LongPress = Literal["mute", "restart"]
"""Action of a long hold."""

BOUNCES: Final = 20
BOUNCES_WITHIN_S: Final = 2.0
"""More edges than `BOUNCES` within this time are not human: that is five presses a second without a pause."""

FLUTTERS: Final = 60
FLUTTERS_WITHIN_S: Final = 60.0
"""More edges than `FLUTTERS` in this time are not human: that is a press every two seconds, for a minute."""

REST_S: Final = 2.0
"""A bouncing button is trusted again after this many seconds without an edge, if `CALM` allows it."""
CALM: Final = FLUTTERS // 2
"""A bouncing button with more edges than this within `FLUTTERS_WITHIN_S` is not trusted yet."""


@dataclass(frozen=True, slots=True)
class GestureRules:
    """Settings of one button; times in seconds."""

    does: ButtonRole = "toggle"
    double: ButtonRole | None = None
    """Action of two presses in a row, in place of the single ones; None: each press acts alone."""
    profile: str | None = None
    """Name of the profile of a visitor who wakes the kiosk by this button; None: the button chooses none."""
    double_s: float = 0.4
    """The second press must come within this time of the first one."""
    mute_s: float = 2.0
    """After a hold of this length, releasing the button mutes or unmutes; 0: never."""
    restart_s: float = 10.0
    """After a hold of this length, releasing the button restarts the service; 0: never."""
    stuck_s: float = 60.0
    """A button that is down for this long is stuck: no person holds it."""


@dataclass(frozen=True, slots=True)
class ButtonAct:
    """A single or double press to act on at once; `does` is never `hold`."""

    does: ButtonRole
    down_s: float | None = field(default=None, compare=False)
    """Time of the press by the clock of `step`; the second press of a double press."""


@dataclass(frozen=True, slots=True)
class HoldBegan:
    """The visitor holds the button to talk."""

    down_s: float | None = field(default=None, compare=False)
    """Time of the press by the clock of `step`."""


@dataclass(frozen=True, slots=True)
class HoldEnded:
    """The visitor's talking ends: the button was released, is stuck, bounces, or is lost."""


@dataclass(frozen=True, slots=True)
class HoldArmed:
    """Releasing the button now would do this; None: nothing."""

    what: LongPress | None


@dataclass(frozen=True, slots=True)
class Commit:
    """The button was released while this action was armed."""

    what: LongPress


@dataclass(frozen=True, slots=True)
class Stuck:
    """The button has been down for longer than any person holds one; reported once."""


@dataclass(frozen=True, slots=True)
class Bouncing:
    """The button changes faster or longer than a finger can; reported once. It is ignored until it rests."""

    edges: int
    within_s: float


@dataclass(frozen=True, slots=True)
class ButtonReleased:
    """A button that was stuck or bouncing is usable again."""


GestureEvent = ButtonAct | HoldBegan | HoldEnded | HoldArmed | Commit | Stuck | Bouncing | ButtonReleased
GestureEvents = tuple[GestureEvent, ...]


class ButtonPhase(enum.Enum):
    """The phases of one button."""

    UNKNOWN = enum.auto()
    """No edge has come yet. The first edge tells whether the button is up or down, and is no press."""
    UP = enum.auto()
    DOWN = enum.auto()
    """Pressed; the press has been or will be acted upon."""
    TALKING = enum.auto()
    DEAD = enum.auto()
    """Down, but ignored until the release."""
    STUCK = enum.auto()
    """Down for so long that `Stuck` was reported."""
    BOUNCING = enum.auto()


@dataclass(frozen=True, slots=True)
class Gesture:
    """State of one button."""

    phase: ButtonPhase = ButtonPhase.UNKNOWN
    since_s: float = 0.0
    """Time at which the phase began; for BOUNCING: time of the last edge."""
    down: bool = False
    armed: LongPress | None = None
    mutes: bool = False
    """This press has already muted or unmuted, so holding on must not undo it."""
    first_s: float | None = None
    """Time of a press that a second one may follow."""
    held_back: ButtonRole | None = None
    """Action of that first press, while it waits for a second press."""
    edges: tuple[float, ...] = ()
    """Times of the last edges, at most `FLUTTERS` + 1 of them."""
    now_s: float = 0.0
    """The latest time passed to `step`."""

    @property
    def held(self) -> bool:
        """Whether a finger is on the button, as far as can be known: a stuck or bouncing button has none."""
        return self.down and self.phase not in (ButtonPhase.STUCK, ButtonPhase.BOUNCING)


def step(
    state: Gesture, edge: bool | None, now_s: float, rules: GestureRules
) -> tuple[Gesture, GestureEvents, float | None]:
    """Return the next state, the gestures, and the time of the next call with `edge=None` if no edge comes
    first.

    `edge`: True for a press, False for a release, None when time has passed. An edge that repeats the one
    before is ignored. `now_s`: the time of the edge by any clock, even if it is reported late; for None, the
    present time. A clock that runs backwards counts as standing still. A late call makes up for everything
    that was due, so report all earlier edges before a call with None.
    """
    state, acts = _act(replace(state, now_s=max(now_s, state.now_s)), rules)
    state, outcomes = _pass(state, rules)
    outcomes = acts + outcomes
    if state.phase is ButtonPhase.UNKNOWN:
        if edge is not None:
            state = _become(state, ButtonPhase.DEAD if edge else ButtonPhase.UP, down=edge)
    elif edge is not None and edge is not state.down:
        state = replace(state, down=edge, edges=(*state.edges, state.now_s)[-FLUTTERS - 1 :])
        state, more = _change(state, rules)
        outcomes += more
    return state, outcomes, _deadline(state, rules)


def abandon(state: Gesture) -> tuple[Gesture, GestureEvents]:
    """Return the state and the gestures when the button is lost: talking ends, and nothing is committed."""
    return Gesture(now_s=state.now_s), _let_go(state)


def _act(state: Gesture, rules: GestureRules) -> tuple[Gesture, GestureEvents]:
    """Act on a press that waited for a second one, if no second one can come any more."""
    if state.held_back is None or state.first_s is None or state.now_s < state.first_s + rules.double_s:
        return state, ()
    return replace(state, first_s=None, held_back=None), (ButtonAct(state.held_back, state.first_s),)


def _pass(state: Gesture, rules: GestureRules) -> tuple[Gesture, GestureEvents]:
    """Apply the time that has passed."""
    now_s, since_s = state.now_s, state.since_s
    match state.phase:
        case ButtonPhase.DOWN | ButtonPhase.TALKING | ButtonPhase.DEAD if now_s >= since_s + rules.stuck_s:
            return _become(state, ButtonPhase.STUCK), (*_let_go(state), Stuck())
        case ButtonPhase.DOWN:
            due = [(after_s, what) for after_s, what in _longs(state, rules) if now_s >= since_s + after_s]
            armed = max(due)[1] if due else None
            return replace(state, armed=armed), (HoldArmed(armed),) if armed is not state.armed else ()
        case ButtonPhase.BOUNCING if now_s >= _rested_s(state):
            return _become(state, ButtonPhase.DEAD if state.down else ButtonPhase.UP), (ButtonReleased(),)
        case _:
            return state, ()


def _change(state: Gesture, rules: GestureRules) -> tuple[Gesture, GestureEvents]:
    """Apply an edge; `state.down` is already the new position."""
    if state.phase is ButtonPhase.BOUNCING:
        return _become(state, ButtonPhase.BOUNCING), ()
    for bound in ((BOUNCES, BOUNCES_WITHIN_S), (FLUTTERS, FLUTTERS_WITHIN_S)):
        if _fewer_s(state, *bound) > state.now_s:
            bouncing = replace(_become(state, ButtonPhase.BOUNCING), first_s=None, held_back=None)
            return bouncing, (*_let_go(state), Bouncing(*bound))
    if state.down:
        return _press(state, rules)
    up = _become(state, ButtonPhase.UP)
    if state.phase is ButtonPhase.STUCK:
        return up, (ButtonReleased(),)
    if state.armed:
        return replace(up, held_back=None), (*_let_go(state), Commit(state.armed))
    return up, _let_go(state)


def _fewer_s(state: Gesture, edges: int, within_s: float) -> float:
    """Return the time from which the button has had at most `edges` edges in the last `within_s` seconds."""
    return state.edges[-edges - 1] + within_s if len(state.edges) > edges else -math.inf


def _rested_s(state: Gesture) -> float:
    """Return the time at which a bouncing button is trusted again, if no edge comes before."""
    return max(state.since_s + REST_S, _fewer_s(state, CALM, FLUTTERS_WITHIN_S))


def _press(state: Gesture, rules: GestureRules) -> tuple[Gesture, GestureEvents]:
    second = state.first_s is not None and state.now_s < state.first_s + rules.double_s
    does = rules.double if second and rules.double is not None else rules.does
    first_s = None if second else state.now_s
    if does == "hold":
        return replace(_become(state, ButtonPhase.TALKING), first_s=first_s, held_back=None), (
            HoldBegan(state.now_s),
        )
    waits = rules.double is not None and not second
    state = replace(
        _become(state, ButtonPhase.DOWN),
        first_s=first_s,
        held_back=does if waits else None,
        mutes=does == "mute",
    )
    return state, () if waits else (ButtonAct(does, state.now_s),)


def _let_go(state: Gesture) -> GestureEvents:
    """Return the gestures that end with any press."""
    talk = (HoldEnded(),) if state.phase is ButtonPhase.TALKING else ()
    return (*talk, *((HoldArmed(None),) if state.armed else ()))


def _become(state: Gesture, phase: ButtonPhase, *, down: bool | None = None) -> Gesture:
    return replace(
        state,
        phase=phase,
        since_s=state.now_s,
        down=state.down if down is None else down,
        armed=None,
        mutes=False,
    )


def _longs(state: Gesture, rules: GestureRules) -> list[tuple[float, LongPress]]:
    longs: list[tuple[float, LongPress]] = [(rules.restart_s, "restart")]
    if not state.mutes:
        longs.append((rules.mute_s, "mute"))
    return [(after_s, what) for after_s, what in longs if after_s > 0]


def _deadline(state: Gesture, rules: GestureRules) -> float | None:
    """Return the next time at which time alone changes something.

    The sums must equal those in `_pass`: a rounding difference could make a deadline that never comes due.
    """
    match state.phase:
        case ButtonPhase.DOWN:
            afters = [rules.stuck_s, *(after_s for after_s, _ in _longs(state, rules))]
            dues = [state.since_s + after_s for after_s in afters]
        case ButtonPhase.TALKING | ButtonPhase.DEAD:
            dues = [state.since_s + rules.stuck_s]
        case ButtonPhase.BOUNCING:
            dues = [_rested_s(state)]
        case _:
            dues = []
    if state.held_back is not None and state.first_s is not None:
        dues.append(state.first_s + rules.double_s)
    return min((at for at in dues if at > state.now_s), default=None)
