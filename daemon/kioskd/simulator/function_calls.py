"""The functions that the model calls, and the client's answers."""

import asyncio
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

from kioskd.simulator.connection import ClientConnection
from kioskd.simulator.records import CallRecord, ReceivedPicture, SessionRecord, VisitorTurn
from kioskd.simulator.rules import SimulatedModel
from kioskd.simulator.schema import WireTool
from kioskd.simulator.script import ScriptedCall
from kioskd.simulator.wire import FunctionResponse

AnswerScheduling = Literal["SILENT", "WHEN_IDLE", "INTERRUPT"]
"""Time at which the model speaks about an answer: not by itself, when it is silent, or at once."""

_URGENCY: Final[tuple[AnswerScheduling, ...]] = get_args(AnswerScheduling)


@dataclass(slots=True)
class PendingCall:
    """A call without an answer so far."""

    scripted: ScriptedCall
    record: CallRecord
    turn: VisitorTurn
    repeats: int
    """Most repetitions of the call after empty answers."""
    resolved: asyncio.Event = field(default_factory=asyncio.Event)
    response: FunctionResponse | None = None
    pictures: list[ReceivedPicture] = field(default_factory=list)
    timeout: asyncio.TimerHandle | None = None


class FunctionCalls:
    """The calls of one connection. A call's id is valid on its own connection only."""

    def __init__(
        self,
        connection: ClientConnection,
        session: SessionRecord,
        model: SimulatedModel,
        tools: Sequence[WireTool],
        *,
        script_repeats: int,
    ) -> None:
        self._connection = connection
        self._session = session
        self._model = model
        self._repeats = script_repeats if model.repeats_empty_calls else 0
        self._behaviors: dict[str, str] = {}
        self._open: dict[str, PendingCall] = {}
        self._made: dict[str, CallRecord] = {}
        self.declare(tools)

    def declare(self, tools: Iterable[WireTool]) -> None:
        """Replace the known functions by those of `tools`."""
        self._behaviors = {
            function.name or "": function.behavior or ""
            for tool in tools
            for function in tool.function_declarations or ()
        }

    @property
    def block_the_model(self) -> bool:
        """Whether the model does nothing until an answer comes."""
        return any(call.record.blocking for call in self._open.values())

    @property
    def any_open(self) -> bool:
        """Whether a call has no answer yet."""
        return bool(self._open)

    async def make(self, scripted: Sequence[ScriptedCall], turn: VisitorTurn) -> list[PendingCall]:
        """Call functions, all in one message."""
        calls = [self._new(each, turn, self._repeats) for each in scripted]
        await self._send(calls)
        return calls

    async def answers(
        self, calls: Sequence[PendingCall]
    ) -> tuple[AnswerScheduling | None, list[ReceivedPicture]]:
        """Wait for all of `calls`; return the scheduling of the model's words about them, and their pictures.

        The scheduling is None if all calls were cancelled. Some models repeat a call whose answer is empty.
        """
        answered: list[PendingCall] = []
        for first in calls:
            call = first
            await call.resolved.wait()
            while call.repeats and call.record.state == "answered" and _is_empty(call.response):
                call = self._new(call.scripted, call.turn, call.repeats - 1)
                self._connection.emit("tool_call_repeated", id=call.record.id, name=call.record.name)
                await self._send([call])
                await call.resolved.wait()
            if call.record.state != "cancelled":
                answered.append(call)
        if not answered:
            return None, []
        urgency = max((_scheduling(call) for call in answered), key=_URGENCY.index)
        return urgency, [picture for call in answered for picture in call.pictures]

    def answer(self, response: FunctionResponse, pictures: Sequence[ReceivedPicture]) -> None:
        """Take a function's answer. If no call waits for it, it is only recorded."""
        call = self._open.get(response.id or "") or self._find_by_name(response)
        record = call.record if call else self._made.get(response.id or "")
        self._connection.emit("tool_response", id=response.id, known=call is not None, pictures=len(pictures))
        if response.will_continue:
            return
        if record is None:
            self._session.unknown_answers.append(response.id or "")
            return
        record.answered_at.append(time.monotonic())
        record.results.append(response.response or {})
        if call is not None:
            self._session.tool_responses.append(record.id)
            call.response = response
            call.pictures += pictures
            self._resolve(call, "answered")

    def cancel(self, turn: VisitorTurn) -> list[str]:
        """Cancel the calls of `turn`, except those that outlive it, and return their ids."""
        cancelled = [
            call
            for call in self._open.values()
            if call.turn is turn and (call.record.blocking or not call.scripted.outlives)
        ]
        for call in cancelled:
            call.record.cancelled_at = time.monotonic()
            self._resolve(call, "cancelled")
        return [call.record.id for call in cancelled]

    def count_audio(self, byte_count: int) -> None:
        """Count audio that arrives while the model waits for an answer."""
        for call in self._open.values():
            if call.record.blocking:
                call.record.audio_bytes += byte_count

    def close(self) -> None:
        """Give up all open calls, as the connection is over."""
        for call in tuple(self._open.values()):
            self._resolve(call, "lost")

    def _new(self, scripted: ScriptedCall, turn: VisitorTurn, repeats: int) -> PendingCall:
        record = CallRecord(
            f"call-{secrets.token_hex(6)}",
            scripted.name,
            self._connection.number,
            time.monotonic(),
            blocking=self._blocks(scripted.name),
            wanted=scripted.answer_holds,
        )
        call = self._open[record.id] = PendingCall(scripted, record, turn, repeats)
        call.timeout = asyncio.get_running_loop().call_later(scripted.wait_s, self._give_up, call)
        self._made[record.id] = record
        self._session.calls.append(record)
        return call

    async def _send(self, calls: Sequence[PendingCall]) -> None:
        listed = []
        for call in calls:
            self._connection.emit(
                "tool_call", id=call.record.id, name=call.record.name, blocking=call.record.blocking
            )
            listed.append({"id": call.record.id, "name": call.record.name, "args": call.scripted.args})
        await self._connection.send({"toolCall": {"functionCalls": listed}})

    def _give_up(self, call: PendingCall) -> None:
        self._connection.emit("tool_call_unanswered", id=call.record.id)
        self._resolve(call, "given_up")

    def _resolve(
        self, call: PendingCall, state: Literal["answered", "cancelled", "given_up", "lost"]
    ) -> None:
        del self._open[call.record.id]
        if call.timeout is not None:
            call.timeout.cancel()
        call.record.state = state
        call.resolved.set()

    def _find_by_name(self, response: FunctionResponse) -> PendingCall | None:
        """Return the call that an answer without an id belongs to; Vertex accepts these."""
        if response.id is not None:
            return None
        return next((call for call in self._open.values() if call.record.name == response.name), None)

    def _blocks(self, name: str) -> bool:
        behavior = self._behaviors.get(name, "")
        if behavior in {"BLOCKING", "NON_BLOCKING"}:
            return behavior == "BLOCKING"
        return self._model.blocking_tools in {"only", "default"}


def _scheduling(call: PendingCall) -> AnswerScheduling:
    given = call.response.scheduling if call.response else None
    if call.record.blocking or given is None or given == "SCHEDULING_UNSPECIFIED":
        return "WHEN_IDLE"
    return given


def _is_empty(response: FunctionResponse | None) -> bool:
    """Return whether an answer holds neither a result nor data."""
    content: Mapping[str, Any] = (response.response if response else None) or {}
    return not any(content.values()) and not (response and response.parts)
