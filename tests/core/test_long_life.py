"""Two hours of one conversation by a manual clock, with a service that ends every connection soon."""

import heapq
from collections import Counter
from dataclasses import dataclass, field
from itertools import count

import pytest
from pydantic import SecretStr
from tests.support.core import Shell, of_type

from kioskd.core import turn as turns
from kioskd.core.effects import CancelTimer, Dial, Effect, ForgetHandle, Greet, HangUp, KioskStatus, SetTimer
from kioskd.core.events import (
    ConnectionLost,
    ConnectionUp,
    Event,
    GoingAway,
    HandleIssued,
    NetworkChanged,
    Pressed,
    ReplyBegan,
    ReplyPlayed,
    Started,
    Timer,
    TimerFired,
    TurnEnded,
    VoiceBegan,
    VoiceEnded,
)
from kioskd.core.machine import State, step
from kioskd.core.policy import Policy
from kioskd.errors import Remedy

MINUTE_S = 60.0
HOUR_S = 60 * MINUTE_S
ROUND_S = 17.0
"""Seconds between two questions of the visitor: shorter than the idle timer."""
DIAL_S = 0.4
DEAF_TO_AGE_S = 100 * HOUR_S


@dataclass(frozen=True)
class Service:
    """Behaviour of the service."""

    limit_s: float
    """Length of a connection."""
    notice_s: float | None = None
    """Time between the announcement and the end of a connection; None: no announcement."""
    ends: Remedy = Remedy.RESUME
    """Remedy of the loss at the end."""
    resumes: bool = True
    """Whether the session can be resumed after the end."""


@dataclass
class World:
    """The shell, a service, and a clock that stands still between two events."""

    policy: Policy
    service: Service
    now: float = 0.0
    state: State = field(default_factory=State)
    effects: list[Effect] = field(default_factory=list)
    ages: list[float] = field(default_factory=list)
    """Age of each connection at its end."""
    cut: int = 0
    """Connections that the service has ended."""
    shown_ms: Counter[KioskStatus] = field(default_factory=Counter)
    """Milliseconds for which each status was shown."""

    def __post_init__(self) -> None:
        self.shell = Shell(self.policy)
        self.numbers = count(1)
        self.replies = count(1)
        self.due: list[tuple[float, int, Event]] = []
        self.timers: dict[Timer, int] = {}
        self.up_at: float | None = None
        self.session = 0
        """Number of the session that the service knows."""

    def later(self, after_s: float, event: Event) -> int:
        """Schedule `event` in `after_s` seconds; return its number."""
        number = next(self.numbers)
        heapq.heappush(self.due, (self.now + after_s, number, event))
        return number

    def live(self, seconds: float) -> None:
        """Let everything happen that is due in the next `seconds`."""
        until = self.now + seconds
        while self.due and self.due[0][0] <= until:
            at, number, event = heapq.heappop(self.due)
            self.pass_time(at)
            if isinstance(event, TimerFired):
                if self.timers.get(event.timer) != number:
                    continue
                del self.timers[event.timer], self.shell.timers[event.timer]
            self.take(event)
        self.pass_time(until)

    def pass_time(self, until: float) -> None:
        self.shown_ms[self.shell.shown] += round((until - self.now) * 1000)
        self.now = until

    def take(self, event: Event) -> None:
        """Let `event` happen now, and perform the core's effects."""
        before = self.state.link
        self.state, effects = step(self.state, event, self.policy)
        self.shell.perform(effects, seen=self.state.turn.reply)
        assert self.shell.agrees_with(self.state)
        self.effects.extend(effects)
        if isinstance(event, ConnectionLost) and event.epoch == before.epoch and before.open:
            self.cut += 1
            self.note_age()
            self.session += not self.service.resumes
        if isinstance(event, ConnectionUp) and event.epoch == before.epoch:
            self.come_up(event.epoch)
        for effect in effects:
            match effect:
                case SetTimer(timer, after_s):
                    self.timers[timer] = self.later(after_s, TimerFired(timer))
                case CancelTimer(timer):
                    self.timers.pop(timer, None)
                case Dial(epoch, handle):
                    self.note_age()
                    self.be_dialed(epoch, handle)
                case Greet():
                    self.answer()

    def note_age(self) -> None:
        """Note the end of the connection, if there is one."""
        if self.up_at is not None:
            self.ages.append(self.now - self.up_at)
        self.up_at = None

    def be_dialed(self, epoch: int, handle: SecretStr | None) -> None:
        """Resume the session of `handle`, begin a new one, or refuse an unknown handle."""
        if handle is not None and not handle.get_secret_value().startswith(f"session-{self.session:04}"):
            self.later(DIAL_S, ConnectionLost(epoch, Remedy.FRESH, jitter=0.5))
        else:
            self.later(DIAL_S, ConnectionUp(epoch, resumed=handle is not None))

    def come_up(self, epoch: int) -> None:
        """Begin a connection, and schedule its end."""
        self.up_at = self.now
        self.later(0.1, HandleIssued(epoch, SecretStr(f"session-{self.session:04}-handle-{epoch:06}")))
        self.later(self.service.limit_s, ConnectionLost(epoch, self.service.ends, jitter=0.5))
        if self.service.notice_s is not None:
            notice_s = self.service.notice_s
            self.later(self.service.limit_s - notice_s, GoingAway(epoch, notice_s))

    def answer(self) -> None:
        """Let the model give a reply of three seconds."""
        epoch, reply = self.state.link.epoch, next(self.replies)
        self.later(0.8, ReplyBegan(epoch, reply))
        self.later(3.0, TurnEnded(epoch))
        self.later(3.8, ReplyPlayed(reply))

    def talk(self, seconds: float) -> list[Effect]:
        """Let the visitor ask every `ROUND_S`; return the effects meanwhile."""
        before, until = len(self.effects), self.now + seconds
        while self.now < until:
            self.take(VoiceBegan())
            self.live(2.0)
            self.take(VoiceEnded())
            if self.state.link.open:
                self.answer()
            self.live(ROUND_S - 2.0)
        return self.effects[before:]


