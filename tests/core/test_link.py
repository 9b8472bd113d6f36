"""The connection, while the visitor speaks (so that no quiet moment renews it); cell by cell, a row at a time."""

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
    Restored, ConnectionUp, ConnectionLost, GoingAway, HandleIssued, ReplyBegan, TurnEnded, SessionUseless, NetworkChanged,
    SettingsChanged,    Timer.PROBE, Timer.RETRY, Timer.STEADY, Timer.AGE, Timer.SETTLE, Timer.ROLLOVER, Timer.LATE,
)  # fmt: skip


@pytest.mark.parametrize(("kind", "phase"), [*product(KINDS, LinkPhase)])
def test_every_pair_has_a_cell(kind: EventKind, phase: LinkPhase) -> None:
    assert callable(links.TABLE[kind][phase.value])


def test_the_table_has_no_other_rows_and_no_longer_ones() -> None:
    assert set(links.TABLE) == set(KINDS)
    assert {len(row) for row in links.TABLE.values()} == {len(LinkPhase)}


def test_phases_number_the_columns_from_nought() -> None:
    assert [phase.value for phase in LinkPhase] == list(range(len(LinkPhase)))


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
    assert link_after(heard(dialing()), ConnectionUp(EPOCH, resumed=False)) == up()


@pytest.mark.parametrize("trouble", LinkTrouble)
def test_reaching_the_service_ends_the_trouble_with_it(trouble: LinkTrouble) -> None:
    assert (
        link_after(heard(dialing(trouble=trouble)), ConnectionUp(EPOCH, resumed=False)).trouble
        is LinkTrouble.NONE
    )


def test_new_credentials_that_were_accepted_can_be_renewed_again() -> None:
    assert not link_after(heard(dialing(renewed=True)), ConnectionUp(EPOCH, resumed=False)).renewed


def test_being_up_alone_does_not_forgive_the_tries_before() -> None:
    assert link_after(heard(dialing(tries=3)), ConnectionUp(EPOCH, resumed=True)).tries == 3


@pytest.mark.parametrize("builder", [up, draining, waiting])
def test_an_answer_nobody_waits_for_means_nothing(builder: LinkBuilder) -> None:
    assert run(heard(builder()), ConnectionUp(EPOCH, resumed=False)) == (heard(builder()), [])


# GoingAway, HandleIssued


def test_an_announced_end_leaves_a_margin() -> None:
    after = link_after(heard(up()), GoingAway(EPOCH, left_s=50.0))
    assert (after.phase, after.rollover_s) == (LinkPhase.DRAINING, 40.0)


def test_an_end_announced_late_leaves_no_time_but_no_less_than_none() -> None:
    assert link_after(heard(up()), GoingAway(EPOCH, left_s=3.0)).rollover_s == 0.0


def test_the_margin_is_the_policys() -> None:
    after = link_after(heard(up()), GoingAway(EPOCH, left_s=50.0), policy=Policy(margin_s=20.0))
    assert after.rollover_s == 30.0


@pytest.mark.parametrize(("left_s", "rollover_s"), [(50.0, 40.0), (90.0, 60.0)])
def test_an_end_announced_while_draining_can_only_hasten(left_s: float, rollover_s: float) -> None:
    after = link_after(heard(draining(rollover_s=60.0)), GoingAway(EPOCH, left_s))
    assert (after.phase, after.rollover_s) == (LinkPhase.DRAINING, rollover_s)


def test_an_end_announced_twice_is_the_later_news_when_that_is_sooner() -> None:
    events = (GoingAway(EPOCH, left_s=300.0), GoingAway(EPOCH, left_s=50.0))
    assert link_after(heard(up()), *events).rollover_s == 40.0


@pytest.mark.parametrize("builder", [dialing, waiting])
def test_a_farewell_of_no_connection_means_nothing(builder: LinkBuilder) -> None:
    assert run(heard(builder()), GoingAway(EPOCH, 50.0)) == (heard(builder()), [])


@pytest.mark.parametrize("builder", CONNECTED)
def test_the_newest_handle_is_the_one_kept(builder: LinkBuilder) -> None:
    state, effects = run(heard(builder(handle=HANDLE)), HandleIssued(EPOCH, LATER_HANDLE))
    assert state.link == builder(handle=LATER_HANDLE)
    assert of_type(Dial, effects) == []


