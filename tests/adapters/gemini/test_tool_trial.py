"""The search for rejected tools: first against a function, then over a real connection."""

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

import pytest
from pydantic import SecretStr
from tests.support.live_server import SETUP_COMPLETE, LiveServer, live_server, read_json
from websockets.asyncio.server import ServerConnection

from kioskd.adapters.gemini import GeminiConfig, GeminiLive, ToolTrial
from kioskd.adapters.gemini.options import SessionOptions
from kioskd.adapters.gemini.tool_trial import MOST_DIALS, MOST_FUNCTIONS
from kioskd.errors import LinkLost, Remedy


@dataclass(frozen=True)
class Named:
    name: str
    description: str = "Does it."
    parameters: dict[str, object] = field(default_factory=dict)
    blocking: bool = False


def tools(*names: str) -> list[Named]:
    return [Named(name) for name in names]


LETTERS = "abcdefgh"

Taken = Callable[[Collection[str]], str]
"""Returns why a service rejects these tools; empty if it accepts them."""


def without(*unwanted: str) -> Taken:
    """Return a service that rejects some tools without naming them."""
    return lambda declared: "invalid argument" if set(unwanted) & set(declared) else ""


def that_says_which(*unwanted: str) -> Taken:
    def taken(declared: Collection[str]) -> str:
        numbers = [n for n, name in enumerate(declared) if name in unwanted]
        return f"* tools[0].function_declarations[{numbers[0]}].parameters: bad" if numbers else ""

    return taken


def dials(trial: ToolTrial, offered: Sequence[Named], service: Taken) -> list[list[str]]:
    """Dial until the service accepts the tools and the search is over; return the tools that each dial
    declared.
    """
    told: list[list[str]] = []
    for _ in range(2 * MOST_DIALS):
        attempt = trial.attempt(offered, "service")
        told.append([tool.name for tool in attempt.tools])
        reason = service(told[-1])
        if reason:
            if not trial.refused(attempt, reason):
                return told
        else:
            trial.accepted(attempt)
            if not trial.searching:
                return told
    raise AssertionError("the search does not end")


@pytest.mark.parametrize("unwanted", [*combinations(LETTERS, 1), *combinations(LETTERS, 2), tuple(LETTERS)])
def test_exactly_the_rejected_tools_are_left_out(unwanted: tuple[str, ...]) -> None:
    for service in (without(*unwanted), that_says_which(*unwanted)):
        trial = ToolTrial()
        dials(trial, tools(*LETTERS), service)
        assert [one.name for one in trial.left_out] == list(unwanted)
        assert dials(trial, tools(*LETTERS), service) == [[name for name in LETTERS if name not in unwanted]]


def test_a_tool_that_the_reason_names_costs_one_more_dial() -> None:
    assert dials(ToolTrial(), tools(*"abc"), that_says_which("b")) == [["a", "b", "c"], ["a", "c"]]


@pytest.mark.parametrize(
    "reason",
    [
        (
            "Unable to submit request because `b` functionDeclaration "
            "`parameters.x` schema specified other fields"
        ),
        "FunctionDeclaration 'b' in the request exceeds the maximum allowed nesting depth.",
        "Duplicate function declaration found: b",
        "Invalid value at 'setup.tools[0].function_declarations[1].parameters.properties[0].value.enum[0]'",
    ],
)
def test_each_way_to_name_a_tool_is_understood(reason: str) -> None:
    told = dials(ToolTrial(), tools(*"abc"), lambda declared: reason if "b" in declared else "")
    assert told == [["a", "b", "c"], ["a", "c"]]


def test_one_of_twenty_tools_is_found_in_few_dials() -> None:
    assert len(dials(ToolTrial(), tools(*(f"t{n}" for n in range(20))), without("t13"))) <= 11


def test_a_tool_that_a_reason_names_wrongly_is_kept() -> None:
    trial = ToolTrial()
    dials(trial, tools(*"abc"), lambda declared: "* function_declarations[0]: bad" if "b" in declared else "")
    assert [one.name for one in trial.left_out] == ["b"]


