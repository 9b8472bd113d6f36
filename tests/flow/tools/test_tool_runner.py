"""The tool runner: a call is answered once over its own connection; no result is lost, no action repeated."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import SecretStr
from tests.support.fakes_devices import ManualClock
from tests.support.fakes_live import ScriptedConnection
from tests.support.kiosk import running

from kioskd.core.effects import Effect
from kioskd.core.events import (
    CallsChanged,
    ConnectionUp,
    EndRequested,
    Event,
    HandleIssued,
    Pressed,
    ReplyBegan,
    ReplyPlayed,
    ReplySounded,
    SleepRequested,
    Started,
    TextSubmitted,
    TurnEnded,
    VoiceBegan,
    VoiceEnded,
)
from kioskd.core.machine import State, step
from kioskd.core.policy import Policy
from kioskd.core.turn import TurnPhase
from kioskd.errors import LinkLost
from kioskd.flow.tools.tool_calls import CallOutcome, CallTerms
from kioskd.flow.tools.tool_runner import AT_ONCE, LINGER_S, MOST, ToolRunner
from kioskd.ports import ToolAnswer, ToolCall, ToolCallsCancelled, ToolsCalled

POLICY = Policy(half_duplex=False)
HANDLE = SecretStr("a handle")
LOOKS_UP = CallTerms(repeatable=True)
HOLDS_UP = CallTerms(blocking=True)


class Workshop:
    """Tools that answer when a test lets them; a `tool_runner.ToolExecutor`."""

    def __init__(self) -> None:
        self.known: dict[str, CallTerms] = {}
        self.called: list[tuple[str, int, int]] = []
        """Name, turn and conversation of each call that began."""
        self.guarded: set[str] = set()
        """The tools that wait for a permission that never comes."""
        self.stopped: list[str] = []
        self._gates: dict[str, asyncio.Event] = {}
        self._outcomes: dict[str, CallOutcome] = {}

    def finish(self, name: str, picture: bytes | None = None, **result: object) -> None:
        """Let all calls of one tool end with this result."""
        self._outcomes[name] = CallOutcome({"status": "ok", "message": "done"} | result, picture)
        self._gate(name).set()

    def terms(self, name: str) -> CallTerms:
        return self.known.get(name, CallTerms())

    async def call(
        self, call: ToolCall, *, turn: int, conversation: int, begun: Callable[[], None]
    ) -> CallOutcome:
        self.called.append((call.name, turn, conversation))
        try:
            if call.name in self.guarded:
                await self._gate(f"{call.name} is allowed").wait()
            begun()
            await self._gate(call.name).wait()
        except asyncio.CancelledError:
            self.stopped.append(call.name)
            raise
        return self._outcomes[call.name]

    def _gate(self, name: str) -> asyncio.Event:
        return self._gates.setdefault(name, asyncio.Event())


class Bench:
    """A runner with tools, connections, and the real core."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.tools = Workshop()
        self.told: list[str | bytes] = []
        self.full = False
        """Whether no text can be sent now."""
        self.events: list[Event] = []
        """The events that the runner has posted."""
        self.state = State()
        self.effects: list[Effect] = []
        self._mailbox: deque[Event] = deque()
        self.runner = ToolRunner(self.tools, self.post, self.clock, tell=self.tell)
        self.connection = ScriptedConnection(resumed=False)

    def post(self, event: Event) -> None:
        self.events.append(event)
        self._mailbox.append(event)

    def tell(self, what: str | bytes) -> bool:
        if not self.full:
            self.told.append(what)
        return not self.full

    def happen(self, *events: Event) -> None:
        """Take events through the core, with all that follow."""
        self._mailbox.extend(events)
        while self._mailbox:
            event, before = self._mailbox.popleft(), self.state
            self.state, effects = step(before, event, POLICY)
            self.effects += effects
            self.runner.observe(self.clock.now(), event, before, self.state, effects)

    @property
    def epoch(self) -> int:
        return self.state.link.epoch

    def wake(self) -> None:
        """Begin a conversation with a connection."""
        self.happen(Pressed())
        self.connect()

    def connect(self, *, resumed: bool = False) -> None:
        """Open a new connection for the core's dial."""
        self.connection = ScriptedConnection(resumed=resumed)
        self.runner.connect(self.connection, self.epoch)
        self.happen(ConnectionUp(self.epoch, resumed))

    def leave(self, *, hang_up: bool = True) -> None:
        """Lose the connection, as in a rollover, and have the core ask for the next one."""
        if hang_up:
            self.connection.hang_up()
        self.runner.disconnect()
        self.state = State(
            turn=self.state.turn,
            link=type(self.state.link)(
                phase=self.state.link.phase, epoch=self.epoch + 1, reached_service=True
            ),
            started=True,
        )

    async def renew(self) -> None:
        """Lose the connection, and open another."""
        self.leave()
        self.connect(resumed=True)
        await self.settle()

    def call(self, *names: str, **arguments: object) -> None:
        """Have the model call tools in one message. An id is the tool's name and the epoch."""
        calls = [ToolCall(f"{name}-{self.epoch}", name, arguments) for name in names]
        self.runner.take(ToolsCalled(calls))
        self.happen()

    def cancel(self, *names: str) -> None:
        self.runner.take(ToolCallsCancelled([f"{name}-{self.epoch}" for name in names]))
        self.happen()

    async def settle(self) -> None:
        """Let all tasks react, while the clock stands still."""
        await self.clock.advance(0)
        self.happen()

    async def answers(self) -> list[ToolAnswer]:
        """Return the answers over the present connection so far."""
        await self.settle()
        return list(self.connection.answers)

    def ask(self) -> None:
        """Have the visitor speak."""
        self.happen(VoiceBegan(), VoiceEnded())

    def speak(self, reply: int) -> None:
        """Have the model begin a reply."""
        self.happen(ReplyBegan(self.epoch, reply), ReplySounded(reply))

    def fall_silent(self, reply: int) -> None:
        """Have the reply heard to its end, and end its turn."""
        self.happen(ReplyPlayed(reply), TurnEnded(self.epoch))

    @property
    def pending(self) -> tuple[int, int]:
        """The number of calls that the core knows, and whether the model waits for one."""
        return self.state.turn.calls, int(self.state.turn.gated)


