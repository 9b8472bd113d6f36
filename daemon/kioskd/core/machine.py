"""Joins the two machines: what happened in, what to do out.

    step(state, event, policy) -> state, effects

Two kinds of effect. *Levels* are what should hold now: `levels(state, policy)` says it, and `step` emits the difference
between before and after, so nothing can be forgotten or done twice. *Pulses* happen once, because a transition said so
(`Flush`) or because the connection changed (`Dial`, `HangUp`, `Greet`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from kioskd.core import link as links
from kioskd.core import turn as turns
from kioskd.core.effects import (
    CancelTimer,
    Dial,
    Effect,
    Flush,
    Forget,
    Greet,
    HangUp,
    Keep,
    SetTimer,
    SetUplink,
    Show,
    Shown,
    Uplink,
)
from kioskd.core.events import Device, DeviceCame, DeviceGone, Event, Lost, Started, Timer, TimerFired
from kioskd.core.link import Link
from kioskd.core.policy import Policy
from kioskd.core.turn import Turn


@dataclass(frozen=True, slots=True)
class State:
    """All that the core knows."""

    turn: Turn = field(default_factory=Turn)
    link: Link = field(default_factory=Link)
    started: bool = False
    missing: frozenset[Device] = frozenset()


@dataclass(frozen=True, slots=True)
class Levels:
    """What should hold in a state."""

    uplink: Uplink
    shown: Shown
    timers: Mapping[Timer, float]
    """The clocks that should run, and their seconds."""
    keepsake: Keep | None
    """What a new process would need to go on with the conversation."""


def step(state: State, event: Event, policy: Policy) -> tuple[State, tuple[Effect, ...]]:
    """Return the state after `event` and what to do, in order.

    An event of an older connection (another epoch) is dropped here, at the door.
    """
    if getattr(event, "epoch", state.link.epoch) != state.link.epoch:
        return state, ()
    kind = event.timer if isinstance(event, TimerFired) else type(event)
    turn = state.turn
    pulses: tuple[Flush, ...] = ()
    if kind in turns.TABLE:
        turn, pulses = turns.TABLE[kind][turn.phase.value](turn, event, policy)
    link = state.link
    if kind in links.TABLE:
        link = links.TABLE[kind][link.phase.value](link, event, policy)

    # The joint rules: asleep is hung up, awake is reached for, refused is asleep, draining ends in a quiet moment.
    if state.turn.awake and turn.awake and link.phase is links.Phase.DOWN:
        turn, more = turns.sleep(turn, event, policy)
        pulses += more
    if not turn.awake:
        link = _while_asleep(state, event, link)
    elif link.phase is links.Phase.DOWN:
        link = links.dial(link)
    elif link.leaving and turn.quiet:
        link = links.roll_over(link)

    came_up = link.phase is links.Phase.UP and state.link.phase is links.Phase.DIALING
    greet = came_up and policy.greeting and not turn.greeted
    if greet:
        # Nobody is greeted in mid-sentence, and nobody twice: a later fresh session finds `greeted` set.
        greet = turn.phase is turns.Phase.LISTENING and not turn.spoke
        turn = replace(turn, greeted=True, phase=turns.Phase.THINKING if greet else turn.phase)

    after = State(turn, link, state.started or isinstance(event, Started), _missing(state, event))
    effects: list[Effect] = [*pulses, *_reach(state.link, link)]
    if greet:
        effects.append(Greet())
    effects.extend(_difference(levels(state, policy), levels(after, policy)))
    return after, tuple(effects)


def adopt(state: State, old: Policy, new: Policy) -> tuple[Effect, ...]:
    """Return what to do when `new` replaces `old` in mid-life: what should hold may be something else now."""
    return tuple(_difference(levels(state, old), levels(state, new)))


def _while_asleep(state: State, event: Event, link: Link) -> Link:
    """Return the link of a kiosk that sleeps: hung up, but for a probe, which is over when it has its answer."""
    if state.turn.awake or link.open:
        return links.hang_up(link)
    if isinstance(event, Lost) and link.phase is not links.Phase.DOWN:
        return links.hang_up(state.link)
    return link


def levels(state: State, policy: Policy) -> Levels:
    """Return what should hold in `state`."""
    turn, handle = state.turn, state.link.handle
    keepsake = Keep(turn.conversation, handle) if turn.awake and handle is not None else None
    return Levels(_uplink(state, policy), _shown(state), dict(_timers(state, policy)), keepsake)


def _uplink(state: State, policy: Policy) -> Uplink:
    if not state.turn.awake:
        return Uplink.PREROLL
    if policy.half_duplex and state.turn.phase in (turns.Phase.SPEAKING, turns.Phase.RINGING):
        return Uplink.SHUT
    return Uplink.SEND if state.link.open else Uplink.HOLD


LONG_S = 5.0
"""A visitor who waits so long is told why."""

_SHOWN = {
    turns.Phase.ASLEEP: Shown.ASLEEP,
    turns.Phase.LISTENING: Shown.LISTENING,
    turns.Phase.THINKING: Shown.THINKING,
    turns.Phase.SPEAKING: Shown.SPEAKING,
    turns.Phase.RINGING: Shown.SPEAKING,
}


def _shown(state: State) -> Shown:
    if state.missing or (state.link.trouble is links.Trouble.REFUSED and not state.turn.awake):
        return Shown.FAULT
    if not state.started:
        return Shown.STARTING
    # What is still heard goes before what is no longer reached: a rollover is nobody's business.
    audible = state.turn.phase in (turns.Phase.SPEAKING, turns.Phase.RINGING)
    if state.turn.awake and not state.link.open and not audible:
        if _offline(state.link):
            return Shown.OFFLINE
        if not state.link.met:
            return Shown.WAKING
    return _SHOWN[state.turn.phase]


def _offline(link: Link) -> bool:
    """Whether the visitor should know that the service is not there, as it will not be at once."""
    waiting = link.phase is links.Phase.WAITING and link.retry_s >= LONG_S
    return not link.open and (link.tries > 1 or waiting)


def _timers(state: State, policy: Policy) -> Iterator[tuple[Timer, float]]:
    yield from _turn_timers(state, policy)
    yield from _link_timers(state.link, policy)
    if state.link.phase is links.Phase.DRAINING and state.link.owed and state.turn.quiet:
        yield Timer.SETTLE, policy.settle_s


def _turn_timers(state: State, policy: Policy) -> Iterator[tuple[Timer, float]]:
    turn = state.turn
    match turn.phase:
        case turns.Phase.ASLEEP:
            if policy.always_on and state.started:
                yield Timer.AGAIN, _again_s(state.link, policy)
            elif state.link.trouble is links.Trouble.REFUSED and state.link.phase is links.Phase.DOWN:
                yield Timer.PROBE, policy.refused_s
        case turns.Phase.LISTENING:
            # In an outage nobody is idle: the visitor cannot be answered.
            if not turn.voice and not (state.link.met and _offline(state.link)):
                yield Timer.IDLE, policy.idle_s
        case turns.Phase.THINKING:
            yield Timer.THINK, policy.think_s
        case turns.Phase.SPEAKING:
            if turn.overtime:
                yield Timer.GRACE, policy.grace_s
        case turns.Phase.RINGING:
            yield Timer.TAIL, policy.tail_s
    if turn.awake and not turn.overtime:
        yield Timer.LONGEST, policy.longest_s


def _again_s(link: Link, policy: Policy) -> float:
    match link.trouble:
        case links.Trouble.REFUSED:
            return policy.refused_s
        case links.Trouble.UNREACHED:
            return policy.unreached_s
        case links.Trouble.NONE:
            return policy.again_s


def _link_timers(link: Link, policy: Policy) -> Iterator[tuple[Timer, float]]:
    match link.phase:
        case links.Phase.UP:
            yield Timer.AGE, policy.age_s if link.leave_s is None else link.leave_s
        case links.Phase.DRAINING:
            yield Timer.ROLLOVER, link.rollover_s
        case links.Phase.WAITING:
            yield Timer.RETRY, link.retry_s
    young = link.hops and link.phase is links.Phase.UP
    if link.open and (link.tries or young):
        yield Timer.STEADY, policy.steady_s


def _missing(state: State, event: Event) -> frozenset[Device]:
    if isinstance(event, DeviceGone):
        return state.missing | {event.device}
    if isinstance(event, DeviceCame):
        return state.missing - {event.device}
    return state.missing


def _reach(before: Link, after: Link) -> Iterator[Effect]:
    if after.epoch != before.epoch:
        yield Dial(after.epoch, after.handle, recall=after.met and after.handle is None)
    elif before.phase is not links.Phase.DOWN and after.phase is links.Phase.DOWN:
        yield HangUp()


def _difference(before: Levels, after: Levels) -> Iterator[Effect]:
    for timer in before.timers:
        if timer not in after.timers:
            yield CancelTimer(timer)
    for timer, seconds in after.timers.items():
        if before.timers.get(timer) != seconds:
            yield SetTimer(timer, seconds)
    if after.uplink is not before.uplink:
        yield SetUplink(after.uplink)
    if after.keepsake != before.keepsake:
        yield after.keepsake or Forget()
    if after.shown is not before.shown:
        yield Show(after.shown)