def test_tools_are_not_blamed_when_a_session_without_tools_is_refused_too() -> None:
    trial = ToolTrial()
    assert dials(trial, tools(*"abc"), lambda _declared: "voice not known") == [["a", "b", "c"], []]
    assert (trial.left_out, trial.searching) == ((), False)


def test_of_two_incompatible_tools_one_is_kept() -> None:
    trial = ToolTrial()
    dials(trial, tools(*"abcd"), lambda declared: "no" if {"a", "c"} <= set(declared) else "")
    assert [one.name for one in trial.left_out] == ["c"]


def test_a_tool_with_a_changed_declaration_is_tried_again() -> None:
    trial, mended = ToolTrial(), [Named("a"), Named("b", description="Mended.")]
    dials(trial, tools("a", "b"), without("b"))
    assert dials(trial, mended, without()) == [["a", "b"]]
    assert trial.left_out == ()


def test_a_changed_set_of_tools_restarts_the_search() -> None:
    trial = ToolTrial()
    trial.refused(trial.attempt(tools("a", "b"), "service"), "no")
    assert dials(trial, tools("c"), without("a")) == [["c"]]


def test_without_exploring_the_last_accepted_set_is_declared() -> None:
    trial = ToolTrial()
    trial.refused(trial.attempt(tools("a", "b"), "service"), "no")
    assert trial.attempt(tools("a", "b"), "service", explore=False).tools == ()
    trial.accepted(trial.attempt(tools("a", "b"), "service"))
    trial.accepted(trial.attempt(tools("a", "b"), "service"))
    assert [tool.name for tool in trial.attempt(tools("a", "b"), "service", explore=False).tools] == ["a"]


def late(trial: ToolTrial, unwanted: str, offered: Sequence[Named], *, connections: int) -> list[list[str]]:
    """Connect to a service that ends each session with that tool soon; return the tools that each connection
    declared.
    """
    told: list[list[str]] = []
    for _ in range(connections):
        attempt = trial.attempt(offered, "service")
        told.append([tool.name for tool in attempt.tools])
        trial.accepted(attempt)
        if unwanted in told[-1]:
            trial.refused(attempt, "invalid argument", late=True)
        trial.session_ended()
    return told


def test_a_session_that_ended_once_for_another_reason_costs_no_tool() -> None:
    trial = ToolTrial()
    trial.refused(trial.attempt(tools(*"abcd"), "service"), "operation not implemented", late=True)
    told = late(trial, "none", tools(*"abcd"), connections=3)
    assert told == [[], ["a", "b", "c", "d"], ["a", "b", "c", "d"]]
    assert trial.left_out == ()


@pytest.mark.parametrize("unwanted", LETTERS)
def test_a_tool_that_ends_sessions_soon_is_found_over_several_connections(unwanted: str) -> None:
    trial = ToolTrial()
    told = late(trial, unwanted, tools(*LETTERS), connections=14)
    assert [one.name for one in trial.left_out] == [unwanted]
    assert told[-1] == [name for name in LETTERS if name != unwanted]


def test_the_search_ends_for_any_number_of_tools() -> None:
    names = [f"t{n}" for n in range(MOST_FUNCTIONS + 9)]
    trial = ToolTrial()
    told = dials(trial, tools(*names), without(*names[::2]))
    assert len(told) <= MOST_DIALS + 2
    assert max(map(len, told)) == MOST_FUNCTIONS
    assert not set(told[-1]) & set(names[::2])


def test_an_omitted_tool_is_logged_once_with_its_place(caplog: pytest.LogCaptureFixture) -> None:
    trial = ToolTrial(lambda name: f"tools[3] ({name})")
    for _ in range(3):
        dials(trial, tools("a", "b"), that_says_which("b"))
    (line,) = [record.getMessage() for record in caplog.records if "left out" in record.getMessage()]
    assert "name=b set_at=tools[3] (b) cause=* tools[0].function_declarations[1]" in line


# Over a real connection.


