"""The wake word, with the real library and synthetic voices."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.room.sounds import DEBIAN, Samples, called, levelled, noise, people, to_pcm

from kioskd.adapters.wakeword import WakeWordDetector, words
from kioskd.errors import ConfigError
from kioskd.media import pcm

pymicro_wakeword = pytest.importorskip(
    "pymicro_wakeword", reason="the extra kioskd[wakeword] is not installed"
)

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
    ear = WakeWordDetector([word])
    assert heard(ear, quiet(1), said, quiet(2)) == 1
    assert heard(ear, said, quiet(2)) == 1


@says_it
@pytest.mark.parametrize("frame_bytes", [320, 642, 3200])
def test_sound_may_come_in_pieces_of_any_length(frame_bytes: int) -> None:
    said = called("Okay Nabu")
    assert heard(WakeWordDetector(["okay_nabu"]), quiet(1), said, quiet(2), frame_bytes=frame_bytes) == 1


@says_it
def test_after_a_reset_the_word_is_reported_again() -> None:
    said = called("Okay Nabu")
    ear = WakeWordDetector(["okay_nabu"])
    for _ in range(2):
        assert heard(ear, quiet(1), said, quiet(1)) == 1
        ear.reset()


@says_it
def test_a_reported_word_is_not_reported_again_after_a_reset() -> None:
    data = to_pcm(np.concatenate([quiet(1), called("Okay Nabu"), quiet(1)]))
    ear = WakeWordDetector(["okay_nabu"])
    assert any(ear.feed(data[at : at + pcm.FRAME_BYTES]) for at in range(0, len(data), pcm.FRAME_BYTES))
    ear.reset()
    assert heard(ear, quiet(2)) == 0


@says_it
def test_half_a_word_before_a_reset_is_not_a_word() -> None:
    said = called("Okay Nabu")
    ear = WakeWordDetector(["okay_nabu"])
    assert heard(ear, quiet(1), said[: len(said) // 2]) == 0
    ear.reset()
    assert heard(ear, quiet(2)) == 0


@says_it
def test_another_word_is_not_reported() -> None:
    said = called("Alexa. Hey Mycroft. Where is the exit, please?")
    assert heard(WakeWordDetector(["okay_nabu"]), quiet(1), said, quiet(2)) == 0


@pytest.mark.parametrize("word", ["alexa", "hey_jarvis", "hey_mycroft", "okay_nabu"])
def test_peoples_speech_does_not_wake_the_kiosk(word: str) -> None:
    if not people():
        pytest.skip(f"the recordings in {DEBIAN} are missing; run `apt install alsa-utils`")
    said = [levelled(one.samples, -23) for one in people()]
    assert heard(WakeWordDetector([word]), quiet(1), *said, quiet(1)) == 0


@pytest.mark.parametrize("kind", ["pink", "fan", "babble"])
def test_noise_does_not_wake_the_kiosk(kind: str) -> None:
    if kind == "babble" and not people():
        pytest.skip(f"the recordings in {DEBIAN} are missing; run `apt install alsa-utils`")
    sound = 10 ** (-36 / 20) * noise(kind, 30, np.random.default_rng(2))
    assert heard(WakeWordDetector(["okay_nabu"]), sound) == 0


@says_it
def test_two_words_are_listened_to_at_the_same_time() -> None:
    ear = WakeWordDetector(["okay_nabu", "alexa"])
    assert heard(ear, quiet(1), called("Alexa"), quiet(2)) == 1
    assert heard(ear, called("Okay Nabu"), quiet(2)) == 1
    assert heard(ear, called("Hey Mycroft"), quiet(2)) == 0


@says_it
def test_a_higher_sensitivity_hears_a_word_in_louder_noise() -> None:
    said = called("Alexa")
    found = {}
    for sensitivity in ("low", "normal", "high"):
        found[sensitivity] = 0
        for seed in range(8):
            noisy = noise("pink", len(said) / pcm.UPLINK_HZ + 3, np.random.default_rng(seed))
            sound = 10 ** (-22 / 20) * noisy
            sound[2 * pcm.UPLINK_HZ :][: len(said)] += levelled(said, -26)
            found[sensitivity] += heard(WakeWordDetector(["alexa"], sensitivity), sound)
    assert found["low"] < found["high"]
    assert found["low"] <= found["normal"] <= found["high"]


def own_word(folder: Path, change: Callable[[dict[str, Any]], None] = lambda _description: None) -> Path:
    """Return the path of an owner's model: the library's "alexa" under another name."""
    models = Path(pymicro_wakeword.__file__).parent / "models"
    description = json.loads((models / "alexa.json").read_text()) | {"model": "museum.tflite"}
    change(description)
    (folder / "museum.tflite").write_bytes((models / "alexa.tflite").read_bytes())
    path = folder / "museum.json"
    path.write_text(json.dumps(description))
    return path


@says_it
def test_a_model_of_the_owner_is_heard(tmp_path: Path) -> None:
    ear = WakeWordDetector(["okay_nabu", str(own_word(tmp_path))])
    assert heard(ear, quiet(1), called("Alexa"), quiet(2)) == 1


def without(*names: str) -> Callable[[dict[str, Any]], None]:
    def change(description: dict[str, Any]) -> None:
        *ways, last = names
        for way in ways:
            description = description[way]
        del description[last]

    return change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (without("micro"), "does not describe a microWakeWord model of version 2"),
        (without("model"), "has no model; use the .json file that belongs to the model"),
        (without("wake_word"), "has no wake_word"),
        (without("micro", "probability_cutoff"), "has no probability_cutoff"),
        (lambda it: it["micro"].update(probability_cutoff=1.5), "probability_cutoff must be between 0 and 1"),
        (
            lambda it: it["micro"].update(sliding_window_size="x"),
            "is no microWakeWord model that can be used",
        ),
        (lambda it: it.update(model="gone.tflite"), r"gone\.tflite cannot be read: No such file"),
    ],
)
def test_a_description_with_a_fault_is_rejected_with_the_fault(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        WakeWordDetector([str(own_word(tmp_path, change))])


@pytest.mark.parametrize("damaged", [b"", b"\0" * 5000, b"half"])
def test_a_damaged_model_is_rejected_and_does_not_end_the_process(tmp_path: Path, damaged: bytes) -> None:
    path = own_word(tmp_path)
    model = tmp_path / "museum.tflite"
    model.write_bytes(model.read_bytes()[:30_000] if damaged == b"half" else damaged)
    with pytest.raises(ConfigError, match=r"museum.tflite is damaged, or no TensorFlow Lite model"):
        WakeWordDetector([str(path)])


@pytest.mark.parametrize("text", ["", "[1]", "{", '{"micro": 1}', "[" * 20_000, " " * 200_000])
def test_a_file_that_is_no_description_is_rejected(tmp_path: Path, text: str) -> None:
    path = tmp_path / "museum.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"museum.json: (is no|does not describe a) microWakeWord model"):
        WakeWordDetector([str(path)])


def test_a_model_that_is_not_there_is_rejected() -> None:
    with pytest.raises(ConfigError, match=r"/nowhere/word.json cannot be read: No such file"):
        WakeWordDetector(["/nowhere/word.json"])


def test_the_words_of_the_library_can_be_listed() -> None:
    assert set(SAID_WELL) < set(words())


@says_it
@pytest.mark.parametrize("spelt", ["okay_nabu", "Okay Nabu", "okay-nabu"])
def test_a_word_may_be_spelt_in_several_ways(spelt: str) -> None:
    assert heard(WakeWordDetector([spelt]), quiet(1), called("Okay Nabu"), quiet(2)) == 1


def test_an_unknown_word_is_rejected_with_the_known_words() -> None:
    with pytest.raises(ConfigError, match=r"there is no such wake word; use one of alexa, .*okay_nabu"):
        WakeWordDetector(["open sesame"])


@pytest.mark.parametrize("call", [words, lambda: WakeWordDetector(["alexa"])])
def test_without_the_library_the_error_says_what_to_install(
    call: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pymicro_wakeword", None)  # None means "cannot be imported"
    with pytest.raises(ConfigError, match=r"run scripts/install.sh again"):
        call()
