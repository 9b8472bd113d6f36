"""The device proves who it is: by its certificate, or by a request that its key has signed."""

import asyncio
import json
import ssl
from pathlib import Path

import jwt
import pytest
from tests.support.fleet import Authority
from tests.support.http_peers import Answer, Asked, Peer, http_server
from tests.support.live_providers import mint

from kioskd.adapters.gemini import DeviceIdentity
from kioskd.adapters.gemini.credentials import TokenCredentials
from kioskd.adapters.gemini.device_identity import SIGNED_S
from kioskd.adapters.gemini.web import HttpClient
from kioskd.errors import LinkLost, Remedy

AUDIENCE = "https://tokens.example/kiosk"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def server_context(authority: Authority) -> ssl.SSLContext:
    """Return the context of a server that asks for a certificate."""
    server = authority.issue("server", hosts=("127.0.0.1",))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server.certificate, server.key)
    context.load_verify_locations(authority.ca_file)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


async def fetched(peer: Peer, authority: Authority, identity: DeviceIdentity | None) -> None:
    web = HttpClient(ssl.create_default_context(cafile=authority.ca_file))
    await TokenCredentials(f"https://127.0.0.1:{peer.port}", "m", web, identity=identity).fetch()


async def test_a_server_that_asks_for_a_certificate_gets_it_and_no_bearer(authority: Authority) -> None:
    identity = authority.issue("kiosk-1").identity("certificate", authority.ca_file)
    async with asyncio.timeout(60), http_server(mint(), server_context(authority)) as peer:
        await fetched(peer, authority, identity)
        with pytest.raises(LinkLost, match="token server not reached"):
            await fetched(peer, authority, None)
    assert ["authorization" in asked.headers for asked in peer.asked] == [False]


async def test_a_renewed_certificate_is_used_at_the_next_fetch(authority: Authority) -> None:
    old = Authority(authority.folder, "old").issue("kiosk-1")
    identity = old.identity("certificate", authority.ca_file)
    async with asyncio.timeout(60), http_server(mint(), server_context(authority)) as peer:
        with pytest.raises(
            LinkLost, match=r"check the network and service\.token_url and service\.token_cert"
        ):
            await fetched(peer, authority, identity)
        assert authority.issue("kiosk-1").certificate == old.certificate
        await fetched(peer, authority, identity)


def test_a_signed_request_is_short_lived_and_each_one_differs(authority: Authority) -> None:
    device = authority.issue("kiosk-1")
    identity = device.identity("signature", authority.ca_file)
    proofs = [identity.proofs(AUDIENCE, 1000.4) for _ in range(2)]
    assert [tls for tls, _ in proofs] == [None, None]
    claims = []
    for _, bearer in proofs:
        assert bearer is not None
        header = jwt.get_unverified_header(bearer.get_secret_value())
        assert (header["alg"], header["x5c"]) == ("ES256", [_body(device.certificate)])
        claims.append(jwt.decode(bearer.get_secret_value(), options={"verify_signature": False}))
    assert [one | {"jti": ""} for one in claims] == [
        {"aud": AUDIENCE, "iat": 1000, "exp": 1000 + SIGNED_S, "jti": ""}
    ] * 2
    assert claims[0]["jti"] != claims[1]["jti"]


async def test_a_signed_request_goes_as_a_bearer(authority: Authority) -> None:
    server = authority.issue("server", hosts=("127.0.0.1",))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server.certificate, server.key)
    identity = authority.issue("kiosk-1").identity("signature", authority.ca_file)
    async with asyncio.timeout(60), http_server(mint(), context) as peer:
        await fetched(peer, authority, identity)
    (asked,) = peer.asked
    scheme, _, token = asked.headers["authorization"].partition(" ")
    assert scheme == "Bearer"
    assert jwt.get_unverified_header(token)["alg"] == "ES256"
    assert json.loads(asked.body) == {"model": "m"}


@pytest.mark.parametrize("proof", ["certificate", "signature"])
@pytest.mark.parametrize("broken", ["certificate", "key"])
def test_files_that_cannot_be_used_are_a_fault_of_the_settings(
    authority: Authority, proof: str, broken: str
) -> None:
    device = authority.issue("kiosk-1")
    identity = device.identity(proof, authority.ca_file)
    path: Path = getattr(device, broken)
    for content in (b"", b"no PEM", None):
        path.unlink()
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(
            LinkLost, match=r"this device's certificate cannot be used .*token_certificate"
        ) as caught:
            identity.proofs(AUDIENCE, 0.0)
        assert caught.value.remedy is Remedy.SETTINGS
        path.touch()


async def test_clocks_that_differ_are_named_only_if_the_server_refuses(authority: Authority) -> None:
    server = authority.issue("server", hosts=("127.0.0.1",))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server.certificate, server.key)

    def refuse(_asked: Asked) -> Answer:
        return Answer(401, headers={"Date": "Tue, 01 Dec 2026 12:00:00 GMT"})

    async def lost(now: float) -> LinkLost:
        web = HttpClient(ssl.create_default_context(cafile=authority.ca_file))
        url = f"https://127.0.0.1:{peer.port}"
        with pytest.raises(LinkLost) as caught:
            await TokenCredentials(url, "m", web, wall=lambda: now).fetch()
        return caught.value

    noon = 1796126400.0
    async with asyncio.timeout(60), http_server(refuse, context) as peer:
        assert (await lost(noon + 20)).remedy is Remedy.CREDENTIALS
        ahead, behind = await lost(noon + 300), await lost(noon - 7200)
    assert (ahead.remedy, behind.remedy) == (Remedy.CLOCK, Remedy.CLOCK)
    assert "5 min ahead of the server's: check its date (timedatectl)" in str(ahead)
    assert "120 min behind the server's" in str(behind)


def _body(certificate: Path) -> str:
    return "".join(certificate.read_text().splitlines()[1:-1])
