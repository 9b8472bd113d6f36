"""HTTP requests to the owner's and to Google's token server, by the Live socket's authorities and proxy."""

import re
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from kioskd import proxies, regular_file
from kioskd.adapters.gemini.reasons import PORTAL_HINT, plain
from kioskd.errors import ConfigError, LinkLost, Remedy

if TYPE_CHECKING:
    import httpx2

LARGEST_BYTES: Final = 1 << 16
"""Largest answer, in bytes. Every token's answer is smaller, so this limits what a wrong server can send."""

REQUEST_S: Final = 5.0
"""Seconds for each step of a request to Google's token service."""

_ALERT: Final = re.compile(r"ALERT_((?:\w+_)?(?:CERTIFICATE|CA)(?:_\w+)?|CERTIFICATE_REQUIRED)")
"""OpenSSL's names of the alerts by which a server rejects a client's certificate."""

_PLAIN: Final = {"Accept-Encoding": "identity"}
"""No compression, so that a small answer cannot expand into a large one."""


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """Return a context that trusts the authorities in `ca_file`; None for the system's and certifi's.

    It blocks for some milliseconds. ConfigError: the file cannot be used.
    """
    try:
        if ca_file is not None:
            regular_file.check(ca_file)  # OpenSSL would block on a pipe
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # ssl.SSLError, for a file without certificates, is one
        raise ConfigError(
            f"service.ca_file = {ca_file}: cannot be used ({error.strerror or error}); "
            "name a readable PEM file with the authority's certificate"
        ) from None
    if ca_file is None:
        import certifi  # noqa: PLC0415 - a device may lack Debian's ca-certificates

        context.load_verify_locations(certifi.where())
    return context


@dataclass(frozen=True, slots=True)
class HttpClient:
    """Settings for reaching a server."""

    tls: ssl.SSLContext
    proxy: str | None = None
    """The owner's proxy; None for the environment's."""

    def route(self, url: str) -> str | None:
        """Return the proxy for `url`; None to connect directly, as to this machine and to the cloud's own
        servers.

        ProxyError: the proxy in the environment is unusable.
        """
        return proxies.route(url, self.proxy) if urlsplit(url).scheme == "https" else None

    def async_client(self, url: str, timeout_s: float) -> "httpx2.AsyncClient":
        """Return a client for `url`. It follows no redirects, and uses no proxy but `route`'s."""
        import httpx2  # noqa: PLC0415

        return httpx2.AsyncClient(
            verify=self.tls, proxy=self.route(url), trust_env=False, timeout=timeout_s, headers=_PLAIN
        )


class GoogleRequest:
    """A google.auth.transport.Request that uses the daemon's authorities and proxy, unlike Google's own."""

    def __init__(self, web: HttpClient) -> None:
        self._web = web

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_other: Any,
    ) -> SimpleNamespace:
        """Make one request. It blocks, so call it outside the event loop's thread.

        Raises google.auth's TransportError if there was no answer.
        """
        import httpx2  # noqa: PLC0415
        from google.auth.exceptions import TransportError  # noqa: PLC0415

        try:
            with (
                httpx2.Client(
                    verify=self._web.tls, proxy=self._web.route(url), trust_env=False, headers=_PLAIN
                ) as client,
                client.stream(
                    method, url, content=body, headers=headers, timeout=min(timeout or REQUEST_S, REQUEST_S)
                ) as response,
            ):
                data = b""
                for chunk in response.iter_raw():
                    data += chunk
                    if len(data) > LARGEST_BYTES:
                        too_long = f"answer of more than {LARGEST_BYTES} bytes"
                        raise TransportError(too_long)  # type: ignore[no-untyped-call]  # no types there
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ImportError) as error:
            text = str(error) or type(error).__name__
            raise TransportError(text) from error  # type: ignore[no-untyped-call]
        # The attributes that google-auth reads.
        return SimpleNamespace(status=response.status_code, headers=dict(response.headers), data=data)


def not_reached(who: str, settings: str, error: BaseException) -> LinkLost:
    """Return the loss that says why `who` was not reached.

    Libraries wrap the socket's error, so all causes of `error` are searched.
    """
    text = plain(str(error)) or _of_system(error) or type(error).__name__
    for cause in causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            why = cause.verify_message
            if cause.verify_code in (9, 10):  # not yet valid or expired: the Pi's clock may be wrong
                return LinkLost(
                    f"{who} not trusted: {why} by this device's clock; check its date (timedatectl)",
                    remedy=Remedy.CLOCK,
                )
            # It may be the sign-in page of the present network, so it can go away by itself.
            return LinkLost(f"{who} not trusted: {why}; {PORTAL_HINT}")
        if isinstance(cause, ssl.SSLError) and (alert := _ALERT.search(cause.reason or "")):
            return LinkLost(
                f"{who} refused this device's certificate ({alert[1].lower().replace('_', ' ')}); "
                "renew it, or check whether it was revoked",
                remedy=Remedy.CREDENTIALS,
            )
    if any(_refused_by_proxy(cause) for cause in causes(error)):
        return LinkLost(
            f"{who} not reached: proxy cannot be used: {text}; check service.proxy, https_proxy and no_proxy",
            remedy=Remedy.SETTINGS,
        )
    return LinkLost(f"{who} not reached: {text}; check the network and {settings}")


def _of_system(error: BaseException) -> str:
    """Return the system's words for the cause of an error; empty if it has none."""
    said = (cause.strerror for cause in causes(error) if isinstance(cause, OSError) and cause.strerror)
    return next(said, "")


def _refused_by_proxy(error: BaseException) -> bool:
    import httpx2  # noqa: PLC0415 - loaded by now

    # ImportError: a SOCKS proxy without its library. A status of 5xx means that the proxy reaches no server.
    return isinstance(error, ImportError) or (
        isinstance(error, httpx2.ProxyError) and not str(error).startswith("5")
    )


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield `error`, and then each error that it was raised from or while handling, up to the first cause."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__
