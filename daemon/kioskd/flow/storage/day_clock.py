"""The date for budgets: the wall clock's date without unexplained jumps.

A wall clock that is set forward would give a new day's budget each time. So a jump counts only if the clock
is known to be synchronised. Otherwise the date goes on by the time that has really passed. The first
correction after a boot counts after an hour: a machine without a clock battery boots with an old time. If the
machine reports nothing about its clock, one jump a day counts.
"""

import datetime
import logging
import math
from collections.abc import Callable, Mapping
from typing import Final

from kioskd.core.budget import DAY_S
from kioskd.ports import Clock, TimeEvidence

log = logging.getLogger(__name__)

JUMP_S: Final = 60.0
"""The most seconds by which the wall clock's progress may differ from the time that has passed.

The clock may be slewed, or the event loop may be late.
"""

BOOT_GRACE_S: Final = 3600.0

ENTRY: Final = "clock"
"""The name of the clock's entry in the stored figures of the day."""


class DayClock:
    """Returns today's date. Not thread-safe."""

    def __init__(
        self, clock: Clock, wall: Callable[[], datetime.datetime], evidence: TimeEvidence | None
    ) -> None:
        """`wall` returns the local time. `evidence` reports whether the clock is reliable; None: unknown."""
        self._clock = clock
        self._wall = wall
        self._evidence = evidence
        self._seen, self._looked = wall(), clock.now()
        self._began = clock.now()
        self._ahead_s = 0.0
        """The seconds by which jumps that do not count have moved the wall clock forward."""
        self._of_boot_s = 0.0
        """The part of that which is the first correction after a boot."""
        self._new_boot = False
        self._believed_at = -math.inf
        """The clock's time of the last jump that counted without evidence."""

    def restore(self, entry: Mapping[str, object]) -> None:
        """Continue from a stored entry. A broken entry counts as none."""
        match entry.get(ENTRY):
            case {
                "wall": int() | float() as wall,
                "boot": str(boot),
                "boot_s": int() | float() as boot_s,
                "ahead_s": int() | float() as ahead_s,
            } if all(abs(figure) < 1e12 for figure in (wall, boot_s, ahead_s)) and self._evidence:
                self._ahead_s = max(0.0, float(ahead_s))
                now_boot, now_boot_s = self._evidence.boot()
                moved_s = self._seen.timestamp() - wall
                if now_boot == boot:
                    self._note(moved_s, now_boot_s - boot_s)
                else:
                    self._new_boot = True
                    self._note(moved_s, 0.0)

    def kept(self) -> dict[str, object]:
        """Return the entry for `restore`, to store with the day's figures. Empty without evidence."""
        if self._evidence is None:
            return {}
        boot, boot_s = self._evidence.boot()
        wall = round(self._wall().timestamp())
        return {ENTRY: {"wall": wall, "boot": boot, "boot_s": round(boot_s), "ahead_s": round(self._ahead_s)}}

    def today(self) -> int:
        """Return the number of today's date."""
        return self.now().toordinal()

    def now(self) -> datetime.datetime:
        """Return the local time, without the jumps that do not count."""
        wall, now = self._wall(), self._clock.now()
        moved_s = (wall - self._seen).total_seconds()
        passed_s = now - self._looked
        self._seen, self._looked = wall, now
        self._note(moved_s, passed_s)
        if self._of_boot_s and now - self._began >= BOOT_GRACE_S:
            self._ahead_s = max(0.0, self._ahead_s - self._of_boot_s)
            self._of_boot_s = 0.0
        return wall - datetime.timedelta(seconds=math.floor(self._ahead_s))

    def _note(self, moved_s: float, passed_s: float) -> None:
        """Compare the wall clock's progress with the time that has passed."""
        jump_s = moved_s - passed_s
        if self._ahead_s == 0.0 and abs(jump_s) <= JUMP_S:
            return
        if self._evidence is not None and self._evidence.synchronised():
            if self._ahead_s:
                log.info("the clock is synchronised, the day's budget uses its date again")
            self._ahead_s = self._of_boot_s = 0.0
        elif jump_s > JUMP_S and self._evidence is None and self._looked - self._believed_at >= DAY_S:
            self._believed_at = self._looked
        elif jump_s > JUMP_S:
            self._ahead_s += jump_s
            if self._new_boot:
                self._new_boot = False
                self._of_boot_s = jump_s
            log.warning(
                "clock was set forward, but is not synchronised: hours=%.1f; "
                "the day's budget ignores the jump; see timedatectl",
                jump_s / 3600,
            )
        elif jump_s < -JUMP_S:
            self._ahead_s = max(0.0, self._ahead_s + jump_s)
