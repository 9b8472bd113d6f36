"""Text and sound of a reply: each word is shown when its sound has begun."""

import pytest

from kioskd.flow.captions.reply_track import MOST_CHARS, ReplyTrack, whole_words
from kioskd.media import pcm

SECOND = pcm.byte_count(1.0, pcm.DOWNLINK_HZ)


def track(*pieces: tuple[str, float], end: float, start: float = 0.0, over: bool = True) -> ReplyTrack:
    """Return a reply. `pieces`: text, and the seconds of sound that had arrived before it."""
    made = ReplyTrack(round(start * SECOND))
    made.reply = 1
    for text, at in pieces:
        made.add(text, round(at * SECOND))
    made.end, made.over = round(end * SECOND), over
    return made


def heard(made: ReplyTrack, *places: float) -> list[str]:
    return [made.heard(round(place * SECOND)).strip() for place in places]


def test_a_piece_belongs_to_the_sound_behind_it() -> None:
    made = track(("one two ", 0), ("three four ", 1), ("five", 3), end=4)
    assert heard(made, 0, 0.1, 0.9, 1.1, 2.9, 3.1) == [
        "",
        "one",
        "one two",
        "one two three",
        "one two three four",
        "one two three four five",
    ]


def test_a_text_that_comes_before_all_sound_is_spread_over_it() -> None:
    made = track(("aa bb ", 0), ("cc dd ", 0), ("ee ff ", 0), end=9)
    assert heard(made, 0, 1, 4.4, 8.9, 9) == ["", "aa", "aa bb cc", "aa bb cc dd ee ff", "aa bb cc dd ee ff"]


def test_a_text_far_ahead_of_its_sound_is_not_shown_early() -> None:
    made = track(("aa bb cc dd ", 0), ("ee ff gg hh ", 0.1), ("ii jj kk ll ", 0.2), end=12)
    shown = heard(made, 3, 6)
    assert shown[0].startswith("aa bb cc dd")
    assert "gg" not in shown[0]
    assert "kk" not in shown[1]


def test_a_text_that_follows_its_sound_belongs_to_the_sound_before_it() -> None:
    made = track(("one two ", 2), ("three four", 4), end=4)
    assert heard(made, 0.1, 1.9, 2.1, 3.9) == ["one", "one two", "one two three", "one two three four"]


def test_a_text_without_its_sound_is_not_shown_yet() -> None:
    made = track(("one ", 0), ("two", 1), end=1, over=False)
    assert heard(made, 1) == ["one"]
    made.end = 2 * SECOND
    assert heard(made, 1.2) == ["one two"]


def test_a_reply_that_begins_later_in_the_stream_is_shown_from_there() -> None:
    made = track(("one two", 10), start=10, end=12)
    assert heard(made, 9, 10, 10.2, 12) == ["", "", "one", "one two"]


def test_a_text_is_bounded() -> None:
    made = track(("x" * MOST_CHARS, 0), ("more", 1), end=2)
    assert len(made.text) == MOST_CHARS


@pytest.mark.parametrize(
    ("text", "chars", "shown"),
    [
        ("hello world", 0, ""),
        ("hello world", 1, "hello"),
        ("hello world", 5, "hello"),
        ("hello world", 7, "hello world"),
        ("hello", 9, "hello"),
        ("東京へようこそ", 2, "東京"),
        ("กำลัง", 1, "ก"),
        ("ยินดี", 1, "ยิ"),
        ("e\u0301te\u0301 x", 1, "e\u0301te\u0301"),
        ("👩\u200d👧 x", 1, "👩\u200d👧"),
        ("مرحبا بكم", 3, "مرحبا"),
        ("\ud83d\ude00\ud83d\ude00", 1, "\ud83d\ude00\ud83d\ude00"),
        ("x" * 100, 1, "x" * 31),
    ],
)
def test_a_cut_moves_to_the_end_of_a_word(text: str, chars: int, shown: str) -> None:
    assert whole_words(text, chars) == shown
