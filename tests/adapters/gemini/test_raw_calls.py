"""Malformed calls in a message: the good calls beside them are still answered."""

import json
from typing import Any

import pytest
from google.genai.types import LiveServerMessage
from tests.support.live_server import say
from tests.support.live_wire import connected

from kioskd import ports
from kioskd.adapters.gemini import Vertex
from kioskd.adapters.gemini.messages import LONGEST_NAME, translate
from kioskd.adapters.gemini.raw_calls import LARGEST, readable
from kioskd.ports import ToolAnswer, ToolCall, ToolCallsCancelled, ToolsCalled

GOOD = {"id": "1", "name": "look", "args": {"at": "door"}}
TOLD = ToolCall("1", "look", {"at": "door"})


def told(message: dict[str, Any]) -> tuple[list[ports.Message], list[str]]:
    """Return the translated message, and the reasons for the calls that were left out."""
    odd: list[str] = []
    read = LiveServerMessage.model_validate(json.loads(readable(json.dumps(message))))
    return list(translate(read, odd=odd.append)), odd


@pytest.mark.parametrize(
    "bad",
    [
        {"name": "look"},
        {"id": None, "name": "look"},
        {"id": "", "name": "look"},
        {"id": True, "name": "look"},
        {"id": ["2"], "name": "look"},
        {"id": "2"},
        {"id": "2", "name": None},
        {"id": "2", "name": ""},
        {"id": "2", "name": 7},
        {"id": "2" * (LONGEST_NAME + 1), "name": "look"},
        {"id": "2", "name": "n" * (LONGEST_NAME + 1)},
        {},
        None,
        "look",
        ["look"],
        {"id": "1", "name": "other"},
    ],
)
def test_a_call_that_cannot_be_answered_does_not_affect_the_others(bad: Any) -> None:
    found, odd = told({"toolCall": {"functionCalls": [GOOD, bad]}})
    assert found == [ToolsCalled((TOLD,))]
    assert len(odd) == 1


@pytest.mark.parametrize(
    ("call", "read"),
    [
        ({"id": 2, "name": "f"}, ToolCall("2", "f", {})),
        ({"id": "2", "name": "f", "args": None}, ToolCall("2", "f", {})),
        ({"id": "2", "name": "f", "args": '{"a": 1}'}, ToolCall("2", "f", {"a": 1})),
        ({"id": "ü" * LONGEST_NAME, "name": "f"}, ToolCall("ü" * LONGEST_NAME, "f", {})),
        ({"id": "1", "name": "look", "args": {"at": "door"}}, None),
    ],
)
def test_a_malformed_call_with_a_clear_meaning_is_repaired(call: Any, read: ToolCall | None) -> None:
    found, odd = told({"toolCall": {"functionCalls": [GOOD, call]}})
    assert found == [ToolsCalled((TOLD, read) if read else (TOLD,))]
    assert odd == []


@pytest.mark.parametrize("arguments", [[], ["a"], "text", 7, True])
def test_a_call_whose_arguments_are_not_an_object_has_a_fault(arguments: Any) -> None:
    ((called,), odd) = told({"toolCall": {"functionCalls": [GOOD | {"args": arguments}]}})
    assert isinstance(called, ToolsCalled)
    assert (called.calls[0].arguments, odd) == ({}, [])
    assert "not an object" in called.calls[0].fault


def test_one_call_without_a_list_around_it_is_understood() -> None:
    assert told({"tool_call": {"function_calls": GOOD}})[0] == [ToolsCalled((TOLD,))]


def test_numbers_cancel_the_calls_that_they_name() -> None:
    assert told({"toolCallCancellation": {"ids": [2, "3", None, {}]}})[0] == [ToolCallsCancelled(("2", "3"))]


@pytest.mark.parametrize(
    "message",
    [
        json.dumps({"toolCall": {"functionCalls": [GOOD]}}),
        b'{"toolCall": no JSON',
        '["toolCall"]',
        '{"toolCall": 7}',
        '{"toolCall": {"functionCalls": "x"}}',
        json.dumps({"toolCall": {"functionCalls": [{}] * (LARGEST // 2)}}),
    ],
    ids=range(6),
)
def test_messages_that_need_no_repair_or_cannot_be_repaired_stay_unchanged(message: str | bytes) -> None:
    assert readable(message) is message


async def test_the_good_call_beside_one_without_an_id_is_answered(caplog: pytest.LogCaptureFixture) -> None:
    async with connected() as (connection, wire):
        for _ in range(2):
            await say(wire.peer, toolCall={"functionCalls": [{"name": "look"}, GOOD]})
            assert await connection.receive() == (ToolsCalled((TOLD,)),)
    assert caplog.text.count("tool call skipped, it cannot be answered: cause=function call without id") == 1


async def test_a_call_of_vertex_without_an_id_is_answered_without_one() -> None:
    async with connected(vertex=Vertex("p", "global")) as (connection, wire):
        await say(wire.peer, toolCall={"functionCalls": [{"name": "look"}, {"name": "look"}]})
        (called,) = await connection.receive()
        assert isinstance(called, ToolsCalled)
        first, second = called.calls
        assert first.id != second.id
        await connection.answer([ToolAnswer(first.id, "look", {"status": "ok"})])
        (response,) = (await wire.next())["tool_response"]["functionResponses"]
        assert response == {"name": "look", "response": {"status": "ok"}}
