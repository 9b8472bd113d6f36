"""Two hours of one conversation, by a clock moved by hand, with a service that lets no connection live long."""

import heapq
from dataclasses import dataclass, field
from itertools import count

import pytest
from pydantic import SecretStr
from tests.support.core import Shell, of_type

from kioskd.core import turn as turns
from kioskd.core.effects import CancelTimer, Dial, Effect, Greet, SetTimer, Show, Shown
from kioskd.core.events import (
    Event,
    GoingAway,
    HandleIssued,
    Lost,
    Pressed,
    ReplyBegan,
    ReplyPlayed,
    Started,
    Timer,
    TimerFired,
    TurnEnded,
    Up,
    VoiceBegan,
    VoiceEnded,
)
from kioskd.core.machine import State, step
from kioskd.core.policy import Policy

MINUTE_S = 60.0
HOUR_S = 60 * MINUTE_S
ROUND_S = 17.0
"""How often the visitor says something: within the patience of the idle timer."""
DIAL_S = 0.4
DEAF_TO_AGE_S = 100 * HOUR_S


@dataclass
class World:
    """The shell, a service and a clock that stands still between two events."""

    policy: Policy
    limit_s: float
    """How long the service lets a connection live."""
    notice_s: float | None
    """How long before that it says so; None: never."""
    now: float = 0.0
    state: State = field(default_factory=State)
    effects: list[Effect] = field(default_factory=list)
    ages: list[float] = field(default_factory=list)
    """How old each connection was when it was replaced."""
    cut: int = 0
    """Connections that the service had to end."""

    def __post_init__(self) -> None:
        self.shell = Shell(self.policy)
        self.numbers = count(1)
        self.replies = count(1)
        self.due: list[tuple[float, int, Event]] = []
        self.timers: dict[Timer, int] = {}
        self.up_at: float | None = None

    def later(self, after_s: float, event: Event) -> int:
        """Let `event` happen in `after_s` seconds; return its number."""
        number = next(self.numbers)
        heapq.heappush(self.due, (self.now + after_s, number, event))
        return number

    def live(self, seconds: float) -> None:
        """Let all happen that is due in the next `seconds`."""
        until = self.now + seconds
        while self.due and self.due[0][0] <= until:
            self.now, number, event = heapq.heappop(self.due)
            if isinstance(event, TimerFired):
                if self.timers.get(event.timer) != number:
                    continue
                del self.timers[event.timer], self.shell.timers[event.timer]
            self.take(event)
        self.now = until

    def take(self, event: Event) -> None:
        """Let `event` happen now, and do what the core asks for."""
        before = self.state.link
        self.state, effects = step(self.state, event, self.policy)
        self.shell.perform(effects, seen=self.state.turn.reply)
        assert self.shell.agrees_with(self.state)
        self.effects.extend(effects)
        if isinstance(event, Lost) and event.epoch == before.epoch:
            self.cut += 1
        if isinstance(event, Up):
            self.come_up(event.epoch)
        for effect in effects:
            match effect:
                case SetTimer(timer, after_s):
                    self.timers[timer] = self.later(after_s, TimerFired(timer))
                case CancelTimer(timer):
                    self.timers.pop(timer, None)
                case Dial(epoch, handle):
                    if self.up_at is not None:
                        self.ages.append(self.now - self.up_at)
                    self.later(DIAL_S, Up(epoch, resumed=handle is not None))
                case Greet():
                    self.answer()

    def come_up(self, epoch: int) -> None:
        """Begin a connection's life, and plan its end."""
        self.up_at = self.now
        self.later(0.1, HandleIssued(epoch, SecretStr(f"handle-{epoch:06}")))
        self.later(self.limit_s, Lost(epoch, jitter=0.5))
        if self.notice_s is not None:
            self.later(self.limit_s - self.notice_s, GoingAway(epoch, self.notice_s))

    def answer(self) -> None:
        """Have the model say something of three seconds."""
        epoch, reply = self.state.link.epoch, next(self.replies)
        self.later(0.8, ReplyBegan(epoch, reply))
        self.later(3.0, TurnEnded(epoch))
        self.later(3.8, ReplyPlayed(reply))

    def talk(self, seconds: float) -> list[Effect]:
        """Have the visitor ask something every `ROUND_S`; return what was done meanwhile."""
        before, until = len(self.effects), self.now + seconds
        while self.now < until:
            self.take(VoiceBegan())
            self.live(2.0)
            self.take(VoiceEnded())
            if self.state.link.open:
                self.answer()
            self.live(ROUND_S - 2.0)
        return self.effects[before:]


