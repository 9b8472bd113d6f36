import subprocess
import sys
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest

from kioskd.media import pcm
from kioskd.media.cues import NAMES, cue

Samples = npt.NDArray[np.float64]


def samples(name: str) -> Samples:
    return np.frombuffer(cue(name), "<i2") / 32768


def spectrum(part: Samples) -> Samples:
    """Loudness by 20 Hz, as if it lasted a second, with a length of 1."""
    loudness = np.abs(np.fft.rfft(part, pcm.DOWNLINK_HZ))[: 6000 // 20 * 20].reshape(-1, 20).sum(axis=1)
    return np.asarray(loudness / np.linalg.norm(loudness))


def pitch(part: Samples) -> int:
    """The loudest frequency, in Hz."""
    return int(np.argmax(np.abs(np.fft.rfft(part, pcm.DOWNLINK_HZ))))


def halves(name: str) -> tuple[Samples, Samples]:
    """The first and the last 80 ms."""
    count = round(0.08 * pcm.DOWNLINK_HZ)
    return samples(name)[:count], samples(name)[-count:]


def test_there_is_a_cue_for_each_thing_that_happens() -> None:
    assert set(NAMES) == {"wake", "end", "mute", "error"}


@pytest.mark.parametrize("name", NAMES)
def test_a_cue_is_short(name: str) -> None:
    assert 0.1 < pcm.duration_s(len(cue(name)), pcm.DOWNLINK_HZ) <= 0.25


@pytest.mark.parametrize("name", NAMES)
def test_a_cue_is_heard_and_not_loud(name: str) -> None:
    peak_db = 20 * np.log10(np.abs(samples(name)).max())
    assert -15 < peak_db <= -12


@pytest.mark.parametrize("name", NAMES)
def test_a_cue_begins_and_ends_with_silence_and_without_a_click(name: str) -> None:
    sound = samples(name)
    assert sound[0] == sound[-1] == 0.0
    # A millisecond in, and a millisecond before the end, it is still 20 dB softer than its loudest.
    edge = pcm.DOWNLINK_HZ // 1000
    assert np.abs(np.concatenate([sound[:edge], sound[-edge:]])).max() < 0.1 * np.abs(sound).max()


@pytest.mark.parametrize("name", NAMES)
def test_a_cue_has_no_offset_that_would_push_a_loudspeaker(name: str) -> None:
    assert abs(samples(name).mean()) < 1e-3


def test_the_wake_rises_and_the_end_falls() -> None:
    first, last = halves("wake")
    assert pitch(last) > 1.2 * pitch(first)
    first, last = halves("end")
    assert pitch(last) < 0.8 * pitch(first)


def test_the_mute_is_twice_the_same_low_tone() -> None:
    first, last = halves("mute")
    assert abs(pitch(first) - pitch(last)) <= 3
    assert pitch(first) < 400
    middle = samples("mute")[len(samples("mute")) // 2 - 200 :][:400]
    assert np.abs(middle).max() == 0.0


def test_the_error_buzzes() -> None:
    loudness = np.abs(np.fft.rfft(samples("error"), pcm.DOWNLINK_HZ))
    assert np.square(loudness[400:]).sum() > 0.1 * np.square(loudness).sum()
    assert pitch(samples("error")) < 200


@pytest.mark.parametrize(("one", "other"), list(combinations(NAMES, 2)))
def test_two_cues_do_not_sound_alike(one: str, other: str) -> None:
    assert float(spectrum(samples(one)) @ spectrum(samples(other))) < 0.5


def test_a_cue_is_made_once() -> None:
    assert cue("wake") is cue("wake")


def test_an_unknown_cue_is_no_silence() -> None:
    with pytest.raises(KeyError):
        cue("wkae")


def test_a_start_that_loads_the_cues_loads_no_numpy() -> None:
    source = "import sys, kioskd.media.cues as cues; cues.cue('wake'); sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", source], check=False).returncode == 0
