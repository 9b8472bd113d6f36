"""The log of tool calls that had an effect, so that a resumed session does not repeat them."""

from collections.abc import Callable
from typing import Final

from kioskd.flow.tools.tool_calls import RunningCall, like
from kioskd.ports import ToolCall

MOST: Final = 32
"""The most calls that are remembered."""


class DeedLog:
    """Calls that a session may repeat when it is resumed from an older state. For the event loop's thread."""

    def __init__(self) -> None:
        self._deeds: list[RunningCall] = []

    def add(self, call: RunningCall) -> None:
        """Remember a call that has begun to act. A call that is safe to repeat is not remembered."""
        if not call.terms.repeatable:
            self._deeds = [*self._deeds, call][-MOST:]

    def discard(self, call: RunningCall) -> None:
        self._deeds = [deed for deed in self._deeds if deed is not call]

    def repeated(self, call: ToolCall, epoch: int) -> RunningCall | None:
        """Return the call of an earlier connection that `call` repeats, if any. It then counts in this epoch.

        A second call on the same connection is meant. On a later connection it is a repetition.
        """
        deed = like(call, [deed for deed in self._deeds if deed.epoch != epoch])
        if deed is not None:
            deed.epoch = epoch
        return deed

    def keep_only(self, wanted: Callable[[RunningCall], bool]) -> None:
        self._deeds = [deed for deed in self._deeds if wanted(deed)]

    def clear(self) -> None:
        self._deeds.clear()
