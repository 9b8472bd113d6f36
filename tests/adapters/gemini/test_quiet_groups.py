"""Frames of silence share messages; no frame of speech waits for another one."""

import itertools

import numpy as np
import pytest
from tests.room.sounds import Samples, Utterance, levelled, noise, people, to_pcm

from kioskd.adapters.gemini.quiet_groups import LONGEST, MOST, QuietGroups
from kioskd.media import pcm
from kioskd.media.level_gate import KNOWN

LOUD = to_pcm(0.1 * np.sin(np.arange(320)))
QUIET = bytes(pcm.FRAME_BYTES)


def frames(samples: Samples) -> list[bytes]:
    sound = to_pcm(samples)
    return [sound[at : at + pcm.FRAME_BYTES] for at in range(0, len(sound) - 639, pcm.FRAME_BYTES)]


def numbered(number: int) -> bytes:
    """Return a frame that differs from all others, and is as loud as most."""
    return (number + 10_000).to_bytes(2, "little") + bytes(pcm.FRAME_BYTES - 2)


def quiet_for_long() -> QuietGroups:
    """Return groups whose next frame of silence will wait."""
    groups = QuietGroups()
    sent = [groups.add(QUIET) for _ in range(KNOWN + LONGEST - 1)]
    assert sent == [((QUIET,),)] * len(sent)
    return groups


def test_the_first_frames_of_a_connection_are_sent_at_once() -> None:
    assert quiet_for_long().take() == ()


def test_silence_is_sent_in_groups() -> None:
    groups = quiet_for_long()
    sent = [groups.add(QUIET) for _ in range(2 * MOST)]
    full = ([QUIET] * MOST,)
    assert sent == [*[()] * (MOST - 1), full] * 2


def test_a_loud_frame_is_sent_at_once_behind_the_silence_before_it() -> None:
    groups = quiet_for_long()
    for _ in range(3):
        assert groups.add(QUIET) == ()
    assert groups.add(LOUD) == ([QUIET] * 3, (LOUD,))


def test_a_word_is_followed_by_seconds_without_a_group() -> None:
    groups = quiet_for_long()
    for _ in range(7):
        assert groups.add(LOUD) == ((LOUD,),)
    sent = [groups.add(QUIET) for _ in range(LONGEST)]
    assert sent == [*[((QUIET,),)] * (LONGEST - 1), ()]


def test_a_click_is_followed_by_one_frame_without_a_group() -> None:
    groups = quiet_for_long()
    groups.add(QUIET)
    groups.add(LOUD)
    assert [groups.add(QUIET) for _ in range(2)] == [((QUIET,),), ()]


def test_the_silence_that_waits_can_be_taken() -> None:
    groups = quiet_for_long()
    groups.add(QUIET)
    groups.add(QUIET)
    assert groups.take() == ([QUIET] * 2,)
    assert groups.take() == ()


def test_a_frame_of_another_length_never_waits() -> None:
    groups = quiet_for_long()
    groups.add(QUIET)
    assert groups.add(QUIET * 2) == ([QUIET], (QUIET * 2,))


def test_no_frame_is_dropped_or_moved() -> None:
    chance = np.random.default_rng(5)
    groups = QuietGroups()
    given: list[bytes] = []
    sent: list[bytes] = []
    for number in range(3000):
        frame = LOUD if chance.random() < 0.01 else numbered(number)
        given.append(frame)
        sent.extend(itertools.chain(*groups.add(frame)))
    assert [*sent, *itertools.chain(*groups.take())] == given


@pytest.mark.parametrize("kind", ["pink", "white"])
def test_steady_noise_takes_less_than_five_messages_a_second(kind: str) -> None:
    groups = QuietGroups()
    sound = frames(10 ** (-50 / 20) * noise(kind, 40, np.random.default_rng(4)))
    messages = [len(groups.add(frame)) for frame in sound][-30 * 50 :]
    assert sum(messages) / 30 < 5


@pytest.mark.parametrize("person", people(), ids=lambda person: person.name)
def test_speech_waits_for_nothing_after_its_first_sound(person: Utterance) -> None:
    lead = 5 * pcm.UPLINK_HZ
    speech = levelled(person.samples, -30)
    room = 10 ** (-60 / 20) * noise("pink", 5 + len(speech) / pcm.UPLINK_HZ, np.random.default_rng(3))
    room[lead : lead + len(speech)] += speech
    groups = QuietGroups()
    waited = [not groups.add(frame) for frame in frames(room)]
    begun = (lead + round(person.onset_s * pcm.UPLINK_HZ)) // 320
    assert any(waited[:begun])
    assert sum(waited[begun:]) <= 1, "the frame in which the first sound begins"
