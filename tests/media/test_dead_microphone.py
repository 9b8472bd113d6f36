import pytest

from kioskd.media import pcm
from kioskd.media.dead_microphone import BEGIN_FRAMES, END_FRAMES, DeadMicrophoneDetector, SilentFault

SAMPLES = pcm.FRAME_BYTES // pcm.SAMPLE_BYTES
ZEROS = bytes(pcm.FRAME_BYTES)
STUCK = b"\x2a\x00" * SAMPLES
QUIET = b"\x00\x00\x01\x00" * (SAMPLES // 2)
"""The quietest possible room: the last bit moves."""


def fed(flatline: DeadMicrophoneDetector, *frames: bytes) -> list[SilentFault | None]:
    return [flatline.feed(frame) for frame in frames]


@pytest.mark.parametrize("frame", [ZEROS, STUCK], ids=["zeros", "one level"])
def test_three_seconds_without_signal_are_reported_once(frame: bytes) -> None:
    told = fed(DeadMicrophoneDetector(), *[frame] * 1000)
    assert told.index(SilentFault.BEGAN) == BEGIN_FRAMES - 1 == 149
    assert told.count(SilentFault.BEGAN) == 1
    assert SilentFault.ENDED not in told


def test_a_quiet_room_is_not_reported() -> None:
    assert set(fed(DeadMicrophoneDetector(), *[QUIET] * 1000)) == {None}


def test_pauses_shorter_than_three_seconds_are_not_reported() -> None:
    flatline = DeadMicrophoneDetector()
    for _ in range(10):
        assert set(fed(flatline, *[ZEROS] * (BEGIN_FRAMES - 1), QUIET)) == {None}


def test_a_microphone_that_is_switched_on_is_reported_within_a_tenth_of_a_second() -> None:
    flatline = DeadMicrophoneDetector()
    fed(flatline, *[ZEROS] * BEGIN_FRAMES)
    assert flatline.flat
    assert fed(flatline, *[QUIET] * 50).index(SilentFault.ENDED) == END_FRAMES - 1 == 4
    assert not flatline.flat


def test_the_click_of_a_switch_does_not_end_the_fault() -> None:
    flatline = DeadMicrophoneDetector()
    fed(flatline, *[ZEROS] * BEGIN_FRAMES)
    for _ in range(10):
        assert set(fed(flatline, QUIET, QUIET, ZEROS)) == {None}
    assert flatline.flat


def test_each_fault_and_its_end_are_reported() -> None:
    flatline = DeadMicrophoneDetector()
    told = [
        news
        for _ in range(3)
        for news in fed(flatline, *[STUCK] * BEGIN_FRAMES, *[QUIET] * END_FRAMES)
        if news is not None
    ]
    assert told == 3 * [SilentFault.BEGAN, SilentFault.ENDED]


def test_a_changing_level_is_a_signal() -> None:
    frames = [level.to_bytes(2, "little") * SAMPLES for level in range(1000)]
    assert set(fed(DeadMicrophoneDetector(), *frames)) == {None}
