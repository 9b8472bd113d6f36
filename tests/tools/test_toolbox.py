"""The guards: the checks that each call must pass, and the result of a call that fails one."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, NoReturn

import pytest
from pydantic import SecretStr
from tests.support.fakes_devices import ManualClock

from kioskd.errors import DeviceLost
from kioskd.tools.call_counts import CallsToday, DayCounts
from kioskd.tools.contract import Declaration, Guarded, ToolResult, found
from kioskd.tools.guard import Guard, NamedSettings
from kioskd.tools.toolbox import LONGEST_SPOKEN, Toolbox
from kioskd.tools.waiting import stay

SCHEMA = {"type": "object", "properties": {"item": {}}, "additionalProperties": False}


class Shelf:
    """A tool whose answer the test sets; a `ToolSource`."""

    condition = ""

    def __init__(self, answer: Any = "here", *, repeatable: bool = False, name: str = "shelf") -> None:
        self.declarations: tuple[Declaration, ...] = (
            Declaration(name, "what is there", SCHEMA, repeatable=repeatable),
        )
        self.answer = answer
        self.calls: list[Mapping[str, object]] = []
        self.stopped = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.begun = asyncio.Event()

    async def ready(self) -> None:
        """Return at once."""

    async def run(self) -> NoReturn:
        """Wait until cancelled."""
        await stay()

    async def call(self, name: str, arguments: Mapping[str, object]) -> ToolResult:
        """Answer when the gate is open."""
        self.calls.append(arguments)
        self.begun.set()
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.stopped += 1
            raise
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer if isinstance(self.answer, ToolResult) else found(self.answer)


class Bench:
    """One tool in its toolbox, with a clock, a day and a person at the button."""

    def __init__(
        self,
        shelf: Shelf,
        guard: Guard | None = None,
        secrets: tuple[str, ...] = (),
        *,
        day: CallsToday | None = None,
    ) -> None:
        self.shelf = shelf
        self.clock = ManualClock()
        self.day = day or DayCounts()
        self.asked: list[str] = []
        self.words: list[str] = []
        self.begun = 0
        """Number of calls that were reported as begun."""
        self.answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        """Answer of the person at the button."""
        tools = [Guarded(shelf, guard or Guard(), [SecretStr(each) for each in secrets])]
        self.toolbox = Toolbox(tools, clock=self.clock, confirm=self.confirm, day=self.day)

    async def confirm(self, name: str, words: str) -> bool:
        self.asked.append(name)
        self.words.append(words)
        return await self.answer

    async def call(self, item: object = "shoes", *, turn: int = 1, conversation: int = 1) -> ToolResult:
        return await self.toolbox.call(
            "shelf", {"item": item}, turn=turn, conversation=conversation, begun=self._begin
        )

    def _begin(self) -> None:
        self.begun += 1

    async def statuses(self, *items: object, turn: int = 1, conversation: int = 1) -> list[str]:
        return [(await self.call(item, turn=turn, conversation=conversation)).status for item in items]


async def test_a_call_returns_its_data() -> None:
    assert await Bench(Shelf("a shoe")).call() == ToolResult("ok", "done", "a shoe")


async def test_a_call_of_an_unknown_tool_is_rejected() -> None:
    result = await Bench(Shelf()).toolbox.call("open_safe", {}, turn=1, conversation=1)
    assert result.status == "refused"


async def test_arguments_that_do_not_fit_reach_no_tool() -> None:
    bench = Bench(Shelf())
    result = await bench.toolbox.call("shelf", {"colour": "red"}, turn=1, conversation=1)
    assert result.status == "refused"
    assert bench.shelf.calls == []


async def test_calls_in_a_turn_are_limited() -> None:
    bench = Bench(Shelf(), Guard(per_turn=2))
    assert await bench.statuses("a", "b", "c") == ["ok", "ok", "refused"]
    assert await bench.statuses("a", turn=2) == ["ok"]


async def test_calls_in_a_conversation_are_limited() -> None:
    bench = Bench(Shelf(), Guard(per_conversation=2))
    assert [*await bench.statuses("a", turn=1), *await bench.statuses("a", turn=2)] == ["ok", "ok"]
    assert await bench.statuses("a", turn=3) == ["refused"]
    assert await bench.statuses("a", turn=1, conversation=2) == ["ok"]


async def test_calls_in_a_day_are_limited() -> None:
    bench = Bench(Shelf(), Guard(per_day=1))
    assert await bench.statuses("a") == ["ok"]
    assert await bench.statuses("a", conversation=2) == ["refused"]
    assert bench.day.calls_today("shelf") == 1
    assert await Bench(Shelf(), Guard(per_day=2), day=bench.day).statuses("a", "b") == ["ok", "refused"]


async def test_a_tool_without_a_daily_limit_is_not_counted_by_the_day() -> None:
    bench = Bench(Shelf(), Guard())
    assert await bench.statuses("a") == ["ok"]
    assert bench.day.calls_today("shelf") == 0


class LostDay:
    """Counts of a day that were lost; a `CallsToday`."""

    def calls_today(self, tool: str) -> None:
        del tool

    def count_call(self, tool: str) -> None:
        raise AssertionError(tool)


async def test_a_tool_with_a_daily_limit_is_rejected_if_its_count_is_lost() -> None:
    limited, free = Bench(Shelf(), Guard(per_day=100), day=LostDay()), Bench(Shelf(), Guard(), day=LostDay())
    held_back = await limited.call()
    assert (held_back.status, limited.shelf.calls) == ("refused", [])
    assert "is lost" in held_back.message
    assert (await free.call()).status == "ok"


async def test_a_model_that_repeats_a_call_is_stopped_and_told_so() -> None:
    bench = Bench(Shelf(), Guard(same_calls=3, per_turn=0))
    assert await bench.statuses("a", "a", "b", "a") == ["ok"] * 4
    fourth = await bench.call("a")
    assert fourth.status == "refused"
    assert "same call" in fourth.message
    assert len(bench.shelf.calls) == 4
    assert await bench.statuses("a", turn=2) == ["ok"]


async def test_calls_with_another_order_of_arguments_count_as_equal() -> None:
    shelf = Shelf()
    shelf.declarations = (Declaration("shelf", "", {"type": "object"}),)
    bench = Bench(shelf, Guard(same_calls=1))
    first = await bench.toolbox.call("shelf", {"a": 1, "b": {"c": 1, "d": 2}}, turn=1, conversation=1)
    second = await bench.toolbox.call("shelf", {"b": {"d": 2, "c": 1}, "a": 1}, turn=1, conversation=1)
    assert (first.status, second.status) == ("ok", "refused")


async def test_one_call_too_many_at_once_gets_a_busy_result() -> None:
    bench = Bench(Shelf(), Guard(at_once=1))
    bench.shelf.gate.clear()
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        first = group.create_task(bench.call("a"))
        await bench.shelf.begun.wait()
        second = await bench.call("b")
        bench.shelf.gate.set()
    assert (second.status, second.retryable) == ("busy", True)
    assert first.result().status == "ok"
    assert await bench.statuses("b") == ["ok"]


@pytest.mark.parametrize("repeatable", [False, True])
async def test_a_call_that_takes_too_long_is_stopped_and_answered(repeatable: bool) -> None:
    bench = Bench(Shelf(repeatable=repeatable), Guard(deadline_s=3))
    bench.shelf.gate.clear()
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        call = group.create_task(bench.call())
        await bench.shelf.begun.wait()
        await bench.clock.advance(2.9)
        assert not call.done()
        await bench.clock.advance(0.2)
    result = call.result()
    assert (result.status, result.retryable, bench.shelf.stopped) == ("timeout", repeatable, 1)
    assert ("it is not known" in result.message) is not repeatable


async def test_a_cancelled_call_is_stopped_and_has_no_result() -> None:
    bench = Bench(Shelf(), Guard(at_once=1))
    bench.shelf.gate.clear()
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        call = group.create_task(bench.call())
        await bench.shelf.begun.wait()
        call.cancel()
    assert call.cancelled()
    assert bench.shelf.stopped == 1
    bench.shelf.gate.set()
    assert await bench.statuses("next") == ["ok"]


async def test_a_press_of_the_button_allows_a_call() -> None:
    bench = Bench(Shelf(), Guard(confirm="button"))
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        call = group.create_task(bench.call())
        await bench.clock.advance(0)
        assert (bench.shelf.calls, bench.begun) == ([], 0)
        bench.answer.set_result(True)
    assert call.result().status == "ok"
    assert (bench.asked, bench.begun) == (["shelf"], 1)


async def test_a_call_without_a_press_is_not_carried_out() -> None:
    bench = Bench(Shelf(), Guard(confirm="button"))
    bench.answer.set_result(False)
    assert ((await bench.call()).status, bench.shelf.calls) == ("refused", [])
    assert bench.begun == 0


async def test_the_owners_question_holds_the_arguments() -> None:
    guard = NamedSettings(
        name="shelf",
        description="Sells.",
        parameters={"type": "object", "properties": {"item": {"type": "string"}}},
        confirm="button",
        confirm_text="Sell the {item}?",
    )
    bench = Bench(Shelf(), guard)
    bench.answer.set_result(True)
    await bench.call("red \u202eshoes\n" + "x" * 500)
    assert bench.words == ["Sell the red shoes " + "x" * (LONGEST_SPOKEN - len("red shoes ")) + "?"]


async def test_after_a_denial_repeated_calls_ask_no_more_in_the_turn() -> None:
    bench = Bench(Shelf(), Guard(confirm="button", same_calls=0))
    bench.answer.set_result(False)
    for _ in range(4):
        assert (await bench.call(turn=1)).status == "refused"
    assert bench.asked == ["shelf"]
    await bench.call(turn=2)
    assert bench.asked == ["shelf", "shelf"], "the visitor has said something since"


async def test_calls_at_the_same_time_ask_once_if_the_button_is_not_pressed() -> None:
    bench = Bench(Shelf(), Guard(confirm="button", at_once=2))
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        calls = [group.create_task(bench.call(item)) for item in ("hats", "shoes")]
        await bench.clock.advance(0)
        bench.answer.set_result(False)
    assert [call.result().status for call in calls] == ["refused", "refused"]
    assert bench.asked == ["shelf"]


async def test_a_dry_run_checks_a_call_without_carrying_it_out() -> None:
    bench = Bench(Shelf(), Guard(dry_run=True, per_turn=2))
    assert await bench.statuses("a", "b", "c") == ["ok", "ok", "refused"]
    assert (bench.shelf.calls, bench.begun) == ([], 0)


async def test_a_bug_in_a_tool_becomes_a_result_and_the_journal_gets_only_its_type(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "kioskd")
    result = await Bench(Shelf(ZeroDivisionError("the visitor said s3cret"))).call("s3cret")
    assert result.status == "error"
    assert "type=ZeroDivisionError" in caplog.text
    assert "s3cret" not in caplog.text + result.message


async def test_a_tool_that_raises_cancelled_error_by_itself_gets_a_result(
    caplog: pytest.LogCaptureFixture,
) -> None:
    shelf = Shelf(asyncio.CancelledError())
    assert (await Bench(shelf).call()).status == "error"
    assert "type=CancelledError" in caplog.text


@pytest.mark.parametrize("number", [float("inf"), float("nan"), 10**400])
async def test_a_number_too_large_to_calculate_with_is_rejected(number: float) -> None:
    shelf = Shelf()
    shelf.declarations = (Declaration("shelf", "", {"type": "object"}),)
    assert (await Bench(shelf).call(number)).status == "refused"
    assert shelf.calls == []


async def test_a_lost_device_becomes_a_result(caplog: pytest.LogCaptureFixture) -> None:
    assert (await Bench(Shelf(DeviceLost("camera: not there; plug it in"))).call()).status == "error"
    assert "camera: not there" in caplog.text


@pytest.mark.parametrize("answer", [object(), {1: object()}, float("nan"), "\ud800", {"a": {1, 2}}])
async def test_an_answer_that_is_not_json_is_an_error(answer: object) -> None:
    assert (await Bench(Shelf(answer)).call()).status == "error"


async def test_an_answer_that_is_nested_too_deeply_is_an_error() -> None:
    deep: object = "bottom"
    for _ in range(50_000):
        deep = [deep]
    assert (await Bench(Shelf(ToolResult("ok", "done", deep))).call()).status == "error"


async def test_a_secret_is_hidden_in_results() -> None:
    answer = ToolResult("error", "denied for s3cret", {"echo": ["Bearer s3cret"]})
    result = await Bench(Shelf(answer), secrets=("s3cret",)).call()
    assert result.message == "denied for (hidden)"
    assert result.data == {"echo": ["Bearer (hidden)"]}


async def test_neither_arguments_nor_answers_are_in_the_journal(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "kioskd")
    await Bench(Shelf("an answer")).call("an argument")
    assert "tool called: name=shelf status=ok" in caplog.text
    assert "an argument" not in caplog.text
    assert "an answer" not in caplog.text


async def test_the_first_tool_with_a_name_keeps_it(caplog: pytest.LogCaptureFixture) -> None:
    late, named = Shelf("server"), Shelf("owner")
    theirs, late.declarations = late.declarations, ()
    bench = Bench(named)
    toolbox = Toolbox(
        [Guarded(late, Guard()), Guarded(named, Guard())], clock=bench.clock, confirm=bench.confirm
    )
    late.declarations = theirs
    assert len(toolbox.declarations()) == 1
    assert (await toolbox.call("shelf", {}, turn=1, conversation=1)).data == "owner"
    assert caplog.text.count("another tool has its name") == 1


async def test_calls_are_checked_against_a_servers_new_schema() -> None:
    shelf = Shelf()
    bench = Bench(shelf)
    assert await bench.statuses("a") == ["ok"]
    shelf.declarations = (Declaration("shelf", "", {"type": "object", "maxProperties": 0}),)
    assert await bench.statuses("a") == ["refused"]


async def test_a_toolbox_runs_until_it_is_cancelled() -> None:
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        bench = Bench(Shelf())
        run = group.create_task(bench.toolbox.run())
        await bench.toolbox.ready()
        assert not run.done()
        run.cancel()


async def test_only_tools_that_have_a_condition_tell_one() -> None:
    shelf, server = Shelf(), Shelf(name="server")
    server.condition = "server: not connected, 0 tools"
    bench = Bench(shelf)
    tools = [Guarded(each, Guard()) for each in (shelf, server)]
    assert bench.toolbox.conditions == []
    assert Toolbox(tools, clock=bench.clock, confirm=bench.confirm).conditions == [server.condition]