class Refusing:
    """A service on loopback that rejects some tools, and records the tools that each dial declared."""

    def __init__(self, taken: Taken, *, late: bool = False) -> None:
        self.taken, self.late, self.told = taken, late, list[list[str]]()

    async def serve(self, connection: ServerConnection) -> None:
        setup: dict[str, Any] = (await read_json(connection))["setup"]
        declared = setup.get("tools", [])
        functions = [f["name"] for tool in declared for f in tool.get("functionDeclarations", [])]
        if any("googleSearch" in tool for tool in declared):
            functions.insert(0, "google_search")
        self.told.append(functions)
        reason = self.taken(functions)
        if not reason or self.late:
            await connection.send(SETUP_COMPLETE)
        if reason:
            await connection.close(1007, reason)
        await connection.wait_closed()


def live_at(server: LiveServer, offered: Sequence[Named], **fields: Any) -> GeminiLive:
    config = GeminiConfig(
        SecretStr("AIza-no-key"), "gemini-3.8-live", "Kore", endpoint=server.endpoint, ca_file=server.ca_file
    )
    return GeminiLive(replace(config, tools=lambda: list(offered), **fields))


async def test_a_session_comes_up_without_the_tool_that_the_service_refuses() -> None:
    service, trial = Refusing(without("b")), ToolTrial()
    async with live_server(service.serve) as server:
        live = live_at(server, tools(*"abc"), trial=trial)
        async with asyncio.timeout(60), live.connect(None):
            assert service.told[-1] == ["a", "c"]
        dialed = len(service.told)
        async with asyncio.timeout(60), live_at(server, tools(*"abc"), trial=trial).connect(None):
            assert service.told[dialed:] == [["a", "c"]]
    assert [one.name for one in trial.left_out] == ["b"]


async def test_a_refusal_that_is_not_about_tools_is_raised_unchanged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    service = Refusing(lambda _declared: "Requested voice api_name 'Kora' is not available")
    async with live_server(service.serve) as server:
        with pytest.raises(LinkLost, match="voice") as lost:
            async with asyncio.timeout(60), live_at(server, tools(*"ab")).connect(None):
                pass
    assert lost.value.remedy is Remedy.SETTINGS
    assert service.told == [["a", "b"], []]
    assert "tool" not in str(lost.value)


@pytest.mark.parametrize(
    "reason",
    ["API key not valid. Please pass a valid API key.", "models/x is not found for API version v1beta"],
)
async def test_a_rejected_key_or_model_starts_no_search(reason: str) -> None:
    service = Refusing(lambda _declared: reason)
    async with live_server(service.serve) as server:
        with pytest.raises(LinkLost):
            async with asyncio.timeout(60), live_at(server, tools("a")).connect(None):
                pass
    assert service.told == [["a"]]


async def test_a_rejected_parameter_named_language_code_costs_the_tool_and_not_the_language() -> None:
    reason = "* tools[0].function_declarations[1].parameters.properties[language_code].format: only 'enum'"
    service, trial = Refusing(lambda told: reason if "b" in told else ""), ToolTrial()
    async with live_server(service.serve) as server:
        live = live_at(server, tools(*"ab"), trial=trial, languages=("de-DE",))
        async with asyncio.timeout(60), live.connect(None):
            assert service.told == [["a", "b"], ["a"]]


async def test_the_services_own_search_is_left_out_if_rejected_beside_functions() -> None:
    service, trial = Refusing(lambda told: "no" if {"google_search", "b"} <= set(told) else ""), ToolTrial()
    async with live_server(service.serve) as server:
        live = live_at(server, tools(*"ab"), trial=trial, options=SessionOptions(search=True))
        async with asyncio.timeout(60), live.connect(None):
            assert service.told[-1] == ["google_search", "a"]


async def test_a_session_that_ends_because_of_a_tool_comes_back_without_the_tool() -> None:
    service, trial = Refusing(that_says_which("b"), late=True), ToolTrial()
    async with live_server(service.serve) as server:
        live = live_at(server, tools(*"abc"), trial=trial)
        with pytest.raises(LinkLost) as lost:
            async with asyncio.timeout(60), live.connect(None) as connection:
                await connection.receive()
        assert lost.value.remedy is Remedy.FRESH
        async with asyncio.timeout(60), live.connect(None):
            assert service.told == [["a", "b", "c"], ["a", "c"]]
    assert [one.name for one in trial.left_out] == ["b"]
