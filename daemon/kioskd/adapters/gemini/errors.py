"""Table of the ways in which a Live connection ends, and of the remedy for each.

The table `ENDINGS` is read from the top; the first row that fits counts. `read` finds out how a
connection ended, and `classify` returns the remedy with a text for the journal.
"""

import enum
import re
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
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

from kioskd.adapters.gemini.reasons import PORTAL_HINT, body_text, plain, retry_after_s
from kioskd.errors import LinkLost, Remedy

YOUNG_S: Final = 5.0
"""Seconds after its setup. If the service closes a session sooner, it did not like the setup itself."""

ODD: Final = (TypeError, ValueError, AttributeError, LookupError, RecursionError)
"""Errors of the SDK for a message that it does not understand. All were seen; pydantic's is a ValueError."""

TROUBLE: Final = (OSError, WebSocketException, ImportError, RuntimeError, *ODD)
"""Errors of dialing, besides those of the SDK and of google-auth. TimeoutError is an OSError."""


class SetupRefused(LinkLost):
    """The service rejected the setup, and named neither key nor model. `reason` holds the service's words."""

    def __init__(self, message: str, reason: str, remedy: Remedy) -> None:
        super().__init__(message, remedy=remedy, reached=True)
        self.reason = reason


class NotSetUp(WebSocketException):
    """The service did not answer the setup, or answered with a message of another kind."""


class Stalled(TimeoutError):
    """The peer has been silent for longer than ever before on this connection."""


class EndingKind(enum.Enum):
    """Kind of an ending; the value is the name that people read."""

    CLOSE = "close"
    HTTP = "HTTP"
    PROXY = "proxy"
    CERTIFICATE = "certificate"
    NAME = "name not resolved"
    NETWORK = "network error"
    STALLED = "peer silent"
    ADDRESS = "unusable address"
    ANSWER = "no valid answer to the setup"
    CREDENTIALS = "no credentials"
    TOKENS = "token endpoint not reached"
    ARGUMENTS = "settings rejected by the SDK before dialing"
    PROGRAM = "unexpected error of the SDK while dialing"


class ConnectionStage(enum.Enum):
    """How far the connection had come when it ended."""

    SETUP = "during the setup"
    YOUNG = "within 5 s after the setup"
    SESSION = "later in the session"


@dataclass(frozen=True, slots=True)
class ConnectionEnding:
    """One end of a connection, with the properties that the table asks for."""

    what: EndingKind
    number: int | None
    """WebSocket close code, HTTP status, or OpenSSL's verify code."""
    reason: str
    """Reason in the words of the service or of the system; without secrets."""
    stage: ConnectionStage
    with_handle: bool
    """Whether the connection was to resume a session."""
    renewable: bool
    """Whether the daemon can fetch new credentials without a person's help."""


@dataclass(frozen=True, slots=True)
class ReasonSubject:
    """Subject that the text of a reason mentions."""

    name: str
    pattern: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class EndingRow:
    """One row of the table. A condition that is None or empty always holds."""

    name: str
    what: EndingKind
    remedy: Remedy
    words: str
    """Text for the journal; {what} stands for the code and the reason."""
    numbers: frozenset[int] = frozenset()
    says: ReasonSubject | None = None
    stages: frozenset[ConnectionStage] = frozenset()
    with_handle: bool | None = None
    renewable: bool | None = None

    def fits(self, ending: ConnectionEnding) -> bool:
        """Whether `ending` is of this kind."""
        return (
            ending.what is self.what
            and (not self.numbers or ending.number in self.numbers)
            and (self.says is None or self.says.pattern.search(ending.reason) is not None)
            and (not self.stages or ending.stage in self.stages)
            and self.with_handle in (None, ending.with_handle)
            and self.renewable in (None, ending.renewable)
        )

    @property
    def reached(self) -> bool:
        """Whether the service itself answered, by an HTTP status or by closing the connection.

        A proxy's status does not count, not even 502: the proxy may never have asked the service. A gateway
        that `service.endpoint` names counts as the service.
        """
        return self.what in (EndingKind.HTTP, EndingKind.ANSWER) or (
            self.what is EndingKind.CLOSE and _UNANSWERED not in self.numbers
        )


def _subject(name: str, pattern: str) -> ReasonSubject:
    return ReasonSubject(name, re.compile(pattern, re.IGNORECASE))


