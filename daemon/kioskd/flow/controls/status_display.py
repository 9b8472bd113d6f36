"""The display of the kiosk's state: the service manager's status line and the lamps."""

from collections.abc import Sequence
from dataclasses import replace

from kioskd.core.effects import KioskStatus, Overlay, ShowStatus
from kioskd.flow.controls.lamps import LampWorker
from kioskd.flow.reporting.journal import status
from kioskd.ports import Notifier


class StatusDisplay:
    """Shows the state in the status line and on the lamps."""

    def __init__(self, notifier: Notifier, lamps: Sequence[LampWorker], kept: str) -> None:
        """Show nothing yet. `kept` names the records of a conversation in words; empty if there are none."""
        self._notifier = notifier
        self.lamps = lamps
        self._kept = kept
        self.words = ""
        """The status line that the service manager has now."""

    def show(self, effect: ShowStatus) -> None:
        """Show a state. While listening, a lamp also shows that the conversation is recorded."""
        self.words = status(effect, kept=self._kept)
        self._notifier.status(self.words)
        if self._kept and effect.shown is KioskStatus.LISTENING and effect.overlay is Overlay.NONE:
            effect = replace(effect, overlay=Overlay.RECORDING)
        for lamp in self.lamps:
            lamp.show(effect)
