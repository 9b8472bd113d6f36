"""The proxy to the Live service, to the token server and to Google."""

import asyncio
import socket
import ssl
from pathlib import Path

import pytest
from pydantic import SecretStr
from tests.support.fleet import Authority
from tests.support.http_peers import connect_proxy
from tests.support.live_providers import (
    KEY,
    account_file,
    bearer,
    dial,
    google,
    live_at,
    mint,
    service,
    token_server,
    web,
)

from kioskd.adapters.gemini import Vertex
from kioskd.adapters.gemini.credentials import TokenCredentials
from kioskd.adapters.gemini.web import HttpClient
from kioskd.errors import LinkLost, Remedy


async def test_service_and_token_server_are_reached_through_the_owners_proxy() -> None:
    async with token_server(mint()) as (tokens, _), service() as server:
        ports = {"gateway.test": server.port, "tokens.test": tokens.port}
        async with connect_proxy(ports) as proxy:
            live = live_at(
                server,
                endpoint="https://gateway.test",
                token_url="https://tokens.test/kiosk",
                proxy=f"http://127.0.0.1:{proxy.port}",
                api_version="v1alpha",
            )
            await dial(live)
    assert [asked.line for asked in proxy.asked] == [
        "CONNECT tokens.test:443 HTTP/1.1",
        "CONNECT gateway.test:443 HTTP/1.1",
    ]
    assert server.headers[0]["authorization"] == "Token auth_tokens/of-the-server-1"
    # The proxy sees the destination, but not the content.
    assert "auth_tokens" not in str(proxy.asked)


async def test_vertex_and_googles_token_service_are_reached_through_the_owners_proxy(
    tmp_path: Path,
) -> None:
    file = account_file(tmp_path, "https://oauth.test/token")
    async with google(bearer(), tmp_path / "..") as (oauth, _), service() as server:
        ports = {"gateway.test": server.port, "oauth.test": oauth.port}
        async with connect_proxy(ports) as proxy:
            live = live_at(
                server,
                endpoint="https://gateway.test",
                vertex=Vertex("p", credentials_file=file),
                proxy=f"http://127.0.0.1:{proxy.port}",
                api_version="v1beta1",
            )
            await dial(live)
    assert [asked.line.split()[1] for asked in proxy.asked] == ["oauth.test:443", "gateway.test:443"]


async def test_what_is_on_this_machine_is_reached_without_the_owners_proxy() -> None:
    async with service() as server, connect_proxy({}) as proxy:
        await dial(live_at(server, key=SecretStr(KEY), proxy=f"http://127.0.0.1:{proxy.port}"))
    assert proxy.asked == []
    assert len(server.paths) == 1


async def test_a_token_server_on_this_machine_is_reached_without_a_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with token_server(mint()) as (tokens, url):
        for proxy in ("http://127.0.0.1:9", None):
            await TokenCredentials(url, "m", web(proxy)).fetch()
    assert len(tokens.asked) == 2


async def test_the_environments_proxy_is_used_if_the_owner_sets_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with token_server(mint()) as (tokens, _), connect_proxy({"tokens.test": tokens.port}) as proxy:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.port}")
        await TokenCredentials("https://tokens.test/kiosk", "m", web()).fetch()
        assert len(proxy.asked) == 1
        monkeypatch.setenv("no_proxy", "tokens.test")
        assert web().route("https://tokens.test/kiosk") is None


@pytest.mark.parametrize(
    ("status", "remedy"), [(403, Remedy.SETTINGS), (407, Remedy.SETTINGS), (502, Remedy.RESUME)]
)
async def test_a_proxy_that_rejects_a_request_differs_from_one_without_a_connection(
    status: int, remedy: Remedy
) -> None:
    async with asyncio.timeout(60), connect_proxy({}, status=status) as proxy:
        with pytest.raises(LinkLost, match="token server not reached") as caught:
            await TokenCredentials("https://tokens.test", "m", web(f"http://127.0.0.1:{proxy.port}")).fetch()
    assert (caught.value.remedy, caught.value.reached) == (remedy, False)


def test_the_clouds_metadata_address_is_reached_without_a_proxy() -> None:
    reached = web("http://127.0.0.1:9")
    assert reached.route("http://metadata.google.internal/computeMetadata/v1/") is None
    assert reached.route("https://oauth2.googleapis.com/token") == "http://127.0.0.1:9"


@pytest.mark.parametrize("shows", [False, True])
async def test_a_server_that_rejects_the_devices_certificate_is_told_from_one_out_of_reach(
    tmp_path: Path, shows: bool
) -> None:
    ours, theirs = Authority(tmp_path, "ours"), Authority(tmp_path, "theirs")
    server = ours.issue("server", hosts=("127.0.0.1",))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server.certificate, server.key)
    context.load_verify_locations(ours.ca_file)
    context.verify_mode = ssl.CERT_REQUIRED
    with socket.create_server(("127.0.0.1", 0)) as listening:
        # Python's own sockets send the alert of a failed handshake, as most web servers do.
        serving = asyncio.create_task(asyncio.to_thread(_reject, listening, context))
        url = f"https://127.0.0.1:{listening.getsockname()[1]}"
        identity = theirs.issue("kiosk-1").identity("certificate", ours.ca_file) if shows else None
        reached = HttpClient(ssl.create_default_context(cafile=ours.ca_file))
        with pytest.raises(LinkLost, match=r"refused this device's certificate \(.+\); renew it") as caught:
            await TokenCredentials(url, "m", reached, identity=identity).fetch()
        await serving
    assert caught.value.remedy is Remedy.CREDENTIALS


def _reject(listening: socket.socket, context: ssl.SSLContext) -> None:
    listening.settimeout(60)
    connection, _ = listening.accept()
    connection.settimeout(60)
    with context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False) as tls:
        with pytest.raises(ssl.SSLError):
            tls.do_handshake()
        # A close with unread data would be a reset, which takes the alert away.
        while socket.socket.recv(tls, 65536):
            pass