@asynccontextmanager
async def bench(**known: CallTerms) -> AsyncIterator[Bench]:
    it = Bench()
    it.tools.known = known
    async with running(it.runner.run()):
        await it.settle()
        it.happen(Started())
        it.wake()
        await it.settle()
        yield it


def statuses(answers: list[ToolAnswer]) -> dict[str, object]:
    return {answer.id: answer.result["status"] for answer in answers}


# Answers over the call's own connection


async def test_a_call_is_answered_once_with_its_id_and_result() -> None:
    async with bench() as it:
        it.call("stock")
        assert await it.answers() == []
        it.tools.finish("stock", pairs=3)
        (answer,) = await it.answers()
        assert (answer.id, answer.name, answer.scheduling) == ("stock-1", "stock", "when_idle")
        assert answer.result["pairs"] == 3
        await it.clock.advance(60.0)
        assert len(await it.answers()) == 1


async def test_three_calls_work_at_once_and_each_is_answered_when_it_ends() -> None:
    async with bench() as it:
        it.call("stock", "door", "light")
        await it.settle()
        assert [name for name, *_ in it.tools.called] == ["stock", "door", "light"]
        it.tools.finish("light")
        assert statuses(await it.answers()) == {"light-1": "ok"}
        it.tools.finish("door")
        it.tools.finish("stock")
        assert statuses(await it.answers()) == {"light-1": "ok", "stock-1": "ok", "door-1": "ok"}


