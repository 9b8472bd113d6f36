"""Losses of the connection while the visitor speaks: without a quiet moment, no rollover interferes."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.support.core import (
    CONNECTED,
    EPOCH,
    HANDLE,
    dialing,
    down,
    draining,
    heard,
    link_after,
    lost,
    of_type,
    run,
    up,
    waiting,
)
from tests.support.core_walks import PASSING, REFUSALS

from kioskd.core.effects import Dial, HangUp
from kioskd.core.events import (
    ConnectionLost,
    ConnectionUp,
    Event,
    HandleIssued,
    NetworkChanged,
    SettingsChanged,
    Timer,
    TimerFired,
    TurnEnded,
)
from kioskd.core.link import RESUMES, SESSIONS_LOST
from kioskd.core.link_state import Link, LinkPhase, LinkTrouble
from kioskd.core.policy import Policy
from kioskd.errors import Remedy

LinkBuilder = Callable[..., Link]
LOSABLE = (dialing, up, draining)


def tried_again(link: Link, remedy: Remedy, rounds: int, *, reached: bool) -> tuple[Link, list[float]]:
    """Return the link and the delays after `rounds` tries that end in the same way.

    `reached`: the service accepts each connection and issues a handle before it ends it.
    """
    delays = []
    for _ in range(rounds):
        if reached:
            events = (ConnectionUp(link.epoch, resumed=False), HandleIssued(link.epoch, HANDLE))
            link = link_after(heard(link), *events)
        link = link_after(heard(link), lost(remedy, link.epoch))
        delays.append(link.retry_s)
        if link.phase is LinkPhase.WAITING:
            link = link_after(heard(link), TimerFired(Timer.RETRY))
    return link, delays


@pytest.mark.parametrize("remedy", Remedy)
def test_an_answer_of_the_service_changes_the_code_but_not_the_delay(remedy: Remedy) -> None:
    link = dialing(handle=HANDLE, tries=2)
    reached, unreached = (
        link_after(heard(link), lost(remedy, reached=answered)) for answered in (True, False)
    )
    assert replace(reached, code=None, wrong=frozenset()) == replace(unreached, code=None, wrong=frozenset())


# Remedy RESUME


@pytest.mark.parametrize("builder", LOSABLE)
def test_the_first_loss_dials_at_once_with_the_handle(builder: LinkBuilder) -> None:
    state, effects = run(heard(builder(handle=HANDLE)), lost(jitter=0.9))
    assert (state.link.phase, state.link.tries, state.link.handle) == (LinkPhase.DIALING, 1, HANDLE)
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, HANDLE)]


@pytest.mark.parametrize("builder", LOSABLE)
def test_the_third_loss_waits_before_the_dial(builder: LinkBuilder) -> None:
    state, effects = run(heard(builder(handle=HANDLE, tries=2)), lost())
    assert (state.link.phase, state.link.tries, state.link.retry_s) == (LinkPhase.WAITING, 3, 1.0)
    assert (state.link.epoch, state.link.handle) == (EPOCH, HANDLE)
    assert of_type(Dial, effects) == []


@pytest.mark.parametrize(
    ("remedy", "retry_after_s", "retry_s"),
    [
        (Remedy.RESUME, 7.0, 7.0),
        (Remedy.RESUME_LATER, 7.0, 7.0),
        (Remedy.QUOTA, 7.0, 45.0),
        (Remedy.QUOTA, 60.0, 90.0),
    ],
)
def test_the_services_retry_after_counts_even_for_the_first_loss(
    remedy: Remedy, retry_after_s: float, retry_s: float
) -> None:
    after = link_after(heard(up()), ConnectionLost(EPOCH, remedy, 0.5, retry_after_s))
    assert (after.phase, after.retry_s) == (LinkPhase.WAITING, retry_s)


@pytest.mark.parametrize("reached", [False, True])
def test_delays_grow_with_losses_in_a_row(reached: bool) -> None:
    _, delays = tried_again(dialing(), Remedy.RESUME, 9, reached=reached)
    assert delays == [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0, 15.0]


def test_a_long_network_outage_keeps_the_handle() -> None:
    link, _ = tried_again(up(handle=HANDLE), Remedy.RESUME, 50, reached=False)
    assert link.handle == HANDLE


def test_a_loss_reported_twice_counts_once() -> None:
    assert run(heard(waiting()), lost()) == (heard(waiting()), [])


# Remedy RESUME_LATER: the service has failed


@pytest.mark.parametrize("builder", LOSABLE)
def test_a_failed_service_is_dialed_with_the_handle_after_a_delay(
    builder: LinkBuilder,
) -> None:
    after = link_after(heard(builder(handle=HANDLE)), lost(Remedy.RESUME_LATER))
    assert (after.phase, after.tries, after.retry_s, after.handle) == (LinkPhase.WAITING, 1, 0.5, HANDLE)


def test_a_failing_service_is_dialed_less_and_less_often() -> None:
    _, delays = tried_again(dialing(), Remedy.RESUME_LATER, 8, reached=False)
    assert delays == [0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0, 15.0]


def test_a_failing_service_is_asked_three_times_for_the_old_session_and_then_for_a_new_one() -> None:
    link, handles = up(handle=HANDLE), []
    for _ in range(RESUMES + 2):
        state, effects = run(heard(link), lost(Remedy.RESUME_LATER, link.epoch), TimerFired(Timer.RETRY))
        link = state.link
        handles += [(dial.handle, dial.recall) for dial in of_type(Dial, effects)]
    assert RESUMES == 3
    assert handles == [*[(HANDLE, False)] * RESUMES, (None, True), (None, True)]


def test_a_recovered_service_resets_the_failures() -> None:
    link = link_after(heard(up(tries=RESUMES, handle=HANDLE)), TurnEnded(EPOCH), lost(Remedy.RESUME_LATER))
    assert (link.tries, link.handle) == (1, HANDLE)


# Remedy FRESH: the session is gone


@pytest.mark.parametrize("builder", LOSABLE)
@pytest.mark.parametrize("tries", range(SESSIONS_LOST))
def test_a_refused_handle_leads_to_a_fresh_session_at_once(builder: LinkBuilder, tries: int) -> None:
    state, effects = run(heard(builder(handle=HANDLE, tries=tries)), lost(Remedy.FRESH, jitter=0.9))
    assert (state.link.phase, state.link.tries, state.link.handle) == (LinkPhase.DIALING, tries + 1, None)
    assert [(dial.epoch, dial.handle) for dial in of_type(Dial, effects)] == [(EPOCH + 1, None)]


def test_a_refused_fresh_session_waits_for_the_backoff() -> None:
    after = link_after(heard(dialing(handle=HANDLE)), lost(Remedy.FRESH), lost(Remedy.FRESH, EPOCH + 1))
    assert (after.phase, after.tries, after.retry_s) == (LinkPhase.WAITING, 2, 0.5)


def test_repeated_losses_of_the_session_are_dialed_with_growing_delays() -> None:
    _, delays = tried_again(dialing(), Remedy.FRESH, 8, reached=True)
    assert SESSIONS_LOST == 3
    assert delays == [0.0, 0.0, 0.0, 2.0, 4.0, 8.0, 15.0, 15.0]


@pytest.mark.parametrize("builder", CONNECTED)
def test_a_session_lost_before_its_first_handle_is_replaced_once_without_delay(
    builder: LinkBuilder,
) -> None:
    first = link_after(heard(builder()), lost(Remedy.FRESH))
    assert (first.phase, first.tries) == (LinkPhase.DIALING, 1)
    assert link_after(heard(builder(tries=1)), lost(Remedy.FRESH)).phase is LinkPhase.WAITING


@pytest.mark.parametrize("builder", LOSABLE)
def test_a_refused_handle_is_never_dialed_again(builder: LinkBuilder) -> None:
    for remedy in PASSING:
        fresh = link_after(heard(builder(handle=HANDLE)), lost(Remedy.FRESH))
        events = (lost(remedy, fresh.epoch), TimerFired(Timer.RETRY), NetworkChanged(), SettingsChanged())
        _, effects = run(heard(fresh), *events)
        assert {dial.handle for dial in of_type(Dial, effects)} == {None}


# First the network fails, then the service


OUTAGE = 8
"""Number of failed dials: about ten seconds without a network."""


def test_a_service_failure_after_an_outage_keeps_the_handle() -> None:
    # A service fails so while it takes the connection from before the outage for alive.
    link, _ = tried_again(up(handle=HANDLE), Remedy.RESUME, OUTAGE, reached=False)
    link, _ = tried_again(link, Remedy.RESUME_LATER, RESUMES, reached=False)
    assert link.handle == HANDLE


def test_a_handle_refused_after_an_outage_leads_to_a_dial_at_once() -> None:
    link, _ = tried_again(up(handle=HANDLE), Remedy.RESUME, OUTAGE, reached=False)
    state, effects = run(heard(link), lost(Remedy.FRESH, link.epoch, jitter=0.9))
    assert state.link.phase is LinkPhase.DIALING
    assert of_type(Dial, effects) == [Dial(link.epoch + 1, None, recall=True)]


# Credentials, quota, clock


@pytest.mark.parametrize("builder", LOSABLE)
def test_refused_credentials_are_renewed_at_once_and_the_session_goes_on(builder: LinkBuilder) -> None:
    state, effects = run(heard(builder(handle=HANDLE)), lost(Remedy.CREDENTIALS, jitter=0.9))
    assert (state.link.phase, state.link.tries, state.link.renewed) == (LinkPhase.DIALING, 1, True)
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, HANDLE)]


@pytest.mark.parametrize("between", [(), (lost(epoch=EPOCH + 1), TimerFired(Timer.RETRY))])
def test_refused_new_credentials_count_as_refused_settings(between: tuple[Event, ...]) -> None:
    state, _ = run(heard(dialing()), lost(Remedy.CREDENTIALS), *between)
    state, effects = run(state, lost(Remedy.CREDENTIALS, state.link.epoch))
    assert state.link == down(epoch=state.link.epoch, trouble=LinkTrouble.REFUSED)
    assert not state.turn.awake
    assert of_type(HangUp, effects) == [HangUp()]


def test_credentials_that_expire_each_hour_are_renewed_each_hour() -> None:
    link = up(handle=HANDLE)
    for _ in range(5):
        hour = (lost(Remedy.CREDENTIALS, link.epoch), ConnectionUp(link.epoch + 1, resumed=True))
        link = link_after(heard(link), *hour, TimerFired(Timer.STEADY))
        assert (link.phase, link.handle, link.tries) == (LinkPhase.UP, HANDLE, 0)


def test_credentials_refused_right_after_acceptance_are_renewed_with_delays() -> None:
    link = dialing()
    delays: list[float] = []
    for _ in range(20):
        link = link_after(
            heard(link), ConnectionUp(link.epoch, resumed=False), lost(Remedy.CREDENTIALS, link.epoch)
        )
        delays.append(link.retry_s)
        if link.phase is LinkPhase.DOWN:
            break
        if link.phase is LinkPhase.WAITING:
            link = link_after(heard(link), TimerFired(Timer.RETRY))
    assert link.phase is LinkPhase.DOWN or min(delays[5:]) > 0.0


@pytest.mark.parametrize("builder", LOSABLE)
@pytest.mark.parametrize(("jitter", "retry_s"), [(0.0, 40.0), (0.5, 60.0), (0.999, 79.96)])
def test_a_spent_quota_leads_to_a_long_and_spread_delay(
    builder: LinkBuilder, jitter: float, retry_s: float
) -> None:
    policy = Policy(quota_s=40.0)
    after = link_after(heard(builder(handle=HANDLE)), lost(Remedy.QUOTA, jitter=jitter), policy=policy)
    assert (after.phase, after.tries, after.handle) == (LinkPhase.WAITING, 1, HANDLE)
    assert after.retry_s == pytest.approx(retry_s)


@pytest.mark.parametrize("tries", [0, 1, 40])
def test_an_unset_clock_leads_to_a_dial_at_fixed_intervals(tries: int) -> None:
    policy = Policy(clock_s=11.0)
    after = link_after(heard(dialing(handle=HANDLE, tries=tries)), lost(Remedy.CLOCK), policy=policy)
    assert (after.phase, after.retry_s, after.handle) == (LinkPhase.WAITING, 11.0, HANDLE)


# Refusals


@pytest.mark.parametrize("builder", LOSABLE)
@pytest.mark.parametrize("remedy", REFUSALS)
def test_refused_settings_hang_up_and_are_remembered(builder: LinkBuilder, remedy: Remedy) -> None:
    state, effects = run(heard(builder(handle=HANDLE, tries=2)), lost(remedy))
    assert state.link == down(trouble=LinkTrouble.REFUSED)
    assert of_type(HangUp, effects) == [HangUp()]
    assert of_type(Dial, effects) == []


@pytest.mark.parametrize("remedy", Remedy)
def test_a_loss_while_waiting_does_nothing(remedy: Remedy) -> None:
    assert run(heard(waiting()), lost(remedy)) == (heard(waiting()), [])


# The same ending again and again


@pytest.mark.parametrize("remedy", [remedy for remedy in PASSING if remedy is not Remedy.CREDENTIALS])
@pytest.mark.parametrize("reached", [False, True])
def test_every_repeated_ending_is_dialed_with_growing_delays(remedy: Remedy, reached: bool) -> None:
    _, delays = tried_again(dialing(), remedy, 20, reached=reached)
    assert min(delays[10:]) >= 10.0
