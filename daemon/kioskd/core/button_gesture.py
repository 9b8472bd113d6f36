"""What a finger means: a button's edges and the time between them -> what is to be done.

A press acts at once, but for that of a button with a use for two: it waits until no second one can follow, as both
together do what the double press is for instead. Talking waits for nothing. A long hold *arms* something, and letting
go commits it, so that who sees on the lamp what is armed can hold on until something else is. A press that means
nothing (the button was down when it was first looked at, is stuck, or bounces) does nothing until the button was let go
and has come to rest.
"""

import enum
import math
from dataclasses import dataclass, field, replace
from typing import Final, Literal

ButtonRole = Literal["toggle", "hold", "wake", "end", "mute", "look", "hush"]
"""What a press is for; `hold` talks for as long as the button is held."""

LongPress = Literal["mute", "restart"]
"""What a long hold can be for."""

BOUNCES: Final = 20
BOUNCES_WITHIN_S: Final = 2.0
"""More edges than that are nobody who wants something: it would be five presses a second, and no end of them."""

FLUTTERS: Final = 60
FLUTTERS_WITHIN_S: Final = 60.0
"""Nor are more than that: a press every two seconds, for a minute."""

REST_S: Final = 2.0
"""A button that has bounced and then been quiet for so long is trusted again, ..."""
CALM: Final = FLUTTERS // 2
"""... if it had no more edges than that `FLUTTERS_WITHIN_S`: one that bounces again and again never is."""


@dataclass(frozen=True, slots=True)
class GestureRules:
    """What one button is for; times in seconds."""

    does: ButtonRole = "toggle"
    double: ButtonRole | None = None
    """What two presses in a row do in place of that; None: what each does alone."""
    double_s: float = 0.4
    """How soon after the first press the second one must come."""
    mute_s: float = 2.0
    """Held so long, letting go mutes or ends that; 0: never."""
    restart_s: float = 10.0
    """Held so long, letting go restarts the service; 0: never."""
    stuck_s: float = 60.0
    """Held so long, it is not held by anybody."""


@dataclass(frozen=True, slots=True)
class ButtonAct:
    """A press, or two of them, to be answered at once; `does` is never `hold`."""

    does: ButtonRole
    down_s: float | None = field(default=None, compare=False)
    """When the finger went down, by the clock of `step`; of a double press, the second time."""


@dataclass(frozen=True, slots=True)
class HoldBegan:
    """The visitor holds the button to talk."""

    down_s: float | None = field(default=None, compare=False)
    """As of `ButtonAct`."""


@dataclass(frozen=True, slots=True)
class HoldEnded:
    """The talking is over: the button was let go, is stuck, bounces or is lost."""


@dataclass(frozen=True, slots=True)
class HoldArmed:
    """Letting go now would do this; None: nothing any more."""

    what: LongPress | None


@dataclass(frozen=True, slots=True)
class Commit:
    """The button was let go while this was armed."""

    what: LongPress


@dataclass(frozen=True, slots=True)
class Stuck:
    """The button has been down for longer than anybody holds one; said once."""


@dataclass(frozen=True, slots=True)
class Bouncing:
    """The button changes faster, or longer, than any finger, and is passed over until it rests; said once."""

    edges: int
    within_s: float


@dataclass(frozen=True, slots=True)
class ButtonReleased:
    """A button that was stuck or bouncing can be used again."""


GestureEvent = ButtonAct | HoldBegan | HoldEnded | HoldArmed | Commit | Stuck | Bouncing | ButtonReleased
GestureEvents = tuple[GestureEvent, ...]


class ButtonPhase(enum.Enum):
    """What the button is doing."""

    UNKNOWN = enum.auto()
    """Nothing was heard of it yet: the first edge tells how it is, and is no press."""
    UP = enum.auto()
    DOWN = enum.auto()
    """Pressed, and the press was acted upon or will be."""
    TALKING = enum.auto()
    DEAD = enum.auto()
    """Down, and that means nothing."""
    STUCK = enum.auto()
    """Down for so long that it was reported."""
    BOUNCING = enum.auto()


@dataclass(frozen=True, slots=True)
class Gesture:
    """What is known of one button."""

    phase: ButtonPhase = ButtonPhase.UNKNOWN
    since_s: float = 0.0
    """When the phase began; of BOUNCING, when the last edge came."""
    down: bool = False
    armed: LongPress | None = None
    mutes: bool = False
    """The press has muted, or ended that: holding on must not take it back."""
    first_s: float | None = None
    """When the press was that a second one may follow."""
    held_back: ButtonRole | None = None
    """What that press is for, if it has not been acted upon yet."""
    edges: tuple[float, ...] = ()
    """When the last edges came, at most one more than `FLUTTERS` of them."""
    now_s: float = 0.0
    """The latest moment that this button has heard of."""

    @property
    def held(self) -> bool:
        """Whether a finger is on it, as far as can be known: a stuck or bouncing button has none."""
        return self.down and self.phase not in (ButtonPhase.STUCK, ButtonPhase.BOUNCING)


def step(
    state: Gesture, edge: bool | None, now_s: float, rules: GestureRules
) -> tuple[Gesture, GestureEvents, float | None]:
    """Return the next state, what follows, and when to call again with `edge=None` if no edge comes before.

    `edge`: True for a press, False for a release, None when time has passed; one that repeats the one before is
    passed over. `now_s`: when the edge happened, by any clock, however late it is told; for None, how late it is.
    Where that runs backwards, it is taken to stand still. A call that comes late makes up for what should have
    happened meanwhile, so each edge that came before is to be told before a call with None.
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
    """Return the state and what follows when the button is lost: a talk ends, and nothing is committed."""
    return Gesture(now_s=state.now_s), _let_go(state)


def _act(state: Gesture, rules: GestureRules) -> tuple[Gesture, GestureEvents]:
    """Act on a press that waited for a second one, if none can come any more."""
    if state.held_back is None or state.first_s is None or state.now_s < state.first_s + rules.double_s:
        return state, ()
    return replace(state, first_s=None, held_back=None), (ButtonAct(state.held_back, state.first_s),)


def _pass(state: Gesture, rules: GestureRules) -> tuple[Gesture, GestureEvents]:
    """Let time have passed."""
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
    """Let the button have gone down or up; `state` has it already."""
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
    """Return from when on the button has had no more than so many edges in the time before."""
    return state.edges[-edges - 1] + within_s if len(state.edges) > edges else -math.inf


def _rested_s(state: Gesture) -> float:
    """Return when a button that bounces is trusted again, if no edge comes before."""
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
    """Return what ends with a press, however it ends."""
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
    """Return when time alone changes something. The very sums that `_pass` compares with, or it might never be due."""
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