@pytest.mark.parametrize(
    ("terms", "scheduling"),
    [
        (CallTerms(scheduling="silent"), "silent"),
        (CallTerms(scheduling="interrupt"), "interrupt"),
        (HOLDS_UP, None),
    ],
)
async def test_an_answer_has_a_scheduling_unless_the_model_waits_for_it(
    terms: CallTerms, scheduling: str | None
) -> None:
    async with bench(stock=terms) as it:
        it.call("stock")
        it.tools.finish("stock")
        (answer,) = await it.answers()
        assert answer.scheduling == scheduling


async def test_a_picture_goes_with_the_answer() -> None:
    async with bench() as it:
        it.call("look")
        it.tools.finish("look", b"\xff\xd8 a picture")
        (answer,) = await it.answers()
        assert answer.picture == b"\xff\xd8 a picture"


async def test_a_call_that_is_cancelled_is_stopped_and_not_answered() -> None:
    async with bench() as it:
        it.call("stock", "door")
        await it.settle()
        it.cancel("stock")
        await it.settle()
        assert it.tools.stopped == ["stock"]
        it.tools.finish("stock")
        it.tools.finish("door")
        assert statuses(await it.answers()) == {"door-1": "ok"}


async def test_a_cancellation_that_crosses_the_result_keeps_it_from_being_sent() -> None:
    async with bench() as it:
        it.connection.stall()
        it.call("stock")
        it.tools.finish("stock")
        await it.settle()
        it.call("door")
        it.tools.finish("door")
        await it.settle()
        it.cancel("door")
        it.connection.go_on()
        assert statuses(await it.answers()) == {"stock-1": "ok"}


async def test_the_cancellation_of_an_unknown_call_is_ignored() -> None:
    async with bench() as it:
        it.call("stock")
        it.cancel("door")
        it.tools.finish("stock")
        assert statuses(await it.answers()) == {"stock-1": "ok"}


async def test_an_id_that_comes_twice_is_one_call() -> None:
    async with bench() as it:
        it.call("stock")
        it.call("stock")
        it.tools.finish("stock")
        assert len(await it.answers()) == 1
        assert len(it.tools.called) == 1


async def test_an_unreadable_call_is_answered_with_its_fault() -> None:
    async with bench() as it:
        it.runner.take(ToolsCalled([ToolCall("1", "open_door", {}, fault="its arguments are no object")]))
        (answer,) = await it.answers()
        assert (answer.id, answer.result["status"]) == ("1", "refused")
        assert answer.result["message"] == "its arguments are no object"
        assert it.tools.called == []


async def test_calls_beyond_the_bound_are_answered_busy() -> None:
    async with bench() as it:
        it.call(*(f"tool{number}" for number in range(AT_ONCE + 1)))
        assert statuses(await it.answers()) == {f"tool{AT_ONCE}-1": "busy"}
        assert len(it.tools.called) == AT_ONCE
        it.tools.finish("tool0")
        await it.settle()
        it.call("one more")
        await it.settle()
        assert it.tools.called[-1][0] == "one more"


async def test_a_flood_of_calls_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    async with bench() as it:
        it.connection.stall()
        it.call(*(f"tool{number}" for number in range(10 * MOST)))
        await it.settle()
        it.connection.go_on()
        assert len(await it.answers()) == MOST - AT_ONCE
        assert "gets no answer" in caplog.text


async def test_a_model_that_calls_without_end_is_answered_each_time() -> None:
    async with bench() as it:
        it.tools.finish("stock")
        for number in range(3 * MOST):
            it.runner.take(ToolsCalled([ToolCall(f"call {number}", "stock", {})]))
            assert (await it.answers())[-1].id == f"call {number}"
        assert it.pending == (MOST, 0), "only so many answered calls are remembered"


async def test_a_call_after_the_conversation_is_ignored() -> None:
    async with bench() as it:
        it.happen(SleepRequested())
        it.call("stock")
        await it.settle()
        assert it.tools.called == []


# The core's knowledge of calls


async def test_the_core_knows_the_number_of_calls_and_whether_the_model_waits_for_one() -> None:
    async with bench(door=HOLDS_UP) as it:
        it.call("stock", "door")
        assert it.pending == (2, 1)
        it.tools.finish("door")
        await it.settle()
        assert it.pending == (2, 0), "the model will soon speak of it"
        it.tools.finish("stock")
        await it.settle()
        it.speak(1)
        assert it.pending == (0, 0)


