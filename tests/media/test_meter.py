"""A meter measures while a person watches it, and only then."""

import struct

import pytest

from kioskd.media.meter import Meter, peak


@pytest.mark.parametrize(
    ("samples", "level"),
    [((), 0.0), ((0, 0), 0.0), ((100, -16384, 5), 0.5), ((-32768,), 1.0), ((16384,), 0.5)],
)
def test_the_peak_is_the_largest_sample_of_either_sign(samples: tuple[int, ...], level: float) -> None:
    assert peak(struct.pack(f"<{len(samples)}h", *samples)) == level


def test_a_meter_shows_the_loudest_of_its_last_pieces() -> None:
    meter = Meter(2)
    meter.watch(on=True)
    for loudness in (1000, 16384, 0):
        meter.feed(struct.pack("<h", loudness))
    assert meter.level == 0.5
    meter.feed(struct.pack("<h", 0))
    assert meter.level == 0.0


def test_a_meter_that_is_not_watched_measures_nothing() -> None:
    meter = Meter(2)
    meter.feed(struct.pack("<h", 16384))
    assert meter.level == 0.0
    meter.watch(on=True)
    meter.feed(struct.pack("<h", 16384))
    meter.watch(on=False)
    assert meter.level == 0.0
