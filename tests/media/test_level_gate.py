import timeit

import numpy as np
import pytest
from tests.room.sounds import DEBIAN, Samples, levelled, noise, people, to_pcm

from kioskd.media import pcm
from kioskd.media.level_gate import HOLD, KNOWN, SAMPLE, LevelGate

STEADY = ("pink", "fan", "white")
BUDGET_S = 0.0001
"""CPU time for a frame: thirty times the cost on a desktop."""


def frames(samples: Samples) -> list[bytes]:
    data = to_pcm(samples)
    return [
        data[at : at + pcm.FRAME_BYTES] for at in range(0, len(data) - pcm.FRAME_BYTES + 1, pcm.FRAME_BYTES)
    ]


def steady(kind: str, dbfs: float, seconds: float) -> Samples:
    return 10 ** (dbfs / 20) * noise(kind, seconds, np.random.default_rng(4))


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * pcm.UPLINK_HZ))


def opened(gate: LevelGate, samples: Samples) -> list[bool]:
    """Return for each frame whether the gate was open."""
    found = []
    for frame in frames(samples):
        gate.feed(frame)
        found.append(gate.open)
    return found


def looks(gate: LevelGate, samples: Samples) -> float:
    """Return the share of the frames that a detector looks at."""
    found = [gate.feed(frame) for frame in frames(samples)]
    return sum(found) / len(found)


def test_an_unknown_room_is_looked_at() -> None:
    assert all(opened(LevelGate(), silence(KNOWN * pcm.FRAME_S)))


@pytest.mark.parametrize("kind", STEADY)
@pytest.mark.parametrize("dbfs", [-75, -36])
def test_steady_noise_shuts_the_gate(kind: str, dbfs: float) -> None:
    gate = LevelGate()
    opened(gate, steady(kind, dbfs, 2))
    assert sum(opened(gate, steady(kind, dbfs, 30))) / 1500 <= 0.2


def test_silence_shuts_the_gate_for_all_but_a_few_frames() -> None:
    gate = LevelGate()
    opened(gate, silence(2))
    assert looks(gate, silence(10)) == 1 / SAMPLE


@pytest.mark.parametrize("kind", STEADY)
def test_a_machine_that_starts_is_soon_a_part_of_the_room(kind: str) -> None:
    gate = LevelGate()
    opened(gate, steady(kind, -60, 5))
    assert all(opened(gate, steady(kind, -40, 1)))
    opened(gate, steady(kind, -40, 14))
    assert looks(gate, steady(kind, -40, 10)) <= 0.4


def test_a_soft_voice_opens_the_gate_once_a_machine_has_stopped() -> None:
    if not people():
        pytest.skip(f"no recordings here: {DEBIAN} (Debian's alsa-utils)")
    gate = LevelGate()
    opened(gate, steady("pink", -30, 5))
    opened(gate, steady("pink", -60, 0.2))
    said = levelled(people()[0].samples, -50)
    assert any(opened(gate, said + steady("pink", -60, len(said) / pcm.UPLINK_HZ)))


@pytest.mark.parametrize("snr_db", [20, 10, 5])
@pytest.mark.parametrize("kind", STEADY)
def test_the_gate_is_open_at_each_first_word_in_a_noise(kind: str, snr_db: float) -> None:
    if not people():
        pytest.skip(f"no recordings here: {DEBIAN} (Debian's alsa-utils)")
    for one in people():
        gate = LevelGate()
        said = levelled(one.samples, -26)
        sound = steady(kind, -26 - snr_db, 3 + len(said) / pcm.UPLINK_HZ)
        sound[3 * pcm.UPLINK_HZ :][: len(said)] += said
        onset = 150 + round(one.onset_s / pcm.FRAME_S)
        assert any(opened(gate, sound)[onset : onset + 8]), one.name


def test_speech_from_the_first_frame_on_keeps_the_gate_open() -> None:
    if not people():
        pytest.skip(f"no recordings here: {DEBIAN} (Debian's alsa-utils)")
    talk = np.concatenate([levelled(one.samples, -26) for one in people()])
    assert sum(opened(LevelGate(), talk)) / (len(talk) / 320) >= 0.9


def test_the_gate_shuts_some_frames_after_a_sound() -> None:
    gate = LevelGate()
    opened(gate, silence(2))
    opened(gate, steady("white", -30, 0.1))
    after = opened(gate, silence(2))
    assert after[: HOLD - 1] == [True] * (HOLD - 1)
    assert not any(after[HOLD:])


def test_a_frame_costs_next_to_nothing() -> None:
    gate = LevelGate()
    heard = frames(steady("pink", -60, 4))
    rounds = timeit.repeat(lambda: [gate.feed(frame) for frame in heard], number=1, repeat=5)
    assert min(rounds) / len(heard) < BUDGET_S
