"""The date that budgets are counted by: the wall clock's, without the jumps that nothing explains.

A wall clock that is set forward would give a new day's budget each time. So a jump counts only if the clock is known to be
synchronised. Otherwise the date goes on from where it was, by the time that has really passed. The first correction after
a boot counts after an hour, as a machine without a battery for its clock boots with an old time. Where the machine cannot
be asked at all, one jump a day counts.
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
"""The wall clock may be so far from the time that has passed between two looks: it is slewed, or the loop was late."""

BOOT_GRACE_S: Final = 3600.0

ENTRY: Final = "clock"
"""The name under which this is kept with the day's figures."""


class DayClock:
    """Tells today's date. For one thread."""

    def __init__(
        self, clock: Clock, wall: Callable[[], datetime.datetime], evidence: TimeEvidence | None
    ) -> None:
        """`wall` gives the local time. `evidence`: what the machine knows of its clock; None: nothing."""
        self._clock = clock
        self._wall = wall
        self._evidence = evidence
        self._seen, self._looked = wall(), clock.now()
        self._began = clock.now()
        self._ahead_s = 0.0
        """How far the wall clock is ahead by jumps that do not count."""
        self._of_boot_s = 0.0
        """How much of that is the first correction after a boot."""
        self._new_boot = False
        self._believed_at = -math.inf
        """When a jump was believed for want of evidence."""

    def restore(self, entry: Mapping[str, object]) -> None:
        """Go on from what `entry` kept of the clock; what makes no sense is as good as nothing."""
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
        """Return what `restore` reads, to be kept with the day's figures; nothing where nothing is known of the clock."""
        if self._evidence is None:
            return {}
        boot, boot_s = self._evidence.boot()
        wall = round(self._wall().timestamp())
        return {ENTRY: {"wall": wall, "boot": boot, "boot_s": round(boot_s), "ahead_s": round(self._ahead_s)}}

    def today(self) -> int:
        """Return the number of today's date."""
        return self.now().toordinal()

    def now(self) -> datetime.datetime:
        """Return the local time whose date is today's."""
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
        """Compare how far the wall clock has moved with the time that has passed."""
        jump_s = moved_s - passed_s
        if self._ahead_s == 0.0 and abs(jump_s) <= JUMP_S:
            return
        if self._evidence is not None and self._evidence.synchronised():
            if self._ahead_s:
                log.info("clock is synchronised, its date counts for the day's budget")
            self._ahead_s = self._of_boot_s = 0.0
        elif jump_s > JUMP_S and self._evidence is None and self._looked - self._believed_at >= DAY_S:
            self._believed_at = self._looked
        elif jump_s > JUMP_S:
            self._ahead_s += jump_s
            if self._new_boot:
                self._new_boot = False
                self._of_boot_s = jump_s
            log.warning(
                "clock was set forward and is not synchronised: hours=%.1f; the day's budget goes on as if it was not; "
                "see timedatectl",
                jump_s / 3600,
            )
        elif jump_s < -JUMP_S:
            self._ahead_s = max(0.0, self._ahead_s + jump_s)
