"""The table of endings: the remedy for each, and texts without secrets."""

import errno
import socket
import ssl
from itertools import product
from typing import Any

import pydantic
import pytest
from google.auth.exceptions import DefaultCredentialsError, RefreshError, TransportError
from google.genai.errors import APIError
from google.genai.types import LiveConnectConfig, LiveServerMessage
from websockets.datastructures import Headers
from websockets.exceptions import (
    ConnectionClosedError,
    ConnectionClosedOK,
    InvalidMessage,
    InvalidProxy,
    InvalidProxyStatus,
    InvalidStatus,
    InvalidURI,
    SecurityError,
)
from websockets.frames import Close
from websockets.http11 import Response

from kioskd.adapters.gemini.errors import (
    ENDINGS,
    ConnectionEnding,
    ConnectionStage,
    EndingKind,
    NotSetUp,
    Stalled,
    classify,
    read,
    row_of,
)
from kioskd.errors import Remedy


def closed(code: int, reason: str = "") -> APIError:
    return APIError(code, reason, None)


def answered(status: int, body: bytes = b"", **headers: str) -> InvalidStatus:
    fields = Headers({name.replace("_", "-"): value for name, value in headers.items()})
    return InvalidStatus(Response(status, "A Phrase", fields, body))


def distrusted(verify_code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code = verify_code
    error.verify_message = f"reason {verify_code}"
    return error


def of_google(kind: type[Exception], text: str) -> Exception:
    return kind(text)


def invalid(model: type[pydantic.BaseModel], value: dict[str, Any]) -> pydantic.ValidationError:
    with pytest.raises(pydantic.ValidationError) as caught:
        model.model_validate(value)
    return caught.value


RESUME, LATER, FRESH = Remedy.RESUME, Remedy.RESUME_LATER, Remedy.FRESH
RENEW, QUOTA, CLOCK, SETTINGS, STOP = (
    Remedy.CREDENTIALS,
    Remedy.QUOTA,
    Remedy.CLOCK,
    Remedy.SETTINGS,
    Remedy.STOP,
)

AT_SETUP: list[tuple[Exception, Remedy, Remedy]] = [
    # Close codes and reasons, each with its remedy without a handle and with one.
    (closed(1000), RESUME, RESUME),
    (closed(1001, "going away"), RESUME, RESUME),
    (closed(1006, "abnormal closure"), RESUME, RESUME),
    (closed(1012), RESUME, RESUME),
    (closed(1013, "try again"), RESUME, RESUME),
    (closed(4000, "own words"), RESUME, RESUME),
    (closed(1011, "Internal error encountered."), LATER, LATER),
    (closed(1011, "Deadline expired before operation could complete."), LATER, LATER),
    (closed(1011, "The session is still open on another connection."), LATER, LATER),
    (closed(1011, "RESOURCE_EXHAUSTED: quota"), QUOTA, QUOTA),
    (closed(1011, "Maximum concurrent sessions exceeded"), QUOTA, QUOTA),
    (closed(1008, "You exceeded your current quota"), QUOTA, QUOTA),
    (closed(1007, "Request contains an invalid argument."), SETTINGS, FRESH),
    (closed(1007, "User location is not supported for the API use."), SETTINGS, FRESH),
    (closed(1007, "token count exhausted"), SETTINGS, FRESH),
    (closed(1008, "BidiGenerateContent session not found"), SETTINGS, FRESH),
    (closed(1008, "models/gemini-9 is not found for API version v1beta"), SETTINGS, SETTINGS),
    (closed(1008, "Method doesn't allow unregistered callers"), SETTINGS, SETTINGS),
    (closed(1007, "API key not valid. Please pass a valid API key."), SETTINGS, SETTINGS),
    (closed(1008, "The operation was aborted."), RESUME, RESUME),
    (ConnectionClosedError(Close(1008, "policy"), None), SETTINGS, FRESH),
    (ConnectionClosedError(None, None), RESUME, RESUME),
    # HTTP statuses that answer the upgrade.
    (answered(400), SETTINGS, SETTINGS),
    (answered(400, b'{"error": {"message": "API key not valid."}}'), SETTINGS, SETTINGS),
    (answered(401), SETTINGS, SETTINGS),
    (answered(403), SETTINGS, SETTINGS),
    (answered(404), SETTINGS, SETTINGS),
    (answered(200), SETTINGS, SETTINGS),
    (answered(408), RESUME, RESUME),
    (answered(425), RESUME, RESUME),
    (answered(429), QUOTA, QUOTA),
    (answered(500), RESUME, RESUME),
    (answered(503), RESUME, RESUME),
    # Errors below HTTP.
    (TimeoutError("timed out during opening handshake"), RESUME, RESUME),
    (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), RESUME, RESUME),
    (socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"), RESUME, RESUME),
    (OSError(errno.ENETUNREACH, "Network is unreachable"), RESUME, RESUME),
    (ssl.SSLError(1, "wrong version number"), RESUME, RESUME),
    (InvalidMessage("did not receive a valid HTTP response"), RESUME, RESUME),
    (distrusted(9), CLOCK, CLOCK),
    (distrusted(10), CLOCK, CLOCK),
    # A captive portal, which can go away by itself.
    (distrusted(18), RESUME, RESUME),
    (distrusted(62), RESUME, RESUME),
    # Errors of the proxy.
    (InvalidProxyStatus(Response(503, "Unavailable", Headers())), RESUME, RESUME),
    (InvalidProxyStatus(Response(407, "Authenticate", Headers())), SETTINGS, SETTINGS),
    (InvalidProxy("ftp://x", "scheme"), SETTINGS, SETTINGS),
    (ImportError("connecting through a SOCKS proxy requires python-socks"), SETTINGS, SETTINGS),
    # Errors of the credentials.
    (of_google(TransportError, "Failed to establish a new connection"), RESUME, RESUME),
    (of_google(RefreshError, "invalid_grant: Bad Request"), SETTINGS, SETTINGS),
    (of_google(DefaultCredentialsError, "Your default credentials were not found."), SETTINGS, SETTINGS),
    (RuntimeError("Could not resolve API token from the environment"), SETTINGS, SETTINGS),
    # Errors in our own settings, found before the first byte is sent.
    (InvalidURI("wss://", "no host"), SETTINGS, SETTINGS),
    (SecurityError("HTTP 302, a redirect"), SETTINGS, SETTINGS),
    (ValueError("parameter is not supported in Gemini API"), SETTINGS, SETTINGS),
    (invalid(LiveConnectConfig, {"speech_config": 5}), SETTINGS, SETTINGS),
    # An SDK of another version.
    (TypeError("connect() got an unexpected keyword argument 'config'"), STOP, STOP),
    (RecursionError("maximum recursion depth exceeded"), STOP, STOP),
    (NotImplementedError("Live is not implemented"), STOP, STOP),
    (AttributeError("module 'google.genai' has no attribute 'Client'"), STOP, STOP),
    (ImportError("cannot import name 'types' from 'google.genai'"), STOP, STOP),
    # A first message that does not answer the setup.
    (NotSetUp("no answer to the setup within 10 s"), LATER, LATER),
    (RuntimeError("unable to perform operation on a closed transport"), LATER, LATER),
    (invalid(LiveServerMessage, {"setup_complete": 5}), LATER, LATER),
]


@pytest.mark.parametrize(("error", "fresh", "resuming"), AT_SETUP, ids=lambda value: str(value)[:40])
def test_each_failed_dial_has_its_remedy(error: Exception, fresh: Remedy, resuming: Remedy) -> None:
    assert classify(error, during_setup=True, with_handle=False).remedy is fresh
    assert classify(error, during_setup=True, with_handle=True).remedy is resuming


@pytest.mark.parametrize(
    "error",
    [
        answered(401),
        answered(403),
        closed(1007, "API key not valid."),
        closed(1008, "Method doesn't allow unregistered callers (callers without established identity)."),
        closed(1008, "ephemeral token has expired"),
        of_google(RefreshError, "invalid_grant"),
        RuntimeError("Could not resolve API token from the environment"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_refused_credentials_that_can_be_renewed_are_not_blamed_on_the_settings(error: Exception) -> None:
    found = classify(error, during_setup=True, with_handle=True, renewable=True)
    assert found.remedy is Remedy.CREDENTIALS


IN_SESSION: list[tuple[Exception, Remedy, Remedy, Remedy]] = [
    # Errors with their remedies: soon after a new session's setup, soon after a resumed one's, and later.
    (closed(1000), RESUME, RESUME, RESUME),
    (closed(1001), RESUME, RESUME, RESUME),
    (closed(1006, "abnormal closure"), RESUME, RESUME, RESUME),
    (closed(1011, "Internal error encountered."), LATER, LATER, LATER),
    (closed(1011, "Resource has been exhausted (e.g. check quota)."), QUOTA, QUOTA, QUOTA),
    (closed(1012), RESUME, RESUME, RESUME),
    (closed(1007, "Request contains an invalid argument."), SETTINGS, FRESH, FRESH),
    (closed(1008, "Operation is not implemented, or supported, or enabled."), SETTINGS, FRESH, FRESH),
    (closed(1008, "API key expired."), SETTINGS, SETTINGS, FRESH),
    (closed(1008, "The operation was aborted."), RESUME, RESUME, RESUME),
    (ConnectionClosedOK(Close(1000, ""), Close(1000, ""), rcvd_then_sent=True), RESUME, RESUME, RESUME),
    (
        ConnectionClosedError(Close(1007, "bad"), Close(1007, ""), rcvd_then_sent=True),
        SETTINGS,
        FRESH,
        FRESH,
    ),
    (ConnectionClosedError(None, None), RESUME, RESUME, RESUME),
    (TimeoutError("accepted no data for 5 s"), RESUME, RESUME, RESUME),
    (Stalled("nothing received for 15 s, not even the answer to a ping"), RESUME, RESUME, RESUME),
]


@pytest.mark.parametrize(("error", "young", "young_resumed", "later"), IN_SESSION, ids=lambda v: str(v)[:40])
def test_each_end_of_a_session_has_its_remedy(
    error: Exception, young: Remedy, young_resumed: Remedy, later: Remedy
) -> None:
    def means(*, with_handle: bool, age_s: float) -> Remedy:
        return classify(error, during_setup=False, with_handle=with_handle, age_s=age_s).remedy

    assert means(with_handle=False, age_s=1.0) is young
    assert means(with_handle=True, age_s=1.0) is young_resumed
    assert means(with_handle=False, age_s=60.0) is later
    assert means(with_handle=True, age_s=60.0) is later


@pytest.mark.parametrize(
    ("error", "reached"),
    [
        (answered(500), True),
        (answered(502), True),
        (answered(503), True),
        (answered(504), True),
        (answered(408), True),
        (closed(1000), True),
        (closed(1001, "going away"), True),
        (closed(1012), True),
        (closed(1008, "The operation was aborted."), True),
        (invalid(LiveServerMessage, {"setup_complete": 5}), True),
        (NotSetUp("no answer to the setup within 10 s"), True),
        # The service did not answer; at most something on the way did.
        (closed(1006, "abnormal closure"), False),
        (ConnectionClosedError(None, None), False),
        (ConnectionClosedError(None, Close(1011, "keepalive ping timeout")), False),
        (InvalidProxyStatus(Response(502, "Bad Gateway", Headers())), False),
        (InvalidProxyStatus(Response(504, "Gateway Timeout", Headers())), False),
        (distrusted(18), False),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), False),
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"), False),
        (TimeoutError("timed out during opening handshake"), False),
        (Stalled("nothing received for 15 s, not even the answer to a ping"), False),
        (of_google(TransportError, "Failed to establish a new connection"), False),
    ],
    ids=lambda value: str(value)[:40],
)
def test_any_answer_of_the_service_counts_as_reached(error: Exception, reached: bool) -> None:
    assert classify(error, during_setup=True, with_handle=False).reached is reached


def test_every_row_of_the_table_is_reached_by_some_ending() -> None:
    met: set[str] = set()
    cases = [(case[0], {ConnectionStage.SETUP}) for case in AT_SETUP]
    cases += [(case[0], {ConnectionStage.YOUNG, ConnectionStage.SESSION}) for case in IN_SESSION]
    for error, stages in cases:
        for renewable, with_handle, stage in product((False, True), (False, True), stages):
            kind, number, reason = read(error, (), during_setup=stage is ConnectionStage.SETUP)
            met.add(row_of(ConnectionEnding(kind, number, reason, stage, with_handle, renewable)).name)
    assert met == {row.name for row in ENDINGS}


@pytest.mark.parametrize("what", EndingKind)
@pytest.mark.parametrize("stage", ConnectionStage)
def test_every_kind_of_ending_has_a_row(what: EndingKind, stage: ConnectionStage) -> None:
    for number, renewable, with_handle in product((None, 4999, 299), (False, True), (False, True)):
        ending = ConnectionEnding(what, number, "something new", stage, with_handle, renewable)
        assert "{what}" in row_of(ending).words


def test_no_two_rows_have_the_same_name() -> None:
    assert len({row.name for row in ENDINGS}) == len(ENDINGS)


@pytest.mark.parametrize(
    ("error", "retry_after_s"),
    [
        (answered(429), None),
        (answered(429, Retry_After="7"), 7.0),
        (answered(429, Retry_After="99999"), 600.0),
        (answered(429, Retry_After="-5"), None),
        (answered(429, Retry_After="soon"), None),
        (
            answered(429, Retry_After="Fri, 20 Nov 2026 10:00:40 GMT", Date="Fri, 20 Nov 2026 10:00:00 GMT"),
            40.0,
        ),
        (answered(503, Retry_After="12"), 12.0),
        (answered(503), None),
        (closed(1011, "Internal error"), None),
    ],
    ids=lambda value: str(value)[:40],
)
def test_retry_after_is_read_from_refusals(error: Exception, retry_after_s: float | None) -> None:
    assert classify(error, during_setup=True, with_handle=True).retry_after_s == retry_after_s


def test_the_text_says_if_our_own_side_closed_the_connection() -> None:
    error = closed(1006, "abnormal closure")
    error.__context__ = ConnectionClosedError(None, Close(1011, "keepalive ping timeout"))
    found = classify(error, during_setup=False, with_handle=False)
    assert "ended by this side, 1011 keepalive ping timeout" in str(found)


def test_the_text_repeats_the_services_reason() -> None:
    body = b'{"error": {"code": 400, "message": "API key not valid."}}'
    assert "HTTP 400 API key not valid." in str(
        classify(answered(400, body), during_setup=True, with_handle=False)
    )
    assert "HTTP 404 A Phrase" in str(classify(answered(404), during_setup=True, with_handle=False))
    assert "1008 models/x is not found" in str(
        classify(closed(1008, "models/x is not found"), during_setup=True, with_handle=False)
    )


@pytest.mark.parametrize(
    "body", [b"", b"junk", b"[]", b"5", b'{"error": 5}', b'{"error": {}}', b"[" * 100_000, b"\xff"]
)
def test_a_body_without_an_error_of_the_service_is_ignored(body: bytes) -> None:
    found = classify(answered(500, body), during_setup=True, with_handle=False)
    assert "HTTP 500 A Phrase" in str(found)


def test_the_text_names_settings_that_the_sdk_rejects_without_their_values() -> None:
    error = invalid(LiveConnectConfig, {"temperature": "private"})
    found = classify(error, during_setup=True, with_handle=False)
    assert "temperature" in str(found)
    assert "private" not in str(found)


def test_the_text_names_a_wrong_clock() -> None:
    assert "clock" in str(classify(distrusted(9), during_setup=True, with_handle=False))
    portal = str(classify(distrusted(18), during_setup=True, with_handle=False))
    assert "sign-in page of the network" in portal
    assert "ca_file" in portal


def test_an_error_of_our_own_is_raised_unchanged() -> None:
    with pytest.raises(ZeroDivisionError):
        classify(ZeroDivisionError(), during_setup=True, with_handle=False)
    with pytest.raises(TypeError):
        classify(TypeError("bug"), during_setup=False, with_handle=False)


def test_known_secrets_are_cut_out_of_the_text() -> None:
    found = classify(
        closed(1008, "no session short-handle"),
        during_setup=True,
        with_handle=True,
        secrets=["short-handle", ""],
    )
    assert "short-handle" not in str(found)
    assert "no session …" in str(found)


@pytest.mark.parametrize("status", [99, 200, 301, 503, 599, 799, 999])
@pytest.mark.parametrize("reason", ["", "\x1b[2J\u202e", "\udc80"])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[" * 100_000,
        b"9" * 5_000,
        b"\xff",
        b'{"error":{"message":"\\ud83d"}}',
        b'{"error":{"message":{}}}',
    ],
)
def test_every_http_answer_to_a_dial_becomes_a_lost_link_with_printable_text(
    status: int, reason: str, body: bytes
) -> None:
    error = InvalidStatus(Response(status, reason, Headers(), body))
    assert str(classify(error, during_setup=True, with_handle=True, secrets=[])).isprintable()


@pytest.mark.parametrize(
    "after",
    [
        "9" * 5_000,
        "\u00b2",
        "-5",
        "Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
        "Mon, 01 Jan 2026 00:00:00 +99999999999999999999",
        "Mon, 32 Jan 2026 99:99:99 GMT",
        ", ,",
    ],
)
def test_every_retry_after_gives_a_bounded_wait(after: str) -> None:
    headers = Headers({"Retry-After": after, "Date": "Mon, 01 Jan 2026 00:00:00 GMT"})
    lost = classify(
        InvalidStatus(Response(503, "x", headers)), during_setup=True, with_handle=False, secrets=[]
    )
    assert lost.retry_after_s is None or 0 <= lost.retry_after_s <= 600


@pytest.mark.parametrize("status", [299, 499, 799])
def test_an_unknown_http_status_raises_no_error_of_our_own(status: int) -> None:
    found = classify(InvalidStatus(Response(status, "", Headers())), during_setup=True, with_handle=False)
    assert f"HTTP {status}" in str(found)
