"""The connection, while the visitor speaks (so that no quiet moment renews it); cell by cell, a row at a time."""

from collections.abc import Callable
from itertools import product

import pytest
from tests.support.core import (
    CONNECTED,
    EPOCH,
    HANDLE,
    REACHED_FOR,
    dialing,
    down,
    draining,
    link_after,
    listening,
    of_type,
    run,
    up,
    waiting,
)

from kioskd.core import link as links
from kioskd.core.effects import Dial, HangUp
from kioskd.core.events import Event, GoingAway, HandleIssued, Lost, Refused, Timer, TimerFired, TurnEnded, Up
from kioskd.core.link import Link, Phase
from kioskd.core.machine import State
from kioskd.core.policy import Policy

LinkBuilder = Callable[..., Link]
KINDS = (
    Up, Lost, Refused, GoingAway, HandleIssued, TurnEnded, Timer.RETRY, Timer.STEADY, Timer.AGE, Timer.ROLLOVER,
)  # fmt: skip


def heard(link: Link) -> State:
    """Return a conversation over `link` in whose middle the visitor is speaking."""
    return listening(link, voice=True, spoke=True)


@pytest.mark.parametrize(("kind", "phase"), [*product(KINDS, Phase)])
def test_every_pair_has_a_cell(kind: links.Kind, phase: Phase) -> None:
    assert callable(links.TABLE[kind][phase.value])


def test_the_table_has_no_other_rows_and_no_longer_ones() -> None:
    assert set(links.TABLE) == set(KINDS)
    assert {len(row) for row in links.TABLE.values()} == {len(Phase)}


def test_phases_number_the_columns_from_nought() -> None:
    assert [phase.value for phase in Phase] == list(range(len(Phase)))


def test_only_a_connection_set_up_is_open() -> None:
    assert [link.open for link in (down(), dialing(), up(), draining(), waiting())] == [
        False,
        False,
        True,
        True,
        False,
    ]


# Up


def test_a_dial_that_is_answered_is_up() -> None:
    assert link_after(heard(dialing()), Up(EPOCH, resumed=False)) == up()


def test_reaching_the_service_takes_back_a_refusal() -> None:
    assert not link_after(heard(dialing(refused=True)), Up(EPOCH, resumed=False)).refused


def test_being_up_alone_does_not_forgive_the_tries_before() -> None:
    assert link_after(heard(dialing(tries=3)), Up(EPOCH, resumed=True)).tries == 3


@pytest.mark.parametrize("builder", [up, draining, waiting])
def test_an_answer_nobody_waits_for_means_nothing(builder: LinkBuilder) -> None:
    assert run(heard(builder()), Up(EPOCH, resumed=False)) == (heard(builder()), [])


# Lost


@pytest.mark.parametrize("builder", [dialing, up, draining])
def test_the_first_loss_dials_at_once_with_the_handle(builder: LinkBuilder) -> None:
    state, effects = run(heard(builder(handle=HANDLE)), Lost(EPOCH, jitter=0.9))
    assert (state.link.phase, state.link.tries, state.link.handle) == (Phase.DIALING, 1, HANDLE)
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, HANDLE)]


@pytest.mark.parametrize("builder", [dialing, up, draining])
def test_the_next_loss_waits_before_it_dials(builder: LinkBuilder) -> None:
    state, effects = run(heard(builder(handle=HANDLE, tries=2)), Lost(EPOCH, jitter=0.5))
    assert (state.link.phase, state.link.tries, state.link.retry_s) == (Phase.WAITING, 3, 1.0)
    assert (state.link.epoch, state.link.handle) == (EPOCH, HANDLE)
    assert of_type(Dial, effects) == []


def test_what_the_service_asks_for_is_waited_even_the_first_time() -> None:
    after = link_after(heard(up()), Lost(EPOCH, jitter=0.5, retry_after_s=7.0))
    assert (after.phase, after.retry_s) == (Phase.WAITING, 7.0)


@pytest.mark.parametrize("builder", [dialing, up, draining])
def test_a_refused_handle_is_dropped_and_a_fresh_session_dialed_at_once(builder: LinkBuilder) -> None:
    lost = Lost(EPOCH, jitter=0.9, session_lost=True)
    state, effects = run(heard(builder(handle=HANDLE, tries=5)), lost)
    assert (state.link.phase, state.link.handle) == (Phase.DIALING, None)
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, None)]


def test_a_refused_handle_is_no_failed_try() -> None:
    assert link_after(heard(dialing(handle=HANDLE, tries=1)), Lost(EPOCH, 0.9, session_lost=True)).tries == 1


def test_a_refusal_of_the_fresh_session_goes_to_the_backoff() -> None:
    session_lost = Lost(EPOCH, jitter=0.5, session_lost=True)
    fresh = Lost(EPOCH + 1, jitter=0.5, session_lost=True)
    after = link_after(heard(dialing(handle=HANDLE, tries=1)), session_lost, fresh)
    assert (after.phase, after.tries, after.retry_s) == (Phase.WAITING, 2, 0.5)


def test_losses_in_a_row_wait_longer_and_longer() -> None:
    link, delays = dialing(), []
    for _ in range(9):
        link = link_after(heard(link), Lost(link.epoch, jitter=0.5))
        delays.append(link.retry_s)
        if link.phase is Phase.WAITING:
            link = link_after(heard(link), TimerFired(Timer.RETRY))
    assert delays == [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0, 15.0]


def test_a_loss_told_twice_counts_once() -> None:
    assert run(heard(waiting()), Lost(EPOCH, jitter=0.5)) == (heard(waiting()), [])


# Refused


