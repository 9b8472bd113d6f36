"""The functions that the model calls, and what comes of them."""

import asyncio
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from kioskd.simulator.connection import ClientConnection
from kioskd.simulator.records import CallRecord, ReceivedPicture, SessionRecord, VisitorTurn
from kioskd.simulator.rules import SimulatedModel
from kioskd.simulator.schema import WireTool
from kioskd.simulator.script import ScriptedCall
from kioskd.simulator.wire import FunctionResponse

AnswerScheduling = Literal["silent", "when_idle", "interrupt"]
"""When the model takes up what has come of its calls: not by itself, when it is silent, at once."""

_BY_DEFAULT: Final[AnswerScheduling] = "when_idle"
_URGENCY: Final[tuple[AnswerScheduling, ...]] = ("silent", "when_idle", "interrupt")


@dataclass(slots=True)
class PendingCall:
    """One call that the model waits for, or does not."""

    wanted: ScriptedCall
    record: CallRecord
    turn: VisitorTurn
    again: int
    """How often it will be made again if nothing comes of it."""
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    response: FunctionResponse | None = None
    pictures: list[ReceivedPicture] = field(default_factory=list)
    patience: asyncio.TimerHandle | None = None


class FunctionCalls:
    """The calls of one connection. An id means something on the connection that it came by, and nowhere else."""

    def __init__(
        self,
        line: ClientConnection,
        session: SessionRecord,
        profile: SimulatedModel,
        tools: Sequence[WireTool],
        *,
        sweeps: int,
    ) -> None:
        self._line = line
        self._session = session
        self._profile = profile
        self._sweeps = sweeps if profile.sweeps else 0
        self._behaviors: dict[str, str] = {}
        self._open: dict[str, PendingCall] = {}
        self._made: dict[str, CallRecord] = {}
        self.declare(tools)

    def declare(self, tools: Iterable[WireTool]) -> None:
        """Know these functions, and no others."""
        self._behaviors = {
            function.name or "": function.behavior or ""
            for tool in tools
            for function in tool.function_declarations or ()
        }

    @property
    def holding_up(self) -> bool:
        """Whether the model waits for an answer before anything else."""
        return any(call.record.blocking for call in self._open.values())

    @property
    def any_open(self) -> bool:
        """Whether an answer is still to come."""
        return bool(self._open)

    async def make(self, wanted: Sequence[ScriptedCall], turn: VisitorTurn) -> list[PendingCall]:
        """Call functions, all in one message."""
        calls = [self._new(each, turn, self._sweeps) for each in wanted]
        await self._send(calls)
        return calls

    async def outcome(
        self, calls: Sequence[PendingCall]
    ) -> tuple[AnswerScheduling | None, list[ReceivedPicture]]:
        """Wait for all of `calls`, and return when the model is to speak of them, and what it was shown with them.

        None instead of a when: there is nothing to speak of, as all were cancelled. A model that gets nothing to go by
        calls again, some times.
        """
        found: list[PendingCall] = []
        for first in calls:
            call = first
            await call.settled.wait()
            while call.again and call.record.state == "answered" and _says_nothing(call.response):
                call = self._new(call.wanted, call.turn, call.again - 1)
                self._line.tell("tool_call_repeated", id=call.record.id, name=call.record.name)
                await self._send([call])
                await call.settled.wait()
            if call.record.state != "cancelled":
                found.append(call)
        if not found:
            return None, []
        urgency = max((_when(call) for call in found), key=_URGENCY.index)
        return urgency, [picture for call in found for picture in call.pictures]

    def take(self, response: FunctionResponse, pictures: Sequence[ReceivedPicture]) -> None:
        """A function has answered; an answer that nobody waits for is only written down."""
        call = self._open.get(response.id or "") or self._named(response)
        record = call.record if call else self._made.get(response.id or "")
        self._line.tell("tool_response", id=response.id, known=call is not None, pictures=len(pictures))
        if response.will_continue:
            return
        if record is None:
            self._session.strays.append(response.id or "")
            return
        record.answered_at.append(time.monotonic())
        record.results.append(response.response or {})
        if call is not None:
            self._session.tool_responses.append(record.id)
            call.response = response
            call.pictures += pictures
            self._settle(call, "answered")

    def cancel(self, turn: VisitorTurn) -> list[str]:
        """Give up what `turn` has called for, but for what outlives it; return the ids."""
        gone = [
            call
            for call in self._open.values()
            if call.turn is turn and (call.record.blocking or not call.wanted.outlives)
        ]
        for call in gone:
            call.record.cancelled_at = time.monotonic()
            self._settle(call, "cancelled")
        return [call.record.id for call in gone]

    def overhear(self, byte_count: int) -> None:
        """Audio came while the model was held up."""
        for call in self._open.values():
            if call.record.blocking:
                call.record.audio_bytes += byte_count

    def leave(self) -> None:
        """The connection is over: nobody can answer any more, or needs to."""
        for call in tuple(self._open.values()):
            self._settle(call, "lost")

    def _new(self, wanted: ScriptedCall, turn: VisitorTurn, again: int) -> PendingCall:
        record = CallRecord(
            f"call-{secrets.token_hex(6)}",
            wanted.name,
            self._line.number,
            time.monotonic(),
            blocking=self._blocks(wanted.name),
        )
        call = self._open[record.id] = PendingCall(wanted, record, turn, again)
        call.patience = asyncio.get_running_loop().call_later(wanted.wait_s, self._give_up, call)
        self._made[record.id] = record
        self._session.calls.append(record)
        return call

    async def _send(self, calls: Sequence[PendingCall]) -> None:
        said = []
        for call in calls:
            self._line.tell(
                "tool_call", id=call.record.id, name=call.record.name, blocking=call.record.blocking
            )
            said.append({"id": call.record.id, "name": call.record.name, "args": call.wanted.args})
        await self._line.send({"toolCall": {"functionCalls": said}})

    def _give_up(self, call: PendingCall) -> None:
        self._line.tell("tool_call_unanswered", id=call.record.id)
        self._settle(call, "given_up")

    def _settle(self, call: PendingCall, state: Literal["answered", "cancelled", "given_up", "lost"]) -> None:
        del self._open[call.record.id]
        if call.patience is not None:
            call.patience.cancel()
        call.record.state = state
        call.settled.set()

    def _named(self, response: FunctionResponse) -> PendingCall | None:
        """Return the call that an answer without an id is for, as Vertex takes it."""
        if response.id is not None:
            return None
        return next((call for call in self._open.values() if call.record.name == response.name), None)

    def _blocks(self, name: str) -> bool:
        behavior = self._behaviors.get(name, "")
        if behavior in {"BLOCKING", "NON_BLOCKING"}:
            return behavior == "BLOCKING"
        return self._profile.blocking_tools in {"only", "default"}


def _when(call: PendingCall) -> AnswerScheduling:
    given = call.response.scheduling if call.response else None
    if call.record.blocking or given is None or given == "SCHEDULING_UNSPECIFIED":
        return _BY_DEFAULT
    return _URGENCY[("SILENT", "WHEN_IDLE", "INTERRUPT").index(given)]


def _says_nothing(response: FunctionResponse | None) -> bool:
    """Whether there is nothing in an answer to go by: no word on how it went, and no data."""
    found: Mapping[str, Any] = (response.response if response else None) or {}
    return not any(found.values()) and not (response and response.parts)
