"""Announcements in the playout: whole, at their own volume, alone or over a reply."""

import numpy as np
import numpy.typing as npt
import pytest

from kioskd.media.playout import DUCK_DB, AnnouncementFinished, Playout, PlayoutMark, gain
from kioskd.media.reply_queue import Played, Sounded

PERIOD = 480
"""10 ms."""


class Rig:
    """A playout, and the marks that it has set."""

    def __init__(self, volume: int = 100) -> None:
        self.marks: list[PlayoutMark] = []
        self.playout = Playout(self.marks.append, volume=volume)

    def pull(self, periods: int = 1) -> npt.NDArray[np.int16]:
        data = b"".join(self.playout.pull(PERIOD) for _ in range(periods))
        assert len(data) == periods * PERIOD
        return np.frombuffer(data, np.int16)


def tone(periods: int, level: int = 8_000) -> bytes:
    return np.full(periods * PERIOD // 2, level, dtype=np.int16).tobytes()


def test_an_announcement_is_heard_whole_and_its_end_is_reported_once() -> None:
    rig = Rig()
    assert rig.playout.announce(tone(3), volume=100) == 0
    assert not rig.playout.silent
    assert rig.pull(3).tobytes() == tone(3)
    assert rig.marks == [AnnouncementFinished(0)]
    assert rig.playout.silent
    assert not rig.pull().any()


@pytest.mark.parametrize("speaker", [0, 30, 100])
def test_an_announcement_has_its_own_volume(speaker: int) -> None:
    rig = Rig(volume=speaker)
    rig.playout.announce(tone(1), volume=60)
    assert rig.pull()[0] == round(8_000 * gain(60))


def test_an_announcement_counts_as_the_kiosks_voice() -> None:
    rig = Rig()
    rig.playout.announce(tone(1), volume=100)
    rig.pull()
    assert rig.playout.voiced
    rig.pull()
    assert not rig.playout.voiced


def test_an_announcement_waits_for_the_reply_that_sounds() -> None:
    rig = Rig()
    rig.playout.add(0, tone(2, 1_000))
    rig.pull()
    rig.playout.announce(tone(1), volume=100)
    rig.playout.end(0)
    assert set(rig.pull()) == {1_000}
    assert set(rig.pull()) == {8_000}


def test_a_reply_waits_for_the_announcement_that_sounds() -> None:
    rig = Rig()
    rig.playout.announce(tone(2), volume=100)
    rig.pull()
    rig.playout.add(0, tone(1, 1_000))
    rig.playout.end(0)
    assert set(rig.pull()) == {8_000}
    assert Sounded(0) not in rig.marks
    assert set(rig.pull()) == {1_000}
    assert rig.marks == [AnnouncementFinished(0), Sounded(0), Played(0)]


def test_an_announcement_over_a_reply_lowers_it_and_is_heard_at_once() -> None:
    rig = Rig()
    rig.playout.add(0, tone(20, 4_000))
    rig.playout.end(0)
    rig.pull()
    rig.playout.announce(tone(4), volume=100, over=True)
    ducked = 4_000 * 10 ** (DUCK_DB / 20)
    assert rig.pull(2)[-1] == pytest.approx(8_000 + ducked, abs=2)
    rig.pull(2)
    assert rig.pull(12)[-1] == 4_000, "the reply is as loud as before"
    rig.pull(4)
    assert rig.marks == [Sounded(0), AnnouncementFinished(0), Played(0)]


def test_the_sum_of_announcement_and_reply_is_clipped_and_does_not_wrap() -> None:
    rig = Rig()
    rig.playout.add(0, tone(2, 32_000))
    rig.playout.announce(tone(2, 32_000), volume=100, over=True)
    assert rig.pull().min() == 32_767


def test_a_hushed_announcement_fades_and_a_reply_goes_on() -> None:
    rig = Rig()
    rig.playout.announce(tone(9), volume=100)
    rig.pull()
    rig.playout.add(0, tone(2, 1_000))
    rig.playout.hush()
    assert rig.pull()[-1] == 0
    assert rig.marks == [AnnouncementFinished(0)]
    assert rig.pull()[-1] == 1_000


def test_an_announcement_that_is_hushed_while_it_waits_is_over_without_a_sound() -> None:
    rig = Rig()
    rig.playout.add(0, tone(3, 1_000))
    rig.pull()
    rig.playout.announce(tone(1), volume=100)
    rig.playout.hush()
    assert set(rig.pull()) == {1_000}
    assert rig.marks[-1] == AnnouncementFinished(0)


def test_a_hush_without_an_announcement_leaves_the_playout_silent() -> None:
    rig = Rig()
    rig.playout.announce(tone(1), volume=100)
    rig.pull(2)
    rig.playout.hush()
    rig.pull()
    assert rig.playout.silent


def test_a_newer_announcement_replaces_the_one_before() -> None:
    rig = Rig()
    rig.playout.announce(tone(9), volume=100)
    rig.pull()
    assert rig.playout.announce(tone(2, 1_000), volume=100) == 1
    rig.pull(2)
    assert rig.marks == [AnnouncementFinished(0), AnnouncementFinished(1)]
