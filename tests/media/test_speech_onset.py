import json
import timeit
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from tests.room.sounds import (
    DEBIAN,
    SPEECH,
    Samples,
    Utterance,
    labelled,
    levelled,
    noise,
    recording,
    to_pcm,
)
from tests.room.wake import onsets

from kioskd.media import pcm
from kioskd.media.speech_onset import QUIET, SpeechOnsetDetector

FRAME_S = pcm.FRAME_MS / 1000
STEADY = ("pink", "fan", "white")
BUDGET_S = 0.0005
"""CPU time for a frame: ten times the cost on a desktop, and a fortieth of the frame's length."""


def needs_labels() -> None:
    if not labelled():
        pytest.skip("KIOSKD_SPEECH names no labelled recordings (the twin of this test is on Debian's)")


def debian() -> tuple[Utterance, ...]:
    """Return recordings of two words each; the onset is where the sound first reaches 2 % of the peak."""
    found = []
    for path in sorted(DEBIAN.glob("[FRS]*.wav")):
        samples = recording(path, pcm.UPLINK_HZ)
        loud = np.flatnonzero(np.abs(samples) > 0.02 * np.abs(samples).max())
        found.append(Utterance(path.stem, samples, float(loud[0]) / pcm.UPLINK_HZ))
    if not found:
        pytest.skip(f"no recordings here: {DEBIAN} (Debian's alsa-utils)")
    return tuple(found)


def from_each_word() -> Iterator[Utterance]:
    """Yield the labelled recordings from each of their words on: forty ways to begin a sentence."""
    for path in sorted(Path(SPEECH).glob("*.wav")):
        samples = recording(path, pcm.UPLINK_HZ)
        words = json.loads(path.with_suffix(".words.json").read_text())["w"]
        for word in [one for one in words if not one["t"].startswith(("<", "["))][:-1]:
            begun = samples[round(word["b"] * pcm.UPLINK_HZ) :].copy()
            begun[:80] *= np.linspace(0, 1, 80)  # no click
            yield Utterance(word["t"], begun, 0.0)


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * pcm.UPLINK_HZ))


def hiss(seconds: float, dbfs: float = -60.0) -> Samples:
    return 10 ** (dbfs / 20) * noise("white", seconds, np.random.default_rng(3))


def latencies(utterances: Sequence[Utterance], kind: str, snr_db: float, seed: int) -> list[float]:
    """Return the seconds from each onset to its report; infinite if none came."""
    chance = np.random.default_rng(seed)
    found = []
    for one in utterances:
        lead_s = 3.0 + chance.uniform(0, FRAME_S)
        lead = round(lead_s * pcm.UPLINK_HZ)
        said = levelled(one.samples, -26)
        sound = 10 ** ((-26 - snr_db) / 20) * noise(kind, lead_s + len(said) / pcm.UPLINK_HZ + 1, chance)
        sound[lead : lead + len(said)] += said
        onset_s = lead_s + one.onset_s
        found.append(
            next((at - onset_s for at in onsets(SpeechOnsetDetector(), sound) if at > onset_s), np.inf)
        )
    assert found
    return found


def share_within(seconds: float, found: Sequence[float]) -> float:
    return sum(took <= seconds for took in found) / len(found)


@pytest.mark.parametrize(("snr_db", "at_least"), [(20, 0.9), (10, 0.9), (5, 0.85)])
def test_debians_speakers_are_found_within_200_ms(snr_db: float, at_least: float) -> None:
    found = [took for kind in STEADY for took in latencies(debian() * 2, kind, snr_db, seed=23)]
    assert share_within(0.2, found) >= at_least
    assert share_within(1.0, found) >= 0.97


@pytest.mark.parametrize("kind", STEADY)
def test_a_sentence_may_begin_with_any_word(kind: str) -> None:
    needs_labels()
    found = latencies(list(from_each_word()), kind, 10, seed=24)
    assert share_within(0.2, found) >= 0.8
    assert share_within(0.5, found) >= 0.9


@pytest.mark.parametrize("dbfs", [-6.0, -26.0, -46.0])
def test_voices_near_and_far_are_found_in_a_quiet_room(dbfs: float) -> None:
    for one in debian():
        speech = levelled(one.samples, dbfs)
        told = onsets(
            SpeechOnsetDetector(), hiss(2, dbfs - 20), speech + hiss(len(speech) / pcm.UPLINK_HZ, dbfs - 20)
        )
        assert len(told) == 1
        assert 2 <= told[0] <= 2 + one.onset_s + 0.25


