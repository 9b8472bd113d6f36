"""An estimate of the seconds of CPU on a Raspberry Pi, from counts that do not depend on the machine.

The seconds are INSTRUCTIONS / SPEED + WAKE-UPS * COST, each with a range. The manual's chapter of figures
says where the numbers come from. Nothing here was measured on a Pi by this project.
"""

from dataclasses import dataclass
from typing import Final

IPC_A72: Final = (1.0, 1.3)
"""Instructions per cycle of Python on a Cortex-A72, from one published time of a program that was counted
here."""
TO_A53: Final = (0.60, 0.83)
TO_A76: Final = (1.34, 1.39)
"""The other cores' instructions per cycle in units of the A72's, by published results of sysbench and
7-Zip."""

WAKE_US: Final = 34.0
"""Microseconds of CPU that a wake-up costs on the measuring machine, beside the counted instructions.

They are the kernel's work, and the filling of caches. Memory is about as fast on a Pi, so a Pi needs at least
as long. If all of it is computing, it needs longer by the ratio of the 7-Zip ratings.
"""
RATING: Final = 4817
"""The measuring machine's rating by 7-Zip with one thread, per second of CPU."""


@dataclass(frozen=True, slots=True)
class Device:
    """A Raspberry Pi."""

    name: str
    ghz: tuple[float, float]
    """The clock of the older and the newer model."""
    to_a72: tuple[float, float]
    rating: int
    """The lowest published rating by 7-Zip with one thread."""

    def seconds(self, instructions: float, wake_ups: float) -> tuple[float, float]:
        """Return the least and the most seconds of CPU that the work takes."""
        slow, fast = (IPC_A72[end] * self.to_a72[end] * self.ghz[end] * 1e9 for end in (0, 1))
        least = instructions / fast + wake_ups * WAKE_US / 1e6
        most = instructions / slow + wake_ups * WAKE_US / 1e6 * RATING / self.rating
        return least, most


DEVICES: Final = (
    Device("Zero 2 W", (1.0, 1.0), TO_A53, 838),
    Device("Pi 3", (1.2, 1.4), TO_A53, 977),
    Device("Pi 4", (1.5, 1.8), (1.0, 1.0), 1738),
    Device("Pi 5", (2.4, 2.4), TO_A76, 3196),
)
