"""The script of the service, as an owner writes it."""

from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from kioskd.simulator import Reply, ScriptedFault, ServiceScript

EXAMPLE = """
replies:
  - {text: "Hello, I am the guide."}
  - {wav: answer.wav}
  - {silent: true}
  - text: "I looked it up."
    think_s: 0.4
    heard: "when?"
    tool_calls: [{name: opening_hours, args: {day: today}}]
  - text: "A vase."
    tool_calls: [{name: look}, {name: open_door, args: {}, wait_s: 5, outlives: true}]
    meanwhile: {text: "Let me see."}
think_s: 0.3
pace: 8
silence_ms: 500
voice: en
usage: true
sweeps: 2
faults:
  - {on: tool_call, do: abort}
  - {on: picture, nth: 2, do: read_slowly, bytes_per_s: 20000, lasts_s: 5}
  - {on: connect, nth: 1, do: refuse, status: 503, retry_after_s: 1}
  - {on: connect, do: silent}
  - {on: setup, do: close, code: 1008, reason: "no"}
  - {on: setup, do: silent}
  - {on: setup, do: wrong_first}
  - {on: reply, nth: 2, after_s: 0.5, do: abort}
  - {on: audio, after_s: 2, do: go_away, left_s: 12}
  - {on: turn_end, nth: 1, do: close, code: 1011, reason: "..."}
  - {on: reply, do: freeze}
  - {on: audio, do: stop_reading}
  - {on: reply, do: junk, text: '{"error": {}}'}
"""


def test_a_whole_script_is_read_from_yaml() -> None:
    script = ServiceScript.model_validate(yaml.safe_load(EXAMPLE))
    assert len(script.replies) == 5
    assert [fault.do for fault in script.faults][-3:] == ["freeze", "stop_reading", "junk"]


def test_an_empty_script_has_a_reply() -> None:
    assert ServiceScript().replies[0].text


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"text": "a", "silent": True},
        {"text": "a", "wav": "b.wav"},
        {"text": ""},
        {"text": "a", "meanwhile": {"text": "b"}},
        {
            "text": "a",
            "tool_calls": [{"name": "f"}],
            "meanwhile": {"text": "b", "tool_calls": [{"name": "g"}]},
        },
    ],
)
def test_a_contradicting_reply_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Reply.model_validate(fields)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"on": "setup", "do": "refuse"}, "can only happen on connect or token"),
        ({"on": "reply", "do": "silent"}, "can only happen on connect or setup or token"),
        ({"on": "token", "do": "expire"}, "can only happen on connect"),
        ({"on": "token", "do": "close"}, "needs an open connection"),
        ({"on": "connect", "do": "expire", "status": 401}, "takes no status"),
        ({"on": "connect", "do": "close"}, "needs an open connection"),
        ({"on": "reply", "do": "close", "status": 503}, "takes no status"),
        ({"on": "setup", "do": "silent", "after_s": 1}, "takes no after_s"),
        ({"on": "reply", "do": "close", "code": 1006}, "cannot be sent"),
        ({"on": "reply", "do": "close", "reason": "x" * 124}, "longer than 123 bytes"),
        ({"on": "connect", "do": "refuse", "status": 200}, "not an HTTP error"),
        ({"on": "reply", "do": "junk"}, "needs a text"),
        ({"on": "reply", "do": "stop_reading", "bytes_per_s": 9000}, "takes no bytes_per_s"),
        ({"on": "reply", "do": "explode"}, "Input should be"),
        ({"on": "reply", "do": "abort", "nth": 0}, "greater than or equal to 1"),
    ],
)
def test_an_impossible_fault_is_refused(fields: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        ScriptedFault.model_validate(fields)


@pytest.mark.parametrize(
    "fault", [{"on": "token", "do": "refuse", "status": 401}, {"on": "connect", "do": "expire"}]
)
def test_a_fault_of_tokens_needs_a_token_server(fault: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="add tokens: true"):
        ServiceScript.model_validate({"faults": [fault]})
    assert ServiceScript.model_validate({"tokens": True, "faults": [fault]}).faults


def test_every_key_of_a_script_is_documented() -> None:
    schema = ServiceScript.model_json_schema()
    sections = [schema, *schema["$defs"].values()]
    unexplained = [
        name
        for section in sections
        for name, entry in section["properties"].items()
        if "description" not in entry
    ]
    assert unexplained == []
