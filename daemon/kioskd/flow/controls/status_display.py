"""The kiosk's state -> the service manager's status line and the lamps."""

from collections.abc import Sequence
from dataclasses import replace

from kioskd.core.effects import KioskStatus, Overlay, ShowStatus
from kioskd.flow.controls.lamps import LampWorker
from kioskd.flow.reporting.journal import status
from kioskd.ports import Notifier


class StatusDisplay:
    """Shows one state at a time."""

    def __init__(self, notifier: Notifier, lamps: Sequence[LampWorker], kept: str) -> None:
        """Show nothing yet. `kept` says what of a conversation is recorded, in words; empty if nothing is."""
        self._notifier = notifier
        self.lamps = lamps
        self._kept = kept
        self.words = ""
        """What the service manager was told last."""

    def show(self, effect: ShowStatus) -> None:
        """Show a state. Listening looks a little different while what is said is kept."""
        self.words = status(effect, kept=self._kept)
        self._notifier.status(self.words)
        if self._kept and effect.shown is KioskStatus.LISTENING and effect.overlay is Overlay.NONE:
            effect = replace(effect, overlay=Overlay.RECORDING)
        for lamp in self.lamps:
            lamp.show(effect)
