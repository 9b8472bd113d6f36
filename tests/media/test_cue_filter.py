import itertools

import numpy as np
import pytest
from tests.room import sounds
from tests.room.acoustics import Acoustics, Air, responses
from tests.room.sounds import Samples

from kioskd.media import cues, pcm
from kioskd.media.cue_filter import TAIL_S, CueFilter, CueNotch, frames_to_expect
from kioskd.media.cues import CueSound

BLOCK = pcm.UPLINK_HZ * pcm.FRAME_MS // 1000

ROOMS = [
    Acoustics(coupling_db=coupling, ringing_s=ringing, drift=drift, delay_s=delay)
    for coupling, ringing, drift, delay in (
        (-10, 0.2, 50e-6, 0.06),
        (-10, 0.4, -50e-6, 0.0637),
        (0, 0.4, 50e-6, 0.2),
        (-20, 0.8, 50e-6, 0.0712),
    )
]


def heard(cue: CueSound, acoustics: Acoustics, seconds: float = 1.5) -> Samples:
    """Return the sound at the microphone, 16 kHz, of a cue that is played at once."""
    block = pcm.DOWNLINK_HZ * pcm.FRAME_MS // 1000
    played = np.zeros(round(seconds * 1000 / pcm.FRAME_MS) * block)
    sound = sounds.from_pcm(cues.sound(cue))
    played[: len(sound)] = sound
    air = Air(acoustics, responses(acoustics)[0], BLOCK)
    return np.concatenate([air.carry(played[at : at + block]) for at in range(0, len(played), block)])


def frames(samples: Samples) -> list[bytes]:
    data = sounds.to_pcm(samples)
    return [
        data[at : at + pcm.FRAME_BYTES] for at in range(0, len(data) - pcm.FRAME_BYTES + 1, pcm.FRAME_BYTES)
    ]


def cleaned(notch: CueNotch | CueFilter, samples: Samples) -> Samples:
    return sounds.from_pcm(b"".join(notch.clean(frame) for frame in frames(samples)))


def spoken() -> Samples:
    """Return all the recordings as one: the likeness of a single word depends on its first sounds."""
    return np.concatenate([person.samples for person in sounds.people()])


def loss_db(before: Samples, after: Samples) -> float:
    return float(10 * np.log10(np.sum(before[: len(after)] ** 2) / np.sum(after**2)))


@pytest.mark.parametrize("acoustics", ROOMS, ids=str)
@pytest.mark.parametrize("cue", CueSound)
def test_a_cue_loses_35_db_in_a_room(cue: CueSound, acoustics: Acoustics) -> None:
    # The echo has the level of a cue close by, so that rounding to 16 bits does not matter.
    echo = heard(cue, acoustics) * 10 ** (-acoustics.coupling_db / 20)
    assert loss_db(echo, cleaned(CueNotch(cues.frequencies(cue)), echo)) > 35.0


@pytest.mark.parametrize("cue", CueSound)
def test_speech_keeps_nearly_all_of_its_energy_and_its_likeness(cue: CueSound) -> None:
    speech = spoken()
    after = cleaned(CueNotch(cues.frequencies(cue)), speech)
    assert loss_db(speech, after) < 1.0
    assert sounds.likeness(speech, after) > 0.88


def test_the_wake_cues_filter_takes_almost_nothing_from_speech() -> None:
    speech = spoken()
    after = cleaned(CueNotch(cues.frequencies(CueSound.WAKE)), speech)
    assert loss_db(speech, after) < 0.3
    assert sounds.likeness(speech, after) > 0.93


@pytest.mark.parametrize("acoustics", ROOMS, ids=str)
def test_speech_into_a_cue_comes_out_as_speech_without_it(acoustics: Acoustics) -> None:
    echo = heard(CueSound.WAKE, acoustics)
    speech = sounds.levelled(spoken(), -30)[: len(echo)]
    echo = echo[: len(speech)]
    cue_filter = CueFilter()
    cue_filter.expect(CueSound.WAKE, len(frames(echo)))
    after = cleaned(cue_filter, speech + echo)
    assert sounds.likeness(speech, after) > 0.92


def test_overtones_that_a_loudspeaker_adds_are_taken_out_too() -> None:
    times = np.arange(BLOCK * 20) / pcm.UPLINK_HZ
    pitch, second, third = (np.sin(2 * np.pi * 880 * number * times) for number in (1, 2, 3))
    distorted = 0.2 * pitch + 0.02 * second + 0.02 * third
    assert loss_db(distorted, cleaned(CueNotch([880.0]), distorted)) > 60.0


def test_sound_without_the_pitches_passes_unchanged() -> None:
    times = np.arange(BLOCK * 20) / pcm.UPLINK_HZ
    other = np.sin(2 * np.pi * 250 * times) * 0.3
    assert abs(loss_db(other, cleaned(CueNotch([880.0, 1320.0]), other))) < 0.1


def test_a_frame_at_full_scale_does_not_wrap() -> None:
    square = np.where(np.arange(BLOCK) % 100 < 50, 32767, -32768)
    after = np.frombuffer(CueNotch([320.0]).clean(square.astype("<i2").tobytes()), "<i2").astype(float)
    assert np.all(after[:40] > -20_000)


def test_a_frame_of_another_length_is_rejected() -> None:
    with pytest.raises(ValueError, match="size"):
        CueNotch([880.0]).clean(bytes(100))


def test_a_filter_that_expects_no_cue_returns_the_same_frame() -> None:
    frame = frames(sounds.people()[0].samples)[0]
    assert CueFilter().clean(frame) is frame


def test_a_filter_cleans_the_expected_number_of_frames() -> None:
    cue_filter = CueFilter()
    frame = frames(sounds.people()[0].samples)[20]
    cue_filter.expect(CueSound.WAKE, 2)
    cue_filter.expect(CueSound.WAKE, 1)
    assert cue_filter.clean(frame) != frame
    assert cue_filter.armed
    assert cue_filter.clean(frame) != frame
    assert not cue_filter.armed
    assert cue_filter.clean(frame) is frame


def test_a_cue_of_zero_frames_does_not_arm_the_filter() -> None:
    cue_filter = CueFilter()
    cue_filter.expect(CueSound.WAKE, 0)
    assert not cue_filter.armed


@pytest.mark.parametrize(
    ("one", "other"), list(itertools.combinations((CueSound.WAKE, CueSound.MUTE, CueSound.ERROR), 2))
)
def test_the_filter_takes_out_two_cues_at_once(one: CueSound, other: CueSound) -> None:
    both = heard(one, ROOMS[0]) + heard(other, ROOMS[0])
    cue_filter = CueFilter()
    for cue in (one, other):
        cue_filter.expect(cue, len(frames(both)))
    assert loss_db(both, cleaned(cue_filter, both)) > 33.0


@pytest.mark.parametrize("acoustics", ROOMS, ids=str)
def test_the_expected_frames_hold_the_whole_cue(acoustics: Acoustics) -> None:
    echo = heard(CueSound.WAKE, acoustics)
    cue_filter = CueFilter()
    cue_filter.expect(CueSound.WAKE, frames_to_expect(CueSound.WAKE, latency_s=acoustics.delay_s))
    assert (
        loss_db(echo, cleaned(cue_filter, echo)) > 20.0
    )  # a room that rings for 0.8 s goes on after the tail
    assert (
        frames_to_expect(CueSound.WAKE, 0.0)
        >= (cues.duration_s(CueSound.WAKE) + TAIL_S) * 1000 / pcm.FRAME_MS
    )
