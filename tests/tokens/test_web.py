"""The token service's web server, asked by clients of any kind."""

import asyncio
import json
import ssl
from pathlib import Path
from typing import Any

import httpx2
import jwt
import pytest
from tests.support.fleet import TokenHost, token_host

from kioskd.tokens.web import LARGEST_BYTES

ROW = {"name": "hall-1"}


def client(host: TokenHost, name: str | None = None) -> httpx2.AsyncClient:
    """Return a client; with `name` it shows the certificate of that device."""
    context = ssl.create_default_context(cafile=host.authority.ca_file)
    if name is not None:
        device = host.authority.issue(name)
        context.load_cert_chain(device.certificate, device.key)
    return httpx2.AsyncClient(verify=context, trust_env=False)


async def test_a_token_is_answered_as_the_daemon_expects_it(tmp_path: Path) -> None:
    async with token_host(tmp_path, [ROW]) as host, host.serving(), client(host, "hall-1") as asking:
        response = await asking.post(host.url, json={"model": "models/gemini-3.8-live"})
    assert response.status_code == 200
    assert list(response.json()) == ["token"]
    assert response.headers["Cache-Control"] == "no-store"
    assert "server" not in response.headers


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 200),
        (b"{}", 200),
        (b"[]", 400),
        (b'{"model": 5}', 400),
        (b"\xff", 400),
        (b"[" * 10_000, 400),
        (b" " * (LARGEST_BYTES + 1), 413),
    ],
    ids=lambda value: str(value)[:20],
)
async def test_a_request_names_a_model_or_none(tmp_path: Path, body: bytes, status: int) -> None:
    async with token_host(tmp_path, [ROW]) as host, host.serving(), client(host, "hall-1") as asking:
        response = await asking.post(host.url, content=body)
    assert response.status_code == status


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_other_methods_mint_nothing(tmp_path: Path, method: str) -> None:
    async with token_host(tmp_path, [ROW]) as host, host.serving():
        async with client(host, "hall-1") as asking:
            assert (await asking.request(method, host.url)).status_code == 405
        assert host.simulator.count("token_minted") == 0


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer x", "Basic YTpi", f"Bearer {'x' * 9000}"])
async def test_a_request_without_a_proof_is_refused_without_a_reason(tmp_path: Path, header: str) -> None:
    signed = token_host(tmp_path, [ROW], proof="signature")
    async with signed as host, host.serving(), client(host) as asking:
        response = await asking.post(host.url, headers={"Authorization": header} if header else {})
    assert response.status_code == 401
    assert response.json() == {"error": "this device has not proved who it is"}


async def test_a_proof_is_good_once_and_a_replay_is_refused(tmp_path: Path) -> None:
    async with token_host(tmp_path, [ROW], proof="signature") as host, host.serving():
        identity = host.authority.issue("hall-1").identity("signature", host.authority.ca_file)
        _, bearer = identity.proofs(host.url, host.wall.seconds())
        assert bearer is not None
        shown = {"Authorization": f"Bearer {bearer.get_secret_value()}"}
        async with client(host) as asking:
            answers = [await asking.post(host.url, headers=shown) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 401]
    assert answers[1].json() == {"error": "this proof was used before"}


async def test_behind_a_proxy_that_ends_tls_the_signature_is_proof_enough(tmp_path: Path) -> None:
    async with token_host(tmp_path, [ROW], proof="signature") as host:
        listen: dict[str, Any] = host.settings["listen"]
        host.write(listen={"address": "127.0.0.1", "port": listen["port"]})
        async with host.serving():
            identity = host.authority.issue("hall-1").identity("signature", host.authority.ca_file)
            _, bearer = identity.proofs(host.url, host.wall.seconds())
            assert bearer is not None
            async with httpx2.AsyncClient(trust_env=False) as asking:
                response = await asking.post(
                    host.url.replace("https:", "http:"),
                    headers={"Authorization": f"Bearer {bearer.get_secret_value()}"},
                )
    assert response.status_code == 200


async def test_a_certificate_is_no_proof_where_a_signature_is_asked_for(tmp_path: Path) -> None:
    signed = token_host(tmp_path, [ROW], proof="signature")
    async with signed as host, host.serving(), client(host, "hall-1") as asking:
        assert (await asking.post(host.url)).status_code == 401


async def test_garbage_on_the_port_leaves_the_service_alone(tmp_path: Path) -> None:
    async with token_host(tmp_path, [ROW]) as host, host.serving():
        device = host.authority.issue("hall-1")
        context = ssl.create_default_context(cafile=host.authority.ca_file)
        context.load_cert_chain(device.certificate, device.key)
        port = host.settings["listen"]["port"]
        for tls, sent in ((None, b"\x16\x03\x01" + b"x" * 100), (context, b"x" * 100_000 + b"\r\n\r\n")):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
            writer.write(sent)
            try:
                async with asyncio.timeout(60):
                    answer = await reader.read()
            except OSError:
                answer = b""
            assert b"200" not in answer[:20]
            writer.transport.abort()
        await host.token(device)


async def test_a_jwt_of_another_key_opens_nothing(tmp_path: Path) -> None:
    async with token_host(tmp_path, [ROW], proof="signature") as host, host.serving():
        now = int(host.wall.seconds())
        claims = {"aud": host.url, "iat": now, "exp": now + 50, "jti": "x"}
        forged = jwt.encode(claims, "a secret of thirty-two characters", algorithm="HS256")
        async with client(host) as asking:
            response = await asking.post(host.url, headers={"Authorization": f"Bearer {forged}"})
    assert response.status_code == 401
    assert json.loads(response.content)["error"]
