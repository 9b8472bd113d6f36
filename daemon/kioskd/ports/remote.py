"""Interfaces of the control socket and the metrics port."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, NoReturn, Protocol

SendLine = Callable[[Mapping[str, object]], Awaitable[None]]
"""Sends one line of JSON to the client of the request."""


@dataclass(frozen=True, slots=True)
class MetricFamily:
    """One metric, in Prometheus' terms."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    values: Mapping[str, float]
    """Values by the value of `label`. A histogram holds cumulative counts by upper bound, smallest first."""
    label: str = ""
    """Name of the only label; without one, the only value's key is empty."""
    total: float = 0.0
    """Sum of all observations of a histogram."""

    @property
    def flat(self) -> object:
        """Return the values in the form of `kioskd status`."""
        if self.kind == "histogram":
            return {"count": self.values["+Inf"], "sum": round(self.total, 3)}
        if not self.label:
            return round(self.values[""], 3)
        return {label: round(value, 3) for label, value in self.values.items()}


class RequestHandler(Protocol):
    """Callable that carries out requests."""

    async def __call__(
        self, request: Mapping[str, object], attachment: bytes, answer: SendLine, /, *, privileged: bool
    ) -> None:
        """Carry out a request with its attached bytes, and answer at least once.

        `privileged`: the client is root or the daemon's own user; otherwise a member of the group.
        """


class ControlServer(Protocol):
    """Socket to which clients send requests."""

    def claim(self) -> None:
        """Make sure that no other daemon answers here.

        Raises:
            KioskError: another daemon answers here.
        """

    async def serve(self, handle: RequestHandler) -> NoReturn:
        """Pass each request to `handle`, until cancelled.

        Raises:
            KioskError: another daemon answers here.
        """


class MetricsEndpoint(Protocol):
    """Endpoint from which Prometheus fetches metrics."""

    async def serve(self, families: Callable[[], Iterable[MetricFamily]]) -> NoReturn:
        """Answer until cancelled."""
