"""What was said in this conversation, in memory only: what a new session is told when the old one is lost."""

from collections import deque
from collections.abc import Sequence
from typing import Final

from kioskd.ports import SpokenText

MOST_CHARS: Final = 4000
"""About five minutes of talk. What is older helps nobody to go on, and every session pays for it again each turn."""


class Transcript:
    """The last words of both sides. Shown by no repr; forgotten with the conversation."""

    def __init__(self) -> None:
        self._said: deque[SpokenText] = deque()
        self._chars = 0

    def add(self, said: SpokenText) -> None:
        """Remember a piece; pieces of one speaker on end become one."""
        if self._said and self._said[-1].by_visitor is said.by_visitor:
            said = SpokenText(said.by_visitor, self._pop().text + said.text)
        said = SpokenText(said.by_visitor, said.text[-MOST_CHARS:])
        self._said.append(said)
        self._chars += len(said.text)
        while self._chars > MOST_CHARS:
            self._chars -= len(self._said.popleft().text)

    def tell(self) -> Sequence[SpokenText]:
        """Return what is remembered, oldest first."""
        return tuple(self._said)

    def forget(self) -> None:
        """Remember nothing."""
        self._said.clear()
        self._chars = 0

    def _pop(self) -> SpokenText:
        last = self._said.pop()
        self._chars -= len(last.text)
        return last
