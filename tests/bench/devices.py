"""An estimate of the seconds of CPU on a Raspberry Pi, from counts that do not depend on the machine.

The seconds are INSTRUCTIONS / SPEED + WAKE-UPS * COST, each with a range. The manual's chapter of figures
says where the numbers come from. Nothing here was measured on a Pi by this project.
"""

from dataclasses import dataclass
from typing import Final

IPC_A72: Final = 1.3
"""Instructions per cycle of Python on a Cortex-A72, at the most: a published time of a counted program."""
TO_A53: Final = 0.83
TO_A76: Final = 1.39
"""The other cores' instructions per cycle in units of the A72's, at the most: by 7-Zip and by sysbench."""

RATING: Final = 4817
"""The measuring machine's rating by 7-Zip with one thread, for each second of CPU."""
STARTING: Final = 3.5e9
IN_BURSTS: Final = 1.0e9
"""Instructions a second on the measuring machine: of a start, and of short work after each wake-up.

After a wake-up, the caches hold the work of other programs.
"""
WAKE_US: Final = (13.0, 21.0)
"""Microseconds of the measuring machine's kernel for each wake-up."""


@dataclass(frozen=True, slots=True)
class Device:
    """A Raspberry Pi."""

    name: str
    ghz: float
    """The clock of the fastest model."""
    ipc: float
    """The most instructions per cycle that Python reaches."""
    rating: int
    """The lowest published rating by 7-Zip with one thread."""

    def seconds(
        self, instructions: float, wake_ups: tuple[float, float], *, starting: bool = False
    ) -> tuple[float, float]:
        """Return the least and the most seconds of CPU that the work takes, with least and most wake-ups.

        At the least, Python runs as in a long computation, and the kernel as on the measuring machine. At the
        most, all takes as long as there, times the ratio of the ratings.
        """
        least = instructions / (self.ipc * self.ghz * 1e9) + wake_ups[0] * WAKE_US[0] / 1e6
        speed = STARTING if starting else IN_BURSTS
        most = (instructions / speed + wake_ups[1] * WAKE_US[1] / 1e6) * RATING / self.rating
        return least, most


DEVICES: Final = (
    Device("Zero 2 W", 1.0, IPC_A72 * TO_A53, 838),
    Device("Pi 3", 1.4, IPC_A72 * TO_A53, 977),
    Device("Pi 4", 1.8, IPC_A72, 1738),
    Device("Pi 5", 2.4, IPC_A72 * TO_A76, 3196),
)
