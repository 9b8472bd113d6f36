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
"""OpenSSL's verify codes for a certificate that is not valid yet, or has expired."""


async def name(context: CheckContext) -> Finding:
    """Prove that the name server knows the service, or the proxy in front of it."""
    try:
        proxy = _proxy(context.settings)
    except proxies.ProxyError as error:
        return fault(
            "proxy-unusable", str(error), "correct or remove this variable where this machine sets it"
        )
    host, port = _host(proxy or endpoint(context.settings))
    if _is_address(host):
        return skipped(f"{host} is an address, and needs no name server")
    loop, began = asyncio.get_running_loop(), context.clock.now()
    try:
        async with asyncio.timeout(_NAME_S):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError) as error:
        return fault(
            "name-not-resolved",
            f"{host} cannot be resolved: {_reason(error)}",
            "check that the network is up (ip route) and names a server (resolvectl, /etc/resolv.conf)",
        )
    took_ms = round((context.clock.now() - began) * 1000)
    return ok(f"{host} has {len(found)} addresses, found in {took_ms} ms", took_ms=took_ms)


async def tls(context: CheckContext) -> Finding:
    """Prove that the service can be reached, and that its certificate is valid on this device."""
    try:
        proxy = _proxy(context.settings)
    except proxies.ProxyError:
        return skipped("the environment names a proxy that cannot be used; see the check name")
    if proxy:
        return skipped(f"connections go through the proxy {_host(proxy)[0]}; the check session tries them")
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
        remedy = "check whether a sign-in page or filter of this network answers in place of the service"
        return fault("tls-broken", f"{host}: it answers, but not by TLS: {error.reason or error}", remedy)
    except (OSError, TimeoutError) as error:
        remedy = (
            "check cable, Wi-Fi, the firewall (it must let TCP port 443 out), and service.endpoint if set"
        )
        return fault("not-reached", f"{host}, port {port}: {_reason(error)}", remedy)
    took_ms = round((context.clock.now() - began) * 1000)
    return ok(f"{host}: {version}, connected in {took_ms} ms; its certificate is valid", took_ms=took_ms)


def _reason(error: OSError) -> str:
    return "no answer" if isinstance(error, TimeoutError) else error.strerror or str(error)


def _certificate_fault(host: str, error: ssl.SSLCertVerificationError) -> Finding:
    said = f"{host}: {error.verify_message}"
    if error.verify_code in _OUT_OF_TIME:
        remedy = "check the clock with timedatectl, and set it: sudo timedatectl set-ntp true"
        return fault("certificate-out-of-time", f"{said}, by this device's clock", remedy)
    remedy = (
        "check whether a sign-in page or filter is in between; "
        "for a gateway of your own, set service.ca_file to its authority's certificate"
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