_BUSY: Final = _subject("quota or load", r"quota|exhausted|concurren|rate.?limit|too many|overloaded")
_ABORTED: Final = _subject("an aborted operation", r"operation was aborted")
_IDENTITY: Final = _subject(
    "the key, the token or a permission",
    r"api.?key|unregistered|established identity|permission|unauthenticated|credential"
    r"|(auth|ephemeral|access)\w* tokens?\b.*(expired|invalid|used)",
)
_MODEL: Final = _subject("the model", r"models?\b.*\bnot (found|supported)")
_AWAY: Final = re.compile(
    r"timed? ?out|unreachable|connection (refused|reset|aborted)|failed to establish|resolve|max retries",
    re.IGNORECASE,
)
_NO_TOKEN: Final = re.compile(r"\b(token|credential)s?\b", re.IGNORECASE)
"""Since version 3.4 the SDK raises a RuntimeError if an account gives no token."""
_REFUSALS: Final = frozenset({1007, 1008})
_OPENING: Final = frozenset({ConnectionStage.SETUP, ConnectionStage.YOUNG})
_PASSING: Final = frozenset({408, 425, *range(500, 600)})
_UNANSWERED: Final = 1006
"""Close code that the library reports for a connection that broke without a close."""
_UNTIMELY: Final = frozenset({9, 10})  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED

_BUSY_WORDS: Final = "Live service is busy: {what}; waiting"
_AGAIN_WORDS: Final = "Live service closed the connection: {what}; dialing again"
_RENEW_WORDS: Final = "Live service rejected the credentials: {what}; fetching new ones"
_KEY_WORDS: Final = "Live service rejected the key: {what}; store a valid one (kioskd key)"
_REFUSED_WORDS: Final = (
    "Live service rejected the settings: {what}; "
    "check service.model, service.api_version, service.endpoint and the assistant section"
)
_ENDED_WORDS: Final = "Live service ended the session: {what}; starting a fresh one"
_TROUBLE_WORDS: Final = "Live service has trouble: {what}; waiting"
_LOST_WORDS: Final = "Live service lost: {what}; dialing again"
_FRESH_WORDS: Final = "Live service does not resume the session: {what}; starting a fresh one"

SETUP_REFUSED: Final = "settings rejected"

