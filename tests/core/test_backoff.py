import pytest

from kioskd.core.backoff import FIRST_S, MOST_S, delay_s

NEARLY_ONE = 0.999_999


def test_the_first_dial_after_a_loss_comes_at_once() -> None:
    assert delay_s(1, NEARLY_ONE) == 0.0


def test_without_a_failed_try_the_delay_is_zero() -> None:
    assert delay_s(0, NEARLY_ONE) == 0.0


def test_the_second_delay_is_spread_over_twice_the_first_bound() -> None:
    assert delay_s(2, 0.0) == 0.0
    assert delay_s(2, 0.5) == pytest.approx(FIRST_S)
    assert delay_s(2, NEARLY_ONE) == pytest.approx(2 * FIRST_S, rel=1e-5)


def test_the_bound_doubles_with_each_try() -> None:
    assert [delay_s(tries, 0.5) for tries in (2, 3, 4, 5, 6)] == [0.5, 1.0, 2.0, 4.0, 8.0]


@pytest.mark.parametrize("tries", [7, 16, 17, 1_000, 10**9])
def test_the_bound_stops_growing(tries: int) -> None:
    assert delay_s(tries, 0.5) == MOST_S / 2


@pytest.mark.parametrize("tries", [1, 2, 7, 100])
def test_the_delay_is_at_least_the_services_retry_after(tries: int) -> None:
    assert delay_s(tries, 0.0, retry_after_s=45.0) == 45.0


def test_a_delay_longer_than_the_services_retry_after_stays() -> None:
    assert delay_s(10, 0.5, retry_after_s=1.0) == MOST_S / 2


def test_kiosks_behind_one_router_do_not_dial_together() -> None:
    delays = {delay_s(5, jitter / 10) for jitter in range(10)}
    assert len(delays) == 10
    assert max(delays) - min(delays) > 7.0
