import numpy as np
import pytest

from kioskd.media.mix import Clip, mixed, scaled


def samples(*values: int) -> bytes:
    return np.array(values, "<i2").tobytes()


def test_a_gain_changes_evenly_from_the_first_sample_to_the_last() -> None:
    assert scaled(samples(1000, 1000, 1000), 1.0, 0.0) == samples(1000, 500, 0)
    assert scaled(samples(1000, -1000), 0.25, 0.25) == samples(250, -250)
    assert scaled(b"", 1.0, 0.0) == b""


@pytest.mark.parametrize("swapped", [False, True])
def test_a_sum_is_as_long_as_the_longer(swapped: bool) -> None:
    pair = (samples(1, 2, 3), samples(10))
    assert mixed(*(reversed(pair) if swapped else pair)) == samples(11, 2, 3)


def test_a_sum_is_clipped_at_full_scale() -> None:
    assert mixed(samples(32_767, -32_768, 30_000), samples(1, -1, -1)) == samples(32_767, -32_768, 29_999)


def test_half_a_sample_at_the_end_of_a_clip_is_left_out() -> None:
    over: list[int] = []
    clip = Clip(over.append)
    assert clip.start(samples(1, 2) + b"\x01") == 0
    assert clip.busy
    assert clip.take(100) == samples(1, 2)
    assert not clip.busy
    assert over == [0]


def test_a_clip_that_was_not_started_gives_nothing() -> None:
    over: list[int] = []
    clip = Clip(over.append)
    assert clip.stopped
    assert not clip.busy
    clip.stop()
    assert clip.take(100) == b""
    assert over == []
