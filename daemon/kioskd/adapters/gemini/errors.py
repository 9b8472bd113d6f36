"""What each ending of a Live connection means to the next dial: one table, read from the top, the first row that fits.

`read` tells from an exception what happened, `ENDINGS` what follows from it, `classify` puts it in words.
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

from kioskd.adapters.gemini.reasons import body_text, plain, retry_after_s
from kioskd.errors import LinkLost, Remedy

YOUNG_S: Final = 5.0
"""A session that the service gives up so soon after its setup was never what the service wanted."""

ODD: Final = (TypeError, ValueError, AttributeError, LookupError, RecursionError)
"""What the SDK raises on a message that it does not understand (all seen; pydantic's error is a ValueError)."""

TROUBLE: Final = (OSError, WebSocketException, ImportError, RuntimeError, *ODD)
"""What dialing may raise, besides the errors of the SDK and of google-auth. TimeoutError is an OSError."""


class SetupRefused(LinkLost):
    """The service turned the setup down, and named neither key nor model. `reason` is what it said."""

    def __init__(self, message: str, reason: str, remedy: Remedy) -> None:
        super().__init__(message, remedy=remedy, reached=True)
        self.reason = reason


class NotSetUp(WebSocketException):
    """The service answered the setup with something else, or not at all."""


class Stalled(TimeoutError):
    """The peer has answered nothing for longer than it ever did."""


class EndingKind(enum.Enum):
    """What kind of thing happened; the value is what people call it."""

    CLOSE = "close"
    HTTP = "HTTP"
    PROXY = "proxy"
    CERTIFICATE = "certificate"
    NAME = "name not resolved"
    NETWORK = "network"
    STALLED = "stalled"
    ADDRESS = "address"
    ANSWER = "no setup"
    CREDENTIALS = "credentials"
    TOKENS = "token endpoint not reached"
    ARGUMENTS = "settings not taken by the SDK"
    PROGRAM = "SDK not as known"


class ConnectionStage(enum.Enum):
    """How far the connection had come."""

    SETUP = "while it was being made"
    YOUNG = "within seconds of its setup"
    SESSION = "in mid-session"


@dataclass(frozen=True, slots=True)
class ConnectionEnding:
    """One end of a connection, as far as the table looks at it."""

    what: EndingKind
    number: int | None
    """WebSocket close code, HTTP status, or OpenSSL's verify code."""
    reason: str
    """In the service's or the system's words; nothing secret."""
    stage: ConnectionStage
    with_handle: bool
    """The connection was to resume a session."""
    renewable: bool
    """New credentials can be had without a person."""


@dataclass(frozen=True, slots=True)
class ReasonSubject:
    """What a reason speaks of."""

    name: str
    pattern: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class EndingRow:
    """One kind of ending. A condition that is None or empty holds for all."""

    name: str
    what: EndingKind
    remedy: Remedy
    words: str
    """What the journal says; {what} is the code and the reason."""
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
        """Whether the service itself answered: by an HTTP status or a close of its own, whatever that says.

        A proxy's status is none of them, not even 502: it is about the way, and the service may never have been asked.
        What answers in the name of the service (a gateway, as `service.endpoint` names it) is the service.
        """
        return self.what in (EndingKind.HTTP, EndingKind.ANSWER) or (
            self.what is EndingKind.CLOSE and _UNANSWERED not in self.numbers
        )


def _subject(name: str, pattern: str) -> ReasonSubject:
    return ReasonSubject(name, re.compile(pattern, re.IGNORECASE))


_BUSY: Final = _subject("quota or load", r"quota|exhausted|concurren|rate.?limit|too many|overloaded")
_ABORTED: Final = _subject("an aborted operation", r"operation was aborted")
_IDENTITY: Final = _subject(
    "who we are",
    r"api.?key|unregistered|established identity|permission|unauthenticated|credential"
    r"|(auth|ephemeral|access)\w* tokens?\b.*(expired|invalid|used)",
)
_MODEL: Final = _subject("the model", r"models?\b.*\bnot (found|supported)")
_AWAY: Final = re.compile(
    r"timed? ?out|unreachable|connection (refused|reset|aborted)|failed to establish|resolve|max retries",
    re.IGNORECASE,
)
_NO_TOKEN: Final = re.compile(r"\b(token|credential)s?\b", re.IGNORECASE)
"""The SDK from 3.4 on says by a RuntimeError that an account gives no token."""
_REFUSALS: Final = frozenset({1007, 1008})
_OPENING: Final = frozenset({ConnectionStage.SETUP, ConnectionStage.YOUNG})
_PASSING: Final = frozenset({408, 425, *range(500, 600)})
_UNANSWERED: Final = 1006
"""What a connection that broke without a close is said to have been closed with."""
_UNTIMELY: Final = frozenset({9, 10})  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED

_BUSY_WORDS: Final = "Live service is busy: {what}; waiting"
_AGAIN_WORDS: Final = "Live service closed the connection: {what}; dialing again"
_RENEW_WORDS: Final = "Live service turned the credentials down: {what}; fetching new ones"
_KEY_WORDS: Final = "Live service turned the key down: {what}; store a valid one (kioskd key)"
_REFUSED_WORDS: Final = (
    "Live service turned the settings down: {what}; check service.model, service.api_version, service.endpoint "
    "and the assistant section"
)
_FRESH_WORDS: Final = "Live service does not resume the session: {what}; starting a fresh one"

SETUP_REFUSED: Final = "settings refused"

ENDINGS: Final[tuple[EndingRow, ...]] = (
    # The close of a WebSocket. The reason in words counts more than the code, which the service uses loosely.
    EndingRow("operation aborted", EndingKind.CLOSE, Remedy.RESUME, _AGAIN_WORDS, says=_ABORTED),
    EndingRow("context used up", EndingKind.CLOSE, Remedy.FRESH, _FRESH_WORDS, frozenset({1007}), _BUSY, with_handle=True),
    EndingRow("quota used up", EndingKind.CLOSE, Remedy.QUOTA, _BUSY_WORDS, frozenset({1008, 1011, 1013}), _BUSY),
    EndingRow("credentials refused, renewable", EndingKind.CLOSE, Remedy.CREDENTIALS, _RENEW_WORDS, _REFUSALS, _IDENTITY, renewable=True),
    EndingRow("key refused", EndingKind.CLOSE, Remedy.SETTINGS, _KEY_WORDS, _REFUSALS, _IDENTITY, _OPENING),
    EndingRow("model unknown", EndingKind.CLOSE, Remedy.SETTINGS, _REFUSED_WORDS, _REFUSALS, _MODEL, _OPENING),
    EndingRow("session not resumed", EndingKind.CLOSE, Remedy.FRESH, _FRESH_WORDS, _REFUSALS, stages=_OPENING, with_handle=True),
    EndingRow(SETUP_REFUSED, EndingKind.CLOSE, Remedy.SETTINGS, _REFUSED_WORDS, _REFUSALS, stages=_OPENING),
    EndingRow("session given up", EndingKind.CLOSE, Remedy.FRESH, "Live service gave the session up: {what}; starting a fresh one", _REFUSALS),
    EndingRow("service failed", EndingKind.CLOSE, Remedy.RESUME_LATER, "Live service has trouble: {what}; waiting", frozenset({1011})),
    EndingRow("broken off", EndingKind.CLOSE, Remedy.RESUME, "Live service lost: {what}; dialing again", frozenset({_UNANSWERED})),
    EndingRow("closed", EndingKind.CLOSE, Remedy.RESUME, _AGAIN_WORDS),
    # The answer to the WebSocket request.
    EndingRow("too many requests", EndingKind.HTTP, Remedy.QUOTA, _BUSY_WORDS, frozenset({429})),
    EndingRow("not admitted, renewable", EndingKind.HTTP, Remedy.CREDENTIALS, _RENEW_WORDS, frozenset({401, 403}), renewable=True),
    EndingRow("not admitted", EndingKind.HTTP, Remedy.SETTINGS, _KEY_WORDS, frozenset({401, 403})),
    EndingRow("key refused by HTTP", EndingKind.HTTP, Remedy.SETTINGS, _KEY_WORDS, frozenset({400}), _IDENTITY),
    EndingRow("service unavailable", EndingKind.HTTP, Remedy.RESUME, "Live service has trouble: {what}; waiting", _PASSING),
    EndingRow("request refused", EndingKind.HTTP, Remedy.SETTINGS, _REFUSED_WORDS),
    # Credentials that have to be fetched first.
    EndingRow("credentials not renewed", EndingKind.CREDENTIALS, Remedy.CREDENTIALS, "credentials cannot be had: {what}; trying again", renewable=True),
    EndingRow("credentials useless", EndingKind.CREDENTIALS, Remedy.SETTINGS, "credentials cannot be had: {what}; check the service section and its files"),
    EndingRow("token endpoint not reached", EndingKind.TOKENS, Remedy.RESUME, "credentials cannot be had: {what}; check the network"),
    # What stands between.
    EndingRow("certificate out of its time", EndingKind.CERTIFICATE, Remedy.CLOCK, "Live service not trusted: {what} by this device's clock; check its date (timedatectl)", _UNTIMELY),
    EndingRow("certificate of somebody else", EndingKind.CERTIFICATE, Remedy.RESUME, "Live service not trusted: {what}; another network in between? else check service.ca_file and the clock"),
    EndingRow("proxy without a way out", EndingKind.PROXY, Remedy.RESUME, "Live service not reached: proxy says {what}; check the proxy's own way out", _PASSING),
    EndingRow("proxy refused or unusable", EndingKind.PROXY, Remedy.SETTINGS, "proxy cannot be used: {what}; check service.proxy, https_proxy and no_proxy"),
    EndingRow("address unusable", EndingKind.ADDRESS, Remedy.SETTINGS, "Live service not reached: {what}; check service.endpoint"),
    EndingRow("name not resolved", EndingKind.NAME, Remedy.RESUME, "Live service not reached: {what}; check the network and its name server"),
    EndingRow("not reached", EndingKind.NETWORK, Remedy.RESUME, "Live service not reached: {what}; check the network", stages=frozenset({ConnectionStage.SETUP})),
    EndingRow("stalled", EndingKind.STALLED, Remedy.RESUME, "Live service lost: {what}; dialing again"),
    EndingRow("cut off", EndingKind.NETWORK, Remedy.RESUME, "Live service lost: {what}; check the network"),
    EndingRow("setup not completed", EndingKind.ANSWER, Remedy.RESUME_LATER, "Live service did not set the session up: {what}; dialing again"),
    # What is wrong on this side.
    EndingRow("settings not taken", EndingKind.ARGUMENTS, Remedy.SETTINGS, "settings turned down before dialing: {what}; check the service and assistant sections"),
    EndingRow("SDK not as known", EndingKind.PROGRAM, Remedy.STOP, "google-genai does not fit this program: {what}; install the version that kioskd asks for"),
)  # fmt: skip
"""Every ending has its row: the last one for its kind takes whatever the rows before do not."""


_KINDS: Final[tuple[tuple[type[Exception], EndingKind], ...]] = (
    (InvalidProxy, EndingKind.PROXY),
    (InvalidURI, EndingKind.ADDRESS),
    (SecurityError, EndingKind.ADDRESS),
    (NotSetUp, EndingKind.ANSWER),
    (socket.gaierror, EndingKind.NAME),
    (Stalled, EndingKind.STALLED),
    (OSError, EndingKind.NETWORK),
    (WebSocketException, EndingKind.NETWORK),
    # Only while dialing: later they are a message that is not understood, or a bug.
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
"""How many of them can end a session, too."""


def classify(
    error: Exception,
    *,
    during_setup: bool,
    with_handle: bool,
    age_s: float = 0.0,
    renewable: bool = False,
    secrets: Sequence[str] = (),
) -> LinkLost:
    """Return what `error` of the SDK, of google-auth or of the socket under them means.

    `during_setup`: the session was not there yet; else `age_s` is how long it had been. `secrets` are cut out of the
    text. An error that is no failure of the world (a bug) is raised as it is.
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
    """Return the first row that fits."""
    return next(row for row in ENDINGS if row.fits(ending))


def read(
    error: Exception, secrets: Sequence[str], *, during_setup: bool
) -> tuple[EndingKind, int | None, str]:
    """Return what happened, its number if it has one, and the reason in words."""
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
    if isinstance(error, ValidationError):  # its text holds values
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
    """The code and reason of the close that `error` reports; None if it reports none."""
    # Loaded already whenever one of its errors can be: importing it here keeps this module quick to import.
    from google.genai.errors import APIError  # noqa: PLC0415

    if isinstance(error, APIError):
        return int(error.code), _sent_by_us(error.__context__) or plain(str(error.details), secrets)
    if isinstance(error, ConnectionClosed):
        code, reason = (error.rcvd.code, error.rcvd.reason) if error.rcvd else (1006, "abnormal closure")
        return code, _sent_by_us(error) or plain(reason, secrets)
    return None


def _sent_by_us(error: BaseException | None) -> str:
    """The reason of a close that our own end began (a ping unanswered, a message too big); else nothing.

    The SDK reports it as 1006 and keeps the truth in the error's context only.
    """
    if isinstance(error, ConnectionClosed) and error.sent is not None and not error.rcvd_then_sent:
        return plain(f"ended by this side, {error.sent.code} {error.sent.reason}".rstrip())
    return ""


def _is_of_google_auth(error: Exception) -> bool:
    return any(kind.__module__ == "google.auth.exceptions" for kind in type(error).__mro__)
