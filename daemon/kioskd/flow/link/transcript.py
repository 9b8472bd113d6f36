"""The words of this conversation, in memory only. A new session gets them when the old one is lost."""

from collections import deque
from collections.abc import Sequence
from typing import Final

from kioskd.ports import SpokenText

MOST_CHARS: Final = 4000
"""The most characters: about five minutes of talk. Older words hardly help, but cost tokens in each turn."""


class Transcript:
    """The last words of both sides. No repr shows them, and they are forgotten with the conversation."""

    def __init__(self) -> None:
        self._said: deque[SpokenText] = deque()
        self._chars = 0

    def add(self, said: SpokenText) -> None:
        """Remember some words. Pieces that the same speaker says in a row become one."""
        if self._said and self._said[-1].by_visitor is said.by_visitor:
            said = SpokenText(said.by_visitor, self._pop().text + said.text)
        said = SpokenText(said.by_visitor, said.text[-MOST_CHARS:])
        self._said.append(said)
        self._chars += len(said.text)
        while self._chars > MOST_CHARS:
            self._chars -= len(self._said.popleft().text)

    def tell(self) -> Sequence[SpokenText]:
        return tuple(self._said)

    def forget(self) -> None:
        self._said.clear()
        self._chars = 0

    def _pop(self) -> SpokenText:
        last = self._said.pop()
        self._chars -= len(last.text)
        return last
