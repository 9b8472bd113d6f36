"""The engine: each event reaches the core once, and each effect its function, in order."""

from collections.abc import Callable
from typing import Any

from tests.support.fakes_devices import ManualClock
from tests.support.kiosk import running

from kioskd.core.effects import (
    Chime,
    Dial,
    Effect,
    KioskStatus,
    SetSpeaker,
    SetTimer,
    SetUplink,
    ShowStatus,
    UplinkGate,
)
from kioskd.core.events import Event, Heartbeat, Pressed, Started, Timer, TimerFired
from kioskd.core.machine import State, step
from kioskd.core.policy import Policy
from kioskd.flow.runtime.engine import Engine
from kioskd.flow.runtime.mailbox import Mailbox

POLICY = Policy()


class Shell:
    """An engine whose performers remember their effects."""

    def __init__(self, *, current: Callable[[Event], bool] = lambda _event: True) -> None:
        self.clock = ManualClock()
        self.mailbox = Mailbox()
        self.performed: list[Effect] = []
        self.observed: list[tuple[float, Event, State, State, tuple[Effect, ...]]] = []
        performers: dict[type, Callable[[Any], None]] = dict.fromkeys(
            (Dial, Chime, SetTimer, SetUplink, SetSpeaker, ShowStatus), self.performed.append
        )
        self.engine = Engine(
            POLICY, self.mailbox, performers, self.clock, current=current, observers=[self._observe]
        )

    def _observe(
        self, now: float, event: Event, before: State, after: State, effects: tuple[Effect, ...]
    ) -> None:
        self.observed.append((now, event, before, after, effects))


async def test_effects_are_carried_out_in_the_cores_order() -> None:
    shell = Shell()
    started, first = step(State(), Started(), POLICY)
    awake, then = step(started, Pressed(), POLICY)

    async with running(shell.engine.run()):
        shell.mailbox.post(Started())
        shell.mailbox.post(Pressed())
        await shell.clock.advance(0)

    assert shell.performed == [*first, *then]
    assert ShowStatus(KioskStatus.WAKING) in shell.performed
    assert SetUplink(UplinkGate.HOLD) in shell.performed
    assert shell.engine.state == awake


async def test_observers_get_each_step_with_its_time() -> None:
    shell = Shell()
    started, effects = step(State(), Started(), POLICY)

    async with running(shell.engine.run()):
        await shell.clock.advance(7.0)
        shell.mailbox.post(Started())
        await shell.clock.advance(0)

    assert shell.observed == [(1007.0, Started(), State(), started, effects)]


async def test_an_event_that_is_no_longer_wanted_does_not_reach_the_core() -> None:
    shell = Shell(current=lambda event: event != TimerFired(Timer.IDLE))

    async with running(shell.engine.run()):
        shell.mailbox.post(TimerFired(Timer.IDLE))
        shell.mailbox.post(Heartbeat(1))
        await shell.clock.advance(0)

    assert [event for _now, event, *_rest in shell.observed] == [Heartbeat(1)]