@pytest.mark.parametrize("builder", [dialing, waiting])
def test_a_handle_from_no_connection_means_nothing(builder: LinkBuilder) -> None:
    assert run(heard(builder()), HandleIssued(EPOCH, HANDLE)) == (heard(builder()), [])


# NetworkChanged, SettingsChanged


CHANGES = (NetworkChanged(), SettingsChanged())


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_renews_the_connection_soon(change: Event) -> None:
    state, effects = run(heard(up(handle=HANDLE)), change, policy=Policy(change_s=4.0))
    assert state.link == draining(handle=HANDLE, rollover_s=4.0)
    assert of_type(Dial, effects) == []
    _, effects = run(state, TimerFired(Timer.ROLLOVER))
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, HANDLE)]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(("planned_s", "rollover_s"), [(60.0, 5.0), (2.0, 2.0)])
def test_a_change_hastens_a_renewal_and_never_puts_it_off(
    change: Event, planned_s: float, rollover_s: float
) -> None:
    after = link_after(heard(draining(rollover_s=planned_s)), change)
    assert (after.phase, after.rollover_s) == (LinkPhase.DRAINING, rollover_s)


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_ends_the_wait_for_the_next_dial(change: Event) -> None:
    state, effects = run(heard(waiting(handle=HANDLE, tries=9)), change)
    assert (state.link.phase, state.link.tries) == (LinkPhase.DIALING, 9)
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, HANDLE)]


def test_new_settings_are_dialed_with_though_the_old_are_being_tried() -> None:
    state, effects = run(heard(dialing(handle=HANDLE)), SettingsChanged())
    assert state.link == dialing(epoch=EPOCH + 1, handle=HANDLE)
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, HANDLE)]


def test_a_network_that_changes_under_a_dial_lets_it_come_to_its_own_end() -> None:
    assert run(heard(dialing()), NetworkChanged()) == (heard(dialing()), [])


@pytest.mark.parametrize("trouble", LinkTrouble)
def test_a_network_that_changes_while_asleep_is_no_news(trouble: LinkTrouble) -> None:
    state = State(asleep().turn, down(trouble=trouble), started=True)
    assert run(state, NetworkChanged()) == (state, [])


@pytest.mark.parametrize("trouble", [LinkTrouble.NONE, LinkTrouble.UNREACHED])
def test_new_settings_are_not_tried_while_asleep_unless_the_old_were_refused(trouble: LinkTrouble) -> None:
    state = State(asleep().turn, down(trouble=trouble), started=True)
    assert run(state, SettingsChanged()) == (state, [])


# Restored


def test_a_conversation_that_goes_on_resumes_its_session() -> None:
    state, effects = run(State(), Restored(7, HANDLE))
    assert state.link == Link(LinkPhase.DIALING, epoch=1, handle=HANDLE, reached_service=True)
    assert of_type(Dial, effects) == [Dial(1, HANDLE)]


@pytest.mark.parametrize("builder", REACHED_FOR)
def test_no_handle_of_another_process_replaces_one_in_use(builder: LinkBuilder) -> None:
    assert run(heard(builder(handle=HANDLE)), Restored(7, LATER_HANDLE))[0] == heard(builder(handle=HANDLE))


# Probing for settings that somebody has mended


@pytest.mark.parametrize("why", [TimerFired(Timer.PROBE), SettingsChanged()])
def test_refused_settings_are_tried_again_while_asleep(why: Event) -> None:
    state, effects = run(refused(), why)
    assert state == probing(epoch=EPOCH + 1)
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, None)]


def test_settings_that_change_while_they_are_tried_are_tried_anew() -> None:
    state, effects = run(probing(), SettingsChanged())
    assert state == probing(epoch=EPOCH + 1)
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, None)]


def test_a_network_that_changes_does_not_disturb_a_probe() -> None:
    assert run(probing(), NetworkChanged()) == (probing(), [])


# What proves a connection good


@pytest.mark.parametrize("proof", [TurnEnded(EPOCH), TimerFired(Timer.STEADY)])
def test_a_finished_turn_or_half_a_minute_makes_the_next_loss_the_first(
    proof: TurnEnded | TimerFired,
) -> None:
    assert link_after(heard(up(tries=4, failed=2)), proof) == up()


