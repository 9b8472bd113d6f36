"""What the control socket and the metrics port pass on."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, NoReturn, Protocol

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


class RequestHandler(Protocol):
    """Who carries out requests."""

    async def __call__(
        self, request: Mapping[str, object], attachment: bytes, answer: SendLine, /, *, privileged: bool
    ) -> None:
        """Carry out a request, with the bytes that came with it, and answer at least once.

        `privileged`: who asks is root or the daemon's own user; else a member of the group.
        """


class ControlServer(Protocol):
    """Where clients send requests."""

    def claim(self) -> None:
        """Make sure that no other daemon answers here.

        Raises:
            KioskError: another daemon does.
        """

    async def serve(self, handle: RequestHandler) -> NoReturn:
        """Have each request handled, until cancelled.

        Raises:
            KioskError: another daemon answers here.
        """


class MetricsEndpoint(Protocol):
    """Where Prometheus fetches metrics."""

    async def serve(self, families: Callable[[], Iterable[MetricFamily]]) -> NoReturn:
        """Answer until cancelled."""
