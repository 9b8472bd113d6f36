"""What opens the service for one dial: a key, or an ephemeral token from the owner's server.

Fetching never blocks the loop and never takes longer than `FETCH_S`. Nothing fetched is written or logged. The third
way, an account of Google's, has its own module.
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
"""For all that a fetch needs of the network: the visitor waits for it."""

TOKEN_PREFIX: Final = "auth_tokens/"  # noqa: S105 - the public mark of a token, not one
"""What every ephemeral token begins with; the SDK takes anything else for a key."""

_LONGEST_WAIT_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class DialCredential:
    """What opens the service now."""

    secret: SecretStr
    """A key, an ephemeral token or an OAuth token."""
    quota_project: str | None = None
    """Who is billed for an OAuth token's use, where it is not the token's own project."""


class Credentials(Protocol):
    """Where a pass comes from."""

    @property
    def renewable(self) -> bool:
        """Whether another fetch may give another pass, so that a pass refused is not the end."""

    async def fetch(self) -> DialCredential:
        """Return what opens the service now. Safe to cancel. LinkLost: there is none; its remedy says what may help."""

    def drop(self) -> None:
        """Forget the last pass: the service has refused it."""


class ServiceKey:
    """A key that the owner has stored, and may replace meanwhile."""

    renewable = False

    def __init__(self, key: SecretStr | Callable[[], SecretStr]) -> None:
        """`key`: it, or what tells which it is now."""
        self._key = key

    @property
    def key(self) -> DialCredential:
        """The key."""
        return DialCredential(self._key if isinstance(self._key, SecretStr) else self._key())

    async def fetch(self) -> DialCredential:
        """Return the key."""
        return self.key

    def drop(self) -> None:
        """Do nothing: the owner alone has another."""


class TokenCredentials:
    """The owner's server, which mints a token for each connection.

    For each, although resuming is said not to use a token up: a token that has opened a session was seen refused
    when it came back with the session's handle. A new one is right in both cases.
    """

    renewable = True

    def __init__(self, url: str, model: str, web: HttpClient, *, fetch_s: float = FETCH_S) -> None:
        self._url = url
        self._model = model
        self._web = web
        self._fetch_s = fetch_s

    def drop(self) -> None:
        """Do nothing: the next token is a new one anyway."""

    async def fetch(self) -> DialCredential:
        """Have a token minted: POST {"model": ...}, answered by {"token": ...} or {"name": ...}; see `Credentials.fetch`."""
        import httpx2  # noqa: PLC0415 - only where there is such a server

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
            return b""  # no token is so long, whatever it holds
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
            'token server answered without a token: JSON with "token" or "name" is needed, auth_tokens/...; '
            "mend the server, or service.token_url",
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
