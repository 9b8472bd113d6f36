"""Old sound after a standstill, in pieces of 10 ms."""

import pytest

from kioskd.adapters.portaudio.stale_audio_filter import GAP_S, StaleAudioFilter

PIECE_S = 0.01


class Device:
    """A clock, and pieces of sound that come by it."""

    def __init__(self) -> None:
        self.now = 100.0
        self.thaw = StaleAudioFilter()

    def give(self, count: int, *, every_s: float = PIECE_S) -> int:
        """Give `count` pieces at that pace; return how many of them counted as old."""
        old = 0
        for _ in range(count):
            self.now += every_s
            old += self.thaw.is_old(self.now, PIECE_S)
        return old


@pytest.mark.parametrize("every_s", [0.01, 0.011, 0.009])
def test_sound_in_real_time_is_never_old(every_s: float) -> None:
    assert Device().give(1000, every_s=every_s) == 0


def test_pieces_that_come_in_pairs_are_never_old() -> None:
    it = Device()
    assert sum(it.give(1, every_s=0.02) + it.give(1, every_s=0.0) for _ in range(500)) == 0


def test_a_short_pause_drops_no_sound() -> None:
    it = Device()
    it.give(10)
    it.now += GAP_S - 0.02
    assert it.give(50, every_s=0.0001) == 0
    assert it.give(100) == 0


@pytest.mark.parametrize("stood_s", [0.6, 2.0, 30.0])
def test_sound_held_back_during_a_pause_is_dropped_and_later_sound_is_kept(stood_s: float) -> None:
    it = Device()
    it.give(10)
    it.now += stood_s
    held_back = round(stood_s / PIECE_S)
    old = it.give(held_back, every_s=0.0001)
    assert held_back - 10 <= old <= held_back
    assert it.give(50, every_s=0.0001) + it.give(50) <= 70  # includes the burst's own time
    assert it.give(500) == 0
    assert it.thaw.gap_s == pytest.approx(stood_s, abs=0.02)
    assert it.thaw.dropped_s == pytest.approx(stood_s, abs=0.5)
    assert not it.thaw.dropping


def test_a_burst_with_a_pause_in_it_is_dropped_whole() -> None:
    it = Device()
    it.give(10)
    it.now += 2.0
    old = it.give(100, every_s=0.0001)
    it.now += 0.05
    old += it.give(100, every_s=0.0001)
    assert 195 <= old <= 200


def test_a_server_that_lost_the_held_back_sound_costs_at_most_0_3_s_of_new_sound() -> None:
    it = Device()
    it.give(10)
    it.now += 5.0
    assert it.give(500) <= 30
    assert not it.thaw.dropping


def test_a_server_that_lost_half_of_the_sound_is_heard_again_at_once() -> None:
    it = Device()
    it.give(10)
    it.now += 30.0
    assert it.give(1500, every_s=0.0001) == 1500
    assert it.give(100) <= 60
    assert not it.thaw.dropping


def test_a_second_standstill_in_the_burst_counts_too() -> None:
    it = Device()
    it.give(10)
    it.now += 2.0
    old = it.give(50, every_s=0.0001)
    it.now += 1.0
    old += it.give(250, every_s=0.0001)
    assert old == pytest.approx(300, abs=10)
    assert it.give(100) == 0


def test_each_standstill_is_counted_separately() -> None:
    it = Device()
    for stood_s in (1.0, 3.0):
        it.give(50)
        it.now += stood_s
        it.give(round(stood_s / PIECE_S), every_s=0.0001)
        it.give(10)
        assert it.thaw.dropped_s == pytest.approx(stood_s, abs=0.1)
