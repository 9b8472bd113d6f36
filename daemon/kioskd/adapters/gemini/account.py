"""Google accounts, whose OAuth tokens open Vertex for an hour each."""

import asyncio
import datetime
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import SecretStr

from kioskd.adapters.gemini.credentials import FETCH_S, DialCredential
from kioskd.adapters.gemini.reasons import plain
from kioskd.adapters.gemini.web import GoogleRequest, HttpClient, causes, not_reached
from kioskd.errors import LinkLost, Remedy

if TYPE_CHECKING:
    from google.auth.credentials import Credentials as GoogleCredentials

CLOUD_SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"

_FRESH_S: Final = 300.0
"""Seconds that a token must still last; otherwise it is renewed before it is used. The SDK itself would renew
a token with less than 3 min 45 s, and block the event loop's thread."""

_SKEW = re.compile(r"iat and exp|short-lived|issued in the future|used too early", re.IGNORECASE)
"""Words in which Google rejects a signed request because of its times."""


@dataclass(frozen=True, slots=True)
class Vertex:
    """Project and location on Google Cloud."""

    project: str
    location: str = "global"
    credentials_file: Path | None = None
    """Key file of a service account; None for the machine's application default credentials."""


class GoogleAccount:
    """A service account, or the account of the machine's application default credentials.

    Google's tokens last an hour; each dial checks the time that is left. Google's library blocks the thread
    that calls it, so it runs in a thread of its own.
    """

    renewable = True

    def __init__(self, vertex: Vertex, web: HttpClient, *, fetch_s: float = FETCH_S) -> None:
        self._vertex = vertex
        self._web = web
        self._fetch_s = fetch_s
        self._account: GoogleCredentials | None = None
        self._renewing: asyncio.Future[DialCredential | LinkLost] | None = None

    def drop(self) -> None:
        """Read the account again at the next fetch: the owner can have replaced its file."""
        self._account = None

    async def fetch(self) -> DialCredential:
        """Return an OAuth token that lasts for some minutes, and renew it first if necessary; see
        `Credentials.fetch`.
        """
        if self._account is not None and (ready := _ready(self._account)) is not None:
            return ready
        if self._renewing is None:
            self._renewing = asyncio.get_running_loop().run_in_executor(None, self._renew)
        # It is not cancelled together with this task: a thread cannot be cancelled, and the next fetch uses
        # its result.
        renewing = self._renewing
        await asyncio.wait([renewing], timeout=self._fetch_s)
        if not renewing.done():
            raise LinkLost(
                f"Google's token service gave no answer within {self._fetch_s:g} s; check the network"
            )
        renewed, self._renewing = renewing.result(), None
        if isinstance(renewed, LinkLost):
            self.drop()
            raise renewed
        return renewed

    def _renew(self) -> DialCredential | LinkLost:
        """Fetch a token, in a thread."""
        from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415 - takes 100 ms

        request = GoogleRequest(self._web)
        try:
            account = self._account or self._load(request)
            account.refresh(request)  # type: ignore[no-untyped-call]  # google-auth has no types here
            self._account = account
            ready = _ready(account, least_s=0.0)
        except GoogleAuthError as error:
            return _google_lost(error)
        except (OSError, ValueError) as error:  # the file is gone, or holds no valid key
            return _unusable(type(error).__name__)
        return ready or _unusable("its token has expired, or has no expiry time")

    def _load(self, request: Any) -> "GoogleCredentials":
        import google.auth  # noqa: PLC0415
        from google.oauth2 import service_account  # noqa: PLC0415

        scopes = [CLOUD_SCOPE]
        found: GoogleCredentials
        if self._vertex.credentials_file is not None:
            found = service_account.Credentials.from_service_account_file(  # type: ignore[no-untyped-call]
                str(self._vertex.credentials_file), scopes=scopes
            )
        else:
            found, _ = google.auth.default(scopes=scopes, request=request)
        return found


def _ready(account: "GoogleCredentials", *, least_s: float = _FRESH_S) -> DialCredential | None:
    """Return the account's token if it lasts longer than `least_s` seconds."""
    token, expiry = account.token, account.expiry
    if not token:
        return None
    if expiry is not None:
        # google-auth's times are UTC and do not say so.
        left = expiry.replace(tzinfo=datetime.UTC) - datetime.datetime.now(datetime.UTC)
        if left.total_seconds() <= least_s:
            return None
    return DialCredential(SecretStr(token), account.quota_project_id)


def _google_lost(error: Exception) -> LinkLost:
    """Return the loss that an error of Google's library means. Its texts name accounts and causes, but no
    secrets.
    """
    from google.auth import exceptions  # noqa: PLC0415 - loaded by now

    text = plain(str(error.args[0]) if error.args else type(error).__name__)
    if isinstance(error, exceptions.DefaultCredentialsError):
        return _unusable(text)
    if _SKEW.search(text):
        return LinkLost(
            f"Google rejected the account by this device's clock: {text}; check its date (timedatectl)",
            remedy=Remedy.CLOCK,
        )
    if any(isinstance(cause, exceptions.TransportError) for cause in causes(error)):
        return not_reached("Google's token service", "service.ca_file and service.proxy", error)
    if getattr(error, "retryable", False):
        return LinkLost(f"Google's token service has trouble: {text}; asking again", reached=True)
    if "invalid_grant" in text:
        return LinkLost(
            f"Google rejected the account: {text}; its key may be revoked: store new credentials",
            remedy=Remedy.SETTINGS,
        )
    return LinkLost(f"Google gave no token: {text}; reading the credentials again", remedy=Remedy.CREDENTIALS)


def _unusable(why: str) -> LinkLost:
    return LinkLost(
        f"Google account cannot be used: {why}; "
        "check service.credentials_file, or the machine's default credentials",
        remedy=Remedy.SETTINGS,
    )