def wake(limit_s: float, notice_s: float | None, age_s: float) -> World:
    """Return a world in which a visitor has just been greeted."""
    policy = Policy(greeting=True, longest_s=3 * HOUR_S, age_s=age_s)
    world = World(policy, limit_s, notice_s)
    world.take(Started())
    world.take(Pressed())
    world.live(10.0)
    assert world.state.turn.phase is turns.Phase.LISTENING
    return world


LIMITS = [(10, 50.0), (10, None), (15, 50.0), (15, None), (58, 300.0), (58, None)]


@pytest.mark.parametrize(("limit_min", "notice_s"), LIMITS)
def test_a_connection_is_renewed_before_any_known_limit_ends_it(
    limit_min: int, notice_s: float | None
) -> None:
    world = wake(limit_min * MINUTE_S, notice_s, age_s=Policy().age_s)
    world.talk(2 * HOUR_S)
    assert world.cut == 0
    assert len(world.ages) == 13
    assert all(9 * MINUTE_S <= age < 9.5 * MINUTE_S for age in world.ages)


@pytest.mark.parametrize(
    ("limit_min", "notice_s", "renewals"), [(10, 50.0, 13), (10, 60.0, 13), (15, 50.0, 8), (58, 300.0, 2)]
)
def test_an_announced_end_is_never_waited_for(limit_min: int, notice_s: float, renewals: int) -> None:
    world = wake(limit_min * MINUTE_S, notice_s, age_s=DEAF_TO_AGE_S)
    world.talk(2 * HOUR_S)
    assert world.cut == 0
    assert len(world.ages) == renewals
    assert max(world.ages) < limit_min * MINUTE_S - 10.0


@pytest.mark.parametrize(("limit_min", "cuts"), [(10, 12), (15, 8), (58, 2)])
def test_an_end_that_nobody_announced_is_survived(limit_min: int, cuts: int) -> None:
    world = wake(limit_min * MINUTE_S, None, age_s=DEAF_TO_AGE_S)
    world.talk(2 * HOUR_S)
    assert world.cut == cuts
    assert world.state.turn.awake
    assert world.state.link.open


@pytest.mark.parametrize("age_s", [Policy().age_s, DEAF_TO_AGE_S])
@pytest.mark.parametrize(("limit_min", "notice_s"), LIMITS)
def test_the_visitor_notices_nothing_of_it(limit_min: int, notice_s: float | None, age_s: float) -> None:
    world = wake(limit_min * MINUTE_S, notice_s, age_s)
    effects = world.talk(2 * HOUR_S)
    assert of_type(Greet, world.effects) == [Greet()]
    assert of_type(Greet, effects) == []
    assert {effect.shown for effect in of_type(Show, effects)} == {
        Shown.LISTENING,
        Shown.THINKING,
        Shown.SPEAKING,
    }
    assert world.state.turn.conversation == 1
    dials = of_type(Dial, effects)
    handles = [dial.handle.get_secret_value() for dial in dials if dial.handle]
    assert handles == [f"handle-{dial.epoch - 1:06}" for dial in dials]


def test_the_second_hour_costs_what_the_first_did() -> None:
    world = wake(10 * MINUTE_S, 50.0, age_s=Policy().age_s)
    hours, sizes = [], []
    for _ in range(2):
        hours.append(len(world.talk(HOUR_S)))
        sizes.append((len(repr(world.state)), len(world.timers), world.state.link.tries))
    assert abs(hours[1] - hours[0]) <= hours[0] // 50
    assert sizes[1][0] - sizes[0][0] <= len("00")
    assert sizes[1][1:] == sizes[0][1:]
    assert len(world.timers) <= len(Timer)
