"""A command becomes one request of remote control, or is refused without its words."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kioskd.flow.fleet.commands import LONGEST_BYTES, CommandRefused, request
from kioskd.flow.fleet.entities import COMMANDED


@pytest.mark.parametrize(
    ("key", "payload", "wanted"),
    [
        ("mute", b"ON", {"do": "mute"}),
        ("mute", b"OFF", {"do": "unmute"}),
        ("volume", b"70", {"do": "volume", "percent": 70}),
        ("volume", b"35.0", {"do": "volume", "percent": 35}),
        ("wake", b"PRESS", {"do": "wake"}),
        ("say", b"We close in ten minutes.", {"do": "say", "text": "We close in ten minutes."}),
        ("restart", b"PRESS", {"do": "restart"}),
        ("log", b"debug", {"do": "log", "level": "debug"}),
        ("ask", "Où est la sortie ?".encode(), {"do": "ask", "text": "Où est la sortie ?"}),
    ],
)
def test_a_command_becomes_a_request(key: str, payload: bytes, wanted: dict[str, object]) -> None:
    assert request(key, payload) == wanted


@pytest.mark.parametrize(
    ("key", "payload", "why"),
    [
        ("key", b"a-new-key", "there is no such entity"),
        ("state", b"asleep", "there is no such entity"),
        ("mute", b"on", "takes ON or OFF"),
        ("wake", b"", "a button takes PRESS"),
        ("volume", b"101", "a number from 0 to 100"),
        ("volume", b"nan", "a number from 0 to 100"),
        ("volume", b"1e999999999", "a number from 0 to 100"),
        ("volume", b"\xff", "not UTF-8"),
        ("log", b"error", "one of debug, info, warning"),
        ("ask", bytes(LONGEST_BYTES + 1), "has more than 4096 bytes"),
    ],
)
def test_a_command_that_means_nothing_is_refused(key: str, payload: bytes, why: str) -> None:
    with pytest.raises(CommandRefused, match=why):
        request(key, payload)


@given(st.sampled_from([*COMMANDED, "", "+", "do/wake"]) | st.text(), st.binary(max_size=300))
def test_whatever_comes_is_a_request_or_refused(key: str, payload: bytes) -> None:
    with contextlib.suppress(CommandRefused):
        wanted = request(key, payload)
        assert key in COMMANDED
        assert isinstance(wanted["do"], str)
