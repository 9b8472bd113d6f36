"""When which fault is due."""

from collections import Counter
from collections.abc import Iterable

from kioskd.simulator.script import ScriptedFault, Trigger


class FaultBook:
    """The faults still to come, and how often each occasion has been there."""

    def __init__(self, faults: Iterable[ScriptedFault]) -> None:
        self._seen: Counter[Trigger] = Counter()
        self._coming: list[tuple[int, ScriptedFault]] = [(fault.nth, fault) for fault in faults]

    def add(self, fault: ScriptedFault) -> None:
        """Enter one more; its `nth` counts from now."""
        self._coming.append((self._seen[fault.on] + fault.nth, fault))

    def due(self, trigger: Trigger) -> list[ScriptedFault]:
        """Count one occasion; return the faults that it sets off."""
        self._seen[trigger] += 1
        fires = [
            entry for entry in self._coming if entry[1].on == trigger and entry[0] == self._seen[trigger]
        ]
        for entry in fires:
            self._coming.remove(entry)
        return [fault for _, fault in fires]
