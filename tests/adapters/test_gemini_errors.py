"""The table of failures: what each means to whoever dials, and that its text gives nothing away."""

import errno
import socket
import ssl
from typing import Any

import pydantic
import pytest
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

from kioskd.adapters.gemini_errors import BUSY_S, classify, plain
from kioskd.errors import LinkLost, LinkRefused, SessionLost


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


def invalid(model: type[pydantic.BaseModel], value: dict[str, Any]) -> pydantic.ValidationError:
    with pytest.raises(pydantic.ValidationError) as caught:
        model.model_validate(value)
    return caught.value


AT_SETUP = [
    # Codes of a close, and what was said with them.
    (closed(1000), LinkLost, LinkLost),
    (closed(1001, "going away"), LinkLost, LinkLost),
    (closed(1006, "abnormal closure"), LinkLost, LinkLost),
    (closed(1012), LinkLost, LinkLost),
    (closed(1013, "try again"), LinkLost, LinkLost),
    (closed(4000, "own words"), LinkLost, LinkLost),
    (closed(1011, "Internal error encountered."), LinkLost, LinkLost),
    (closed(1011, "Deadline expired before operation could complete."), LinkLost, LinkLost),
    (closed(1007, "Request contains an invalid argument."), LinkRefused, SessionLost),
    (closed(1007, "User location is not supported for the API use."), LinkRefused, SessionLost),
    (closed(1007, "token count exhausted"), LinkRefused, SessionLost),
    (closed(1008, "BidiGenerateContent session not found"), LinkRefused, SessionLost),
    (closed(1008, "models/gemini-9 is not found for API version v1beta"), LinkRefused, LinkRefused),
    (closed(1008, "Method doesn't allow unregistered callers"), LinkRefused, LinkRefused),
    (closed(1007, "API key not valid. Please pass a valid API key."), LinkRefused, LinkRefused),
    (closed(1008, "The operation was aborted."), LinkLost, LinkLost),
    (ConnectionClosedError(Close(1008, "policy"), None), LinkRefused, SessionLost),
    (ConnectionClosedError(None, None), LinkLost, LinkLost),
    # HTTP at the upgrade.
    (answered(400), LinkRefused, LinkRefused),
    (answered(401), LinkRefused, LinkRefused),
    (answered(403), LinkRefused, LinkRefused),
    (answered(404), LinkRefused, LinkRefused),
    (answered(200), LinkRefused, LinkRefused),
    (answered(408), LinkLost, LinkLost),
    (answered(425), LinkLost, LinkLost),
    (answered(429), LinkLost, LinkLost),
    (answered(500), LinkLost, LinkLost),
    (answered(503), LinkLost, LinkLost),
    # Below that.
    (TimeoutError("timed out during opening handshake"), LinkLost, LinkLost),
    (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), LinkLost, LinkLost),
    (socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"), LinkLost, LinkLost),
    (OSError(errno.ENETUNREACH, "Network is unreachable"), LinkLost, LinkLost),
    (ssl.SSLError(1, "wrong version number"), LinkLost, LinkLost),
    (InvalidMessage("did not receive a valid HTTP response"), LinkLost, LinkLost),
    (distrusted(9), LinkLost, LinkLost),
    (distrusted(10), LinkLost, LinkLost),
    (distrusted(18), LinkRefused, LinkRefused),
    (distrusted(62), LinkRefused, LinkRefused),
    # The proxy.
    (InvalidProxyStatus(Response(503, "Unavailable", Headers())), LinkLost, LinkLost),
    (InvalidProxyStatus(Response(407, "Authenticate", Headers())), LinkRefused, LinkRefused),
    (InvalidProxy("ftp://x", "scheme"), LinkRefused, LinkRefused),
    (ImportError("python-socks is required"), LinkRefused, LinkRefused),
    # Our own settings, found wrong before the first byte.
    (InvalidURI("wss://", "no host"), LinkRefused, LinkRefused),
    (SecurityError("HTTP 302, a redirect"), LinkRefused, LinkRefused),
    (ValueError("parameter is not supported in Gemini API"), LinkRefused, LinkRefused),
    (invalid(LiveConnectConfig, {"speech_config": 5}), LinkRefused, LinkRefused),
    # A first message that nobody understands.
    (ValueError("Failed to parse response: b'junk'"), LinkLost, LinkLost),
    (invalid(LiveServerMessage, {"setup_complete": 5}), LinkLost, LinkLost),
    (AttributeError("'list' object has no attribute 'items'"), LinkLost, LinkLost),
    (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"), LinkLost, LinkLost),
    (RecursionError("too deep"), LinkLost, LinkLost),
]


@pytest.mark.parametrize(("error", "fresh", "resuming"), AT_SETUP, ids=lambda value: str(value)[:40])
def test_a_failed_dial_means(error: Exception, fresh: type[Exception], resuming: type[Exception]) -> None:
    assert type(classify(error, during_setup=True, with_handle=False)) is fresh
    assert type(classify(error, during_setup=True, with_handle=True)) is resuming


@pytest.mark.parametrize(
    ("error", "means"),
    [
        (closed(1000), LinkLost),
        (closed(1001), LinkLost),
        (closed(1006, "abnormal closure"), LinkLost),
        (closed(1011, "Internal error encountered."), LinkLost),
        (closed(1012), LinkLost),
        (closed(1007, "Request contains an invalid argument."), SessionLost),
        (closed(1008, "Operation is not implemented, or supported, or enabled."), SessionLost),
        (closed(1008, "API key expired."), SessionLost),
        (closed(1008, "The operation was aborted."), LinkLost),
        (ConnectionClosedOK(Close(1000, ""), Close(1000, ""), rcvd_then_sent=True), LinkLost),
        (ConnectionClosedError(Close(1007, "bad"), Close(1007, ""), rcvd_then_sent=True), SessionLost),
        (ConnectionClosedError(None, None), LinkLost),
        (TimeoutError("took nothing for 5 s"), LinkLost),
    ],
    ids=lambda value: str(value)[:40],
)
@pytest.mark.parametrize("with_handle", [False, True])
def test_the_end_of_a_session_means(error: Exception, means: type[Exception], with_handle: bool) -> None:
    assert type(classify(error, during_setup=False, with_handle=with_handle)) is means


@pytest.mark.parametrize(
    ("error", "retry_after_s"),
    [
        (answered(429), BUSY_S),
        (answered(429, Retry_After="7"), 7.0),
        (answered(429, Retry_After="99999"), 600.0),
        (answered(429, Retry_After="-5"), BUSY_S),
        (answered(429, Retry_After="soon"), BUSY_S),
        (
            answered(429, Retry_After="Fri, 20 Nov 2026 10:00:40 GMT", Date="Fri, 20 Nov 2026 10:00:00 GMT"),
            40.0,
        ),
        (answered(503, Retry_After="12"), 12.0),
        (answered(503), None),
        (closed(1011, "RESOURCE_EXHAUSTED: quota"), BUSY_S),
        (closed(1011, "Maximum concurrent sessions exceeded"), BUSY_S),
        (closed(1008, "You exceeded your current quota"), BUSY_S),
        (closed(1011, "Internal error"), None),
        (closed(1006), None),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_busy_service_is_left_alone_for(error: Exception, retry_after_s: float | None) -> None:
    found = classify(error, during_setup=True, with_handle=True)
    assert isinstance(found, LinkLost)
    assert found.retry_after_s == retry_after_s


def test_a_close_that_our_own_end_began_says_so() -> None:
    error = closed(1006, "abnormal closure")
    error.__context__ = ConnectionClosedError(None, Close(1011, "keepalive ping timeout"))
    found = classify(error, during_setup=False, with_handle=False)
    assert "ended by this side, 1011 keepalive ping timeout" in str(found)


def test_the_text_says_what_the_service_said() -> None:
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
def test_a_body_that_is_no_error_of_the_service_is_passed_over(body: bytes) -> None:
    found = classify(answered(500, body), during_setup=True, with_handle=False)
    assert "HTTP 500 A Phrase" in str(found)


def test_a_message_that_was_not_understood_is_not_in_the_text() -> None:
    found = classify(ValueError("Failed to parse response: b'private'"), during_setup=True, with_handle=False)
    assert "private" not in str(found)


def test_settings_that_the_sdk_turns_down_are_named_without_their_value() -> None:
    error = invalid(LiveConnectConfig, {"temperature": "private"})
    found = classify(error, during_setup=True, with_handle=False)
    assert "temperature" in str(found)
    assert "private" not in str(found)


def test_a_clock_that_is_off_is_named() -> None:
    assert "clock" in str(classify(distrusted(9), during_setup=True, with_handle=False))
    assert "ca_file" in str(classify(distrusted(18), during_setup=True, with_handle=False))


def test_a_bug_stays_one() -> None:
    with pytest.raises(ZeroDivisionError):
        classify(ZeroDivisionError(), during_setup=True, with_handle=False)
    with pytest.raises(TypeError):
        classify(TypeError("bug"), during_setup=False, with_handle=False)


def test_known_secrets_are_cut_out() -> None:
    found = classify(
        closed(1008, "no session short-handle"),
        during_setup=True,
        with_handle=True,
        secrets=["short-handle", ""],
    )
    assert "short-handle" not in str(found)
    assert "no session …" in str(found)


@pytest.mark.parametrize(
    "secret",
    [
        "AIzaSyA1234567890abcdefghijklmnopqrstuv",
        "AQ.Ab8RN6KdJ2mX9vQ4tY7wZ1aB3cD5eF",
        "auth_tokens/abc",
        "CihIc2Fta2V5LWhhbmRsZS0xMjM0NTY3ODkwYWJjZGVmZ2hpag==",
    ],
)
def test_what_looks_like_a_secret_is_cut_out(secret: str) -> None:
    text = plain(f"session {secret} not found")
    assert secret[3:] not in text
    assert text.startswith("session ")
    assert text.endswith(" not found")


@pytest.mark.parametrize(
    "words",
    [
        "models/gemini-2.5-flash-native-audio-preview-12-2025 is not found for API version v1beta",
        "google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent are blocked.",
        "see https://ai.google.dev/gemini-api/docs/rate-limits",
    ],
)
def test_what_helps_is_left_in(words: str) -> None:
    assert plain(words) == words


def test_text_is_one_short_line() -> None:
    assert plain("a\r\nb\tc\x1b[31m d") == "a b c [31m d"
    assert len(plain("word " * 100)) == 120