ENDINGS: Final[tuple[EndingRow, ...]] = (
    # Closes of the WebSocket. The reason's words count more than the code, which the service uses loosely.
    EndingRow("operation aborted", EndingKind.CLOSE, Remedy.RESUME, _AGAIN_WORDS, says=_ABORTED),
    EndingRow("context used up", EndingKind.CLOSE, Remedy.FRESH, _FRESH_WORDS, frozenset({1007}), _BUSY,
              with_handle=True),
    EndingRow("quota used up", EndingKind.CLOSE, Remedy.QUOTA, _BUSY_WORDS, frozenset({1008, 1011, 1013}),
              _BUSY),
    EndingRow("credentials rejected, renewable", EndingKind.CLOSE, Remedy.CREDENTIALS, _RENEW_WORDS,
              _REFUSALS, _IDENTITY, renewable=True),
    EndingRow("key rejected", EndingKind.CLOSE, Remedy.SETTINGS, _KEY_WORDS, _REFUSALS, _IDENTITY, _OPENING),
    EndingRow("model unknown", EndingKind.CLOSE, Remedy.SETTINGS, _REFUSED_WORDS, _REFUSALS, _MODEL,
              _OPENING),
    EndingRow("session not resumed", EndingKind.CLOSE, Remedy.FRESH, _FRESH_WORDS, _REFUSALS, stages=_OPENING,
              with_handle=True),
    EndingRow(SETUP_REFUSED, EndingKind.CLOSE, Remedy.SETTINGS, _REFUSED_WORDS, _REFUSALS, stages=_OPENING),
    EndingRow("session ended by the service", EndingKind.CLOSE, Remedy.FRESH, _ENDED_WORDS, _REFUSALS),
    EndingRow("service failed", EndingKind.CLOSE, Remedy.RESUME_LATER, _TROUBLE_WORDS, frozenset({1011})),
    EndingRow("connection broken", EndingKind.CLOSE, Remedy.RESUME, _LOST_WORDS, frozenset({_UNANSWERED})),
    EndingRow("connection closed", EndingKind.CLOSE, Remedy.RESUME, _AGAIN_WORDS),
    # Answers to the WebSocket request.
    EndingRow("too many requests", EndingKind.HTTP, Remedy.QUOTA, _BUSY_WORDS, frozenset({429})),
    EndingRow("access denied, renewable", EndingKind.HTTP, Remedy.CREDENTIALS, _RENEW_WORDS,
              frozenset({401, 403}), renewable=True),
    EndingRow("access denied", EndingKind.HTTP, Remedy.SETTINGS, _KEY_WORDS, frozenset({401, 403})),
    EndingRow("key rejected by HTTP status", EndingKind.HTTP, Remedy.SETTINGS, _KEY_WORDS, frozenset({400}),
              _IDENTITY),
    EndingRow("service unavailable", EndingKind.HTTP, Remedy.RESUME, _TROUBLE_WORDS, _PASSING),
    EndingRow("request rejected", EndingKind.HTTP, Remedy.SETTINGS, _REFUSED_WORDS),
    # Credentials that have to be fetched first.
    EndingRow("credentials not renewed", EndingKind.CREDENTIALS, Remedy.CREDENTIALS,
              "no credentials for the Live service: {what}; trying again", renewable=True),
    EndingRow("credentials unusable", EndingKind.CREDENTIALS, Remedy.SETTINGS,
              "no credentials for the Live service: {what}; check the service section and its files"),
    EndingRow("token endpoint not reached", EndingKind.TOKENS, Remedy.RESUME,
              "no credentials for the Live service: {what}; check the network"),
    # Obstacles on the way to the service.
    EndingRow("certificate not valid at this time", EndingKind.CERTIFICATE, Remedy.CLOCK,
              "Live service not trusted: {what} by this device's clock; check its date (timedatectl)",
              _UNTIMELY),
    EndingRow("certificate not trusted", EndingKind.CERTIFICATE, Remedy.RESUME,
              f"Live service not trusted: {{what}}; {PORTAL_HINT}"),
    EndingRow("proxy does not reach the service", EndingKind.PROXY, Remedy.RESUME,
              "Live service not reached: proxy says {what}; check the proxy's own connection", _PASSING),
    EndingRow("proxy rejects the request or is unusable", EndingKind.PROXY, Remedy.SETTINGS,
              "proxy cannot be used: {what}; check service.proxy, https_proxy and no_proxy"),
    EndingRow("address unusable", EndingKind.ADDRESS, Remedy.SETTINGS,
              "Live service not reached: {what}; check service.endpoint"),
    EndingRow("name not resolved", EndingKind.NAME, Remedy.RESUME,
              "Live service not reached: {what}; check the network and its name server"),
    EndingRow("service not reached", EndingKind.NETWORK, Remedy.RESUME,
              "Live service not reached: {what}; check the network",
              stages=frozenset({ConnectionStage.SETUP})),
    EndingRow("peer silent", EndingKind.STALLED, Remedy.RESUME, _LOST_WORDS),
    EndingRow("network lost", EndingKind.NETWORK, Remedy.RESUME,
              "Live service lost: {what}; check the network"),
    EndingRow("setup not completed", EndingKind.ANSWER, Remedy.RESUME_LATER,
              "Live service did not set the session up: {what}; dialing again"),
    # Faults of this side.
    EndingRow("settings rejected by the SDK", EndingKind.ARGUMENTS, Remedy.SETTINGS,
              "google-genai rejected the settings: {what}; check the service and assistant sections"),
    EndingRow("SDK version does not fit", EndingKind.PROGRAM, Remedy.STOP,
              "google-genai does not fit this program: {what}; install the version that kioskd requires"),
)  # fmt: skip
"""For each kind the last row has no condition, so every ending has a row."""


_KINDS: Final[tuple[tuple[type[Exception], EndingKind], ...]] = (
    (InvalidProxy, EndingKind.PROXY),
    (InvalidURI, EndingKind.ADDRESS),
    (SecurityError, EndingKind.ADDRESS),
    (NotSetUp, EndingKind.ANSWER),
    (socket.gaierror, EndingKind.NAME),
    (Stalled, EndingKind.STALLED),
    (OSError, EndingKind.NETWORK),
    (WebSocketException, EndingKind.NETWORK),
    # Only while dialing. Later such an error is a message that the SDK does not understand, or a bug.
    (ValueError, EndingKind.ARGUMENTS),
    (ImportError, EndingKind.PROGRAM),
    (RecursionError, EndingKind.PROGRAM),
    (NotImplementedError, EndingKind.PROGRAM),
    (RuntimeError, EndingKind.ANSWER),
    (AttributeError, EndingKind.PROGRAM),
    (TypeError, EndingKind.PROGRAM),
    (LookupError, EndingKind.PROGRAM),
)
_OF_THE_WORLD: Final = 8
"""The number of leading rows of `_KINDS` whose errors can also end a session."""


