"""Finds which of the script's faults is due."""

from collections import Counter
from collections.abc import Iterable

from kioskd.simulator.script import ScriptedFault, Trigger


class FaultSchedule:
    """The faults still to come, and how often each occasion has occurred."""

    def __init__(self, faults: Iterable[ScriptedFault]) -> None:
        self._occurred: Counter[Trigger] = Counter()
        self._pending: list[tuple[int, ScriptedFault]] = [(fault.nth, fault) for fault in faults]

    def add(self, fault: ScriptedFault) -> None:
        """Add a fault; its `nth` counts from now."""
        self._pending.append((self._occurred[fault.on] + fault.nth, fault))

    def due(self, trigger: Trigger) -> list[ScriptedFault]:
        """Count one occasion; return the faults that it sets off."""
        self._occurred[trigger] += 1
        due = [
            entry for entry in self._pending if entry[1].on == trigger and entry[0] == self._occurred[trigger]
        ]
        for entry in due:
            self._pending.remove(entry)
        return [fault for _, fault in due]
