"""Detection of the kiosk's own sounds, in handmade sound."""

import numpy as np
import pytest

from kioskd.media import cues, pcm
from kioskd.rehearsal import sound_detection
from kioskd.rehearsal.event_log import LoggedEvent
from kioskd.rehearsal.fake_speaker import PlayedSound

START = 100.0
CHANCE = np.random.default_rng(1)


def heard(sound: bytes, at: float, *, beside: int = 0) -> PlayedSound:
    """Return three seconds with `sound` at the time `at`, and noise all the time."""
    track = CHANCE.normal(0, beside or 1e-9, 72_000)
    first = round(at * 24_000)
    track[first : first + len(sound) // 2] += np.frombuffer(sound, "<i2")
    whole = np.clip(track, -32768, 32767).astype("<i2").tobytes()
    result = PlayedSound()
    for number in range(300):
        result.add(
            whole[number * pcm.PERIOD_BYTES : (number + 1) * pcm.PERIOD_BYTES], START + number * pcm.PERIOD_S
        )
    return result


def chime(cue: cues.CueSound) -> LoggedEvent:
    return LoggedEvent(START + 1, "daemon", "Chime", {"cue": cue.value})


@pytest.mark.parametrize("cue", cues.CueSound)
def test_only_the_chime_that_sounds_is_detected(cue: cues.CueSound) -> None:
    sounding = heard(cues.sound(cue), 1.05, beside=300)
    assert [each for each in cues.CueSound if sound_detection.chimes([chime(each)], sounding)] == [cue]


def test_a_chime_is_not_counted_for_the_next_order() -> None:
    sounding = heard(cues.sound(cues.CueSound.UNMUTE), 1.45)
    orders = [chime(cues.CueSound.UNMUTE), LoggedEvent(START + 1.4, "daemon", "Chime", {"cue": "unmute"})]
    assert sound_detection.chimes(orders, sounding) == orders[1:]


def test_a_chime_is_detected_although_a_voice_begins() -> None:
    sound = np.frombuffer(cues.sound(cues.CueSound.WAKE), "<i2").astype(int)
    sound[-2000:] += CHANCE.normal(0, 3000, 2000).astype(int)
    sounding = heard(sound.astype("<i2").tobytes(), 0.95)
    assert sound_detection.chimes([chime(cues.CueSound.WAKE)], sounding) == [chime(cues.CueSound.WAKE)]


def test_no_chime_is_detected_in_a_voice_alone() -> None:
    voice = (CHANCE.normal(0, 3000, 24_000)).astype("<i2").tobytes()
    assert sound_detection.chimes([chime(cues.CueSound.WAKE)], heard(voice, 1.0)) == []


def test_a_prompt_is_heard_if_something_sounds_between_its_order_and_its_end() -> None:
    def steps(*entries: tuple[float, str]) -> list[LoggedEvent]:
        return [LoggedEvent(START + t, "daemon", what, {"code": "W1"}) for t, what in entries]

    speaking = heard(np.full(24_000, 3000, "<i2").tobytes(), 1.0)
    assert list(sound_detection.prompts(steps((1, "Prompt"), (2, "PromptOver")), speaking, START + 3)) == [
        (101.0, 102.0, "W1")
    ]
    assert list(sound_detection.prompts(steps((1, "Prompt"), (1.1, "HushPrompt")), speaking, START + 3)) == []
    assert list(sound_detection.prompts(steps((2.1, "Prompt")), speaking, START + 3)) == []
    assert len(list(sound_detection.prompts(steps((0.9, "Prompt")), speaking, START + 3))) == 1


def test_an_announcement_counts_if_it_sounds_and_no_one_stops_it() -> None:
    def steps(*entries: tuple[float, str]) -> list[LoggedEvent]:
        return [LoggedEvent(START + t, "daemon", what, {}) for t, what in entries]

    def found(*entries: tuple[float, str]) -> list[tuple[float, float]]:
        return list(sound_detection.announcements(steps(*entries), speaking, START + 3))

    speaking = heard(np.full(24_000, 3000, "<i2").tobytes(), 1.0)
    assert found((1, "Announce"), (2, "PromptOver")) == [(101.0, 102.0)]
    assert found((1, "Announce"), (1.9, "HushPrompt"), (2, "PromptOver")) == []
    assert found((2.1, "Announce"), (2.8, "PromptOver")) == []
    assert found((1, "Announce")) == []


def test_a_chime_lasts_as_long_as_its_sound() -> None:
    assert sound_detection.seconds_of("error") == pytest.approx(0.25)