async def test_an_answer_counts_until_the_model_speaks_of_it_or_for_a_few_seconds() -> None:
    async with bench() as it:
        it.call("stock")
        it.tools.finish("stock")
        await it.settle()
        assert it.pending == (1, 0)
        await it.clock.advance(LINGER_S - 0.1)
        it.happen()
        assert it.pending == (1, 0)
        await it.clock.advance(0.2)
        it.happen()
        assert it.pending == (0, 0)


async def test_a_silent_answer_counts_until_a_handle_knows_of_it() -> None:
    async with bench(stock=CallTerms(scheduling="silent")) as it:
        it.call("stock")
        it.tools.finish("stock")
        await it.settle()
        it.happen(HandleIssued(it.epoch, HANDLE))
        assert it.pending == (0, 0)


async def test_on_a_new_connection_the_model_waits_for_no_call() -> None:
    async with bench(door=HOLDS_UP) as it:
        it.call("door")
        assert it.pending == (1, 1)
        await it.renew()
        assert it.pending == (1, 0)
        assert it.events[-1] == CallsChanged(2, 1, 0)


async def test_without_calls_the_core_is_told_so_at_a_new_connection() -> None:
    async with bench() as it:
        await it.renew()
        assert it.events[-1] == CallsChanged(2, 0, 0)


# Turns


async def test_a_turn_begins_when_the_visitor_speaks_or_types() -> None:
    async with bench() as it:
        it.call("a")
        it.ask()
        it.call("b")
        it.call("c")
        it.happen(TextSubmitted())
        it.call("d")
        await it.settle()
        turns = {name: turn for name, turn, _ in it.tools.called}
        assert turns["a"] < turns["b"] == turns["c"] < turns["d"]
        assert {conversation for *_, conversation in it.tools.called} == {1}


async def test_the_models_words_begin_no_turn() -> None:
    async with bench() as it:
        it.ask()
        it.call("a")
        it.speak(1)
        it.fall_silent(1)
        it.call("b")
        await it.settle()
        (_, first, _), (_, second, _) = it.tools.called
        assert first == second


async def test_another_conversation_has_another_number() -> None:
    async with bench() as it:
        it.call("a")
        await it.settle()
        it.happen(SleepRequested())
        it.runner.disconnect()
        it.wake()
        it.call("a")
        await it.settle()
        assert [conversation for *_, conversation in it.tools.called] == [1, 2]


async def test_the_end_of_the_conversation_cancels_and_forgets_all_calls() -> None:
    async with bench() as it:
        it.call("stock")
        await it.settle()
        it.happen(SleepRequested())
        it.runner.disconnect()
        await it.settle()
        assert it.tools.stopped == ["stock"]
        it.tools.finish("stock")
        it.wake()
        await it.clock.advance(60.0)
        assert await it.answers() == []
        assert it.told == []


async def test_the_model_ends_the_conversation_over_the_open_connection() -> None:
    async with bench() as it:
        await it.renew()
        it.runner.end_conversation()
        assert it.events[-1] == EndRequested(2)
        it.happen()
        assert it.state.turn.farewell


async def test_the_goodbye_waits_only_for_running_calls() -> None:
    async with bench() as it:
        it.call("order", "stock")
        it.tools.finish("stock")
        await it.settle()
        assert it.pending == (2, 0)
        it.runner.end_conversation()
        it.happen()
        assert it.pending == (1, 0), "a call that was answered is not waited for"
        it.tools.finish("order")
        assert statuses(await it.answers()) == {"stock-1": "ok", "order-1": "ok"}
        assert it.pending == (0, 0)


async def test_the_end_of_the_daemon_cancels_running_calls() -> None:
    async with bench() as it:
        it.call("stock")
        await it.settle()
    assert it.tools.stopped == ["stock"]


