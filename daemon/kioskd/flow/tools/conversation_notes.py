"""Notes of tools for the present conversation."""

from kioskd.core.effects import Effect
from kioskd.core.events import Event
from kioskd.core.machine import State


class ConversationNotes(dict[str, str]):
    """Notes by name. They are forgotten when the conversation ends, or when another begins."""

    def observe(
        self, _now: float, _event: Event, before: State, after: State, _effects: tuple[Effect, ...]
    ) -> None:
        """Note one step; see `engine.Observer`."""
        if not after.turn.awake or after.turn.conversation != before.turn.conversation:
            self.clear()
