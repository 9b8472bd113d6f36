"""What tools note down for the conversation at hand."""

from kioskd.core.effects import Effect
from kioskd.core.events import Event
from kioskd.core.machine import State


class ConversationNotes(dict[str, str]):
    """Notes by name. They are forgotten when the conversation ends or another begins."""

    def observe(
        self, _now: float, _event: Event, before: State, after: State, _effects: tuple[Effect, ...]
    ) -> None:
        """Take note of one step; see `engine.Observer`."""
        if not after.turn.awake or after.turn.conversation != before.turn.conversation:
            self.clear()
