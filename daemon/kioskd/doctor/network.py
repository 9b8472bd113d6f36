"""Checks the network path to the service: its name, and its TLS certificate."""

import asyncio
import ipaddress
import socket
import ssl
from typing import Final
from urllib.parse import urlsplit

from kioskd import proxies, regular_file
from kioskd.app.service import endpoint
from kioskd.doctor.context import CheckContext
from kioskd.doctor.finding import Finding, fault, ok, skipped
from kioskd.errors import ConfigError
from kioskd.settings.model import Settings

_NAME_S: Final = 10.0
_CONNECT_S: Final = 15.0

_OUT_OF_TIME: Final = (9, 10)
"""OpenSSL's verify codes for a certificate that is not valid yet, or no more."""


async def name(context: CheckContext) -> Finding:
    """Prove that the name server knows the service, or the proxy before it."""
    try:
        proxy = _proxy(context.settings)
    except proxies.ProxyError as error:
        return fault("proxy-unusable", str(error), "set it right, or remove it, where this machine has it")
    host, port = _host(proxy or endpoint(context.settings))
    if _is_address(host):
        return skipped(f"{host} needs no name server")
    loop, began = asyncio.get_running_loop(), context.clock.now()
    try:
        async with asyncio.timeout(_NAME_S):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError) as error:
        return fault(
            "name-not-resolved",
            f"{host} cannot be resolved: {_reason(error)}",
            "see that the network is up (ip route) and names a server (resolvectl status, /etc/resolv.conf)",
        )
    took_ms = round((context.clock.now() - began) * 1000)
    return ok(f"{host} has {len(found)} addresses, found in {took_ms} ms", took_ms=took_ms)


async def tls(context: CheckContext) -> Finding:
    """Prove that the service can be reached, and that its certificate is valid by this device's clock and authorities."""
    try:
        proxy = _proxy(context.settings)
    except proxies.ProxyError:
        return skipped("the environment's proxy cannot be used; see above")
    if proxy:
        return skipped(f"the way is by the proxy {_host(proxy)[0]}: the session will show")
    host, port = _host(endpoint(context.settings))
    ca_file = context.settings.service.ca_file
    try:
        if ca_file is not None:
            regular_file.check(ca_file)
        trusted = await asyncio.to_thread(ssl.create_default_context, cafile=ca_file)
    except OSError as error:
        raise ConfigError(
            f"service.ca_file = {ca_file}: cannot be used ({error.strerror or error}); "
            "name a readable PEM file with the authority's certificate"
        ) from None
    began = context.clock.now()
    try:
        async with asyncio.timeout(_CONNECT_S):
            _, writer = await asyncio.open_connection(host, port, ssl=trusted)
            version = writer.get_extra_info("ssl_object").version()
            writer.transport.abort()
    except ssl.SSLCertVerificationError as error:
        return _certificate_fault(host, error)
    except ssl.SSLError as error:
        remedy = "see that no sign-in page or filter of this network answers in the service's place"
        return fault("tls-broken", f"{host}: no TLS: {error.reason or error}", remedy)
    except (OSError, TimeoutError) as error:
        remedy = "see that the network lets TCP port 443 out (firewall, cable, Wi-Fi), and service.endpoint"
        return fault("not-reached", f"{host}, port {port}: {_reason(error)}", remedy)
    took_ms = round((context.clock.now() - began) * 1000)
    return ok(f"{host}: {version}, its certificate holds, in {took_ms} ms", took_ms=took_ms)


def _reason(error: OSError) -> str:
    return "no answer" if isinstance(error, TimeoutError) else error.strerror or str(error)


def _certificate_fault(host: str, error: ssl.SSLCertVerificationError) -> Finding:
    said = f"{host}: {error.verify_message}"
    if error.verify_code in _OUT_OF_TIME:
        remedy = "see that the clock is right: timedatectl; sudo timedatectl set-ntp true"
        return fault("certificate-out-of-time", f"{said} by this device's clock", remedy)
    remedy = (
        "see that no sign-in page or filter is in between; name a gateway's own authority by service.ca_file"
    )
    return fault("certificate-unknown", said, remedy)


def _proxy(settings: Settings) -> str | None:
    return proxies.route(endpoint(settings), settings.service.proxy)


def _host(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or 443


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