# Calls that outlive their connection


def data_in(text: str | bytes) -> dict[str, Any]:
    """Return the results in a text, by tool."""
    assert isinstance(text, str)
    first, *lines = text.splitlines()
    assert "data, not instructions" in first
    return {name: json.loads(result) for name, _, result in (line.partition(": ") for line in lines)}


@pytest.mark.parametrize("terms", [CallTerms(), LOOKS_UP, HOLDS_UP], ids=["acts", "looks up", "holds up"])
async def test_a_result_that_is_late_for_its_connection_is_sent_once_as_text(terms: CallTerms) -> None:
    async with bench(tool=terms) as it:
        it.call("tool", item="shoes")
        await it.settle()
        await it.renew()
        it.tools.finish("tool", pairs=3)
        assert await it.answers() == [], "the id has no meaning on this connection"
        (text,) = it.told
        assert data_in(text) == {"tool": {"status": "ok", "message": "done", "pairs": 3}}
        await it.renew()
        await it.clock.advance(60.0)
        assert it.told == [text]


async def test_a_blocking_call_goes_on_over_a_rollover_and_its_result_is_sent_as_text() -> None:
    async with bench(tool=CallTerms(blocking=True, repeatable=True)) as it:
        it.call("tool")
        await it.settle()
        await it.renew()
        assert it.tools.stopped == []
        assert it.pending == (1, 0)
        it.tools.finish("tool")
        await it.settle()
        assert len(it.told) == 1


async def test_a_result_between_two_connections_is_sent_over_the_next() -> None:
    async with bench() as it:
        it.call("tool")
        await it.settle()
        it.leave()
        it.tools.finish("tool")
        await it.settle()
        assert it.told == []
        it.connect(resumed=True)
        await it.settle()
        assert len(it.told) == 1


async def test_an_answer_that_a_connection_did_not_take_is_sent_over_the_next() -> None:
    async with bench() as it:
        it.call("tool")
        it.connection.drop(LinkLost("gone"))
        it.tools.finish("tool")
        assert await it.answers() == []
        await it.renew()
        assert list(data_in(it.told[0])) == ["tool"]


async def test_an_answer_on_a_connection_that_was_left_is_sent_over_the_next() -> None:
    async with bench() as it:
        it.connection.stall()
        it.call("tool")
        it.tools.finish("tool")
        await it.settle()
        it.leave(hang_up=False)
        it.connection.go_on()
        await it.settle()
        assert len(it.connection.answers) == 1, "it is unknown whether it was read"
        it.connect(resumed=True)
        await it.settle()
        assert list(data_in(it.told[0])) == ["tool"]


async def test_no_result_is_sent_over_a_failed_connection() -> None:
    async with bench() as it:
        it.call("first")
        await it.settle()
        await it.renew()
        it.call("second")
        it.connection.drop(LinkLost("gone"))
        it.tools.finish("second")
        await it.settle()
        it.tools.finish("first")
        await it.settle()
        assert it.told == []
        await it.renew()
        assert [list(data_in(text)) for text in it.told] == [["first", "second"]]


async def test_a_late_result_waits_until_the_model_has_spoken_of_the_previous_one() -> None:
    async with bench() as it:
        it.call("first", "second")
        await it.settle()
        await it.renew()
        it.tools.finish("first")
        await it.settle()
        it.tools.finish("second")
        await it.settle()
        assert [list(data_in(text)) for text in it.told] == [["first"]]
        it.speak(1)
        assert len(it.told) == 1
        it.fall_silent(1)
        assert [list(data_in(text)) for text in it.told] == [["first"], ["second"]]


async def test_an_answer_that_the_model_did_not_speak_of_is_sent_again_as_text() -> None:
    async with bench() as it:
        it.call("tool")
        it.tools.finish("tool")
        assert len(await it.answers()) == 1
        await it.renew()
        assert list(data_in(it.told[0])) == ["tool"]


