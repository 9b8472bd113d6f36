"""The temporary certificate in real TLS handshakes."""

import asyncio
import datetime as dt
import ssl
from pathlib import Path

import pytest
from tests.support.tls import client_context

from kioskd.simulator.certificate import Certificate, make_certificate


async def shake_hands(certificate: Certificate, name: str, context: ssl.SSLContext | None = None) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=certificate.server_context())
    async with server, asyncio.timeout(60):
        port = server.sockets[0].getsockname()[1]
        trust = context or client_context(certificate)
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust, server_hostname=name)
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
async def test_a_client_that_trusts_the_authority_gets_through(tmp_path: Path, name: str) -> None:
    await shake_hands(make_certificate(tmp_path), name)


async def test_the_certificate_passes_the_strict_check_of_python_3_13(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    context = client_context(certificate)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    await shake_hands(certificate, "localhost", context)


async def test_a_client_that_trusts_only_public_authorities_rejects_the_certificate(tmp_path: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        await shake_hands(make_certificate(tmp_path), "localhost", ssl.create_default_context())


async def test_a_certificate_that_begins_tomorrow_is_rejected_today(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path, starts_in=dt.timedelta(days=1))
    with pytest.raises(ssl.SSLCertVerificationError, match="not yet valid"):
        await shake_hands(certificate, "localhost")


async def test_a_certificate_for_another_name_is_refused(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path, hosts=["service.invalid"])
    with pytest.raises(ssl.SSLCertVerificationError, match="IP address mismatch"):
        await shake_hands(certificate, "127.0.0.1")


def test_only_its_owner_reads_the_private_key(tmp_path: Path) -> None:
    assert make_certificate(tmp_path).key_file.stat().st_mode & 0o777 == 0o600
