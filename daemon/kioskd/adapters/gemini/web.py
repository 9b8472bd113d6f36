"""HTTP beside the Live socket: the owner's token server and Google's, by the same authorities and the same proxy."""

import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from kioskd import proxies
from kioskd.adapters.gemini.reasons import plain
from kioskd.errors import LinkLost, Remedy

if TYPE_CHECKING:
    import httpx2

LARGEST_BYTES: Final = 1 << 16
"""No token's answer is larger; a bound on what a wrong server may send."""

REQUEST_S: Final = 5.0
"""For each step of a request to Google's token service."""

_PLAIN: Final = {"Accept-Encoding": "identity"}
"""A small answer cannot unfold into a large one."""


@dataclass(frozen=True, slots=True)
class HttpClient:
    """How to reach a server."""

    tls: ssl.SSLContext
    proxy: str | None = None
    """The owner's; None for the environment's."""

    def route(self, url: str) -> str | None:
        """Return the proxy for `url`; None to go straight there, as to this machine and to the cloud's own.

        ProxyError: the environment names one that cannot be used.
        """
        return proxies.route(url, self.proxy) if urlsplit(url).scheme == "https" else None

    def async_client(self, url: str, timeout_s: float) -> "httpx2.AsyncClient":
        """Return a client for `url`. It follows no redirect, and takes no proxy but `route`'s."""
        import httpx2  # noqa: PLC0415

        return httpx2.AsyncClient(
            verify=self.tls, proxy=self.route(url), trust_env=False, timeout=timeout_s, headers=_PLAIN
        )


class GoogleRequest:
    """Meets google.auth.transport.Request, whose own clients know neither our authorities nor our proxy."""

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
        """Make one request. Blocks: not for the loop's thread. google.auth's TransportError: it was not answered."""
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
                        raise TransportError(f"answer of more than {LARGEST_BYTES} bytes")  # type: ignore[no-untyped-call]  # google-auth has no types here
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ImportError) as error:
            raise TransportError(str(error) or type(error).__name__) from error  # type: ignore[no-untyped-call]
        # What google-auth reads of an answer.
        return SimpleNamespace(status=response.status_code, headers=dict(response.headers), data=data)


def not_reached(who: str, settings: str, error: BaseException) -> LinkLost:
    """Return the loss that says why `who` was not reached; libraries wrap what the socket said."""
    text = plain(str(error)) or type(error).__name__
    for cause in causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            why = cause.verify_message
            if cause.verify_code in (9, 10):  # not yet valid, expired: a Pi before its clock is set
                return LinkLost(
                    f"{who} not trusted: {why} by this device's clock; check its date (timedatectl)",
                    remedy=Remedy.CLOCK,
                )
            # Perhaps the sign-in page of a network that we have joined: it may go away.
            return LinkLost(
                f"{who} not trusted: {why}; another network in between? else check service.ca_file and the clock"
            )
    if any(_refused_by_proxy(cause) for cause in causes(error)):
        return LinkLost(
            f"{who} not reached: proxy cannot be used: {text}; check service.proxy, https_proxy and no_proxy",
            remedy=Remedy.SETTINGS,
        )
    return LinkLost(f"{who} not reached: {text}; check the network and {settings}")


def _refused_by_proxy(error: BaseException) -> bool:
    import httpx2  # noqa: PLC0415 - loaded by now

    # ImportError: a SOCKS proxy. A status of 5xx says that the proxy itself finds no way.
    return isinstance(error, ImportError) or (
        isinstance(error, httpx2.ProxyError) and not str(error).startswith("5")
    )


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield `error`, and what it was raised from or while handling, to the first cause."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__
