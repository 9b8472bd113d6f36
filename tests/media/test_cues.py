import itertools

import numpy as np
import pytest

from kioskd.media import cues, pcm
from kioskd.media.cues import CueSound


def samples(cue: CueSound) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.frombuffer(cues.sound(cue), "<i2") / 32768


@pytest.mark.parametrize("cue", CueSound)
def test_a_cue_is_short(cue: CueSound) -> None:
    assert 0.1 <= pcm.duration_s(len(cues.sound(cue)), pcm.DOWNLINK_HZ) <= 0.25
    assert pcm.duration_s(len(cues.sound(cue)), pcm.DOWNLINK_HZ) == pytest.approx(cues.duration_s(cue))


@pytest.mark.parametrize("cue", CueSound)
def test_a_cue_has_the_intended_peak(cue: CueSound) -> None:
    assert np.abs(samples(cue)).max() == pytest.approx(cues.PEAK, rel=1e-3)


@pytest.mark.parametrize("cue", CueSound)
def test_a_cue_begins_and_ends_without_a_click(cue: CueSound) -> None:
    wave = samples(cue)
    assert wave[0] == 0.0
    assert abs(wave[-1]) < 1e-3
    # After 5 ms the sound is still below a tenth of the peak.
    edge = pcm.DOWNLINK_HZ // 200
    assert np.abs(wave[:edge]).max() < 0.1 * cues.PEAK
    assert np.abs(wave[-edge:]).max() < 0.1 * cues.PEAK


@pytest.mark.parametrize("cue", CueSound)
def test_a_cues_power_is_near_its_pitches(cue: CueSound) -> None:
    wave = samples(cue)
    power = np.abs(np.fft.rfft(wave)) ** 2
    hz = np.fft.rfftfreq(len(wave), 1 / pcm.DOWNLINK_HZ)
    near = np.any([np.abs(hz - pitch) < 60 for pitch in cues.frequencies(cue)], axis=0)
    assert power[~near].sum() < 1e-3 * power.sum()
    for pitch in cues.frequencies(cue):
        assert power[np.abs(hz - pitch) < 60].sum() > 0.1 * power.sum()


def test_cues_are_told_apart_by_their_pitches_in_order() -> None:
    def heard(cue: CueSound) -> tuple[int, int]:
        """Return the strongest pitch of the beginning and of the end."""
        wave = samples(cue)
        third = len(wave) // 3
        spectra = (np.abs(np.fft.rfft(part, pcm.DOWNLINK_HZ)) for part in (wave[:third], wave[-third:]))
        first, last = (int(spectrum.argmax()) for spectrum in spectra)
        return first, last

    melodies = {cue: heard(cue) for cue in CueSound}
    assert melodies[CueSound.WAKE][0] < melodies[CueSound.WAKE][1]
    assert melodies[CueSound.END][0] > melodies[CueSound.END][1]
    assert melodies[CueSound.MUTE][0] > melodies[CueSound.MUTE][1]
    assert melodies[CueSound.UNMUTE][0] < melodies[CueSound.UNMUTE][1]
    for one, other in itertools.combinations(melodies.values(), 2):
        assert max(abs(one[0] - other[0]), abs(one[1] - other[1])) > 30


def test_a_cue_is_computed_once() -> None:
    assert cues.sound(CueSound.WAKE) is cues.sound(CueSound.WAKE)
