"""Every event has a row, and every effect occurs."""

import os
import subprocess
import sys
from itertools import product
from typing import get_args

import pytest
from tests.support.core import (
    EVERY_POLICY,
    EVERY_STATE,
    REPLY,
    every_event,
    of_type,
    run,
)

from kioskd.core import link as links
from kioskd.core import turn as turns
from kioskd.core.effects import CancelTimer, Effect, KioskStatus, SetTimer, SetUplink, ShowStatus, UplinkGate
from kioskd.core.events import (
    Event,
    Heartbeat,
    KioskEvent,
    ReplySounded,
    Timer,
    TimerFired,
)
from kioskd.core.machine import levels, step

HANDLED_BY_THE_MACHINE = set(get_args(KioskEvent))
MEANS_NOTHING = {Heartbeat}


def test_every_event_is_handled_in_exactly_one_place() -> None:
    rows = {kind for kind in (*turns.TABLE, *links.TABLE) if isinstance(kind, type)}
    assert rows | HANDLED_BY_THE_MACHINE | MEANS_NOTHING | {TimerFired} == set(get_args(Event))
    assert not rows & (HANDLED_BY_THE_MACHINE | MEANS_NOTHING)


def test_every_timer_has_a_row() -> None:
    assert {kind for kind in (*turns.TABLE, *links.TABLE) if isinstance(kind, Timer)} == set(Timer)


def test_every_timer_runs_in_some_state_and_changes_it() -> None:
    meant = set()
    for state, policy in product(EVERY_STATE, EVERY_POLICY):
        for timer in levels(state, policy).timers:
            assert run(state, TimerFired(timer), policy=policy)[0] != state
            meant.add(timer)
    assert meant == set(Timer)


def test_every_effect_gate_and_shown_status_occurs() -> None:
    effects: list[Effect] = []
    for state, event, policy in product(EVERY_STATE, every_event(), EVERY_POLICY):
        effects.extend(step(state, event, policy)[1])
    assert {type(effect) for effect in effects} == set(get_args(Effect))
    assert {effect.uplink for effect in of_type(SetUplink, effects)} == set(UplinkGate)
    assert {effect.shown for effect in of_type(ShowStatus, effects)} == set(KioskStatus)
    assert {effect.timer for effect in of_type(SetTimer, effects)} == set(Timer)
    assert {effect.timer for effect in of_type(CancelTimer, effects)} == set(Timer)


@pytest.mark.parametrize("event", [Heartbeat(1), ReplySounded(REPLY)])
def test_some_events_do_nothing_in_any_state(event: Event) -> None:
    for state, policy in product(EVERY_STATE, EVERY_POLICY):
        assert step(state, event, policy) == (state, ())


def test_a_step_has_the_same_result_each_time() -> None:
    for state, event, policy in product(EVERY_STATE, every_event(), EVERY_POLICY):
        assert step(state, event, policy) == step(state, event, policy)


def test_the_order_of_effects_does_not_depend_on_the_process() -> None:
    program = (
        "from kioskd.core.events import *; from kioskd.core.machine import *\n"
        "from tests.support.core import *\n"
        "print(step(listening(up(tries=2)), Pressed(), HALF_DUPLEX)[1])"
    )
    path = os.pathsep.join(sys.path)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            env={"PYTHONPATH": path, "PYTHONHASHSEED": str(seed)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in range(4)
    ]
    answers = {process.communicate(timeout=240)[0] for process in processes}
    assert [process.returncode for process in processes] == [0] * 4
    assert len(answers) == 1
