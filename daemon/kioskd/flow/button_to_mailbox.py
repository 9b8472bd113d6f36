"""Presses -> `Pressed`."""

from collections.abc import Callable

from kioskd.core.events import Event, Pressed
from kioskd.flow.attendant import Attendant
from kioskd.ports import Button, Clock


class ButtonToMailbox:
    """Watches the button. Debouncing is the adapter's business, meaning is the core's."""

    def __init__(self, button: Button, post: Callable[[Event], None], clock: Clock) -> None:
        self._button = button
        self._post = post
        self._attendant = Attendant("button", clock, post)

    async def run(self) -> None:
        """Post a `Pressed` for each press until cancelled.

        Raises:
            DeviceLost: the button has been away for 30 s.
        """
        await self._attendant.use(lambda: self._button.watch(self._press))

    def _press(self) -> None:
        self._attendant.works()
        self._post(Pressed())
