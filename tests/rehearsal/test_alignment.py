"""Exact comparison of the received sound with the captured sound."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kioskd.media import pcm
from kioskd.media.cue_filter import CueNotch
from kioskd.media.cues import CueSound, frequencies
from kioskd.rehearsal.alignment import Alignment, Gate, GateChange, align, conversations

PREROLL = 3


def frame(number: int) -> bytes:
    return number.to_bytes(4, "big") * (pcm.FRAME_BYTES // 4)


def sound(numbers: list[int]) -> bytes:
    return b"".join(frame(number) for number in numbers)


def test_a_conversation_begins_with_the_preroll_and_leaves_out_sound_of_a_shut_gate() -> None:
    gates = [
        GateChange(10, Gate.HOLD),
        GateChange(12, Gate.SEND),
        GateChange(14, Gate.SHUT),
        GateChange(16, Gate.SEND),
        GateChange(18, Gate.PREROLL),
    ]
    assert conversations(gates, 30, PREROLL) == [[7, 8, 9, 10, 11, 12, 13, 16, 17]]


def test_a_preroll_is_no_longer_than_the_sleep_before_it() -> None:
    gates = [
        GateChange(1, Gate.SEND),
        GateChange(5, Gate.PREROLL),
        GateChange(7, Gate.SEND),
    ]
    assert conversations(gates, 9, PREROLL) == [[0, 1, 2, 3, 4], [5, 6, 7, 8]]


def test_a_pause_is_left_out_except_right_before_and_after_speech() -> None:
    gates = [
        GateChange(10, Gate.PAUSED),
        GateChange(12, Gate.SEND),
        GateChange(20, Gate.PAUSED),
        GateChange(40, Gate.SEND),
        GateChange(45, Gate.PAUSED),
        GateChange(46, Gate.SEND),
        GateChange(50, Gate.SHUT),
        GateChange(60, Gate.PAUSED),
        GateChange(61, Gate.SEND),
        GateChange(62, Gate.PREROLL),
    ]
    wanted = [*range(9, 20), 20, 21, 37, 38, 39, *range(40, 45), 45, *range(46, 50), 60, 61]
    assert conversations(gates, 70, PREROLL, after_frames=2) == [wanted]


def test_a_repeated_gate_state_forgets_the_kept_frames() -> None:
    gates = [GateChange(9, Gate.PREROLL), GateChange(10, Gate.SEND)]
    assert conversations(gates, 12, PREROLL) == [[9, 10, 11]]


def test_a_frame_without_its_chime_is_recognised() -> None:
    chance = np.random.default_rng(1)
    captured = [chance.integers(-3, 3, 320, np.int16, endpoint=True).tobytes() for _ in range(50)]
    notch = CueNotch(frequencies(CueSound.WAKE))
    received = b"".join(notch.clean(one) if 10 <= number < 30 else one for number, one in enumerate(captured))
    assert notch.clean(captured[10]) != captured[10]
    found = align(captured, [GateChange(0, Gate.SEND)], [received], 0)
    assert (found.sent_ms, found.foreign_ms, found.lost_ms, found.reordered_ms) == (1000, 0, 0, 0)
    assert found.arrivals == tuple(range(50))


def test_a_kiosk_that_never_woke_has_no_conversation() -> None:
    assert conversations([], 50, PREROLL) == []


def test_sound_sent_while_shut_or_asleep_is_counted_as_unasked() -> None:
    gates = [GateChange(4, Gate.SEND), GateChange(6, Gate.SHUT), GateChange(8, Gate.PREROLL)]
    captured = [frame(n) for n in range(12)]
    found = align(captured, gates, [sound([1, 2, 3, 4, 5, 6, 10])], PREROLL)
    assert found.unasked_ms == 2 * pcm.FRAME_MS
    assert found.lost_ms == 0
    assert found.first_word_lost_ms == (0,)


def test_frames_missing_before_the_first_received_one_are_the_lost_first_word() -> None:
    captured = [frame(n) for n in range(20)]
    found = align(captured, [GateChange(10, Gate.SEND)], [sound(list(range(9, 20)))], PREROLL)
    assert found.first_word_lost_ms == (2 * pcm.FRAME_MS,)
    assert found.lost_ms == 0


def test_a_conversation_without_any_received_frame_counts_no_loss() -> None:
    captured = [frame(n) for n in range(20)]
    assert align(captured, [GateChange(10, Gate.HOLD)], [], PREROLL) == Alignment()


def test_equal_frames_are_taken_to_be_in_order() -> None:
    captured = [frame(0)] * 10
    found = align(captured, [GateChange(0, Gate.SEND)], [frame(0) * 10], 0)
    assert (found.sent_ms, found.duplicated_ms, found.reordered_ms) == (10 * pcm.FRAME_MS, 0, 0)


def test_altered_sound_is_foreign() -> None:
    captured = [frame(n) for n in range(4)]
    found = align(captured, [GateChange(0, Gate.SEND)], [sound([0, 77, 2, 3]) + b"\0" * 10], 0)
    assert (found.foreign_ms, found.lost_ms) == (2 * pcm.FRAME_MS, pcm.FRAME_MS)


@given(st.data())
def test_dropped_and_repeated_frames_are_counted_exactly(data: st.DataObject) -> None:
    count = data.draw(st.integers(3, 80))
    dropped = data.draw(st.sets(st.integers(1, count - 2)))
    kept = [n for n in range(count) if n not in dropped]
    repeated = data.draw(st.lists(st.sampled_from(kept), max_size=10))
    received = list(kept)
    for number in repeated:
        # Anywhere after its first arrival.
        at = data.draw(st.integers(received.index(number) + 1, len(received)))
        received.insert(at, number)
    cut = data.draw(st.integers(0, len(received)))
    sessions = [sound(received[:cut]), sound(received[cut:])]

    found = align([frame(n) for n in range(count)], [GateChange(0, Gate.SEND)], sessions, 0)

    assert found == Alignment(
        sent_ms=len(kept) * pcm.FRAME_MS,
        lost_ms=len(dropped) * pcm.FRAME_MS,
        duplicated_ms=len(repeated) * pcm.FRAME_MS,
        first_word_lost_ms=(0,),
        lost_frames=tuple(sorted(dropped)),
        duplicated_frames=tuple(sorted(repeated)),
    )


@given(st.integers(5, 60), st.data())
def test_a_frame_that_changed_its_place_is_counted_once(count: int, data: st.DataObject) -> None:
    received = list(range(count))
    moved = data.draw(st.integers(1, count - 2))
    received.remove(moved)
    received.insert(data.draw(st.integers(0, count - 1).filter(lambda at: at != moved)), moved)

    found = align([frame(n) for n in range(count)], [GateChange(0, Gate.SEND)], [sound(received)], 0)

    assert (found.reordered_ms, found.lost_ms, found.duplicated_ms) == (pcm.FRAME_MS, 0, 0)
