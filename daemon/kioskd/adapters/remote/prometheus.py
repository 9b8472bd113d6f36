"""Metrics for Prometheus: their text format, and the HTTP port on loopback."""

import asyncio
import logging
import socket
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, NoReturn

from kioskd.adapters.remote.connection_limiter import ClientStream, ConnectionLimiter
from kioskd.ports import Clock, MetricFamily

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

log = logging.getLogger(__name__)

HEAD_BYTES: Final = 8192
REQUEST_S: Final = 5.0
CLIENTS: Final = 4


def text(families: Iterable[MetricFamily]) -> str:
    """Return the text format (0.0.4). Not for the loop's thread: the first call imports the library."""
    from prometheus_client import CollectorRegistry, generate_latest  # noqa: PLC0415 - see above
    from prometheus_client.registry import Collector  # noqa: PLC0415

    class Once(Collector):
        def collect(self) -> "Iterable[Metric]":
            return [_metric(family) for family in families]

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Once())
    return generate_latest(registry).decode()


def _metric(family: MetricFamily) -> "Metric":
    from prometheus_client import core  # noqa: PLC0415 - as above

    if family.kind == "histogram":
        return core.HistogramMetricFamily(
            family.name, family.help, buckets=list(family.values.items()), sum_value=family.total
        )
    kind = core.CounterMetricFamily if family.kind == "counter" else core.GaugeMetricFamily
    metric = kind(family.name, family.help, labels=[family.label] if family.label else [])
    for label, value in family.values.items():
        metric.add_metric([label] if family.label else [], value)
    return metric


class MetricsServer:
    """HTTP server for `http://127.0.0.1:PORT/metrics`, for a Prometheus or its agent on this machine."""

    def __init__(self, port: int, clock: Clock) -> None:
        """`port`: on loopback; 0 for any free one (`port` holds it while serving)."""
        self.port = port
        self._clock = clock

    async def serve(self, families: Callable[[], Iterable[MetricFamily]]) -> NoReturn:
        """Answer until cancelled. If the port is in use, this is logged once, and retried each minute."""
        limiter = ConnectionLimiter(
            "metrics", self._clock, most=CLIENTS, line_bytes=HEAD_BYTES, full=_answer(503, "busy\n")
        )
        await limiter.open(self._listen, lambda stream: self._attend(stream, families))

    def _listen(self) -> socket.socket:
        listening = socket.create_server(("127.0.0.1", self.port))
        self.port = listening.getsockname()[1]
        return listening

    async def _attend(self, stream: ClientStream, families: Callable[[], Iterable[MetricFamily]]) -> None:
        try:
            head = await stream.read_until(b"\r\n\r\n", within_s=REQUEST_S)
        except ValueError:
            await stream.write(_answer(431, "the request is too long\n"))
            return
        method, _, rest = head.decode("latin-1").partition(" ")
        path = rest.partition(" ")[0].partition("?")[0]
        if method not in ("GET", "HEAD"):
            await stream.write(_answer(405, "use GET\n"))
        elif path != "/metrics":
            await stream.write(_answer(404, "see /metrics\n"))
        else:
            body = await asyncio.to_thread(text, list(families()))
            await stream.write(_answer(200, body, bare=method == "HEAD"))


def _answer(status: int, body: str, *, bare: bool = False) -> bytes:
    data = body.encode()
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
        "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
        f"Content-Length: {len(data)}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + (b"" if bare else data)