def test_only_a_connection_that_has_lived_forgets_the_hops_before_it() -> None:
    assert link_after(heard(up(rollovers_in_a_row=2)), TimerFired(Timer.STEADY)) == up()
    assert link_after(heard(up(rollovers_in_a_row=2)), TurnEnded(EPOCH)) == up(rollovers_in_a_row=2)
    assert link_after(heard(draining(rollovers_in_a_row=2)), TimerFired(Timer.STEADY)) == draining(
        rollovers_in_a_row=2
    )


def test_a_connection_with_much_time_left_is_looked_after_later() -> None:
    after = link_after(heard(up()), GoingAway(EPOCH, left_s=300.0))
    assert (after.phase, after.leave_s) == (LinkPhase.UP, 300.0 - 10.0 - 60.0)
    assert link_after(heard(up()), GoingAway(EPOCH, left_s=3600.0)).leave_s == Policy().notice_s


@pytest.mark.parametrize("proof", [TurnEnded(EPOCH), TimerFired(Timer.STEADY)])
def test_a_connection_that_is_to_be_renewed_can_still_be_proved_good(proof: TurnEnded | TimerFired) -> None:
    assert link_after(heard(draining(tries=4)), proof) == draining()


@pytest.mark.parametrize("builder", [dialing, waiting])
@pytest.mark.parametrize("proof", [TurnEnded(EPOCH), TimerFired(Timer.STEADY)])
def test_a_lost_connection_cannot_be_proved_good(builder: LinkBuilder, proof: TurnEnded | TimerFired) -> None:
    assert link_after(heard(builder(tries=4)), proof) == builder(tries=4)


# Timers


def test_the_delay_over_the_next_dial_is_made() -> None:
    state, effects = run(heard(waiting(handle=HANDLE)), TimerFired(Timer.RETRY))
    assert state.link.phase is LinkPhase.DIALING
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, HANDLE)]


def test_an_aged_connection_waits_for_a_quiet_moment() -> None:
    state, effects = run(heard(up()), TimerFired(Timer.AGE), policy=Policy(drain_s=33.0))
    assert (state.link.phase, state.link.rollover_s) == (LinkPhase.DRAINING, 33.0)
    assert of_type(Dial, effects) == []


def test_a_quiet_moment_that_never_comes_is_not_waited_for_for_ever() -> None:
    state, effects = run(heard(draining(handle=HANDLE)), TimerFired(Timer.ROLLOVER))
    assert state.link.phase is LinkPhase.DIALING
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, HANDLE)]


def test_a_renewal_is_a_hop_and_no_failed_try() -> None:
    after = link_after(heard(draining()), TimerFired(Timer.ROLLOVER))
    assert (after.tries, after.rollovers_in_a_row) == (0, 1)


@pytest.mark.parametrize("hops", [MOST_ROLLOVERS, MOST_ROLLOVERS + 5])
def test_a_renewal_that_must_be_is_made_whatever_the_hops_before(hops: int) -> None:
    after = link_after(heard(draining(rollovers_in_a_row=hops)), TimerFired(Timer.ROLLOVER))
    assert (after.phase, after.rollovers_in_a_row) == (LinkPhase.DIALING, hops + 1)


@pytest.mark.parametrize("hops", range(MOST_ROLLOVERS + 2))
def test_only_a_connection_to_be_renewed_is_left_in_a_quiet_moment_and_only_so_often(hops: int) -> None:
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
def test_a_timer_that_came_too_late_means_nothing(builder: LinkBuilder, timer: Timer) -> None:
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
def test_nothing_moves_a_link_that_nobody_needs(event: Event) -> None:
    assert run(asleep(), event) == (asleep(), [])


# What is forgotten with the conversation


@pytest.mark.parametrize("builder", REACHED_FOR)
def test_hanging_up_forgets_all_but_the_epoch_and_a_refusal(builder: LinkBuilder) -> None:
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
def test_hanging_up_remembers_whether_the_service_was_out_of_reach_at_the_end(
    link: Link, trouble: LinkTrouble
) -> None:
    assert links.hang_up(link).trouble is trouble
