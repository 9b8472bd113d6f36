import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kioskd.media import pcm
from kioskd.media.mix import FADE_MS
from kioskd.media.playout import (
    DUCK_DB,
    DUCK_MS,
    UNDUCK_MS,
    Playout,
    PlayoutMark,
    PromptFinished,
    clamp,
    gain,
)
from kioskd.media.reply_queue import Played, Sounded

PERIOD = 480
"""10 ms."""


class Rig:
    """A playout, and the marks that it has set."""

    def __init__(self, volume: int = 100, bound_s: float = 300.0) -> None:
        self.marks: list[PlayoutMark] = []
        self.playout = Playout(self.marks.append, volume=volume, bound_s=bound_s)

    def pull(self, byte_count: int = PERIOD) -> bytes:
        data = self.playout.pull(byte_count)
        assert len(data) == byte_count
        return data


def tone(byte_count: int, level: int = 12_000) -> bytes:
    return np.full(byte_count // 2, level, dtype=np.int16).tobytes()


def count_up(byte_count: int) -> bytes:
    return np.arange(1, byte_count // 2 + 1, dtype=np.int16).tobytes()


def test_an_empty_playout_gives_silence() -> None:
    rig = Rig()
    assert rig.pull() == bytes(PERIOD)
    assert rig.pull(6) == bytes(6)
    assert rig.marks == []
    assert rig.playout.starved_bytes == 0


def test_silence_is_always_the_same_object() -> None:
    rig = Rig()
    assert rig.pull() is rig.pull()


def test_a_playout_is_silent_unless_something_waits_or_is_not_over() -> None:
    rig = Rig()
    assert rig.playout.silent
    rig.playout.add(0, tone(PERIOD))
    assert not rig.playout.silent
    rig.pull()
    assert not rig.playout.silent, "more of the reply may come"
    rig.playout.end(0)
    rig.pull()
    assert rig.playout.silent
    for begin, end in (
        (lambda: rig.playout.play_cue(tone(PERIOD)), lambda: None),
        (lambda: rig.playout.say(tone(2 * PERIOD)), rig.playout.hush),
        (lambda: rig.playout.flush(5), lambda: None),
    ):
        begin()
        assert not rig.playout.silent
        end()
        rig.pull()
        assert rig.playout.silent


def test_a_volume_that_changed_in_silence_holds_from_the_first_sample_on() -> None:
    rig = Rig(volume=100)
    rig.pull()
    rig.playout.volume = 0
    rig.pull()
    rig.playout.add(0, tone(PERIOD))
    assert not any(rig.pull())


def test_a_reply_that_was_ducked_in_silence_begins_ducked() -> None:
    rig = Rig()
    rig.playout.duck(on=True)
    rig.pull()
    rig.playout.add(0, tone(PERIOD))
    assert np.frombuffer(rig.pull(), np.int16).max() < 12_000 / 3


def test_pieces_of_any_length_come_out_as_one_stream() -> None:
    rig = Rig()
    speech = count_up(3 * PERIOD)
    for start in range(0, len(speech), 100):
        rig.playout.add(0, speech[start : start + 100])
    assert b"".join(rig.pull() for _ in range(3)) == speech


def test_full_volume_leaves_a_whole_period_unchanged() -> None:
    rig = Rig()
    speech = count_up(PERIOD)
    rig.playout.add(0, speech)
    assert rig.pull() == speech


def test_a_piece_that_cuts_a_sample_shifts_nothing() -> None:
    rig = Rig()
    speech = count_up(PERIOD)
    rig.playout.add(0, speech[:101])
    rig.playout.add(0, b"")
    rig.playout.add(0, speech[101:])
    assert rig.pull() == speech


def test_half_a_sample_of_one_reply_is_not_glued_to_the_next() -> None:
    rig = Rig()
    rig.playout.add(0, tone(10) + b"\x01")
    rig.playout.add(1, count_up(20))
    assert rig.pull()[:30] == tone(10) + count_up(20)


def test_a_reply_sounds_with_its_first_sample_and_is_played_with_its_last() -> None:
    rig = Rig()
    rig.playout.add(7, tone(PERIOD + 2))
    rig.playout.end(7)
    assert rig.marks == []
    rig.pull()
    assert rig.marks == [Sounded(7)]
    rig.pull()
    assert rig.marks == [Sounded(7), Played(7)]
    rig.pull()
    assert rig.marks == [Sounded(7), Played(7)]


def test_an_end_right_behind_the_last_sample_is_reported_by_the_same_pull() -> None:
    rig = Rig()
    rig.playout.add(0, tone(PERIOD))
    rig.playout.end(0)
    rig.pull()
    assert rig.marks == [Sounded(0), Played(0)]


def test_a_reply_is_not_over_before_its_end_comes() -> None:
    rig = Rig()
    rig.playout.add(0, tone(PERIOD))
    rig.pull()
    rig.pull()
    assert rig.marks == [Sounded(0)]
    rig.playout.end(0)
    rig.pull()
    assert rig.marks == [Sounded(0), Played(0)]


def test_a_reply_without_audio_is_played_at_once() -> None:
    rig = Rig()
    rig.playout.end(3)
    rig.pull()
    assert rig.marks == [Played(3)]


def test_two_replies_follow_each_other_without_a_gap() -> None:
    rig = Rig()
    rig.playout.add(0, tone(100, 1000))
    rig.playout.end(0)
    rig.playout.add(1, tone(380, 2000))
    rig.playout.end(1)
    assert rig.pull() == tone(100, 1000) + tone(380, 2000)
    assert rig.marks == [Sounded(0), Played(0), Sounded(1), Played(1)]


def test_a_reply_whose_end_never_came_is_over_when_the_next_begins() -> None:
    rig = Rig()
    rig.playout.add(0, tone(100))
    rig.playout.add(1, tone(100))
    rig.playout.end(0)
    rig.pull()
    assert rig.marks == [Sounded(0), Played(0), Sounded(1)]


def test_late_audio_in_the_middle_of_a_reply_is_counted_as_starving() -> None:
    rig = Rig()
    rig.playout.add(0, tone(100))
    assert rig.pull() == tone(100) + bytes(PERIOD - 100)
    rig.pull()
    assert rig.playout.starved_bytes == PERIOD - 100 + PERIOD
    rig.playout.end(0)
    rig.pull()
    assert rig.playout.starved_bytes == 2 * PERIOD - 100


def test_a_flush_fades_the_present_sound_and_drops_the_rest() -> None:
    rig = Rig()
    rig.playout.add(0, tone(10 * PERIOD))
    rig.playout.end(0)
    rig.pull()
    rig.playout.flush(0)
    faded = np.frombuffer(rig.pull(), dtype=np.int16)
    fade = pcm.DOWNLINK_HZ * FADE_MS // 1000
    assert faded[0] == 12_000
    assert (np.diff(faded[:fade]) < 0).all()
    assert not faded[fade - 1 :].any()
    assert rig.marks == [Sounded(0), Played(0)]
    assert rig.pull() == bytes(PERIOD)
    assert rig.playout.queued_s == 0.0


def test_a_flush_fades_from_the_present_volume() -> None:
    rig = Rig(volume=50)
    rig.playout.add(0, tone(10 * PERIOD))
    before = np.frombuffer(rig.pull(), dtype=np.int16)
    rig.playout.flush(0)
    faded = np.frombuffer(rig.pull(), dtype=np.int16)
    assert faded[0] == before[-1] == round(12_000 * gain(50))


def test_a_flush_of_unheard_replies_is_silent_and_ends_them() -> None:
    rig = Rig()
    rig.playout.add(0, tone(PERIOD))
    rig.playout.add(1, tone(PERIOD))
    rig.playout.end(1)
    rig.playout.flush(1)
    assert rig.pull() == bytes(PERIOD)
    assert rig.marks == [Played(0), Played(1)]


def test_a_flush_leaves_later_replies_whole() -> None:
    rig = Rig()
    rig.playout.add(0, tone(PERIOD))
    rig.playout.flush(0)
    rig.playout.add(1, tone(PERIOD, 500))
    assert rig.pull() == tone(PERIOD, 500)
    assert rig.marks == [Played(0), Sounded(1)]


def test_late_audio_of_a_flushed_reply_is_dropped() -> None:
    rig = Rig()
    rig.playout.add(0, tone(PERIOD))
    rig.pull()
    rig.playout.flush(0)
    rig.playout.add(0, tone(PERIOD))
    rig.playout.end(0)
    rig.pull()
    assert rig.pull() == bytes(PERIOD)
    assert rig.marks == [Sounded(0), Played(0)]


def test_a_flush_ends_a_reply_that_waits_for_more() -> None:
    rig = Rig()
    rig.playout.add(0, tone(PERIOD))
    rig.pull()
    rig.pull()
    rig.playout.flush(0)
    assert rig.pull() == bytes(PERIOD)
    assert rig.marks == [Sounded(0), Played(0)]


def test_a_flush_of_a_finished_reply_does_nothing() -> None:
    rig = Rig()
    rig.playout.add(0, tone(PERIOD))
    rig.playout.end(0)
    rig.pull()
    rig.playout.flush(0)
    rig.playout.flush(0)
    rig.pull()
    assert rig.marks == [Sounded(0), Played(0)]


def test_audio_beyond_the_bound_is_dropped_and_counted() -> None:
    rig = Rig(bound_s=0.01)
    rig.playout.add(0, count_up(PERIOD + 100))
    rig.playout.add(0, tone(PERIOD))
    rig.playout.end(0)
    assert rig.playout.dropped_bytes == 100 + PERIOD
    assert rig.playout.queued_s == 0.01
    assert rig.pull() == count_up(PERIOD)
    assert rig.marks == [Sounded(0), Played(0)]


def test_a_flush_ends_a_reply_that_found_no_room() -> None:
    rig = Rig(bound_s=0.01)
    rig.playout.add(0, tone(PERIOD))
    rig.playout.add(1, tone(PERIOD))
    rig.playout.flush(1)
    rig.pull()
    assert rig.marks == [Played(0), Played(1)]


def test_volume_steps_are_even_in_decibels() -> None:
    decibels = [20 * np.log10(gain(volume)) for volume in range(1, 101)]
    assert decibels[0] == pytest.approx(-40.0)
    assert decibels[-1] == 0.0
    assert np.diff(decibels) == pytest.approx(40 / 99)
    assert gain(0) == 0.0


def test_volume_acts_on_the_next_pull_without_a_step() -> None:
    rig = Rig()
    rig.playout.add(0, tone(4 * PERIOD))
    rig.pull()
    rig.playout.volume = 0
    turning = np.frombuffer(rig.pull(), dtype=np.int16)
    assert turning[0] == 12_000
    assert turning[-1] == 0
    assert (np.diff(turning) < 0).all()
    assert rig.pull() == bytes(PERIOD)


def test_pulled_counts_every_byte_silence_included() -> None:
    rig = Rig()
    rig.pull()
    rig.playout.add(0, tone(PERIOD))
    rig.pull(960)
    assert rig.playout.pulled == PERIOD + 960


def test_a_volume_outside_the_owners_range_is_limited_to_it() -> None:
    assert [clamp(volume, 20, 80) for volume in (0, 20, 50, 80, 100)] == [20, 20, 50, 80, 80]


# Cues.


def test_a_cue_is_heard_alone() -> None:
    rig = Rig()
    assert rig.playout.play_cue(count_up(PERIOD + 100)) == 0
    assert rig.pull() + rig.pull() == count_up(PERIOD + 100) + bytes(PERIOD - 100)
    assert rig.pull() == bytes(PERIOD)
    assert rig.marks == []
    assert rig.playout.starved_bytes == 0


def test_a_cue_is_heard_over_a_reply_without_disturbing_it() -> None:
    rig = Rig()
    rig.playout.add(0, tone(3 * PERIOD, 1000))
    rig.playout.end(0)
    rig.pull()
    rig.playout.play_cue(tone(PERIOD // 2, 200))
    assert rig.pull() == tone(PERIOD // 2, 1200) + tone(PERIOD // 2, 1000)
    assert rig.pull() == tone(PERIOD, 1000)
    assert rig.marks == [Sounded(0), Played(0)]


def test_a_cue_goes_on_after_the_end_of_a_reply() -> None:
    rig = Rig()
    rig.playout.add(0, tone(100, 1000))
    rig.playout.end(0)
    rig.playout.play_cue(tone(PERIOD, 200))
    assert rig.pull() == tone(100, 1200) + tone(PERIOD - 100, 200)


@pytest.mark.parametrize(("reply", "cue", "sum_"), [(30_000, 9000, 32_767), (-30_000, -9000, -32_768)])
def test_a_cue_over_a_loud_reply_is_clipped_and_does_not_wrap(reply: int, cue: int, sum_: int) -> None:
    rig = Rig()
    rig.playout.add(0, tone(PERIOD, reply))
    rig.playout.play_cue(tone(PERIOD, cue))
    assert rig.pull() == tone(PERIOD, sum_)


def test_a_cue_obeys_the_volume() -> None:
    rig = Rig(volume=50)
    rig.playout.play_cue(tone(PERIOD))
    assert np.frombuffer(rig.pull(), np.int16) == pytest.approx(12_000 * gain(50), abs=1)


def test_the_newest_cue_wins_and_the_other_fades() -> None:
    rig = Rig()
    rig.playout.play_cue(tone(10 * PERIOD))
    rig.pull()
    assert rig.playout.play_cue(bytes(PERIOD)) == 1
    faded = np.frombuffer(rig.pull(), np.int16)
    fade = pcm.DOWNLINK_HZ * FADE_MS // 1000
    assert faded[0] == 12_000
    assert (np.diff(faded[:fade]) < 0).all()
    assert not faded[fade - 1 :].any()
    assert rig.pull() == bytes(PERIOD)


def test_a_cue_that_is_replaced_before_the_next_pull_is_not_heard() -> None:
    rig = Rig()
    for _ in range(3):
        rig.playout.play_cue(tone(PERIOD, 500))
    assert rig.pull() == tone(PERIOD, 500)
    assert rig.pull() == bytes(PERIOD)


def test_an_empty_cue_is_over_at_once() -> None:
    rig = Rig()
    rig.playout.play_cue(b"")
    assert rig.pull() == bytes(PERIOD)
    assert rig.marks == []


def test_a_flush_leaves_a_cue_whole() -> None:
    rig = Rig()
    rig.playout.add(0, tone(PERIOD))
    rig.playout.play_cue(tone(PERIOD, 500))
    rig.playout.flush(0)
    assert rig.pull() == tone(PERIOD, 500)
    assert rig.marks == [Played(0)]


# Prompts.


def test_a_prompt_is_heard_and_its_end_is_reported() -> None:
    rig = Rig()
    assert rig.playout.say(count_up(PERIOD + 100)) == 0
    assert rig.pull() == count_up(PERIOD + 100)[:PERIOD]
    assert rig.marks == []
    assert rig.pull() == count_up(PERIOD + 100)[PERIOD:] + bytes(PERIOD - 100)
    assert rig.marks == [PromptFinished(0)]


def test_a_prompt_waits_for_the_reply_that_sounds() -> None:
    rig = Rig()
    rig.playout.add(0, tone(2 * PERIOD, 1000))
    rig.playout.end(0)
    rig.playout.say(tone(PERIOD, 500))
    assert [rig.pull(), rig.pull(), rig.pull()] == [tone(PERIOD, 1000), tone(PERIOD, 1000), tone(PERIOD, 500)]
    assert rig.marks == [Sounded(0), Played(0), PromptFinished(0)]


def test_a_prompt_does_not_wait_for_a_reply_that_gets_no_audio() -> None:
    rig = Rig()
    rig.playout.add(0, tone(PERIOD, 1000))
    rig.pull()
    rig.playout.say(tone(PERIOD, 500))
    assert rig.pull() == tone(PERIOD, 500)


def test_a_reply_waits_for_the_prompt_that_sounds() -> None:
    rig = Rig()
    rig.playout.say(tone(2 * PERIOD, 500))
    rig.pull()
    rig.playout.add(0, tone(PERIOD, 1000))
    rig.playout.end(0)
    assert rig.pull() == tone(PERIOD, 500)
    assert rig.marks == [PromptFinished(0)]
    assert rig.pull() == tone(PERIOD, 1000)
    assert rig.marks == [PromptFinished(0), Sounded(0), Played(0)]


def test_a_hushed_prompt_fades_and_the_reply_goes_on() -> None:
    rig = Rig()
    rig.playout.say(tone(10 * PERIOD))
    rig.pull()
    rig.playout.add(0, tone(PERIOD, 1000))
    rig.playout.hush()
    faded = np.frombuffer(rig.pull(), np.int16)
    fade = pcm.DOWNLINK_HZ * FADE_MS // 1000
    assert faded[0] == 12_000
    assert (np.diff(faded[:fade]) < 0).all()
    assert not faded[fade - 1 :].any()
    assert rig.marks == [PromptFinished(0)]
    assert rig.pull() == tone(PERIOD, 1000)


def test_a_prompt_that_is_hushed_while_it_waits_is_over_without_a_sound() -> None:
    rig = Rig()
    rig.playout.add(0, tone(3 * PERIOD, 1000))
    rig.playout.say(tone(PERIOD, 500))
    rig.pull()
    rig.playout.hush()
    assert rig.pull() == tone(PERIOD, 1000)
    assert rig.marks == [Sounded(0), PromptFinished(0)]
    assert rig.pull() == tone(PERIOD, 1000)


def test_a_hush_without_a_prompt_does_nothing() -> None:
    rig = Rig()
    rig.playout.hush()
    assert rig.pull() == bytes(PERIOD)
    assert rig.marks == []


def test_a_prompt_replaces_the_one_before_it() -> None:
    rig = Rig()
    rig.playout.say(tone(10 * PERIOD))
    rig.pull()
    assert rig.playout.say(tone(PERIOD, 500)) == 1
    assert rig.pull()[200:] == tone(PERIOD - 200, 500)
    assert rig.marks == [PromptFinished(0), PromptFinished(1)]


def test_a_reply_flushed_during_a_prompt_is_not_heard() -> None:
    rig = Rig()
    rig.playout.add(0, tone(PERIOD))
    rig.pull()
    rig.playout.say(tone(3 * PERIOD, 500))
    rig.pull()
    rig.playout.add(0, tone(PERIOD))
    rig.playout.flush(0)
    assert rig.pull() == tone(PERIOD, 500)
    assert rig.marks == [Sounded(0), Played(0)]


def test_a_cue_is_heard_over_a_prompt() -> None:
    rig = Rig()
    rig.playout.say(tone(PERIOD, 500))
    rig.playout.play_cue(tone(PERIOD, 200))
    assert rig.pull() == tone(PERIOD, 700)


# Ducking.


def levels(rig: Rig, periods: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.frombuffer(b"".join(rig.pull() for _ in range(periods)), np.int16) / 12_000


def test_a_ducked_reply_is_12_db_down_within_10_ms_without_a_step() -> None:
    rig = Rig()
    rig.playout.add(0, tone(50 * PERIOD))
    rig.pull()
    rig.playout.duck(True)
    way = levels(rig, 5)
    down = pcm.DOWNLINK_HZ * DUCK_MS // 1000
    assert way[0] == pytest.approx(1.0, abs=0.01)
    assert way[down:] == pytest.approx(10 ** (DUCK_DB / 20), abs=1e-4)
    assert np.abs(np.diff(way)).max() < 0.005


def test_a_reply_comes_back_within_100_ms_without_a_step() -> None:
    rig = Rig()
    rig.playout.add(0, tone(50 * PERIOD))
    rig.playout.duck(True)
    levels(rig, 5)
    rig.playout.duck(False)
    way = levels(rig, 15)
    up = pcm.DOWNLINK_HZ * UNDUCK_MS // 1000
    assert way[up // 2] == pytest.approx((1 + 10 ** (DUCK_DB / 20)) / 2, abs=0.01)
    assert (way[up:] == 1.0).all()
    assert np.abs(np.diff(way)).max() < 0.001


def test_ducking_turned_back_half_way_makes_no_step() -> None:
    rig = Rig()
    rig.playout.add(0, tone(50 * PERIOD))
    rig.playout.duck(True)
    way = [np.frombuffer(rig.pull(200), np.int16) / 12_000]
    rig.playout.duck(False)
    way.append(levels(rig, 12))
    assert np.abs(np.diff(np.concatenate(way))).max() < 0.005
    assert way[1][-1] == 1.0


def test_a_reply_that_begins_while_ducked_begins_ducked() -> None:
    rig = Rig()
    rig.playout.duck(True)
    rig.pull()
    rig.playout.add(0, tone(PERIOD))
    assert levels(rig, 1) == pytest.approx(10 ** (DUCK_DB / 20), abs=1e-4)


def test_cues_and_prompts_are_not_ducked() -> None:
    rig = Rig()
    rig.playout.duck(True)
    rig.pull()
    rig.playout.play_cue(tone(PERIOD, 200))
    rig.playout.say(tone(PERIOD, 500))
    assert rig.pull() == tone(PERIOD, 700)


Step = tuple[str, int]
steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(1, 2000)),
        st.tuples(st.sampled_from(["end", "flush", "next", "hush", "duck", "unduck"]), st.just(0)),
        st.tuples(st.sampled_from(["say", "cue"]), st.integers(0, 1000)),
        st.tuples(st.just("pull"), st.integers(1, 600)),
    ),
    max_size=60,
)


@given(steps)
def test_each_sound_is_over_exactly_once_in_any_order_of_calls(script: list[Step]) -> None:
    rig = Rig()
    reply, queued, touched = 0, bytearray(), set()
    prompts = cues = 0
    plain = True
    out = bytearray()
    for what, size in script:
        plain = plain and what in ("add", "end", "next", "pull")
        match what:
            case "add":
                rig.playout.add(reply, tone(2 * size, 1 + reply))
                touched.add(reply)
                queued += tone(2 * size, 1 + reply)
            case "end":
                rig.playout.end(reply)
                touched.add(reply)
                reply += 1
            case "next":
                reply += 1
            case "flush":
                rig.playout.flush(reply)
                reply += 1
            case "say":
                assert rig.playout.say(tone(2 * size, 200)) == prompts
                prompts += 1
            case "cue":
                assert rig.playout.play_cue(tone(2 * size, 300)) == cues
                cues += 1
            case "hush":
                rig.playout.hush()
            case "duck" | "unduck":
                rig.playout.duck(what == "duck")
            case _:
                out += rig.pull(2 * size)
    rig.playout.flush(reply)
    rig.playout.hush()
    rig.pull(2200)
    played = [mark.reply for mark in rig.marks if isinstance(mark, Played)]
    sounded = [mark.reply for mark in rig.marks if isinstance(mark, Sounded)]
    assert played == sorted(touched)
    assert sounded == sorted(set(sounded))
    for number in sounded:
        assert rig.marks.index(Sounded(number)) < rig.marks.index(Played(number))
    assert [mark.prompt for mark in rig.marks if isinstance(mark, PromptFinished)] == list(range(prompts))
    assert rig.playout.queued_s == 0.0
    if plain:
        heard = np.frombuffer(bytes(out), dtype=np.int16)
        assert bytes(queued).startswith(heard[heard != 0].tobytes())


def test_producer_and_consumer_in_two_threads_lose_nothing() -> None:
    rig = Rig()
    speech = np.arange(1, 30_001, dtype=np.int16).tobytes()
    out = bytearray()

    def consume() -> None:
        while Played(0) not in rig.marks:
            out.extend(rig.pull(96))

    consumer = threading.Thread(target=consume)
    consumer.start()
    for start in range(0, len(speech), 77):
        rig.playout.add(0, speech[start : start + 77])
    rig.playout.end(0)
    consumer.join(10.0)
    assert not consumer.is_alive()
    heard = np.frombuffer(bytes(out), dtype=np.int16)
    assert heard[heard != 0].tobytes() == speech
    assert rig.marks == [Sounded(0), Played(0)]


def test_prompts_from_another_thread_are_over_once_and_in_order() -> None:
    count = 2000
    marks: list[PlayoutMark] = []
    missing: set[PlayoutMark] = {PromptFinished(count - 1)}

    def on_mark(mark: PlayoutMark) -> None:
        marks.append(mark)
        missing.discard(mark)

    playout = Playout(on_mark)

    def consume() -> None:
        while missing:
            playout.pull(96)

    consumer = threading.Thread(target=consume, daemon=True)
    consumer.start()
    for _ in range(count):
        playout.play_cue(tone(100, 300))
        playout.say(tone(100, 200))
    consumer.join(10.0)
    assert not consumer.is_alive()
    assert [mark.prompt for mark in marks if isinstance(mark, PromptFinished)] == list(range(count))