async def test_an_answer_that_the_model_has_spoken_of_is_not_sent_again() -> None:
    async with bench() as it:
        it.call("tool")
        it.tools.finish("tool")
        await it.settle()
        it.speak(1)
        it.fall_silent(1)
        await it.renew()
        assert it.told == []


async def test_late_results_are_sent_together_without_rejected_calls() -> None:
    async with bench() as it:
        it.call("a", "b", "c")
        await it.settle()
        it.leave()
        it.tools.finish("a")
        it.tools.finish("b")
        it.tools.finish("c", status="refused")
        await it.settle()
        it.connect(resumed=True)
        await it.settle()
        assert [list(data_in(text)) for text in it.told] == [["a", "b"]]


async def test_a_late_result_waits_until_neither_side_speaks() -> None:
    async with bench() as it:
        it.call("tool")
        await it.settle()
        await it.renew()
        it.happen(VoiceBegan())
        it.tools.finish("tool")
        await it.settle()
        it.happen(VoiceEnded())
        assert it.state.turn.phase is TurnPhase.THINKING
        assert it.told == [], "the visitor's question is answered first"
        it.speak(1)
        assert it.told == []
        it.fall_silent(1)
        assert len(it.told) == 1


async def test_a_late_result_that_the_visitor_waits_for_is_sent_at_once() -> None:
    async with bench(door=HOLDS_UP) as it:
        it.ask()
        it.call("door")
        await it.settle()
        await it.renew()
        it.tools.finish("door")
        await it.settle()
        assert it.state.turn.phase is TurnPhase.THINKING
        assert len(it.told) == 1


async def test_a_late_result_that_is_urgent_does_not_wait_for_the_reply() -> None:
    async with bench(tool=CallTerms(scheduling="interrupt")) as it:
        it.call("tool")
        await it.settle()
        await it.renew()
        it.speak(1)
        it.tools.finish("tool")
        await it.settle()
        assert len(it.told) == 1


async def test_a_silent_late_result_tells_the_model_to_be_silent() -> None:
    async with bench(tool=CallTerms(scheduling="silent")) as it:
        it.call("tool")
        await it.settle()
        await it.renew()
        it.tools.finish("tool")
        await it.settle()
        assert "do not mention them" in str(it.told[0])


async def test_a_late_picture_is_sent_before_its_text() -> None:
    async with bench() as it:
        it.call("look")
        await it.settle()
        await it.renew()
        it.tools.finish("look", b"\xff\xd8")
        await it.settle()
        picture, text = it.told
        assert picture == b"\xff\xd8"
        assert list(data_in(text)) == ["look"]


async def test_a_late_result_that_cannot_be_sent_now_is_sent_later() -> None:
    async with bench() as it:
        it.call("tool")
        await it.settle()
        await it.renew()
        it.full = True
        it.tools.finish("tool")
        await it.settle()
        it.full = False
        it.happen(TurnEnded(it.epoch))
        assert len(it.told) == 1


async def test_a_late_result_does_not_keep_the_visitor_from_speaking() -> None:
    async with bench() as it:
        it.call("tool")
        await it.settle()
        await it.renew()
        it.ask()
        it.tools.finish("tool")
        await it.settle()
        assert it.state.turn.phase is TurnPhase.THINKING
        assert it.pending == (0, 0), "otherwise a silent model would be waited for without end"


# No action is repeated


async def test_a_call_that_a_resumed_session_repeats_is_not_run_again() -> None:
    async with bench() as it:
        it.call("door", which="front")
        it.tools.finish("door", opened=True)
        await it.settle()
        await it.renew()
        it.call("door", which="front")
        (answer,) = await it.answers()
        assert answer.id == "door-2"
        assert answer.result["opened"] is True
        assert "not done again" in str(answer.result["message"])
        assert len(it.tools.called) == 1


async def test_a_repeated_call_is_not_run_again_after_a_second_loss() -> None:
    async with bench() as it:
        it.call("door")
        it.tools.finish("door")
        await it.settle()
        for _ in range(3):
            await it.renew()
            it.call("door")
            assert statuses(await it.answers()) == {f"door-{it.epoch}": "ok"}
        assert len(it.tools.called) == 1


