"""States -> lamp."""

from collections.abc import Callable

from kioskd.core.effects import Show
from kioskd.core.events import Event
from kioskd.flow.attendant import Attendant
from kioskd.ports import Clock, Lamp


class LampKeeper:
    """Keeps the lamp lit. A kiosk whose lamp is lost goes on: it is said, and the lamp comes back by itself."""

    def __init__(self, lamp: Lamp, clock: Clock, post: Callable[[Event], None]) -> None:
        self._lamp = lamp
        self._attendant = Attendant("lamp", clock, post, needed=False)

    def show(self, effect: Show) -> None:
        """Show a state."""
        self._lamp.show(effect.shown.value)

    async def run(self) -> None:
        """Drive the lamp until cancelled."""
        await self._attendant.use(self._lamp.run)
