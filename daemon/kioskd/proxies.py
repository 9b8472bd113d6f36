"""The choice of a request's proxy: the owner's, the environment's, or none.

Each library reads the environment in its own way, and has its own errors for a SOCKS proxy. So each library
is given the proxy of this module, and never reads the environment itself.
"""

import contextlib
import ipaddress
import os
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

from kioskd.errors import ConfigError


class ProxyError(ConfigError):
    """The environment names an unusable proxy. The text names the variable, and shows no password."""


def is_loopback(url: str) -> bool:
    """Return whether `url` is on this machine: no proxy is used, and no other machine can listen."""
    try:
        host = (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return False
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host.lower() == "localhost" or host.lower().endswith(".localhost")
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def route(url: str, chosen: str | None = None, environ: Mapping[str, str] = os.environ) -> str | None:
    """Return the address of the HTTP proxy for `url`; None to connect directly.

    `chosen` is the proxy from the owner's settings. Without it, https_proxy or http_proxy is used, else
    all_proxy, unless no_proxy names the host.

    Raises:
        ProxyError: the environment names a proxy that is not an HTTP proxy.
    """
    parts = urlsplit(url)
    if is_loopback(url):
        return None
    if chosen is not None:
        return chosen
    host = parts.hostname or ""
    if _passed_by(host, parts.port, _value(environ, "no_proxy")[1]):
        return None
    for name in ("http_proxy" if parts.scheme in ("http", "ws") else "https_proxy", "all_proxy"):
        if name == "http_proxy" and "REQUEST_METHOD" in environ:
            continue  # in a CGI program, a request's header could have set it (CVE-2016-5385)
        found, value = _value(environ, name)
        if value:
            return _usable(found, value)
    return None


def _value(environ: Mapping[str, str], name: str) -> tuple[str, str]:
    """Return the variable's name as it is set, and its value. Lower case has precedence, as with curl."""
    for spelled in (name, name.upper()):
        if spelled in environ:
            return spelled, environ[spelled].strip()
    return name, ""


def _usable(name: str, value: str) -> str:
    written = value if "://" in value else f"http://{value}"
    try:
        url = urlsplit(written)
        host, _port = url.hostname, url.port
    except ValueError:
        url, host = SplitResult("http", "", "", "", ""), None
    mend = f"write {name}=http://HOST:PORT, or unset it; for the service alone, set service.proxy instead"
    if url.scheme.startswith("socks"):
        raise ProxyError(f"environment: {name} names a SOCKS proxy, which kioskd cannot use; {mend}")
    if url.scheme != "http":
        raise ProxyError(f"environment: {name} does not name an HTTP proxy; {mend}")
    if not host or not written.isprintable() or any(char.isspace() for char in written):
        raise ProxyError(f"environment: {name} does not hold a proxy's address; {mend}")
    return written


def _passed_by(host: str, port: int | None, no_proxy: str) -> bool:
    """Return whether `no_proxy` names the host: by name, by domain, by HOST:PORT, by network, or by *."""
    entries = filter(None, no_proxy.replace(" ", ",").split(","))
    return any(entry == "*" or _names(entry.lower(), host.lower(), port) for entry in entries)


def _names(entry: str, host: str, port: int | None) -> bool:
    with contextlib.suppress(ValueError):  # host or entry is a name, not an address
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry.strip("[]"), strict=False)
    name, _, number = entry.rpartition(":")
    if name and number.isdigit() and not name.endswith(":"):
        if int(number) != port:
            return False
        entry = name
    domain = entry.strip("[]").lstrip("*").lstrip(".")
    return bool(domain) and (host == domain or host.endswith(f".{domain}"))