def classify(
    error: Exception,
    *,
    during_setup: bool,
    with_handle: bool,
    age_s: float = 0.0,
    renewable: bool = False,
    secrets: Sequence[str] = (),
) -> LinkLost:
    """Return the loss that `error` means; it comes from the SDK, from google-auth or from their socket.

    `during_setup`: there was no session yet; else `age_s` is the session's age. `secrets` are cut out of the
    text. An error that only a bug can cause is raised again.
    """
    what, number, reason = read(error, secrets, during_setup=during_setup)
    stage = ConnectionStage.YOUNG if age_s < YOUNG_S else ConnectionStage.SESSION
    if during_setup:
        stage = ConnectionStage.SETUP
    asked = retry_after_s(error.response) if isinstance(error, InvalidStatus) else None
    ending = ConnectionEnding(what, number, reason, stage, with_handle, renewable)
    row = row_of(ending)
    coded = what in (EndingKind.CLOSE, EndingKind.HTTP, EndingKind.PROXY) and number is not None
    named = "HTTP " if what in (EndingKind.HTTP, EndingKind.PROXY) else ""
    words = f"{named}{number} {reason}".rstrip() if coded else reason
    message = row.words.format(what=words)
    if row.name == SETUP_REFUSED:
        return SetupRefused(message, words, row.remedy)
    return LinkLost(message, remedy=row.remedy, reached=row.reached, retry_after_s=asked)


def row_of(ending: ConnectionEnding) -> EndingRow:
    """Return the first row that fits `ending`."""
    return next(row for row in ENDINGS if row.fits(ending))


def read(
    error: Exception, secrets: Sequence[str], *, during_setup: bool
) -> tuple[EndingKind, int | None, str]:
    """Return the kind of the ending, its number (None if it has none) and its reason in words."""
    closed = _close_of(error, secrets)
    if closed is not None:
        return EndingKind.CLOSE, *closed
    if isinstance(error, ssl.SSLCertVerificationError):
        return EndingKind.CERTIFICATE, error.verify_code, error.verify_message
    if isinstance(error, InvalidStatus):
        return EndingKind.HTTP, error.response.status_code, plain(body_text(error.response), secrets)
    if isinstance(error, InvalidProxyStatus):
        return EndingKind.PROXY, error.response.status_code, plain(error.response.reason_phrase, secrets)
    text = plain(str(error), secrets) or type(error).__name__
    what = _kind_of(error, text, during_setup=during_setup)
    if isinstance(error, ValidationError):  # its text would show the settings' values
        text = ", ".join(".".join(map(str, fault["loc"])) for fault in error.errors(include_input=False))
    if (
        what in (EndingKind.CREDENTIALS, EndingKind.ARGUMENTS, EndingKind.PROGRAM, EndingKind.ANSWER)
        and type(error) is not NotSetUp
    ):
        text = plain(f"{type(error).__name__} {text}", secrets)
    return what, None, text


def _kind_of(error: Exception, text: str, *, during_setup: bool) -> EndingKind:
    if _is_of_google_auth(error):
        away = type(error).__name__ in ("TransportError", "TimeoutError") or _AWAY.search(text)
        return EndingKind.TOKENS if away else EndingKind.CREDENTIALS
    if isinstance(error, RuntimeError) and during_setup and _NO_TOKEN.search(text):
        return EndingKind.CREDENTIALS
    if isinstance(error, ImportError) and "socks" in text:
        return EndingKind.PROXY
    if isinstance(error, ValidationError) and error.title.startswith("LiveServer"):
        return EndingKind.ANSWER
    for kind, what in _KINDS if during_setup else _KINDS[:_OF_THE_WORLD]:
        if isinstance(error, kind):
            return what
    raise error


def _close_of(error: Exception, secrets: Sequence[str]) -> tuple[int, str] | None:
    """Return the code and the reason of the close that `error` reports; None if it reports none."""
    # The SDK is loaded by now, as the error comes from it. An import here keeps the import of this module
    # quick.
    from google.genai.errors import APIError  # noqa: PLC0415

    if isinstance(error, APIError):
        return int(error.code), _sent_by_us(error.__context__) or plain(str(error.details), secrets)
    if isinstance(error, ConnectionClosed):
        code, reason = (error.rcvd.code, error.rcvd.reason) if error.rcvd else (1006, "abnormal closure")
        return code, _sent_by_us(error) or plain(reason, secrets)
    return None


def _sent_by_us(error: BaseException | None) -> str:
    """Return the reason if this side closed the connection (no pong, message too big); else an empty text.

    The SDK reports such a close as 1006; only the error's context has the true code.
    """
    if isinstance(error, ConnectionClosed) and error.sent is not None and not error.rcvd_then_sent:
        return plain(f"ended by this side, {error.sent.code} {error.sent.reason}".rstrip())
    return ""


def _is_of_google_auth(error: Exception) -> bool:
    return any(kind.__module__ == "google.auth.exceptions" for kind in type(error).__mro__)
