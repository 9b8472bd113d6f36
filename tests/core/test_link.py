"""The link's table, cell by cell, while the visitor speaks: without a quiet moment, no rollover
interferes.
"""

from collections.abc import Callable
from itertools import product

import pytest
from tests.support.core import (
    CONNECTED,
    EPOCH,
    HANDLE,
    LATER_HANDLE,
    REACHED_FOR,
    asleep,
    dialing,
    down,
    draining,
    heard,
    link_after,
    lost,
    of_type,
    probing,
    refused,
    run,
    up,
    waiting,
)

from kioskd.core import link as links
from kioskd.core.effects import Dial
from kioskd.core.events import (
    ConnectionLost,
    ConnectionUp,
    Event,
    EventKind,
    GoingAway,
    HandleIssued,
    NetworkChanged,
    ReplyBegan,
    Restored,
    SessionUseless,
    SettingsChanged,
    Timer,
    TimerFired,
    TurnEnded,
)
from kioskd.core.link_state import MOST_ROLLOVERS, Link, LinkPhase, LinkTrouble
from kioskd.core.machine import State
from kioskd.core.policy import Policy
from kioskd.errors import Remedy

LinkBuilder = Callable[..., Link]
KINDS = (
    Restored, ConnectionUp, ConnectionLost, GoingAway, HandleIssued, ReplyBegan, TurnEnded, SessionUseless,
    NetworkChanged, SettingsChanged,
    Timer.PROBE, Timer.RETRY, Timer.STEADY, Timer.AGE, Timer.SETTLE, Timer.ROLLOVER, Timer.LATE,
)  # fmt: skip


@pytest.mark.parametrize(("kind", "phase"), [*product(KINDS, LinkPhase)])
def test_every_pair_has_a_cell(kind: EventKind, phase: LinkPhase) -> None:
    assert callable(links.TABLE[kind][phase.value])


def test_the_table_has_exactly_these_rows_and_columns() -> None:
    assert set(links.TABLE) == set(KINDS)
    assert {len(row) for row in links.TABLE.values()} == {len(LinkPhase)}


def test_phases_number_the_columns_from_zero() -> None:
    assert [phase.value for phase in LinkPhase] == list(range(len(LinkPhase)))


def test_only_an_established_connection_is_open() -> None:
    assert [link.open for link in (down(), dialing(), up(), draining(), waiting())] == [
        False,
        False,
        True,
        True,
        False,
    ]


# Up


def test_an_accepted_dial_is_up() -> None:
    assert link_after(heard(dialing()), ConnectionUp(EPOCH, resumed=False)) == up()


@pytest.mark.parametrize("trouble", LinkTrouble)
def test_a_connection_clears_the_trouble(trouble: LinkTrouble) -> None:
    assert (
        link_after(heard(dialing(trouble=trouble)), ConnectionUp(EPOCH, resumed=False)).trouble
        is LinkTrouble.NONE
    )


def test_accepted_credentials_can_be_renewed_again() -> None:
    assert not link_after(heard(dialing(renewed=True)), ConnectionUp(EPOCH, resumed=False)).renewed


def test_a_connection_alone_does_not_reset_the_failed_tries() -> None:
    assert link_after(heard(dialing(tries=3)), ConnectionUp(EPOCH, resumed=True)).tries == 3


@pytest.mark.parametrize("builder", [up, draining, waiting])
def test_an_unexpected_answer_does_nothing(builder: LinkBuilder) -> None:
    assert run(heard(builder()), ConnectionUp(EPOCH, resumed=False)) == (heard(builder()), [])


# GoingAway, HandleIssued


def test_an_announced_end_leaves_a_margin() -> None:
    after = link_after(heard(up()), GoingAway(EPOCH, left_s=50.0))
    assert (after.phase, after.rollover_s) == (LinkPhase.DRAINING, 40.0)


