import shutil
import sys
import timeit
from collections.abc import Iterable

import numpy as np
import pytest
from tests.room.sounds import SPEECH, Samples, Utterance, labelled, level_db, levelled
from tests.support import wake
from tests.support.rooms_noise import KINDS, STEADY, room_noise
from tests.support.wake import FRAME_S, beginnings, debian, frames, lone_words, spoken_by_machine

from kioskd.media import pcm
from kioskd.media.onset import LEAD, QUIET, OnsetDetector

SHORT_WORDS = ("yes", "no", "stop", "hello", "help")


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * pcm.UPLINK_HZ))


def hiss(seconds: float, dbfs: float = -60.0) -> Samples:
    return room_noise("white", seconds, np.random.default_rng(3)) * 10 ** (dbfs / 20)


def onsets(detector: OnsetDetector, *parts: Samples) -> list[float]:
    """When the detector told of one: seconds from the beginning, at the end of the frame."""
    return [
        round(number * FRAME_S, 2)
        for number, frame in enumerate(frames(np.concatenate(parts)), 1)
        if detector.feed(frame)
    ]


def needs_labels() -> None:
    if not labelled():
        pytest.skip(f"no labelled recordings here: {SPEECH} (their twin is in the tests on Debian's)")


def needs_debian() -> tuple[Utterance, ...]:
    if not debian():
        pytest.skip("no recordings of alsa-utils here: /usr/share/sounds/alsa")
    return debian()


def shares(utterances: Iterable[Utterance], kind: str, snr_db: float) -> dict[str, float]:
    chance = np.random.default_rng(4)
    found = [wake.listen(one, kind, snr_db, chance) for one in utterances]
    assert found
    return {
        "soon": sum(one.soon for one in found) / len(found),
        "ever": sum(one.after_s is not None for one in found) / len(found),
        "whole": sum(one.whole for one in found) / len(found),
    }


# Two hours of noise and twenty minutes of speech take 20 s on a desktop.
@pytest.mark.timeout(240)
def test_voices_wake_the_kiosk_and_two_hours_of_noise_do_not() -> None:
    needs_debian()
    figures = wake.wake_figures()
    sys.stdout.write(f"\n{wake.table(figures)}\n")  # for `pytest -s`
    assert figures["hours"] >= 2
    assert figures["found_within_200ms"] >= 0.95
    assert figures["false_per_hour"] < 1
    for kinds in figures["by_snr_db"].values():
        assert set(kinds) == set(STEADY)
    assert set(figures["false_by_noise"]) == set(KINDS)


@pytest.mark.parametrize("kind", STEADY)
def test_debians_recordings_are_found_in_noise_with_their_first_word(kind: str) -> None:
    found = shares(needs_debian(), kind, 10)
    assert found["ever"] == 1.0
    assert found["soon"] >= 7 / 8
    assert found["whole"] >= 7 / 8


@pytest.mark.parametrize("kind", STEADY)
def test_a_sentence_may_begin_with_any_word(kind: str) -> None:
    needs_labels()
    found = shares(beginnings(), kind, 10)
    assert found["ever"] >= 0.95
    assert found["soon"] >= 0.8
    assert found["whole"] >= 0.9


@pytest.mark.parametrize("kind", STEADY)
def test_one_recorded_word_is_found(kind: str) -> None:
    needs_labels()
    assert shares(lone_words(), kind, 10)["ever"] >= 0.95


@pytest.mark.parametrize("kind", STEADY)
@pytest.mark.parametrize("word", SHORT_WORDS)
def test_one_short_word_is_found(word: str, kind: str) -> None:
    if shutil.which("espeak-ng") is None:
        pytest.skip("no espeak-ng here")
    found = wake.listen(spoken_by_machine(word), kind, 10, np.random.default_rng(5))
    assert found.after_s is not None
    assert found.after_s < 0.4


@pytest.mark.parametrize("dbfs", [-6.0, -26.0, -46.0])
def test_voices_near_and_far_are_found_in_a_quiet_room(dbfs: float) -> None:
    for one in needs_debian():
        speech = levelled(one.samples, dbfs)
        told = onsets(OnsetDetector(), hiss(2, dbfs - 20), speech + hiss(len(speech) / 16_000, dbfs - 20))
        assert len(told) == 1
        assert 2 <= told[0] <= 2 + one.onset_s + 0.25


