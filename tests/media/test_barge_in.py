"""Interruptions by voice in the bench's rooms: canceller and detector without the daemon."""

import time
import timeit
from dataclasses import dataclass

import numpy as np
import pytest
from tests.room.acoustics import Acoustics
from tests.room.devices import FRAME_S
from tests.room.interruption import LEARNT_S, Kiosk, interrupted
from tests.room.sounds import DEBIAN, knock, levelled, people, to_pcm

from kioskd.media import pcm
from kioskd.media.barge_in import AGAIN, CLEARED, PROTECTED, SURE, BargeInDetector, BargeInVerdict

CARD_DB = -50.0

if not people():
    pytest.skip(f"no recordings here: {DEBIAN} (Debian's alsa-utils)", allow_module_level=True)


@pytest.mark.parametrize("seed", [31, 32])
@pytest.mark.parametrize("delay_s", [0.02, 0.12])
def test_a_visitor_who_speaks_into_the_reply_is_noticed(delay_s: float, seed: int) -> None:
    found = interrupted("cancel", Acoustics(-10, delay_s, 50e-6, 0.4, "pink", -75, seed), 8)
    assert sum(took is not None for took in found.sure_s) >= 7
    assert np.median([took for took in found.sure_s if took is not None]) <= 0.25


@pytest.mark.parametrize("coupling_db", [-20.0, -10.0, 0.0])
def test_the_kiosks_own_voice_does_not_interrupt_the_reply(coupling_db: float) -> None:
    kiosk = Kiosk("cancel", Acoustics(coupling_db, 0.06, -50e-6, 0.4, "pink", -75, seed=33))
    for _ in range(round(40 / FRAME_S)):
        kiosk.step()
    assert BargeInVerdict.SURE not in kiosk.told


@pytest.mark.parametrize("drift", [50e-6, 100e-6])
def test_a_reply_after_a_pause_does_not_interrupt_itself(drift: float) -> None:
    kiosk = Kiosk("cancel", Acoustics(-10, 0.2, drift, 0.6, "babble", -55, seed=2), pause_s=10)
    kiosk.converse(5)
    assert BargeInVerdict.SURE not in kiosk.told


@pytest.mark.parametrize("drift", [50e-6, 100e-6])
@pytest.mark.parametrize("delay_s", [0.04, 0.25])
def test_a_reply_from_a_speaker_that_was_opened_again_does_not_interrupt_itself(
    delay_s: float, drift: float
) -> None:
    kiosk = Kiosk("cancel", Acoustics(-10, 0.12, drift, 0.6, "babble", -55, seed=2), pause_s=10)
    kiosk.converse(2)
    kiosk.pause(5)
    kiosk.reopen(delay_s)
    kiosk.converse(3)
    assert BargeInVerdict.SURE not in kiosk.told


def test_a_visitor_is_noticed_in_the_second_conversation_as_in_the_first() -> None:
    kiosk = Kiosk("cancel", Acoustics(-10, 0.12, 50e-6, 0.4, "pink", -75, seed=37), pause_s=60)
    kiosk.converse(2)
    kiosk.pause(50)
    while not kiosk.speaks:
        kiosk.step()
    kiosk.pause(1.0)
    assert not kiosk.half_duplex
    kiosk.room.say(levelled(people()[0].samples, -26))
    kiosk.pause(people()[0].onset_s + 0.5)
    assert kiosk.told.count(BargeInVerdict.SURE) == 1


@pytest.mark.parametrize("card_db", [CARD_DB, -40.0, -35.0])
def test_the_residue_of_a_card_does_not_interrupt_the_reply(card_db: float) -> None:
    kiosk = Kiosk("hardware", Acoustics(card_db, 0.06, 0.0, 0.4, "pink", -75, seed=34))
    for _ in range(round(60 / FRAME_S)):
        kiosk.step()
    assert BargeInVerdict.SURE not in kiosk.told


@pytest.mark.parametrize("card_db", [CARD_DB, -40.0])
def test_a_visitor_is_noticed_behind_a_card_that_cancels_echo(card_db: float) -> None:
    found = interrupted("hardware", Acoustics(card_db, 0.06, 0.0, 0.4, "pink", -75, seed=35), 8)
    assert sum(took is not None for took in found.sure_s) >= 7
    assert np.median([took for took in found.sure_s if took is not None]) <= 0.3


