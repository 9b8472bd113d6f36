"""The level of a room's noise in one band, and how much it varies: running means in which loud frames count
little."""

import math


class NoiseLevel:
    """Noise in dB. A distance from it counts in spreads, because hiss varies little and a crowd much."""

    def __init__(self, least_spread_db: float, most_spread_db: float = math.inf) -> None:
        """Start with an unknown noise, which the first `learn` with a share of 1 makes known."""
        self._least = least_spread_db
        self._most = most_spread_db
        self.level = 0.0
        """Mean level in dB."""
        self.spread = 1.0
        """Standard deviation of the levels above the mean: hiss with voices in it has a long tail there."""

    def above(self, level: float) -> float:
        """Return the distance of `level` from the noise, in spreads."""
        return (level - self.level) / self.spread

    def learn(self, level: float, share: float) -> None:
        """Include `level` with this weight. 1 forgets the level before, but not the spread."""
        if share == 1.0:
            self.level = level
        most = 3 * self.spread + 1
        off = min(max(level - self.level, -most), most)
        self.level += share * off
        above = 2 * max(0.0, off) ** 2
        variance = self.spread**2 + min(share, 0.1) * (above - self.spread**2)
        self.spread = min(max(self._least, math.sqrt(variance)), self._most)
