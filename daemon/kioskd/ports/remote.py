"""What the control socket and the metrics port pass on."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Literal

SendLine = Callable[[Mapping[str, object]], Awaitable[None]]
"""Sends one line of JSON to the client that asked."""


@dataclass(frozen=True, slots=True)
class MetricFamily:
    """One metric, in Prometheus' terms."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    values: Mapping[str, float]
    """By the value of `label`; of a histogram: so many at most so large, by the bound, smallest first."""
    label: str = ""
    """The name of its only label; without one, the only value's key is empty."""
    total: float = 0.0
    """Of a histogram: the sum of all that was observed."""

    @property
    def flat(self) -> object:
        """Return its values as `kioskd status` has them."""
        if self.kind == "histogram":
            return {"count": self.values["+Inf"], "sum": round(self.total, 3)}
        if not self.label:
            return round(self.values[""], 3)
        return {label: round(value, 3) for label, value in self.values.items()}
