import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from tests.room import sounds

from kioskd.media import pcm
from kioskd.media.resample import Resampler
from kioskd.media.spectral_judge import BEGIN_VOICED
from kioskd.media.voice_activity import LONGEST, PAUSE_MS, RINGING, VoiceChange, VoiceDetector

DEBIAN = Path("/usr/share/sounds/alsa")
SPOKEN = [
    "Front_Center",
    "Front_Left",
    "Front_Right",
    "Rear_Center",
    "Rear_Left",
    "Rear_Right",
    "Side_Left",
    "Side_Right",
]

Samples = npt.NDArray[np.float64]


def read(path: Path) -> Samples:
    if not path.exists():
        pytest.skip(f"no recording here: {path}")
    with wave.open(str(path)) as wav:
        resampler = Resampler(wav.getframerate(), pcm.UPLINK_HZ, channels=wav.getnchannels())
        return np.frombuffer(resampler.process(wav.readframes(wav.getnframes()), last=True), "<i2").astype(
            float
        )


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * pcm.UPLINK_HZ))


def changes(detector: VoiceDetector, samples: Samples) -> list[tuple[int, VoiceChange]]:
    """Return each change with the number of its frame."""
    data = samples.clip(-32768, 32767).astype("<i2").tobytes()
    found = []
    for number in range(len(data) // pcm.FRAME_BYTES):
        change = detector.feed(data[number * pcm.FRAME_BYTES : (number + 1) * pcm.FRAME_BYTES])
        if change is not None:
            found.append((number, change))
    return found


@pytest.mark.parametrize("level", [1.0, 0.05])
@pytest.mark.parametrize("name", SPOKEN)
def test_two_spoken_words_are_one_voice(name: str, level: float) -> None:
    words = read(DEBIAN / f"{name}.wav") * level
    found = changes(VoiceDetector(), np.concatenate([silence(0.5), words, silence(1.5)]))
    assert [change for _, change in found] == [VoiceChange.BEGAN, VoiceChange.ENDED]
    began, ended = (number for number, _ in found)
    # After 25 frames of silence the recordings have up to a third of a second before the first word.
    assert 25 + BEGIN_VOICED - 1 <= began <= 25 + 20
    assert ended <= 25 + len(words) // 320 + PAUSE_MS // pcm.FRAME_MS


@pytest.mark.parametrize("first", range(8))
def test_sixteen_words_in_a_row_are_one_voice(first: int) -> None:
    words = people(-20)
    speech = np.concatenate(words[first:] + words[:first])
    found = changes(VoiceDetector(), np.concatenate([silence(0.5), speech, silence(1.5)]))
    assert [change for _, change in found] == [VoiceChange.BEGAN, VoiceChange.ENDED]


def test_two_utterances_with_a_second_between_are_two_voices() -> None:
    words = read(DEBIAN / "Front_Center.wav")
    twice = np.concatenate([silence(0.5), words, silence(1.0), words, silence(1.0)])
    assert [change for _, change in changes(VoiceDetector(), twice)] == [
        VoiceChange.BEGAN,
        VoiceChange.ENDED,
    ] * 2


SLOW_MS = 1500


@pytest.mark.parametrize("pause_s", [0.8, 1.0, 1.2])
def test_a_slow_speaker_is_not_cut_off(pause_s: float) -> None:
    words = read(DEBIAN / "Front_Center.wav")
    slowly = np.concatenate([silence(0.5), words, silence(pause_s - 0.3), words, silence(2.5)])
    found = changes(VoiceDetector(pause_ms=SLOW_MS), slowly)
    assert [change for _, change in found] == [VoiceChange.BEGAN, VoiceChange.ENDED]
    found = changes(VoiceDetector(), slowly)
    assert [change for _, change in found][:2] == [VoiceChange.BEGAN, VoiceChange.ENDED]


def test_one_short_word_in_a_long_pause_keeps_a_slow_speaker_speaking() -> None:
    words = read(DEBIAN / "Front_Center.wav")
    left = read(DEBIAN / "Front_Left.wav")
    loud = np.flatnonzero(np.abs(left) > 0.2 * np.abs(left).max())[0]
    word = left[loud : loud + pcm.UPLINK_HZ // 4]
    slowly = np.concatenate([silence(0.5), words, silence(0.9), word, silence(0.9), words, silence(2.5)])
    found = changes(VoiceDetector(pause_ms=SLOW_MS), slowly)
    assert [change for _, change in found] == [VoiceChange.BEGAN, VoiceChange.ENDED]


@pytest.mark.parametrize("pause_ms", [400, 600, 1500, 3000])
def test_an_end_is_reported_after_the_pause(pause_ms: int) -> None:
    words = read(DEBIAN / "Front_Center.wav")
    detector = VoiceDetector(pause_ms=pause_ms)
    changes(detector, np.concatenate([silence(0.5), words[:-6000]]))
    assert detector.speaking
    ended = [number for number, change in changes(detector, silence(4)) if change is VoiceChange.ENDED]
    # The library holds on to a voice for some frames, and a frame or two still count as silence.
    assert ended[0] * pcm.FRAME_MS == pytest.approx(pause_ms, abs=140)


def test_a_click_in_the_pause_does_not_prolong_the_voice() -> None:
    words = read(DEBIAN / "Front_Center.wav")
    pause = silence(2.5)
    pause[8000:8002] = 20_000, -20_000
    found = changes(VoiceDetector(pause_ms=SLOW_MS), np.concatenate([silence(0.5), words, pause]))
    assert [change for _, change in found] == [VoiceChange.BEGAN, VoiceChange.ENDED]


def clicks() -> Samples:
    samples = silence(10)
    samples[::8000], samples[1::8000] = 20_000, -20_000
    return samples


def knocks() -> Samples:
    random = np.random.default_rng(1)
    samples = silence(10)
    for start in range(4000, len(samples) - 4000, 16_000):
        samples[start : start + 4000] = random.normal(0, 12_000, 4000) * np.exp(-np.arange(4000) / 150)
    return samples


def noise(level: float) -> Samples:
    return np.random.default_rng(2).normal(0, level, 10 * pcm.UPLINK_HZ)


def hum() -> Samples:
    seconds = np.arange(10 * pcm.UPLINK_HZ) / pcm.UPLINK_HZ
    return np.asarray(sum(300 / n * np.sin(2 * np.pi * 100 * n * seconds) for n in range(1, 8)))


@pytest.mark.parametrize(
    "samples",
    [
        pytest.param(silence(10), id="silence"),
        pytest.param(noise(30), id="the hiss of a microphone"),
        pytest.param(noise(1000), id="loud hiss"),
        pytest.param(hum(), id="mains hum"),
        pytest.param(clicks(), id="clicks"),
        pytest.param(knocks(), id="knocks on the table"),
    ],
)
def test_sounds_other_than_speech_begin_no_voice(samples: Samples) -> None:
    assert changes(VoiceDetector(), samples) == []


def test_a_voice_begun_by_the_caller_ends_like_any_other() -> None:
    detector = VoiceDetector()
    detector.begin()
    assert detector.speaking
    (number, change), *more = changes(detector, silence(2))
    assert change is VoiceChange.ENDED
    assert (number + 1) * pcm.FRAME_MS == PAUSE_MS
    assert more == []


def last_words(ending: str, noise_dbfs: float, quiet_s: float) -> list[float]:
    """Return the error of each recording's last word in frames: positive if it is found too late."""
    errors = []
    for one, said in zip(sounds.people(), people(-20), strict=True):
        if not one.name.endswith(ending):
            continue
        detector = VoiceDetector()
        sound = steady("pink", noise_dbfs, 1 + len(said) / pcm.UPLINK_HZ + quiet_s)
        ends_at = pcm.UPLINK_HZ + len(said)
        sound[pcm.UPLINK_HZ : ends_at] += said
        number, change = changes(detector, sound)[-1]
        known_at = number + 1 if change is VoiceChange.ENDED else len(sound) // 320
        errors.append(known_at - detector.quiet_frames - ends_at / 320)
    return errors


@pytest.mark.parametrize("noise_dbfs", [-70, -40])
@pytest.mark.parametrize("quiet_s", [0.3, 0.9])
def test_the_last_word_is_known_before_and_after_the_reported_end(noise_dbfs: float, quiet_s: float) -> None:
    errors = last_words("Center", noise_dbfs, quiet_s)
    assert len(errors) == 2
    assert max(abs(error) for error in errors) <= 3


@pytest.mark.parametrize("noise_dbfs", [-70, -40])
@pytest.mark.parametrize("quiet_s", [0.3, 0.9])
@pytest.mark.parametrize("ending", ["Left", "Right"])
def test_a_last_word_that_ends_in_a_t_is_known_to_a_quarter_of_a_second(
    ending: str, noise_dbfs: float, quiet_s: float
) -> None:
    # The sound of the t comes after a short silence, and is not a voice.
    errors = last_words(ending, noise_dbfs, quiet_s)
    assert len(errors) == 3
    assert all(-13 <= error <= 3 for error in errors)


def test_a_slammed_door_does_not_make_later_words_count_as_silence() -> None:
    word = read(DEBIAN / "Front_Center.wav")[: pcm.UPLINK_HZ] * 0.05
    detector = VoiceDetector()
    changes(detector, np.concatenate([silence(0.5), word, np.full(640, 30000.0), word, word, word]))
    assert detector.speaking
    assert detector.quiet_frames <= PAUSE_MS // pcm.FRAME_MS + RINGING


def test_a_reset_forgets_a_voice_that_had_begun() -> None:
    detector = VoiceDetector()
    words = read(DEBIAN / "Front_Center.wav")
    assert changes(detector, words[: pcm.UPLINK_HZ // 2]) != []
    assert detector.speaking
    detector.reset()
    assert not detector.speaking
    assert changes(detector, silence(2)) == []


FRAMES_A_SECOND = 1000 // pcm.FRAME_MS


def steady(kind: str, dbfs: float, seconds: float) -> Samples:
    return 32768 * 10 ** (dbfs / 20) * sounds.noise(kind, seconds, np.random.default_rng(5))


def people(dbfs: float) -> list[Samples]:
    """Return each recording from its first word to its last."""
    if not sounds.people():
        pytest.skip(f"no recordings here: {DEBIAN} (Debian's alsa-utils)")
    found = []
    for one in sounds.people():
        said = sounds.levelled(one.samples, dbfs)
        loud = np.flatnonzero(np.abs(said) > 0.1 * np.abs(said).max())
        found.append(32768 * said[: loud[-1] + 1])
    return found


LOUD = [("fan", -30), ("fan", -20), ("pink", -30), ("pink", -20), ("white", -20)]


@pytest.mark.parametrize(("kind", "dbfs"), LOUD)
def test_loud_steady_noise_is_silence_after_some_seconds(kind: str, dbfs: float) -> None:
    detector = VoiceDetector()
    late = [number for number, _ in changes(detector, steady(kind, dbfs, 60)) if number > 2 * FRAMES_A_SECOND]
    assert not detector.speaking
    assert late == []


@pytest.mark.parametrize(("kind", "dbfs"), LOUD)
def test_noise_that_begins_is_silence_after_some_seconds(kind: str, dbfs: float) -> None:
    detector = VoiceDetector()
    changes(detector, silence(10))
    changes(detector, steady(kind, dbfs, 6))
    assert not detector.speaking
    assert changes(detector, steady(kind, dbfs, 20)) == []


@pytest.mark.parametrize(("kind", "dbfs"), LOUD)
def test_the_known_noise_outlasts_a_reset(kind: str, dbfs: float) -> None:
    detector = VoiceDetector()
    changes(detector, steady(kind, dbfs, 6))
    detector.reset()
    assert changes(detector, steady(kind, dbfs, 6)) == []


@pytest.mark.parametrize("snr_db", [20, 10, 5])
@pytest.mark.parametrize("kind", ["fan", "pink", "white"])
def test_a_voice_in_loud_noise_begins_and_ends(kind: str, snr_db: float) -> None:
    for said in people(-20):
        detector = VoiceDetector()
        sound = steady(kind, -20 - snr_db, 8 + len(said) / pcm.UPLINK_HZ)
        begins_at, ends_at = 6 * pcm.UPLINK_HZ, 6 * pcm.UPLINK_HZ + len(said)
        sound[begins_at:ends_at] += said
        found = [one for one in changes(detector, sound) if one[0] > 5 * FRAMES_A_SECOND]
        (began, _), (ended, _) = found[0], found[-1]
        assert 0 < (began + 1) * pcm.FRAME_MS - 6000 <= 500
        changed_at = [number for number, _ in found]
        lasted = [end - begin for begin, end in zip(changed_at[::2], changed_at[1::2], strict=True)]
        assert min(lasted) >= PAUSE_MS // pcm.FRAME_MS, "an end must not follow at once"
        # The last word may be softer than the noise, so that the voice ends before it.
        assert -400 <= (ended + 1) * pcm.FRAME_MS - 1000 * ends_at / pcm.UPLINK_HZ - PAUSE_MS <= 200
        assert not detector.speaking


@pytest.mark.parametrize("kind", ["fan", "pink", "white"])
def test_a_voice_in_loud_noise_from_the_first_frame_on_is_heard(kind: str) -> None:
    for said in people(-20):
        detector = VoiceDetector()
        sound = steady(kind, -30, 2 + len(said) / pcm.UPLINK_HZ)
        sound[: len(said)] += said
        found = changes(detector, sound)
        assert found[0][0] < 25
        assert [change for _, change in found] in (
            [VoiceChange.BEGAN, VoiceChange.ENDED],
            [VoiceChange.BEGAN, VoiceChange.ENDED] * 2,
        )
        assert found[-1][0] * pcm.FRAME_MS <= 1000 * len(said) / pcm.UPLINK_HZ + PAUSE_MS + 200


def without_pauses(samples: Samples) -> Samples:
    """Return the frames of `samples` that are within 20 dB of the loudest."""
    frames = samples[: len(samples) // 320 * 320].reshape(-1, 320)
    levels = np.sqrt(np.mean(np.square(frames), axis=1))
    return np.asarray(frames[levels > levels.max() / 10].ravel())


@pytest.mark.parametrize(("kind", "dbfs"), [("white", -70), ("fan", -40), ("pink", -30)])
def test_a_minute_without_a_pause_is_one_voice(kind: str, dbfs: float) -> None:
    minute = np.resize(without_pauses(np.concatenate(people(-20))), 58 * pcm.UPLINK_HZ)
    found = changes(VoiceDetector(), minute + steady(kind, dbfs, 58))
    assert [change for _, change in found] == [VoiceChange.BEGAN]


def test_a_voice_that_never_pauses_ends_after_a_minute_and_may_begin_again() -> None:
    people(-20)
    (began, _), (ended, end), (again, begin), *_ = changes(VoiceDetector(), steady("babble", -20, 65))
    assert ended == began + LONGEST
    assert again == ended + 1
    assert (end, begin) == (VoiceChange.ENDED, VoiceChange.BEGAN)
