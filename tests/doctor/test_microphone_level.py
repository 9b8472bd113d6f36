import numpy as np
import pytest

from kioskd.doctor.microphone_level import fault_of, measure


def sound(deviation: float, constant: float = 0.0) -> bytes:
    samples = np.random.default_rng(1).normal(constant, deviation, 48_000)
    return np.clip(np.rint(samples), -32768, 32767).astype("<i2").tobytes()


@pytest.mark.parametrize(
    ("data", "pace", "name"),
    [
        (sound(30), 1.0, None),
        (sound(3), 1.0, None),
        (sound(3000), 1.0, None),
        (sound(30), 0.97, None),
        (bytes(96_000), 1.0, "microphone-silent"),
        (b"\x07\x00" * 48_000, 1.0, "microphone-silent"),
        (sound(0.5), 1.0, "microphone-faint"),
        (sound(0.5, constant=4000), 1.0, "microphone-faint"),
        (sound(15_000), 1.0, "microphone-clipped"),
        (sound(30), 0.919, "microphone-rate"),
        (sound(30), 1.088, "microphone-rate"),
    ],
)
def test_each_fault_of_a_microphone_is_found_in_its_sound(data: bytes, pace: float, name: str | None) -> None:
    found = fault_of(measure(data, pace))
    assert (found and found[0]) == name


def test_levels_are_decibels_of_full_scale() -> None:
    hearing = measure(sound(328, constant=500), 1.0)
    assert hearing.level_db == pytest.approx(-40, abs=0.2)
    assert -40 < hearing.peak_db < -20
