"""The text of one reply, and the place in the speaker's stream where each word is heard.

The service sends text and sound in pieces, and far ahead of the speaker. A piece of text belongs to the sound
that follows it, up to the next piece. Some services send the text after its sound: the first piece shows it.
"""

import itertools
import math
import unicodedata
from dataclasses import dataclass
from typing import Final

from kioskd.media import pcm

MOST_CHARS: Final = 20_000
"""The most characters of a reply. They take twenty minutes; later text is dropped."""

LEAST_CHAR_BYTES: Final = pcm.byte_count(0.03, pcm.DOWNLINK_HZ)
"""The sound of a character in the fastest speech. If the sound before the first piece is long enough for that
piece, the text follows its sound."""

LEAST_BYTES: Final = pcm.byte_count(0.1, pcm.DOWNLINK_HZ)
"""With less sound before its first piece, the text does not follow its sound."""

CHAR_BYTES: Final = pcm.byte_count(0.05, pcm.DOWNLINK_HZ)
"""The sound of a character in fast speech, as long as the length of the reply is not known."""

FASTEST: Final = 0.75
"""No piece is taken to sound in less than this share of the reply's average time."""

LONGEST_WORD: Final = 30
"""The most characters by which a cut moves to the end of a word."""

_UNSPACED: Final = (
    *((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x2E80, 0x9FFF), (0xF900, 0xFAFF)),
    (0x20000, 0x3FFFF),
)
"""Scripts without spaces between words: Thai, Lao, Burmese, Khmer, Chinese and Japanese."""


@dataclass(frozen=True, slots=True)
class _Piece:
    text: str
    at: int
    """The end of the stream when the piece arrived."""


class ReplyTrack:
    """The text and the extent of one reply. A place is a count of bytes in the stream of all replies."""

    def __init__(self, start: int) -> None:
        """`start`: the place where the sound of the reply begins."""
        self.reply = 0
        """The number of the reply; 0 before its first sound."""
        self.language = ""
        self.end = start
        """The place behind the sound that has arrived."""
        self.over = False
        """Whether all sound of the reply has arrived, so that `end` is its end."""
        self.closed = False
        """Whether no more text comes."""
        self.unread = False
        """Whether the reply came in writing, and is still to be read aloud."""
        self._start = start
        self._pieces: list[_Piece] = []
        self._chars = 0
        self._follows = False
        self._heard = 0
        """The number of pieces that were heard whole."""
        self._heard_to = start

    @property
    def text(self) -> str:
        """The whole text. The halves of a character may come in two pieces."""
        return "".join(piece.text for piece in self._pieces)

    def add(self, text: str, at: int) -> None:
        """Add a piece of text. `at`: the end of the stream now."""
        text = text[: MOST_CHARS - self._chars]
        if not text:
            return
        if not self._pieces:
            self._follows = at - self._start >= max(LEAST_BYTES, len(text) * LEAST_CHAR_BYTES)
        self._chars += len(text)
        if self._pieces and self._pieces[-1].at == at and self._heard < len(self._pieces):
            self._pieces[-1] = _Piece(self._pieces[-1].text + text, at)
        else:
            self._pieces.append(_Piece(text, at))

    def heard(self, place: int) -> str:
        """Return the text whose sound has begun at `place`, in whole words. Places must not go back."""
        while self._heard < len(self._pieces) and place >= self._span()[1]:
            self._heard_to = self._span()[1]
            self._heard += 1
        whole = sum(len(piece.text) for piece in itertools.islice(self._pieces, self._heard))
        if self._heard < len(self._pieces):
            begin, end = self._span()
            if place > begin:
                whole += math.ceil(len(self._pieces[self._heard].text) * (place - begin) / (end - begin))
        return whole_words(self.text, whole)

    def _span(self) -> tuple[int, int]:
        """Return the places where the next piece begins and ends."""
        piece = self._pieces[self._heard]
        if self._follows:
            return self._heard_to, max(piece.at, self._heard_to)
        begin = max(piece.at, self._heard_to)
        shortest = begin + round(len(piece.text) * FASTEST * self._char_bytes())
        if self._heard + 1 < len(self._pieces):
            end = max(self._pieces[self._heard + 1].at, shortest)
        else:
            end = max(self.end, shortest)
        return begin, max(min(end, self.end), begin) if self.over else max(end, begin + 1)

    def _char_bytes(self) -> float:
        return (self.end - self._start) / self._chars if self.over else CHAR_BYTES


def whole_words(text: str, chars: int) -> str:
    """Return the first `chars` characters of `text`, up to the end of the word that the cut falls into."""
    if not 0 < chars < len(text):
        return text if chars > 0 else ""
    end = chars
    while end < min(len(text), chars + LONGEST_WORD) and _joined(text[end - 1], text[end]):
        end += 1
    return text[:end]


def _joined(before: str, after: str) -> bool:
    """Return whether no cut is allowed between two characters."""
    if unicodedata.category(after)[0] == "M" or "\u200d" in (before, after):
        return True
    if "\ud800" <= before <= "\udbff" and "\udc00" <= after <= "\udfff":
        return True
    return not (before.isspace() or after.isspace() or _unspaced(before) or _unspaced(after))


def _unspaced(char: str) -> bool:
    return any(first <= ord(char) <= last for first, last in _UNSPACED)
