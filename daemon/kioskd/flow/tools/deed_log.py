"""What tools have done in this conversation, so that a resumed session does not have it done once more."""

from collections.abc import Callable
from typing import Final

from kioskd.flow.tools.tool_calls import RunningCall, like
from kioskd.ports import ToolCall

MOST: Final = 32
"""Deeds that are remembered."""


class DeedLog:
    """The calls that a session may repeat when it is resumed from an older state. For the event loop's thread."""

    def __init__(self) -> None:
        """Remember nothing."""
        self._deeds: list[RunningCall] = []

    def add(self, call: RunningCall) -> None:
        """Remember a call that has begun to do something. Calls that may be repeated are not remembered."""
        if not call.terms.repeatable:
            self._deeds = [*self._deeds, call][-MOST:]

    def discard(self, call: RunningCall) -> None:
        """Forget a call that has done nothing."""
        self._deeds = [deed for deed in self._deeds if deed is not call]

    def repeated(self, call: ToolCall, epoch: int) -> RunningCall | None:
        """Return the deed of an earlier connection that `call` asks for once more, and count it as this one's.

        On this connection a second call may well be meant; on a connection after it, it is a repetition.
        """
        deed = like(call, [deed for deed in self._deeds if deed.epoch != epoch])
        if deed is not None:
            deed.epoch = epoch
        return deed

    def keep_only(self, wanted: Callable[[RunningCall], bool]) -> None:
        """Forget all deeds but those that are `wanted`."""
        self._deeds = [deed for deed in self._deeds if wanted(deed)]

    def clear(self) -> None:
        """Forget all deeds: the conversation is over."""
        self._deeds.clear()