def test_an_end_announced_late_leaves_zero_seconds() -> None:
    assert link_after(heard(up()), GoingAway(EPOCH, left_s=3.0)).rollover_s == 0.0


def test_the_policy_sets_the_margin() -> None:
    after = link_after(heard(up()), GoingAway(EPOCH, left_s=50.0), policy=Policy(margin_s=20.0))
    assert after.rollover_s == 30.0


@pytest.mark.parametrize(("left_s", "rollover_s"), [(50.0, 40.0), (90.0, 60.0)])
def test_an_end_announced_while_draining_can_only_hasten_the_rollover(
    left_s: float, rollover_s: float
) -> None:
    after = link_after(heard(draining(rollover_s=60.0)), GoingAway(EPOCH, left_s))
    assert (after.phase, after.rollover_s) == (LinkPhase.DRAINING, rollover_s)


def test_a_second_announcement_of_an_earlier_end_wins() -> None:
    events = (GoingAway(EPOCH, left_s=300.0), GoingAway(EPOCH, left_s=50.0))
    assert link_after(heard(up()), *events).rollover_s == 40.0


@pytest.mark.parametrize("builder", [dialing, waiting])
def test_an_announced_end_without_a_connection_does_nothing(builder: LinkBuilder) -> None:
    assert run(heard(builder()), GoingAway(EPOCH, 50.0)) == (heard(builder()), [])


@pytest.mark.parametrize("builder", CONNECTED)
def test_the_newest_handle_replaces_the_old_one(builder: LinkBuilder) -> None:
    state, effects = run(heard(builder(handle=HANDLE)), HandleIssued(EPOCH, LATER_HANDLE))
    assert state.link == builder(handle=LATER_HANDLE)
    assert of_type(Dial, effects) == []


@pytest.mark.parametrize("builder", [dialing, waiting])
def test_a_handle_without_a_connection_does_nothing(builder: LinkBuilder) -> None:
    assert run(heard(builder()), HandleIssued(EPOCH, HANDLE)) == (heard(builder()), [])


# NetworkChanged, SettingsChanged


CHANGES = (NetworkChanged(), SettingsChanged())


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_replaces_the_connection_soon(change: Event) -> None:
    state, effects = run(heard(up(handle=HANDLE)), change, policy=Policy(change_s=4.0))
    assert state.link == draining(handle=HANDLE, rollover_s=4.0)
    assert of_type(Dial, effects) == []
    _, effects = run(state, TimerFired(Timer.ROLLOVER))
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, HANDLE)]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(("planned_s", "rollover_s"), [(60.0, 5.0), (2.0, 2.0)])
def test_a_change_can_only_hasten_a_rollover(change: Event, planned_s: float, rollover_s: float) -> None:
    after = link_after(heard(draining(rollover_s=planned_s)), change)
    assert (after.phase, after.rollover_s) == (LinkPhase.DRAINING, rollover_s)


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_ends_the_wait_for_the_next_dial(change: Event) -> None:
    state, effects = run(heard(waiting(handle=HANDLE, tries=9)), change)
    assert (state.link.phase, state.link.tries) == (LinkPhase.DIALING, 9)
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, HANDLE)]


def test_new_settings_replace_a_dial_with_the_old_ones() -> None:
    state, effects = run(heard(dialing(handle=HANDLE)), SettingsChanged())
    assert state.link == dialing(epoch=EPOCH + 1, handle=HANDLE)
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, HANDLE)]


def test_a_network_change_does_not_disturb_a_dial() -> None:
    assert run(heard(dialing()), NetworkChanged()) == (heard(dialing()), [])


@pytest.mark.parametrize("trouble", LinkTrouble)
def test_a_network_change_while_asleep_does_nothing(trouble: LinkTrouble) -> None:
    state = State(asleep().turn, down(trouble=trouble), started=True)
    assert run(state, NetworkChanged()) == (state, [])