def test_a_voice_out_of_digital_silence_is_found() -> None:
    assert len(onsets(SpeechOnsetDetector(), silence(2), debian()[0].samples, silence(1))) == 1


def test_an_onset_is_reported_once_in_a_long_sentence() -> None:
    needs_labels()
    sentence = max(labelled(), key=lambda one: len(one.samples)).samples
    assert len(onsets(SpeechOnsetDetector(), hiss(2), sentence + hiss(len(sentence) / pcm.UPLINK_HZ))) == 1


def test_speech_after_a_pause_is_another_onset() -> None:
    words = debian()[0].samples
    pause = QUIET * FRAME_S + 0.5
    assert len(onsets(SpeechOnsetDetector(), hiss(2), words, hiss(pause), words, hiss(pause))) == 2


def test_after_a_reset_the_same_speech_is_an_onset_again() -> None:
    ear = SpeechOnsetDetector()
    words = debian()[0].samples
    assert len(onsets(ear, hiss(10), words)) == 1
    assert onsets(ear, words) == []
    ear.reset()
    assert len(onsets(ear, words)) == 1


def test_a_speaker_who_talks_on_is_an_onset_only_after_a_pause() -> None:
    words = levelled(debian()[0].samples, -26)
    talk = np.concatenate([words] * 8)
    ear = SpeechOnsetDetector()
    assert onsets(ear, hiss(60)) == []
    ear.reset()
    ear.await_pause()
    assert onsets(ear, talk + hiss(len(talk) / pcm.UPLINK_HZ)) == []
    assert len(onsets(ear, hiss(QUIET * FRAME_S + 0.3), words)) == 1


@pytest.mark.parametrize("kind", STEADY)
def test_a_pause_is_found_in_a_room_that_has_become_loud(kind: str) -> None:
    ear = SpeechOnsetDetector()
    assert onsets(ear, hiss(60)) == []
    ear.reset()
    ear.await_pause()
    room = 10 ** (-36 / 20) * noise(kind, 20, np.random.default_rng(9))
    assert onsets(ear, room) == []
    words = levelled(debian()[0].samples, -20)
    assert len(onsets(ear, words + room[-len(words) :])) == 1


def test_a_reset_keeps_the_known_noise() -> None:
    ear = SpeechOnsetDetector()
    fan = 10 ** (-36 / 20) * noise("fan", 5, np.random.default_rng(6))
    assert onsets(ear, fan) == []
    ear.reset()
    words = levelled(debian()[0].samples, -20)
    assert len(onsets(ear, words + fan[: len(words)])) == 1


def test_a_fan_that_was_switched_on_is_soon_part_of_the_room() -> None:
    fan = 10 ** (-36 / 20) * noise("fan", 20, np.random.default_rng(7))
    ear = SpeechOnsetDetector()
    assert onsets(ear, hiss(5), fan[: 10 * pcm.UPLINK_HZ]) == []
    words = levelled(debian()[0].samples, -26)
    assert len(onsets(ear, words + fan[-len(words) :])) == 1


@pytest.mark.parametrize("hz", [150, 440, 1000, 3000])
def test_a_beep_does_not_wake_the_kiosk(hz: int) -> None:
    times = np.arange(pcm.UPLINK_HZ // 2) / pcm.UPLINK_HZ
    beep = 0.2 * np.sin(2 * np.pi * hz * times)
    assert onsets(SpeechOnsetDetector(), hiss(2), beep, hiss(1), beep, hiss(1)) == []


def test_a_silent_device_does_not_wake_the_kiosk() -> None:
    dither = np.random.default_rng(8).integers(-2, 3, 10 * pcm.UPLINK_HZ) / 32768
    assert onsets(SpeechOnsetDetector(), silence(5), dither, silence(5), dither) == []


def test_a_frame_takes_a_small_part_of_its_own_length() -> None:
    ear = SpeechOnsetDetector()
    data = to_pcm(hiss(4))
    frames = [data[at : at + pcm.FRAME_BYTES] for at in range(0, len(data), pcm.FRAME_BYTES)]
    rounds = timeit.repeat(lambda: [ear.feed(frame) for frame in frames], number=1, repeat=5)
    assert min(rounds) / len(frames) < BUDGET_S
