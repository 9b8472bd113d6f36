"""Rates within a minute, and identifiers that count once."""

from kioskd.tokens.rates import MINUTE_S, MinuteRate, SpentProofs


def test_a_rate_lets_its_number_pass_in_any_minute_and_says_how_long_to_wait() -> None:
    rate = MinuteRate(2)
    for now in (0.0, 10.0):
        assert rate.wait_s("a", now) == 0
        rate.count("a", now)
    assert rate.wait_s("a", 20.0) == 40.0
    assert rate.wait_s("b", 20.0) == 0
    assert rate.wait_s("a", MINUTE_S) == 0


def test_a_rate_that_is_lowered_counts_earlier_events() -> None:
    rate = MinuteRate(3)
    for now in (0.0, 1.0, 2.0):
        rate.count("a", now)
    rate.most = 1
    assert rate.wait_s("a", 3.0) == 59.0


def test_an_identifier_counts_once_for_its_device_until_it_expires() -> None:
    proofs = SpentProofs(10)
    assert proofs.spend("a", "id", 60.0, 0.0) == 0
    assert proofs.spend("a", "id", 60.0, 59.0) is None
    assert proofs.spend("b", "id", 60.0, 59.0) == 0
    assert proofs.spend("a", "id", 120.0, 60.0) == 0


def test_one_device_cannot_fill_the_memory() -> None:
    proofs = SpentProofs(2)
    assert [proofs.spend("a", str(number), 60.0, 0.0) for number in range(3)] == [0, 0, 60.0]
    assert proofs.spend("b", "0", 60.0, 0.0) == 0
    assert proofs.spend("a", "2", 120.0, 60.0) == 0