@pytest.mark.parametrize("trouble", [LinkTrouble.NONE, LinkTrouble.UNREACHED])
def test_new_settings_are_not_tried_while_asleep_unless_the_old_were_refused(trouble: LinkTrouble) -> None:
    state = State(asleep().turn, down(trouble=trouble), started=True)
    assert run(state, SettingsChanged()) == (state, [])


# Restored


def test_a_restored_conversation_resumes_its_session() -> None:
    state, effects = run(State(), Restored(7, HANDLE))
    assert state.link == Link(LinkPhase.DIALING, epoch=1, handle=HANDLE, reached_service=True)
    assert of_type(Dial, effects) == [Dial(1, HANDLE)]


@pytest.mark.parametrize("builder", REACHED_FOR)
def test_a_restored_handle_does_not_replace_one_in_use(builder: LinkBuilder) -> None:
    assert run(heard(builder(handle=HANDLE)), Restored(7, LATER_HANDLE))[0] == heard(builder(handle=HANDLE))


# Probing for settings that a person has mended


@pytest.mark.parametrize("why", [TimerFired(Timer.PROBE), SettingsChanged()])
def test_refused_settings_are_tried_again_while_asleep(why: Event) -> None:
    state, effects = run(refused(), why)
    assert state == probing(epoch=EPOCH + 1)
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, None)]


def test_settings_that_change_during_a_probe_are_dialed_again() -> None:
    state, effects = run(probing(), SettingsChanged())
    assert state == probing(epoch=EPOCH + 1)
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, None)]


def test_a_network_change_does_not_disturb_a_probe() -> None:
    assert run(probing(), NetworkChanged()) == (probing(), [])


# Proofs of a good connection


@pytest.mark.parametrize("proof", [TurnEnded(EPOCH), TimerFired(Timer.STEADY)])
def test_a_finished_turn_or_half_a_minute_resets_the_failed_tries(
    proof: TurnEnded | TimerFired,
) -> None:
    assert link_after(heard(up(tries=4, failed=2)), proof) == up()


def test_only_a_connection_that_has_lasted_resets_the_rollovers() -> None:
    assert link_after(heard(up(rollovers_in_a_row=2)), TimerFired(Timer.STEADY)) == up()
    assert link_after(heard(up(rollovers_in_a_row=2)), TurnEnded(EPOCH)) == up(rollovers_in_a_row=2)
    assert link_after(heard(draining(rollovers_in_a_row=2)), TimerFired(Timer.STEADY)) == draining(
        rollovers_in_a_row=2
    )


def test_a_connection_with_much_time_left_drains_later() -> None:
    after = link_after(heard(up()), GoingAway(EPOCH, left_s=300.0))
    assert (after.phase, after.leave_s) == (LinkPhase.UP, 300.0 - 10.0 - 60.0)
    assert link_after(heard(up()), GoingAway(EPOCH, left_s=3600.0)).leave_s == Policy().notice_s


@pytest.mark.parametrize("proof", [TurnEnded(EPOCH), TimerFired(Timer.STEADY)])
def test_a_draining_connection_can_be_proved_good(proof: TurnEnded | TimerFired) -> None:
    assert link_after(heard(draining(tries=4)), proof) == draining()


@pytest.mark.parametrize("builder", [dialing, waiting])
@pytest.mark.parametrize("proof", [TurnEnded(EPOCH), TimerFired(Timer.STEADY)])
def test_a_lost_connection_cannot_be_proved_good(builder: LinkBuilder, proof: TurnEnded | TimerFired) -> None:
    assert link_after(heard(builder(tries=4)), proof) == builder(tries=4)


# Timers


def test_the_next_dial_comes_after_the_delay() -> None:
    state, effects = run(heard(waiting(handle=HANDLE)), TimerFired(Timer.RETRY))
    assert state.link.phase is LinkPhase.DIALING
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, HANDLE)]


def test_an_aged_connection_waits_for_a_quiet_moment() -> None:
    state, effects = run(heard(up()), TimerFired(Timer.AGE), policy=Policy(drain_s=33.0))
    assert (state.link.phase, state.link.rollover_s) == (LinkPhase.DRAINING, 33.0)
    assert of_type(Dial, effects) == []


