"""Credentials for one dial: the owner's key, or an ephemeral token from the owner's server.

A fetch never blocks the event loop and never takes longer than `FETCH_S`. Credentials are never stored on
disk or logged. The third kind, a Google account, has its own module.
"""

import asyncio
import email.utils
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Protocol

from pydantic import SecretStr

from kioskd.adapters.gemini.device_identity import DeviceIdentity
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

_CLOCKS_AGREE_S: Final = 30.0
"""Seconds between two clocks that are not worth a word. A signed request is valid for a minute."""


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

    def __init__(
        self,
        url: str,
        model: str,
        web: HttpClient,
        *,
        identity: DeviceIdentity | None = None,
        fetch_s: float = FETCH_S,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`wall` returns seconds since the epoch."""
        self._url = url
        self._model = model
        self._web = web
        self._identity = identity
        self._fetch_s = fetch_s
        self._wall = wall

    def drop(self) -> None:
        """Do nothing: each fetch returns a new token."""

    async def fetch(self) -> DialCredential:
        """Fetch a token: POST {"model": ...}, answered by {"token": ...} or {"name": ...}; see
        `Credentials.fetch`.
        """
        import httpx2  # noqa: PLC0415 - only needed with a token server

        web, headers = self._web, dict[str, str]()
        if self._identity is not None:
            # The files are read again after each renewal of the certificate, which takes some milliseconds.
            tls, bearer = await asyncio.to_thread(self._identity.proofs, self._url, self._wall())
            web = HttpClient(tls or web.tls, web.proxy)
            headers = {"Authorization": f"Bearer {bearer.get_secret_value()}"} if bearer else {}
        try:
            async with (
                asyncio.timeout(self._fetch_s),
                web.async_client(self._url, self._fetch_s) as client,
                client.stream("POST", self._url, json={"model": self._model}, headers=headers) as response,
            ):
                body = await _bounded(response)
        except TimeoutError:
            raise LinkLost(
                f"token server gave no answer within {self._fetch_s:g} s; check the network"
            ) from None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ImportError) as error:
            # A server of asyncio resets the connection of a client whose certificate it rejects.
            settings = "service.token_url" + (" and service.token_certificate" if self._identity else "")
            raise not_reached("token server", settings, error) from None
        if response.status_code not in (HTTPStatus.OK, HTTPStatus.CREATED):
            raise _token_refused(response, self._wall())
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


def _token_refused(response: "httpx2.Response", now: float) -> LinkLost:
    status = response.status_code
    what = f"token server answered HTTP {status} {plain(response.reason_phrase)}".rstrip()
    after = response.headers.get("Retry-After", "")
    wait_s = min(float(after), _LONGEST_WAIT_S) if after.isascii() and after.isdigit() else None
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return LinkLost(f"{what}; waiting", remedy=Remedy.QUOTA, retry_after_s=wait_s)
    if status >= 500 or status == HTTPStatus.REQUEST_TIMEOUT:
        return LinkLost(f"{what}; asking again", reached=True, retry_after_s=wait_s)
    if status == HTTPStatus.UNAUTHORIZED and (off_s := _clock_off_s(response, now)) is not None:
        way = "ahead of" if off_s > 0 else "behind"
        minutes = max(1, round(abs(off_s) / 60))
        return LinkLost(
            f"{what}; this device's clock is {minutes} min {way} the server's: check its date (timedatectl)",
            remedy=Remedy.CLOCK,
        )
    if status == HTTPStatus.FORBIDDEN:
        return LinkLost(
            f"{what}; it does not allow this device, or not the model in service.model: check its row there",
            remedy=Remedy.SETTINGS,
        )
    if status == HTTPStatus.UNAUTHORIZED:
        return LinkLost(f"{what}; check whether the server knows this device", remedy=Remedy.CREDENTIALS)
    return LinkLost(f"{what}; check service.token_url", remedy=Remedy.SETTINGS)


def _clock_off_s(response: "httpx2.Response", now: float) -> float | None:
    """Return the seconds by which this device's clock is ahead of the server's; None if both agree."""
    try:
        theirs = email.utils.parsedate_to_datetime(response.headers.get("Date", "")).timestamp()
    # No date, or one without a zone, or a year out of range.
    except (ValueError, TypeError, ArithmeticError, LookupError):
        return None
    return now - theirs if abs(now - theirs) > _CLOCKS_AGREE_S else None
