"""The wake word, with the real library and synthetic voices."""

import shutil
import sys
from collections.abc import Callable

import numpy as np
import pytest
from tests.room.sounds import DEBIAN, Samples, called, levelled, noise, people, to_pcm

from kioskd.adapters.wakeword import WakeWordDetector, words
from kioskd.errors import ConfigError
from kioskd.media import pcm

pytest.importorskip("pymicro_wakeword", reason="the extra kioskd[wakeword] is not installed")

SAID_WELL = ("okay_nabu", "hey_mycroft", "alexa")
"""Words that espeak-ng speaks well enough; its "hey jarvis" is not like a person's."""

says_it = pytest.mark.skipif(
    shutil.which("espeak-ng") is None, reason="espeak-ng is missing; run `apt install espeak-ng`"
)


def quiet(seconds: float, seed: int = 1) -> Samples:
    return 1e-4 * np.random.default_rng(seed).standard_normal(round(seconds * pcm.UPLINK_HZ))


def heard(ear: WakeWordDetector, *parts: Samples, frame_bytes: int = pcm.FRAME_BYTES) -> int:
    """Return how often the word was reported."""
    data = to_pcm(np.concatenate(parts))
    return sum(ear.feed(data[at : at + frame_bytes]) for at in range(0, len(data), frame_bytes))


@says_it
@pytest.mark.parametrize("word", SAID_WELL)
def test_the_word_is_reported_once_each_time_it_is_said(word: str) -> None:
    said = called(word.replace("_", " "))
    ear = WakeWordDetector(word)
    assert heard(ear, quiet(1), said, quiet(2)) == 1
    assert heard(ear, said, quiet(2)) == 1


@says_it
@pytest.mark.parametrize("frame_bytes", [320, 642, 3200])
def test_sound_may_come_in_pieces_of_any_length(frame_bytes: int) -> None:
    said = called("Okay Nabu")
    assert heard(WakeWordDetector("okay_nabu"), quiet(1), said, quiet(2), frame_bytes=frame_bytes) == 1


@says_it
def test_after_a_reset_the_word_is_reported_again() -> None:
    said = called("Okay Nabu")
    ear = WakeWordDetector("okay_nabu")
    for _ in range(2):
        assert heard(ear, quiet(1), said, quiet(1)) == 1
        ear.reset()


@says_it
def test_a_reported_word_is_not_reported_again_after_a_reset() -> None:
    data = to_pcm(np.concatenate([quiet(1), called("Okay Nabu"), quiet(1)]))
    ear = WakeWordDetector("okay_nabu")
    assert any(ear.feed(data[at : at + pcm.FRAME_BYTES]) for at in range(0, len(data), pcm.FRAME_BYTES))
    ear.reset()
    assert heard(ear, quiet(2)) == 0


@says_it
def test_half_a_word_before_a_reset_is_not_a_word() -> None:
    said = called("Okay Nabu")
    ear = WakeWordDetector("okay_nabu")
    assert heard(ear, quiet(1), said[: len(said) // 2]) == 0
    ear.reset()
    assert heard(ear, quiet(2)) == 0


@says_it
def test_another_word_is_not_reported() -> None:
    said = called("Alexa. Hey Mycroft. Where is the exit, please?")
    assert heard(WakeWordDetector("okay_nabu"), quiet(1), said, quiet(2)) == 0


@pytest.mark.parametrize("word", ["alexa", "hey_jarvis", "hey_mycroft", "okay_nabu"])
def test_peoples_speech_does_not_wake_the_kiosk(word: str) -> None:
    if not people():
        pytest.skip(f"the recordings in {DEBIAN} are missing; run `apt install alsa-utils`")
    said = [levelled(one.samples, -23) for one in people()]
    assert heard(WakeWordDetector(word), quiet(1), *said, quiet(1)) == 0


@pytest.mark.parametrize("kind", ["pink", "fan", "babble"])
def test_noise_does_not_wake_the_kiosk(kind: str) -> None:
    if kind == "babble" and not people():
        pytest.skip(f"the recordings in {DEBIAN} are missing; run `apt install alsa-utils`")
    sound = 10 ** (-36 / 20) * noise(kind, 30, np.random.default_rng(2))
    assert heard(WakeWordDetector("okay_nabu"), sound) == 0


def test_the_words_of_the_library_can_be_listed() -> None:
    assert set(SAID_WELL) < set(words())


@pytest.mark.parametrize("spelt", ["okay_nabu", "Okay Nabu", "okay-nabu"])
def test_a_word_may_be_spelt_in_several_ways(spelt: str) -> None:
    assert WakeWordDetector(spelt).word == "okay_nabu"


def test_an_unknown_word_is_rejected_with_the_known_words() -> None:
    with pytest.raises(ConfigError, match=r"there is no such wake word; use one of alexa, .*okay_nabu"):
        WakeWordDetector("open sesame")


@pytest.mark.parametrize("call", [words, lambda: WakeWordDetector("alexa")])
def test_without_the_library_the_error_says_what_to_install(
    call: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pymicro_wakeword", None)  # None means "cannot be imported"
    with pytest.raises(ConfigError, match=r"run scripts/install.sh again"):
        call()