def test_a_connection_is_replaced_without_a_quiet_moment_in_the_end() -> None:
    state, effects = run(heard(draining(handle=HANDLE)), TimerFired(Timer.ROLLOVER))
    assert state.link.phase is LinkPhase.DIALING
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, HANDLE)]


def test_a_rollover_is_not_a_failed_try() -> None:
    after = link_after(heard(draining()), TimerFired(Timer.ROLLOVER))
    assert (after.tries, after.rollovers_in_a_row) == (0, 1)


@pytest.mark.parametrize("hops", [MOST_ROLLOVERS, MOST_ROLLOVERS + 5])
def test_a_forced_rollover_happens_after_any_number_of_rollovers(hops: int) -> None:
    after = link_after(heard(draining(rollovers_in_a_row=hops)), TimerFired(Timer.ROLLOVER))
    assert (after.phase, after.rollovers_in_a_row) == (LinkPhase.DIALING, hops + 1)


@pytest.mark.parametrize("hops", range(MOST_ROLLOVERS + 2))
def test_only_a_draining_connection_waits_for_a_quiet_moment_and_only_three_times(hops: int) -> None:
    leaving = [link(rollovers_in_a_row=hops).leaving for link in (down, dialing, up, draining, waiting)]
    assert leaving == [False, False, False, hops < MOST_ROLLOVERS, False]


@pytest.mark.parametrize(
    ("builder", "timer"),
    [
        *product([dialing, up, draining], [Timer.RETRY]),
        *product([dialing, draining, waiting], [Timer.AGE]),
        *product([dialing, up, waiting], [Timer.ROLLOVER]),
        *product([dialing, up, draining, waiting], [Timer.PROBE]),
    ],
)
def test_a_late_timer_does_nothing(builder: LinkBuilder, timer: Timer) -> None:
    assert run(heard(builder()), TimerFired(timer)) == (heard(builder()), [])


@pytest.mark.parametrize(
    "event",
    [
        ConnectionUp(EPOCH, resumed=False),
        *(lost(remedy) for remedy in Remedy),
        GoingAway(EPOCH, 50.0),
        HandleIssued(EPOCH, HANDLE),
        TurnEnded(EPOCH),
        NetworkChanged(),
        SettingsChanged(),
        *(TimerFired(timer) for timer in (Timer.RETRY, Timer.STEADY, Timer.AGE, Timer.ROLLOVER)),
    ],
)
def test_no_event_moves_the_link_of_a_kiosk_asleep(event: Event) -> None:
    assert run(asleep(), event) == (asleep(), [])


# Memory after the conversation


@pytest.mark.parametrize("builder", REACHED_FOR)
def test_hanging_up_keeps_only_the_epoch_and_a_refusal(builder: LinkBuilder) -> None:
    before = builder(handle=HANDLE, tries=0, rollovers_in_a_row=2, renewed=True, trouble=LinkTrouble.REFUSED)
    assert links.hang_up(before) == down(trouble=LinkTrouble.REFUSED)


@pytest.mark.parametrize(
    ("link", "trouble"),
    [
        (dialing(), LinkTrouble.NONE),
        (dialing(tries=1), LinkTrouble.UNREACHED),
        (dialing(tries=1, trouble=LinkTrouble.REFUSED), LinkTrouble.REFUSED),
        (dialing(trouble=LinkTrouble.UNREACHED), LinkTrouble.UNREACHED),
        (waiting(tries=1), LinkTrouble.UNREACHED),
        (up(tries=1), LinkTrouble.NONE),
        (draining(tries=1), LinkTrouble.NONE),
    ],
)
def test_hanging_up_remembers_a_service_out_of_reach(link: Link, trouble: LinkTrouble) -> None:
    assert links.hang_up(link).trouble is trouble
