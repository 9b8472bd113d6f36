"""What each failure of the Live service means to whoever dials it."""

import email.utils
import json
import re
import ssl
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from pydantic import ValidationError
from websockets.exceptions import (
    ConnectionClosed,
    InvalidProxy,
    InvalidProxyStatus,
    InvalidStatus,
    InvalidURI,
    SecurityError,
    WebSocketException,
)
from websockets.http11 import Response

from kioskd.errors import KioskError, LinkLost, LinkRefused, SessionLost

BUSY_S: Final = 30.0
"""How long to leave a service alone that says it is busy without saying how long."""

_LONGEST_S: Final = 600.0
"""A visitor is not kept waiting longer than this by any Retry-After."""

ODD: Final = (TypeError, ValueError, AttributeError, LookupError, RecursionError)
"""What the SDK raises on a message that it does not understand (all seen; pydantic's error is a ValueError)."""

TROUBLE: Final = (OSError, WebSocketException, ImportError, *ODD)
"""What dialing may raise, besides the SDK's own APIError. TimeoutError is an OSError."""

_ABORTED = re.compile(r"operation was aborted", re.IGNORECASE)
_BUSY = re.compile(r"quota|exhausted|concurren|rate.?limit|too many|overloaded", re.IGNORECASE)
_OURS = re.compile(
    r"api.?key|unregistered|identity|permission|models?\b.*\bnot (found|supported)", re.IGNORECASE
)
_SECRET = re.compile(r"(?=[\w+/=-]*[A-Z])(?=[\w+/=-]*[a-z])(?=[\w+/=-]*\d)[\w+/=-]{20,}|auth_tokens/\S+")
"""Long runs of capitals, small letters and digits: keys and handles look so, model names and English do not."""


def classify(
    error: Exception, *, during_setup: bool, with_handle: bool, secrets: Sequence[str] = ()
) -> KioskError:
    """Return what `error` of the SDK or of the socket under it means.

    `during_setup`: the session was not there yet. `with_handle`: the connection was to resume a session.
    `secrets` are cut out of the text. The reason in words counts more than the code, which the service uses loosely.
    An error that is no failure of the world (a bug) is raised as it is.
    """
    closed = _close_of(error, secrets)
    if closed is not None:
        code, reason = closed
        return _closed(code, reason, during_setup=during_setup, with_handle=with_handle)
    if isinstance(
        error, ssl.SSLCertVerificationError
    ):  # before all others: it is an OSError and a ValueError too
        return _certificate(error)
    if isinstance(error, InvalidStatus):
        return _upgrade(error.response, secrets)
    if during_setup and isinstance(error, ODD) and not isinstance(error, OSError | WebSocketException):
        return _odd_setup(error)
    if isinstance(error, OSError | WebSocketException | ImportError):
        return _network(error, plain(str(error), secrets) or type(error).__name__, during_setup=during_setup)
    raise error