@pytest.mark.parametrize("builder", [dialing, up, draining])
def test_refused_settings_end_the_connection_and_are_remembered(builder: LinkBuilder) -> None:
    state, effects = run(heard(builder(handle=HANDLE, tries=2)), Refused(EPOCH))
    assert state.link == down(refused=True)
    assert of_type(HangUp, effects) == [HangUp()]
    assert of_type(Dial, effects) == []


def test_a_refusal_after_the_loss_means_nothing() -> None:
    assert run(heard(waiting()), Refused(EPOCH)) == (heard(waiting()), [])


# GoingAway, HandleIssued


def test_an_announced_end_leaves_a_margin() -> None:
    after = link_after(heard(up()), GoingAway(EPOCH, left_s=50.0))
    assert (after.phase, after.rollover_s) == (Phase.DRAINING, 40.0)


def test_an_end_announced_late_leaves_no_time_but_no_less_than_none() -> None:
    assert link_after(heard(up()), GoingAway(EPOCH, left_s=3.0)).rollover_s == 0.0


def test_the_margin_is_the_policys() -> None:
    after = link_after(heard(up()), GoingAway(EPOCH, left_s=50.0), policy=Policy(margin_s=20.0))
    assert after.rollover_s == 30.0


@pytest.mark.parametrize(("left_s", "rollover_s"), [(50.0, 40.0), (90.0, 60.0)])
def test_an_end_announced_while_draining_can_only_hasten(left_s: float, rollover_s: float) -> None:
    after = link_after(heard(draining(rollover_s=60.0)), GoingAway(EPOCH, left_s))
    assert (after.phase, after.rollover_s) == (Phase.DRAINING, rollover_s)


@pytest.mark.parametrize("builder", [dialing, waiting])
def test_a_farewell_of_no_connection_means_nothing(builder: LinkBuilder) -> None:
    assert run(heard(builder()), GoingAway(EPOCH, 50.0)) == (heard(builder()), [])


@pytest.mark.parametrize("builder", CONNECTED)
def test_the_newest_handle_is_the_one_kept(builder: LinkBuilder) -> None:
    state, effects = run(heard(builder()), HandleIssued(EPOCH, HANDLE))
    assert state.link == builder(handle=HANDLE)
    assert effects == []


@pytest.mark.parametrize("builder", [dialing, waiting])
def test_a_handle_from_no_connection_means_nothing(builder: LinkBuilder) -> None:
    assert run(heard(builder()), HandleIssued(EPOCH, HANDLE)) == (heard(builder()), [])


# What proves a connection good


@pytest.mark.parametrize("builder", CONNECTED)
@pytest.mark.parametrize("proof", [TurnEnded(EPOCH), TimerFired(Timer.STEADY)])
def test_a_finished_turn_or_half_a_minute_makes_the_next_loss_the_first(
    builder: LinkBuilder, proof: TurnEnded | TimerFired
) -> None:
    assert link_after(heard(builder(tries=4)), proof) == builder(tries=0)


@pytest.mark.parametrize("builder", [dialing, waiting])
@pytest.mark.parametrize("proof", [TurnEnded(EPOCH), TimerFired(Timer.STEADY)])
def test_a_lost_connection_cannot_be_proved_good(builder: LinkBuilder, proof: TurnEnded | TimerFired) -> None:
    assert link_after(heard(builder(tries=4)), proof) == builder(tries=4)


# Timers


def test_the_delay_over_the_next_dial_is_made() -> None:
    state, effects = run(heard(waiting(handle=HANDLE)), TimerFired(Timer.RETRY))
    assert state.link.phase is Phase.DIALING
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, HANDLE)]


def test_an_aged_connection_waits_for_a_quiet_moment() -> None:
    state, effects = run(heard(up()), TimerFired(Timer.AGE), policy=Policy(drain_s=33.0))
    assert (state.link.phase, state.link.rollover_s) == (Phase.DRAINING, 33.0)
    assert of_type(Dial, effects) == []


def test_a_quiet_moment_that_never_comes_is_not_waited_for_for_ever() -> None:
    state, effects = run(heard(draining(handle=HANDLE)), TimerFired(Timer.ROLLOVER))
    assert state.link.phase is Phase.DIALING
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, HANDLE)]


def test_a_renewal_is_no_failed_try() -> None:
    assert link_after(heard(draining(tries=0)), TimerFired(Timer.ROLLOVER)).tries == 0


@pytest.mark.parametrize(
    ("builder", "timer"),
    [
        *product([dialing, up, draining], [Timer.RETRY]),
        *product([dialing, draining, waiting], [Timer.AGE]),
        *product([dialing, up, waiting], [Timer.ROLLOVER]),
    ],
)
def test_a_timer_that_came_too_late_means_nothing(builder: LinkBuilder, timer: Timer) -> None:
    assert run(heard(builder()), TimerFired(timer)) == (heard(builder()), [])


@pytest.mark.parametrize(
    "event",
    [
        Up(EPOCH, resumed=False),
        Lost(EPOCH, jitter=0.5),
        Refused(EPOCH),
        GoingAway(EPOCH, 50.0),
        HandleIssued(EPOCH, HANDLE),
        TurnEnded(EPOCH),
        *(TimerFired(timer) for timer in (Timer.RETRY, Timer.STEADY, Timer.AGE, Timer.ROLLOVER)),
    ],
)
def test_nothing_moves_a_link_that_nobody_needs(event: Event) -> None:
    asleep = State(started=True, link=down())
    assert run(asleep, event) == (asleep, [])


# What is forgotten with the conversation


@pytest.mark.parametrize("builder", REACHED_FOR)
def test_hanging_up_forgets_all_but_the_epoch_and_a_refusal(builder: LinkBuilder) -> None:
    before = builder(handle=HANDLE, tries=3, refused=True)
    assert links.hang_up(before) == down(refused=True)
