"""Makes a service's words about a failure fit for the journal: short, on one line, and without secrets."""

import email.utils
import json
import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from websockets.http11 import Response

from kioskd import sanitize

_LONGEST_S: Final = 600.0
"""Longest wait that a Retry-After can ask for, so that a visitor never waits longer."""

PORTAL_HINT: Final = (
    "a sign-in page of the network may be in the way; else check service.ca_file and the clock"
)
"""Advice for a certificate that is not trusted."""


def plain(text: str, secrets: Sequence[str] = ()) -> str:
    """Return `text` on one line, without anything secret, cut to 120 characters."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "…")
    text = " ".join(sanitize.replaced(text).replace("\ufffd", " ").split())
    text = _SECRET.sub("…", text)
    return text if len(text) <= 120 else text[:119] + "…"


_SECRET: Final = re.compile(
    r"(?=[\w+/=-]*[A-Z])(?=[\w+/=-]*[a-z])(?=[\w+/=-]*\d)[\w+/=-]{20,}|auth_tokens/\S+|ya29\.\S+"
)
"""Long runs of capitals, small letters and digits. Keys and handles look so; model names and English do not.
"""


_PHRASES: Final = {status.value: status.phrase for status in HTTPStatus}


def body_text(response: Response) -> str:
    """Return the message in Google's JSON error, or HTTP's own phrase."""
    try:
        return str(json.loads(response.body or b"")["error"]["message"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return response.reason_phrase or _PHRASES.get(response.status_code, "")


def retry_after_s(response: Response) -> float | None:
    """Return Retry-After in seconds. A date counts from the response's Date, as our clock may be wrong."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value), _LONGEST_S)
    try:
        until = email.utils.parsedate_to_datetime(value)
        now = email.utils.parsedate_to_datetime(response.headers.get("Date", ""))
        return min(max((until - now).total_seconds(), 0.0), _LONGEST_S)
    # Neither a number nor a date, or one date without a zone, or a year out of range.
    except (ValueError, TypeError, ArithmeticError, LookupError):
        return None