def test_a_voice_out_of_digital_silence_is_found() -> None:
    one = needs_debian()[0]
    assert len(onsets(OnsetDetector(), silence(2), one.samples, silence(1))) == 1


def test_an_onset_is_told_once_however_long_the_speech() -> None:
    needs_labels()
    sentence = max(labelled(), key=lambda one: len(one.samples)).samples
    told = onsets(OnsetDetector(), hiss(2), sentence + hiss(len(sentence) / pcm.UPLINK_HZ))
    assert len(told) == 1


def test_speech_after_a_pause_is_an_onset_of_its_own() -> None:
    words = needs_debian()[0].samples
    detector = OnsetDetector()
    pause = QUIET * FRAME_S + 0.5
    assert len(onsets(detector, hiss(2), words, hiss(pause), words, hiss(pause))) == 2


def test_after_a_reset_the_same_speech_is_an_onset_again() -> None:
    detector = OnsetDetector()
    words = needs_debian()[0].samples
    assert len(onsets(detector, hiss(2), words)) == 1
    assert detector.began_frames_ago > 0
    detector.reset()
    assert detector.began_frames_ago == 0
    assert len(onsets(detector, words)) == 1


def test_a_reset_keeps_what_is_known_of_the_noise() -> None:
    detector = OnsetDetector()
    fan = room_noise("fan", 5, np.random.default_rng(6)) * 10 ** (-36 / 20)
    assert onsets(detector, hiss(5), fan) == []
    detector.reset()
    words = levelled(needs_debian()[0].samples, -20)
    words = words + fan[: len(words)]
    assert len(onsets(detector, words)) == 1


def test_the_frames_ago_hold_the_first_word_and_go_on_counting() -> None:
    detector = OnsetDetector()
    one = needs_debian()[0]
    sound = np.concatenate([hiss(2), one.samples + hiss(len(one.samples) / pcm.UPLINK_HZ)])
    all_frames = list(frames(sound))
    told = next(number for number, frame in enumerate(all_frames, 1) if detector.feed(frame))
    began_s = (told - detector.began_frames_ago) * FRAME_S
    assert 2 + one.onset_s - (LEAD + 3) * FRAME_S <= began_s <= 2 + one.onset_s
    ago = detector.began_frames_ago
    detector.feed(all_frames[told])
    assert detector.began_frames_ago == ago + 1


def test_a_fan_that_was_switched_on_is_soon_part_of_the_room() -> None:
    chance = np.random.default_rng(7)
    fan = room_noise("fan", 20, chance) * 10 ** (-36 / 20)
    detector = OnsetDetector()
    assert onsets(detector, hiss(5), fan[: 10 * pcm.UPLINK_HZ]) == []
    words = levelled(needs_debian()[0].samples, -26)
    assert len(onsets(detector, words + fan[-len(words) :])) == 1


@pytest.mark.parametrize("hz", [150, 440, 1000, 3000])
def test_a_beep_wakes_nobody(hz: int) -> None:
    times = np.arange(pcm.UPLINK_HZ // 2) / pcm.UPLINK_HZ
    beep = 0.2 * np.sin(2 * np.pi * hz * times)
    assert onsets(OnsetDetector(), hiss(2), beep, hiss(1), beep, hiss(1)) == []


def test_a_silent_device_wakes_nobody() -> None:
    dither = np.random.default_rng(8).integers(-2, 3, 10 * pcm.UPLINK_HZ) / 32768
    assert onsets(OnsetDetector(), silence(5), dither, silence(5), dither) == []


def test_the_kinds_of_noise_are_as_loud_as_they_say() -> None:
    for kind in KINDS:
        assert level_db(room_noise(kind, 30, np.random.default_rng(9))) == pytest.approx(0, abs=0.01)


def test_a_frame_costs_a_small_part_of_the_time_it_lasts() -> None:
    detector = OnsetDetector()
    sound = list(frames(hiss(4)))
    rounds = timeit.repeat(lambda: [detector.feed(frame) for frame in sound], number=1, repeat=5)
    # 30 us on a desktop, where 20,000 us are there; the best of five, as the machine may be busy.
    assert min(rounds) / len(sound) < 0.0005