async def test_a_second_repetition_on_one_connection_is_run() -> None:
    async with bench() as it:
        it.call("door")
        it.tools.finish("door")
        await it.settle()
        await it.renew()
        for number in range(2):
            it.runner.take(ToolsCalled([ToolCall(f"call {number}", "door", {})]))
            await it.settle()
        assert len(it.tools.called) == 2


async def test_a_repeated_call_waits_for_the_one_that_is_still_running() -> None:
    async with bench() as it:
        it.call("door")
        await it.settle()
        await it.renew()
        it.call("door")
        it.tools.finish("door")
        assert statuses(await it.answers()) == {"door-2": "ok"}
        assert len(it.tools.called) == 1
        assert it.told == []


async def test_a_visitor_can_have_a_call_run_again() -> None:
    async with bench() as it:
        it.call("door")
        it.tools.finish("door")
        await it.settle()
        it.speak(1)
        it.fall_silent(1)
        it.happen(HandleIssued(it.epoch, HANDLE))
        await it.renew()
        it.call("door")
        await it.settle()
        assert len(it.tools.called) == 2, "the handle came later, so the session knows of the call"


async def test_a_resumed_session_does_not_restart_a_call_that_was_cancelled_while_running() -> None:
    async with bench() as it:
        it.call("order")
        await it.settle()
        it.cancel("order")
        for _ in range(2):
            await it.renew()
            it.call("order")
            (answer,) = await it.answers()
            assert answer.result["status"] == "error"
            assert "it is not known whether it was done" in str(answer.result["message"])
        assert len(it.tools.called) == 1


async def test_a_call_that_was_cancelled_before_it_was_allowed_can_be_repeated() -> None:
    async with bench() as it:
        it.tools.guarded.add("door")
        it.call("door")
        await it.settle()
        it.cancel("door")
        await it.renew()
        it.call("door")
        assert await it.answers() == []
        assert len(it.tools.called) == 2


async def test_a_session_that_knows_of_its_cancellation_can_repeat_the_call() -> None:
    async with bench() as it:
        it.call("order")
        await it.settle()
        it.cancel("order")
        it.happen(HandleIssued(it.epoch, HANDLE))
        await it.renew()
        it.call("order")
        await it.settle()
        assert len(it.tools.called) == 2


async def test_on_one_connection_the_model_can_repeat_a_call() -> None:
    async with bench() as it:
        it.tools.finish("door")
        for number in range(2):
            it.runner.take(ToolsCalled([ToolCall(f"call {number}", "door", {})]))
            await it.settle()
        assert len(it.tools.called) == 2


async def test_a_call_with_other_arguments_is_another_call() -> None:
    async with bench() as it:
        it.call("door", which="front")
        it.tools.finish("door")
        await it.settle()
        await it.renew()
        it.call("door", which="back")
        await it.settle()
        assert len(it.tools.called) == 2


async def test_a_rejected_call_can_be_repeated() -> None:
    async with bench() as it:
        it.call("door")
        it.tools.finish("door", status="refused")
        await it.settle()
        await it.renew()
        it.call("door")
        await it.settle()
        assert len(it.tools.called) == 2


async def test_a_repeatable_call_is_run_again() -> None:
    async with bench(stock=LOOKS_UP) as it:
        it.call("stock")
        it.tools.finish("stock")
        await it.settle()
        await it.renew()
        it.call("stock")
        await it.settle()
        assert len(it.tools.called) == 2


# Counts


async def test_calls_are_counted_by_their_status() -> None:
    async with bench() as it:
        it.tools.finish("stock")
        it.tools.finish("door", status="refused")
        it.call("stock", "door", "slow", *(f"tool{number}" for number in range(AT_ONCE - 3)), "one too many")
        await it.settle()
        it.cancel("slow")
        await it.settle()
        assert it.runner.counts == {"ok": 1, "refused": 1, "busy": 1, "cancelled": 1}