def wake(service: Service, age_s: float = Policy().age_s) -> World:
    """Return a world whose visitor has just been greeted."""
    world = World(Policy(greeting=True, longest_s=3 * HOUR_S, age_s=age_s), service)
    world.take(Started())
    world.take(Pressed())
    world.live(10.0)
    assert world.state.turn.phase is turns.TurnPhase.LISTENING
    return world


def handles_of(effects: list[Effect]) -> list[str | None]:
    """Return the handle of each dial."""
    return [dial.handle.get_secret_value() if dial.handle else None for dial in of_type(Dial, effects)]


LIMITS = [(10, 50.0), (10, None), (15, 50.0), (15, None), (58, 300.0), (58, None)]


@pytest.mark.parametrize(("limit_min", "notice_s"), LIMITS)
def test_a_connection_is_replaced_before_any_known_limit(limit_min: int, notice_s: float | None) -> None:
    world = wake(Service(limit_min * MINUTE_S, notice_s))
    world.talk(2 * HOUR_S)
    assert world.cut == 0
    assert len(world.ages) == 13
    assert all(9 * MINUTE_S <= age < 9.5 * MINUTE_S for age in world.ages)


@pytest.mark.parametrize(
    ("limit_min", "notice_s", "renewals"), [(10, 50.0, 13), (10, 60.0, 13), (15, 50.0, 8), (58, 300.0, 2)]
)
def test_a_connection_is_replaced_before_its_announced_end(
    limit_min: int, notice_s: float, renewals: int
) -> None:
    world = wake(Service(limit_min * MINUTE_S, notice_s), DEAF_TO_AGE_S)
    world.talk(2 * HOUR_S)
    assert world.cut == 0
    assert len(world.ages) == renewals
    assert max(world.ages) < limit_min * MINUTE_S - 10.0


CUTS = [(10, 12), (15, 8), (58, 2)]


@pytest.mark.parametrize("ends", [Remedy.RESUME, Remedy.RESUME_LATER, Remedy.CREDENTIALS])
@pytest.mark.parametrize(("limit_min", "cuts"), CUTS)
def test_an_unannounced_end_costs_one_dial(limit_min: int, cuts: int, ends: Remedy) -> None:
    world = wake(Service(limit_min * MINUTE_S, ends=ends), DEAF_TO_AGE_S)
    dials = of_type(Dial, world.talk(2 * HOUR_S))
    assert world.cut == len(dials) == cuts
    assert {round(age / MINUTE_S, 6) for age in world.ages} == {limit_min}
    assert all(dial.handle is not None and not dial.recall for dial in dials)
    assert world.state.link.open


@pytest.mark.parametrize("ends", [Remedy.RESUME, Remedy.RESUME_LATER])
@pytest.mark.parametrize(("limit_min", "cuts"), CUTS)
def test_an_end_that_loses_the_session_costs_two_dials(limit_min: int, cuts: int, ends: Remedy) -> None:
    world = wake(Service(limit_min * MINUTE_S, ends=ends, resumes=False), DEAF_TO_AGE_S)
    effects = world.talk(2 * HOUR_S)
    dials = of_type(Dial, effects)
    assert world.cut == cuts
    assert [dial.handle is None for dial in dials] == [dial.recall for dial in dials] == [False, True] * cuts
    tried = [handle for handle in handles_of(effects) if handle is not None]
    assert len(tried) == len(set(tried)), "a refused handle was tried again"
    assert len(of_type(ForgetHandle, effects)) == cuts
    assert world.state.link.open


