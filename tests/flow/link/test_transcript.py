"""The transcript for a new session: the last words of both sides, from this conversation only."""

import itertools

from kioskd.flow.link.transcript import MOST_CHARS, Transcript
from kioskd.ports import SpokenText


def transcript(*pieces: tuple[bool, str]) -> Transcript:
    remembered = Transcript()
    for by_visitor, text in pieces:
        remembered.add(SpokenText(by_visitor, text))
    return remembered


def test_consecutive_pieces_of_one_speaker_become_one() -> None:
    pieces = transcript(
        (True, "Where is "), (True, "the exit?"), (False, "To the "), (False, "left."), (True, "Thanks.")
    )

    assert pieces.tell() == (
        SpokenText(True, "Where is the exit?"),
        SpokenText(False, "To the left."),
        SpokenText(True, "Thanks."),
    )


def test_the_oldest_words_are_forgotten_first() -> None:
    remembered = transcript()
    for number in range(100):
        remembered.add(SpokenText(number % 2 == 0, f"{number:03d} {'word ' * 20}"))

    told = remembered.tell()
    numbers = [int(said.text[:3]) for said in told]
    assert numbers == list(range(numbers[0], 100))
    assert MOST_CHARS // 2 < sum(len(said.text) for said in told) <= MOST_CHARS


def test_an_endless_speech_keeps_its_end() -> None:
    remembered = transcript((True, "Go on."))
    for number in range(3000):
        remembered.add(SpokenText(False, f"{number} "))

    told = remembered.tell()
    assert sum(len(said.text) for said in told) <= MOST_CHARS
    assert told[-1].text.endswith("2998 2999 ")
    assert told[-1].by_visitor is False


def test_one_huge_piece_is_cut_to_its_end() -> None:
    remembered = transcript((True, "before"), (False, "x" * MOST_CHARS + "the end"))

    [said] = remembered.tell()
    assert len(said.text) == MOST_CHARS
    assert said.text.endswith("the end")


def test_after_any_sequence_the_bound_holds_and_the_newest_words_are_there() -> None:
    for length in (1, 7, 1333, MOST_CHARS - 1, MOST_CHARS, 3 * MOST_CHARS):
        remembered = transcript()
        for number in range(50):
            remembered.add(SpokenText(number % 3 == 0, "a" * length))
            told = remembered.tell()
            assert 0 < sum(len(said.text) for said in told) <= MOST_CHARS
            assert told[-1].by_visitor is (number % 3 == 0)
            assert all(one.by_visitor is not other.by_visitor for one, other in itertools.pairwise(told))


def test_a_returned_transcript_does_not_change() -> None:
    remembered = transcript((True, "one"))
    told = remembered.tell()
    remembered.add(SpokenText(False, "two"))

    assert told == (SpokenText(True, "one"),)


def test_no_word_is_left_of_a_conversation_that_is_over() -> None:
    remembered = transcript((True, "my secret"), (False, "is safe"))
    remembered.forget()
    assert remembered.tell() == ()

    remembered.add(SpokenText(False, "x" * MOST_CHARS))
    assert len(remembered.tell()) == 1, "forgotten words do not count any more"


def test_no_repr_shows_the_words() -> None:
    remembered = transcript((True, "my secret"))
    assert "secret" not in f"{remembered!r} {remembered.tell()!r}"
