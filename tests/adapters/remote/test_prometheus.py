"""The text for Prometheus, read back by its own parser, and the HTTP port on loopback."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.support.kiosk import running
from tests.support.until import until

from kioskd.adapters.clock import SystemClock
from kioskd.adapters.remote import prometheus
from kioskd.adapters.remote.prometheus import CLIENTS, HEAD_BYTES, MetricsServer, text
from kioskd.ports import MetricFamily

FAMILIES = [
    MetricFamily("kioskd_turns", "counter", "What it is.", {"heard": 3, 'a "quoted" \\ cause\n': 1}, "ended"),
    MetricFamily("kioskd_uptime_seconds", "gauge", "What it is.", {"": 12.5}),
    MetricFamily(
        "kioskd_reply_wait_seconds", "histogram", "What it is.", {"0.5": 1, "1.0": 3, "+Inf": 4}, total=4.25
    ),
    MetricFamily("kioskd_pictures", "counter", "What it is.", {}, "what"),
]


def samples(said: str) -> dict[tuple[str, str], float]:
    return {
        (sample.name, ",".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(said)
        for sample in family.samples
    }


def test_prometheus_reads_the_text_back_correctly() -> None:
    assert samples(text(FAMILIES)) == {
        ("kioskd_turns_total", "heard"): 3,
        ("kioskd_turns_total", 'a "quoted" \\ cause\n'): 1,
        ("kioskd_uptime_seconds", ""): 12.5,
        ("kioskd_reply_wait_seconds_bucket", "0.5"): 1,
        ("kioskd_reply_wait_seconds_bucket", "1.0"): 3,
        ("kioskd_reply_wait_seconds_bucket", "+Inf"): 4,
        ("kioskd_reply_wait_seconds_count", ""): 4,
        ("kioskd_reply_wait_seconds_sum", ""): 4.25,
    }


@asynccontextmanager
async def door() -> AsyncIterator[str]:
    made = MetricsServer(0, SystemClock())
    async with running(made.serve(lambda: FAMILIES)):
        await until(lambda: made.port != 0)
        yield f"http://127.0.0.1:{made.port}"


async def test_a_scrape_by_http_gets_the_text() -> None:
    async with door() as url, httpx2.AsyncClient(trust_env=False) as client:
        answer = await client.get(f"{url}/metrics")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert samples(answer.text) == samples(text(FAMILIES))
        head = await client.head(f"{url}/metrics")
        assert (head.status_code, head.content) == (200, b"")


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/", 404), ("POST", "/metrics", 405)])
async def test_other_paths_are_not_found(method: str, path: str, status: int) -> None:
    async with door() as url, httpx2.AsyncClient(trust_env=False) as client:
        assert (await client.request(method, url + path)).status_code == status


async def test_an_invalid_request_is_closed_and_the_next_one_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(prometheus, "REQUEST_S", 0.05)
    async with door() as url, httpx2.AsyncClient(trust_env=False) as client:
        port = int(url.rpartition(":")[2])
        for said in (b"", b"\r\n\r\n", b"GET", b"\xff" * 100 + b"\r\n\r\n", b"x" * (HEAD_BYTES * 2)):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(said)
            async with asyncio.timeout(60):
                assert b"200 OK" not in await reader.read()
            writer.transport.abort()
        assert (await client.get(f"{url}/metrics")).status_code == 200


async def test_one_client_too_many_gets_the_answer_busy() -> None:
    async with door() as url:
        port = int(url.rpartition(":")[2])
        streams = [await asyncio.open_connection("127.0.0.1", port) for _ in range(CLIENTS + 1)]
        async with asyncio.timeout(60):
            assert (await streams[-1][0].read()).startswith(b"HTTP/1.1 503 ")
        for _, writer in streams:
            writer.transport.abort()


async def test_the_server_listens_on_loopback_only_and_waits_for_a_port_in_use(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        made = MetricsServer(other.getsockname()[1], SystemClock())
        async with running(made.serve(lambda: FAMILIES)):
            await until(lambda: "metrics socket cannot be created" in caplog.text)
    async with door() as url:
        port = int(url.rpartition(":")[2])
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.2", port)