def test_a_new_session_gets_the_transcript_of_the_lost_one() -> None:
    world = wake(Service(10 * MINUTE_S, ends=Remedy.FRESH, resumes=False), DEAF_TO_AGE_S)
    dials = of_type(Dial, world.talk(2 * HOUR_S))
    assert [(dial.handle, dial.recall) for dial in dials] == [(None, True)] * 12


SERVICES = [
    *(Service(limit_min * MINUTE_S, notice_s) for limit_min, notice_s in LIMITS),
    *(
        Service(limit_min * MINUTE_S, ends=ends, resumes=resumes)
        for limit_min, _ in CUTS
        for ends in (Remedy.RESUME, Remedy.RESUME_LATER, Remedy.FRESH)
        for resumes in (True, False)
    ),
    Service(301.0, notice_s=300.0),
    Service(301.0, notice_s=300.0, ends=Remedy.RESUME_LATER, resumes=False),
]


@pytest.mark.parametrize("age_s", [Policy().age_s, DEAF_TO_AGE_S])
@pytest.mark.parametrize("service", SERVICES)
def test_the_visitor_does_not_notice_the_rollovers(service: Service, age_s: float) -> None:
    world = wake(service, age_s)
    effects = world.talk(2 * HOUR_S)
    assert of_type(Greet, world.effects) == [Greet()]
    assert of_type(Greet, effects) == []
    assert of_type(HangUp, effects) == []
    assert world.state.turn.conversation == 1
    assert set(world.shown_ms) - {KioskStatus.OFFLINE} == {
        KioskStatus.WAKING,
        KioskStatus.LISTENING,
        KioskStatus.THINKING,
        KioskStatus.SPEAKING,
    }
    # An unknown session takes two dials to be replaced; during the second the kiosk shows it.
    flash_ms = 0 if service.resumes else 1000 * DIAL_S * world.cut
    assert world.shown_ms[KioskStatus.OFFLINE] <= flash_ms + 1


@pytest.mark.parametrize("service", [service for service in SERVICES if service.notice_s])
def test_each_rollover_resumes_with_the_newest_handle(service: Service) -> None:
    effects = wake(service).talk(2 * HOUR_S)
    dials = of_type(Dial, effects)
    assert dials
    assert handles_of(effects) == [f"session-0000-handle-{dial.epoch - 1:06}" for dial in dials]


EARLY = [Service(limit_s, notice_s=limit_s - 1.0) for limit_s in (301.0, HOUR_S)]
"""Services that announce the end of each connection one second after its beginning."""


@pytest.mark.parametrize("service", EARLY)
def test_ends_announced_at_the_beginning_cause_few_rollovers(service: Service) -> None:
    world = wake(service)
    world.talk(2 * HOUR_S)
    assert world.cut == 0
    assert len(world.ages) <= 2 * HOUR_S / 229.0 + 1


@pytest.mark.parametrize("service", EARLY)
def test_a_connection_with_an_early_announcement_is_replaced_in_time(service: Service) -> None:
    world = wake(service)
    world.talk(2 * HOUR_S)
    assert world.cut == 0
    assert max(world.ages) < min(service.limit_s - 9.9, 15 * MINUTE_S)
    assert world.state.link.tries == 0


def test_a_network_change_every_minute_costs_one_dial_a_change() -> None:
    world = wake(Service(10 * MINUTE_S, 50.0))
    changes = 0
    for _ in range(60):
        world.take(NetworkChanged())
        changes += 1
        world.talk(MINUTE_S)
    dials = of_type(Dial, world.effects)
    assert len(dials) == 1 + changes
    assert world.cut == 0
    assert world.shown_ms[KioskStatus.OFFLINE] == 0


def test_the_second_hour_costs_the_same_as_the_first() -> None:
    world = wake(Service(10 * MINUTE_S, 50.0))
    hours, sizes = [], []
    for _ in range(2):
        hours.append(len(world.talk(HOUR_S)))
        sizes.append((len(repr(world.state)), len(world.timers), world.state.link.tries))
    assert abs(hours[1] - hours[0]) <= hours[0] // 50
    assert sizes[1][0] - sizes[0][0] <= len("00")
    assert sizes[1][1:] == sizes[0][1:]
    assert len(world.timers) <= len(Timer)