def plain(text: str, secrets: Sequence[str] = ()) -> str:
    """Return `text` on one line, without anything secret, cut to 120 characters."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "…")
    text = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    text = _SECRET.sub("…", text)
    return text if len(text) <= 120 else text[:119] + "…"


def _close_of(error: Exception, secrets: Sequence[str]) -> tuple[int, str] | None:
    """The code and reason of the close that `error` reports; None if it reports none."""
    # Loaded already whenever one of its errors can be: importing it here keeps this module quick to import.
    from google.genai.errors import APIError  # noqa: PLC0415

    if isinstance(error, APIError):
        return int(error.code), _sent_by_us(error.__context__) or plain(str(error.details), secrets)
    if isinstance(error, ConnectionClosed):
        code, reason = (error.rcvd.code, error.rcvd.reason) if error.rcvd else (1006, "abnormal closure")
        return code, _sent_by_us(error) or plain(reason, secrets)
    return None


def _network(error: Exception, text: str, *, during_setup: bool) -> KioskError:
    if isinstance(error, InvalidProxyStatus) and error.response.status_code >= 500:
        return LinkLost(f"Live service not reached: {text}; check the proxy's own way out")
    if isinstance(error, InvalidProxyStatus | InvalidProxy | ImportError):
        return LinkRefused(
            f"proxy of the environment cannot be used: {text}; check https_proxy and no_proxy of the service"
        )
    if isinstance(error, InvalidURI | SecurityError):
        return LinkRefused(f"Live service not reached: {text}; check service.endpoint")
    doing = "not reached" if during_setup else "lost"
    return LinkLost(f"Live service {doing}: {text}; check the network")


def _certificate(error: ssl.SSLCertVerificationError) -> KioskError:
    if error.verify_code in (9, 10):  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED
        # A Pi has no clock of its own: until the network has told it the time, every certificate is too new.
        return LinkLost(
            f"Live service not trusted: {error.verify_message} by this device's clock; check its date (timedatectl)"
        )
    return LinkRefused(
        f"Live service not trusted: {error.verify_message}; check service.ca_file, the clock, "
        "and what sits between this device and the service"
    )


def _upgrade(response: Response, secrets: Sequence[str]) -> KioskError:
    status = response.status_code
    what = f"HTTP {status} {plain(_body_text(response), secrets)}".rstrip()
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return LinkLost(
            f"Live service is busy: {what}; waiting", retry_after_s=_retry_after_s(response) or BUSY_S
        )
    if status in (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY) or status >= 500:
        return LinkLost(f"Live service has trouble: {what}; waiting", retry_after_s=_retry_after_s(response))
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return LinkRefused(f"Live service turned the key down: {what}; store a valid one")
    return LinkRefused(
        f"Live service turned the settings down: {what}; "
        "check the key and service.model, service.api_version, service.endpoint"
    )


def _body_text(response: Response) -> str:
    """The message in Google's JSON error, or HTTP's own phrase."""
    try:
        return str(json.loads(response.body or b"")["error"]["message"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return response.reason_phrase


def _retry_after_s(response: Response) -> float | None:
    """Retry-After in seconds; a date counts from the response's own, as our clock may be wrong."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value), _LONGEST_S)
    try:
        until = email.utils.parsedate_to_datetime(value)
        now = email.utils.parsedate_to_datetime(response.headers.get("Date", ""))
        return min(max((until - now).total_seconds(), 0.0), _LONGEST_S)
    except (ValueError, TypeError):  # neither number nor date; one date with a zone and one without
        return None


def _closed(code: int, reason: str, *, during_setup: bool, with_handle: bool) -> KioskError:
    what = f"{code} {reason}".rstrip()
    if code != 1007 and _BUSY.search(reason):  # with 1007 it is the context that is exhausted
        return LinkLost(f"Live service is busy: {what}; waiting", retry_after_s=BUSY_S)
    if code not in (1007, 1008) or _ABORTED.search(reason):
        return LinkLost(f"Live service closed the connection: {what}; dialing again")
    if not during_setup:
        return SessionLost(f"Live service gave the session up: {what}; starting a fresh one")
    if with_handle and not _OURS.search(reason):
        return SessionLost(f"Live service does not resume the session: {what}; starting a fresh one")
    return LinkRefused(
        f"Live service turned the settings down: {what}; check the key, service.model and the assistant's settings"
    )


def _sent_by_us(error: BaseException | None) -> str:
    """The reason of a close that our own end began (a ping unanswered, a message too big); else nothing.

    The SDK reports it as 1006 and keeps the truth in the error's context only.
    """
    if isinstance(error, ConnectionClosed) and error.sent is not None and not error.rcvd_then_sent:
        return plain(f"ended by this side, {error.sent.code} {error.sent.reason}".rstrip())
    return ""


def _odd_setup(error: Exception) -> KioskError:
    """Tell a first message that nobody understands from settings that the SDK itself turned down."""
    kind = type(error).__name__
    if isinstance(error, ValidationError):
        theirs = error.title.startswith("LiveServer")
        where = ", ".join(".".join(map(str, fault["loc"])) for fault in error.errors(include_input=False))
    else:
        theirs = (
            not isinstance(error, ValueError)
            or isinstance(error, UnicodeDecodeError)
            or str(error).startswith("Failed to parse response")
        )
        where = str(error)
    if theirs:
        # Not its text: it holds the message.
        return LinkLost(f"Live service answered the setup with something else ({kind}); dialing again")
    return LinkRefused(
        f"settings turned down before dialing ({kind}): {plain(where)}; check the service and assistant sections"
    )
