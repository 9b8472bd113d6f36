import math

import numpy as np
import pytest

from kioskd.media.noise_level import NoiseLevel


def learnt(noise: NoiseLevel, levels: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> NoiseLevel:
    for number, level in enumerate(levels, 1):
        noise.learn(float(level), max(0.01, 1 / number))
    return noise


def test_level_and_spread_of_a_noise_are_learnt() -> None:
    levels = np.random.default_rng(1).normal(-50, 2, 2000)
    noise = learnt(NoiseLevel(0.5), levels)
    assert noise.level == pytest.approx(-50, abs=0.5)
    assert noise.spread == pytest.approx(2, abs=0.4)
    assert noise.above(-40) == pytest.approx(5, abs=1)


def test_a_loud_frame_counts_little() -> None:
    noise = learnt(NoiseLevel(0.5), np.random.default_rng(2).normal(-50, 1, 500))
    before = noise.level
    noise.learn(0.0, 0.01)
    assert noise.level - before < 0.1


@pytest.mark.parametrize(("least", "most", "spread"), [(0.7, math.inf, 0.7), (0.1, 3.0, 3.0)])
def test_the_spread_stays_within_its_bounds(least: float, most: float, spread: float) -> None:
    deviation = 0.01 if most == math.inf else 20
    noise = learnt(NoiseLevel(least, most), np.random.default_rng(3).normal(-50, deviation, 1000))
    assert noise.spread == pytest.approx(spread, rel=0.02)
    assert least <= noise.spread <= most
