"""Credentials for one dial: the owner's key, or an ephemeral token from the owner's server.

A fetch never blocks the event loop and never takes longer than `FETCH_S`. Credentials are never stored on
disk or logged. The third kind, a Google account, has its own module.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Protocol

from pydantic import SecretStr

from kioskd.adapters.gemini.reasons import plain
from kioskd.adapters.gemini.web import LARGEST_BYTES, HttpClient, not_reached
from kioskd.errors import LinkLost, Remedy

if TYPE_CHECKING:
    import httpx2

FETCH_S: Final = 8.0
"""Seconds for all network steps of one fetch: the visitor waits for it."""

TOKEN_PREFIX: Final = "auth_tokens/"  # noqa: S105 - a public prefix, no secret
"""Prefix of every ephemeral token. The SDK treats any other text as a key."""

_LONGEST_WAIT_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class DialCredential:
    """Credentials that the service accepts now."""

    secret: SecretStr
    """A key, an ephemeral token or an OAuth token."""
    quota_project: str | None = None
    """Project that is billed for an OAuth token; None for the token's own project."""


class Credentials(Protocol):
    """A source of credentials."""

    @property
    def renewable(self) -> bool:
        """Whether another fetch can return other credentials, so that rejected ones are not the end."""

    async def fetch(self) -> DialCredential:
        """Return credentials for a dial. Safe to cancel. LinkLost: there are none; its remedy says what may
        help.
        """

    def drop(self) -> None:
        """Forget the last credentials, as the service has rejected them."""


class ServiceKey:
    """The owner's key, which the owner can replace at any time."""

    renewable = False

    def __init__(self, key: SecretStr | Callable[[], SecretStr]) -> None:
        """`key`: the key, or a function that returns the current one."""
        self._key = key

    @property
    def key(self) -> DialCredential:
        return DialCredential(self._key if isinstance(self._key, SecretStr) else self._key())

    async def fetch(self) -> DialCredential:
        """Return the key."""
        return self.key

    def drop(self) -> None:
        """Do nothing: only the owner can supply another key."""


class TokenCredentials:
    """Ephemeral tokens from the owner's server, a new one for each connection.

    Resuming is said not to use a token up. Yet a token that had opened a session was seen rejected when it
    came back with the session's handle. A new token works in both cases.
    """

    renewable = True

    def __init__(self, url: str, model: str, web: HttpClient, *, fetch_s: float = FETCH_S) -> None:
        self._url = url
        self._model = model
        self._web = web
        self._fetch_s = fetch_s

    def drop(self) -> None:
        """Do nothing: each fetch returns a new token."""

    async def fetch(self) -> DialCredential:
        """Fetch a token: POST {"model": ...}, answered by {"token": ...} or {"name": ...}; see
        `Credentials.fetch`.
        """
        import httpx2  # noqa: PLC0415 - only needed with a token server

        try:
            async with (
                asyncio.timeout(self._fetch_s),
                self._web.async_client(self._url, self._fetch_s) as client,
                client.stream("POST", self._url, json={"model": self._model}) as response,
            ):
                body = await _bounded(response)
        except TimeoutError:
            raise LinkLost(
                f"token server gave no answer within {self._fetch_s:g} s; check the network"
            ) from None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ImportError) as error:
            raise not_reached("token server", "service.token_url", error) from None
        if response.status_code not in (HTTPStatus.OK, HTTPStatus.CREATED):
            raise _token_refused(response)
        return DialCredential(_token_in(body))


async def _bounded(response: "httpx2.Response") -> bytes:
    body = b""
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > LARGEST_BYTES:
            return b""  # too long to be a token
    return body


def _token_in(body: bytes) -> SecretStr:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = None
    given = answer.get("token", answer.get("name")) if isinstance(answer, Mapping) else None
    token = given.strip() if isinstance(given, str) else ""
    if not token.startswith(TOKEN_PREFIX) or not token.isascii() or not token.isprintable() or " " in token:
        raise LinkLost(
            "token server answered without a token: it must send JSON with a 'token' or a 'name' that begins "
            "with auth_tokens/; correct the server, or service.token_url",
            remedy=Remedy.SETTINGS,
        )
    return SecretStr(token)


def _token_refused(response: "httpx2.Response") -> LinkLost:
    status = response.status_code
    what = f"token server answered HTTP {status} {plain(response.reason_phrase)}".rstrip()
    after = response.headers.get("Retry-After", "")
    wait_s = min(float(after), _LONGEST_WAIT_S) if after.isascii() and after.isdigit() else None
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return LinkLost(f"{what}; waiting", remedy=Remedy.QUOTA, retry_after_s=wait_s)
    if status >= 500 or status == HTTPStatus.REQUEST_TIMEOUT:
        return LinkLost(f"{what}; asking again", reached=True, retry_after_s=wait_s)
    if status == HTTPStatus.UNAUTHORIZED:
        return LinkLost(f"{what}; check whether the server knows this device", remedy=Remedy.CREDENTIALS)
    return LinkLost(f"{what}; check service.token_url", remedy=Remedy.SETTINGS)
