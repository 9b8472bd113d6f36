"""The wake word, with the real library and synthetic voices."""

import builtins
import subprocess
import threading
from collections.abc import Callable

import numpy as np
import pytest
from tests.room.sounds import DEBIAN, Samples, levelled, noise, people, recording, to_pcm

from kioskd.adapters import wakeword
from kioskd.adapters.wakeword import WakeWord, load, words
from kioskd.errors import ConfigError
from kioskd.media import pcm

pytest.importorskip("pymicro_wakeword", reason="the extra kioskd[wakeword] is not installed")

SAID_WELL = {"okay_nabu": "Okay Nabu", "hey_mycroft": "Hey Mycroft", "alexa": "Alexa"}
"""Words that espeak-ng says well enough; of "hey jarvis" it makes something that nobody says."""


def spoken(text: str, tmp_path_factory: pytest.TempPathFactory) -> Samples:
    path = tmp_path_factory.mktemp("said") / "said.wav"
    command = ["espeak-ng", "-v", "en-gb", "-s", "150", "-w", str(path), text]
    try:
        subprocess.run(command, check=True, timeout=20)
    except FileNotFoundError:
        pytest.skip("no espeak-ng here")
    return levelled(recording(path, pcm.UPLINK_HZ), -23)


def quiet(seconds: float, seed: int = 1) -> Samples:
    return 1e-4 * np.random.default_rng(seed).standard_normal(round(seconds * pcm.UPLINK_HZ))


def heard(ear: WakeWord, *parts: Samples, frame_bytes: int = pcm.FRAME_BYTES) -> int:
    """How often the word was told of."""
    data = to_pcm(np.concatenate(parts))
    return sum(ear.feed(data[at : at + frame_bytes]) for at in range(0, len(data), frame_bytes))


@pytest.mark.parametrize("word", sorted(SAID_WELL))
def test_the_word_is_heard_once_each_time_it_is_said(
    word: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    said = spoken(SAID_WELL[word], tmp_path_factory)
    ear = WakeWord(word)
    assert heard(ear, quiet(1), said, quiet(2)) == 1
    assert heard(ear, said, quiet(2)) == 1


@pytest.mark.parametrize("frame_bytes", [320, 642, 3200])
def test_sound_may_come_in_pieces_of_any_length(
    frame_bytes: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    said = spoken("Okay Nabu", tmp_path_factory)
    assert heard(WakeWord("okay_nabu"), quiet(1), said, quiet(2), frame_bytes=frame_bytes) == 1


def test_after_a_reset_the_word_is_heard_again(tmp_path_factory: pytest.TempPathFactory) -> None:
    said = spoken("Okay Nabu", tmp_path_factory)
    ear = WakeWord("okay_nabu")
    for _ in range(2):
        assert heard(ear, quiet(1), said, quiet(1)) == 1
        ear.reset()


def test_a_word_that_was_told_of_is_not_told_again_after_a_reset(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    data = to_pcm(np.concatenate([quiet(1), spoken("Okay Nabu", tmp_path_factory), quiet(1)]))
    ear = WakeWord("okay_nabu")
    assert any(ear.feed(data[at : at + pcm.FRAME_BYTES]) for at in range(0, len(data), pcm.FRAME_BYTES))
    ear.reset()
    assert heard(ear, quiet(2)) == 0


def test_a_reset_in_mid_word_is_no_word(tmp_path_factory: pytest.TempPathFactory) -> None:
    said = spoken("Okay Nabu", tmp_path_factory)
    ear = WakeWord("okay_nabu")
    assert heard(ear, quiet(1), said[: len(said) // 2]) == 0
    ear.reset()
    assert heard(ear, quiet(2)) == 0


def test_another_word_is_not_heard(tmp_path_factory: pytest.TempPathFactory) -> None:
    said = spoken("Alexa. Hey Mycroft. Where is the exit, please?", tmp_path_factory)
    assert heard(WakeWord("okay_nabu"), quiet(1), said, quiet(2)) == 0


@pytest.mark.parametrize("word", ["alexa", "hey_jarvis", "hey_mycroft", "okay_nabu"])
def test_peoples_speech_wakes_nobody(word: str) -> None:
    if not people():
        pytest.skip(f"no recordings here: {DEBIAN} (Debian's alsa-utils)")
    said = [levelled(one.samples, -23) for one in people()]
    assert heard(WakeWord(word), quiet(1), *said, quiet(1)) == 0


@pytest.mark.parametrize("kind", ["pink", "fan", "babble"])
def test_noise_wakes_nobody(kind: str) -> None:
    if kind == "babble" and not people():
        pytest.skip(f"no recordings here: {DEBIAN} (Debian's alsa-utils)")
    sound = 10 ** (-36 / 20) * noise(kind, 30, np.random.default_rng(2))
    assert heard(WakeWord("okay_nabu"), sound) == 0


def test_the_words_of_the_library_can_be_listed() -> None:
    assert set(SAID_WELL) < set(words())


@pytest.mark.parametrize("spelt", ["okay_nabu", "Okay Nabu", "okay-nabu"])
def test_a_word_may_be_spelt_as_people_do(spelt: str) -> None:
    assert WakeWord(spelt).word == "okay_nabu"


async def test_an_unknown_word_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"no such wake word; use one of alexa, .*okay_nabu"):
        await load("open sesame")


async def test_a_word_is_loaded_off_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[threading.Thread] = []
    real = words

    def noted() -> tuple[str, ...]:
        threads.append(threading.current_thread())
        return real()

    monkeypatch.setattr(wakeword, "words", noted)
    assert (await load("alexa")).word == "alexa"
    assert threads
    assert threading.current_thread() not in threads


async def test_a_load_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    def hanging() -> tuple[str, ...]:
        release.wait(20)
        return ()

    monkeypatch.setattr(wakeword, "words", hanging)
    monkeypatch.setattr(wakeword, "LOAD_WITHIN_S", 0.05)
    try:
        with pytest.raises(ConfigError, match="did not load within"):
            await load("alexa")
    finally:
        release.set()


@pytest.mark.parametrize("call", [words, lambda: WakeWord("alexa")])
def test_without_the_library_it_says_what_to_install(
    call: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def absent(name: str, *args: object, **kwargs: object) -> object:
        if name.startswith("pymicro_wakeword"):
            raise ImportError("No module named 'pymicro_wakeword'")
        return real(name, *args, **kwargs)  # type: ignore[arg-type]  # handed on as they came

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(ConfigError, match=r"pip install 'kioskd\[wakeword\]'"):
        call()