def test_most_knocks_do_not_interrupt_the_reply() -> None:
    chance = np.random.default_rng(36)
    kiosk = Kiosk("cancel", Acoustics(-10, 0.06, 0.0, 0.4, "pink", -75, seed=36))
    kiosk.pause(LEARNT_S)
    knocks = 30
    for _ in range(knocks):
        kiosk.room.say(10 ** (chance.uniform(-24, -6) / 20) * knock(chance))
        kiosk.pause(2.0)
    assert kiosk.told.count(BargeInVerdict.SURE) <= knocks // 3


def test_speech_before_the_reply_does_not_interrupt_it() -> None:
    detector = BargeInDetector()
    assert told(detector, speech(), own_voice=False) == []


def test_a_frame_costs_almost_nothing_while_no_reply_sounds() -> None:
    detector = BargeInDetector()
    voice = speech() * 4

    def cost_s(*, own_voice: bool) -> float:
        def listen() -> None:
            told(detector, voice, own_voice=own_voice)

        return min(timeit.repeat(listen, time.thread_time, repeat=5, number=1))

    assert cost_s(own_voice=False) < cost_s(own_voice=True) / 4


def test_the_end_of_the_reply_clears_a_suspicion() -> None:
    detector = BargeInDetector()
    voice = speech()
    told(detector, quiet(PROTECTED), own_voice=True)
    for frame in voice:
        if detector.feed(frame, own_voice=True) is BargeInVerdict.SUSPECTED:
            break
    assert detector.feed(voice[0], own_voice=False) is BargeInVerdict.CLEARED
    assert detector.feed(voice[0], own_voice=False) is None


def test_the_detector_suspects_first_and_is_sure_once() -> None:
    detector = BargeInDetector()
    told(detector, quiet(PROTECTED), own_voice=True)
    assert told(detector, speech(), own_voice=True) == [BargeInVerdict.SUSPECTED, BargeInVerdict.SURE]


def test_a_reset_clears_a_suspicion() -> None:
    canceller = Signs()
    detector = BargeInDetector(canceller)
    canceller.visitor = True
    assert detector.feed(bytes(pcm.FRAME_BYTES)) is BargeInVerdict.SUSPECTED
    detector.reset()
    assert [detector.feed(bytes(pcm.FRAME_BYTES)) for _ in range(SURE)] == [
        BargeInVerdict.SUSPECTED,
        None,
        BargeInVerdict.SURE,
    ]


def test_speech_after_a_pause_is_another_interruption() -> None:
    detector = BargeInDetector()
    told(detector, quiet(PROTECTED), own_voice=True)
    told(detector, speech(), own_voice=True)
    told(detector, quiet(AGAIN + 10), own_voice=True)
    assert told(detector, speech(), own_voice=True) == [BargeInVerdict.SUSPECTED, BargeInVerdict.SURE]


@dataclass
class Signs:
    """A canceller whose signs the test sets."""

    visitor: bool = False


@pytest.mark.parametrize("signs", range(1, SURE))
def test_too_few_signs_are_cleared(signs: int) -> None:
    canceller = Signs()
    detector = BargeInDetector(canceller)
    seen = []
    for number in range(SURE + CLEARED):
        canceller.visitor = number < signs
        seen.append(detector.feed(bytes(pcm.FRAME_BYTES), own_voice=True))
    assert [one for one in seen if one is not None] == [BargeInVerdict.SUSPECTED, BargeInVerdict.CLEARED]
    assert seen[signs - 1 + CLEARED] is BargeInVerdict.CLEARED


@pytest.mark.parametrize("start", [0, 7, 40])
def test_the_first_half_second_of_each_reply_is_not_interrupted(start: int) -> None:
    detector = BargeInDetector()
    told(detector, quiet(start), own_voice=False)
    assert told(detector, speech()[: PROTECTED - 1], own_voice=True) == []


def speech() -> list[bytes]:
    """Return the first second of a sentence, from its onset, without a room."""
    one = people()[0]
    begun = levelled(one.samples, -23)[round(one.onset_s * pcm.UPLINK_HZ) :][: pcm.UPLINK_HZ]
    return frames(to_pcm(begun))


def quiet(count: int) -> list[bytes]:
    chance = np.random.default_rng(1)
    return frames(to_pcm(1e-4 * chance.standard_normal(count * pcm.FRAME_BYTES // 2)))


def frames(data: bytes) -> list[bytes]:
    return [
        data[at : at + pcm.FRAME_BYTES] for at in range(0, len(data) - pcm.FRAME_BYTES + 1, pcm.FRAME_BYTES)
    ]


def told(detector: BargeInDetector, sound: list[bytes], *, own_voice: bool) -> list[BargeInVerdict]:
    return [one for frame in sound if (one := detector.feed(frame, own_voice)) is not None]
