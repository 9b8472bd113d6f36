"""The model's turns on one connection: thinking, calling functions, speaking, being interrupted."""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from kioskd.simulator.connection import ClientConnection, pause
from kioskd.simulator.function_calls import FunctionCalls, PendingCall
from kioskd.simulator.records import SessionRecord, VisitorTurn
from kioskd.simulator.replies import ReplyStream, UsageReports, audio_part
from kioskd.simulator.rules import SimulatedModel
from kioskd.simulator.schema import Setup
from kioskd.simulator.script import Reply
from kioskd.simulator.sessions import ResumptionUpdates
from kioskd.simulator.state import ServiceState


@dataclass(slots=True)
class _CurrentTurn:
    """The turn that the model answers now."""

    turn: VisitorTurn
    reply: Reply | None
    """The model's reply; None while it is not chosen."""
    stage: Literal["thinking", "calling", "speaking"] = "thinking"
    stream: ReplyStream | None = None
    awaited_calls: Sequence[PendingCall] = ()


class ModelTurns:
    """Answers each turn with a reply of the script, and ends it when the visitor interrupts."""

    def __init__(
        self,
        connection: ClientConnection,
        session: SessionRecord,
        setup: Setup,
        model: SimulatedModel,
        state: ServiceState,
    ) -> None:
        self._connection = connection
        self._session = session
        self._model = model
        self._state = state
        self._transcribes = setup.output_audio_transcription is not None
        self._usage = UsageReports(session, enabled=state.script.usage)
        self._task: asyncio.Task[None] | None = None
        self._queue: deque[tuple[VisitorTurn, Reply | None]] = deque()
        self._current: _CurrentTurn | None = None
        self._visitor_silent = asyncio.Event()
        self._visitor_silent.set()
        self._interruptions = 0
        self.calls = FunctionCalls(
            connection, session, model, setup.tools or (), script_repeats=state.script.sweeps
        )
        """The model's function calls."""
        self.resumption = ResumptionUpdates(connection, session, state.sessions, setup.session_resumption)
        """The sender of resumption handles."""

    def visitor_speaks(self, speaks: bool) -> None:
        """Record whether the visitor speaks: only afterwards the model speaks about functions' answers."""
        if speaks:
            self._visitor_silent.clear()
        else:
            self._visitor_silent.set()

    def answer(self, turn: VisitorTurn, reply: Reply | None = None) -> None:
        """Answer `turn` with `reply` or the script's next reply, now or after the current reply."""
        self._queue.append((turn, reply))
        if self._task is None or self._task.done():
            self._task = self._connection.spawn(self._answer_all)

    async def new_content(self) -> None:
        """Handle content that asks for no answer. From 3.8 on it cancels calls for which the model waits.

        As far as is known, frames of video do not cancel calls.
        """
        if self._model.blocking_tools == "optional" and self.calls.block_the_model:
            await self.interrupt()

    async def interrupt(self) -> None:
        """End the current reply, if there is one, as the visitor interrupts.

        A reply that has not begun is put off: it is the next reply again.
        """
        current, self._current = self._current, None
        if current is None or self._task is None:
            return
        self._task.cancel()
        self._task, turn = None, current.turn
        # The model speaks about functions' answers later; a waiting turn of the visitor is over.
        self._queue = deque(queued for queued in self._queue if queued[0].kind == "answer")
        if current.stage == "thinking":
            if turn.kind == "answer":
                self._queue.appendleft((turn, current.reply))
            return
        self._interruptions += 1
        content: dict[str, object] = {"interrupted": True}
        unheard = current.stream.next_chunk if current.stream else b""
        if unheard and self._interruptions % 2 == 0:
            # The real service does so at times: it sends audio that must not be played.
            content["modelTurn"] = {"role": "model", "parts": [audio_part(unheard)]}
        self._connection.emit("interrupted", sent_s=current.stream.sent_s if current.stream else 0.0)
        turn.reply = "interrupted"
        await self._connection.send({"serverContent": content})
        ids = self.calls.cancel(turn)
        if ids:
            self._connection.emit("tool_call_cancelled", ids=ids)
            await self._connection.send({"toolCallCancellation": {"ids": ids}})
        waited_for = current.awaited_calls
        if any(call.record.state == "open" for call in waited_for) and current.reply is not None:
            self._connection.spawn(self._follow_up, current.reply, waited_for)
        await self._end_turn(turn)

    async def _answer_all(self) -> None:
        while self._queue:
            await self._answer(*self._queue.popleft())

    async def _answer(self, turn: VisitorTurn, given: Reply | None) -> None:
        current = self._current = _CurrentTurn(turn, given)
        replies, script = self._state.replies, self._state.script
        reply = given or replies.next
        await pause(script.think_s if reply.think_s is None else reply.think_s)
        index = replies.index if given else replies.take()
        current.reply = reply
        silent = reply.silent
        if reply.tool_calls and given is None:
            current.stage = "calling"
            await self.resumption.send_not_resumable()
            calls = await self.calls.make(reply.tool_calls, turn)
            await self._connection.trigger("tool_call")
            if reply.meanwhile is not None and not self.calls.block_the_model:
                self._connection.spawn(self._follow_up, reply, calls)
                reply = reply.meanwhile
                silent = reply.silent
            else:
                current.awaited_calls = calls
                scheduling, pictures = await self.calls.answers(calls)
                current.awaited_calls = ()
                self._session.show_pictures(pictures, turn)
                silent = silent or scheduling in {None, "SILENT"}
        if silent:
            turn.reply = "silent"
        else:
            await self._speak(reply, current, index)
        self._current = None
        await self._end_turn(turn)

    async def _follow_up(self, reply: Reply, calls: Sequence[PendingCall]) -> None:
        """Speak about the answers of functions for which the model did not wait."""
        scheduling, pictures = await self.calls.answers(calls)
        if scheduling in {None, "SILENT"}:
            await self._send_handle_if_resumable()
            return
        await self._visitor_silent.wait()
        speaking = self._current is not None and self._current.stage == "speaking"
        if scheduling == "INTERRUPT" and speaking:
            await self.interrupt()
        turn = VisitorTurn("answer", time.monotonic(), 0)
        self._session.turns.append(turn)
        self._session.show_pictures(pictures, turn)
        self.answer(turn, reply)

    async def _speak(self, reply: Reply, current: _CurrentTurn, index: int) -> None:
        turn, already_calling = current.turn, current.stage == "calling"
        current.stage = "speaking"
        stream = current.stream = ReplyStream(
            self._connection,
            self._state.speech.sound_of(reply),
            reply.text if self._transcribes else None,
            pace=self._state.script.pace,
            language=reply.language,
        )
        turn.reply = "spoken"
        if not already_calling:
            await self.resumption.send_not_resumable()
        await stream.send(turn, self._session, index=index, meanwhile=reply is not current.reply)
        await self._connection.trigger("reply_end")
        # The service assumes that the client plays the reply at once, and ends the turn after its last sound.
        await stream.wait_until_played()

    async def _send_handle_if_resumable(self) -> None:
        """Send a handle, unless a call is open, as the session cannot be resumed then."""
        if not self.calls.any_open:
            await self.resumption.send_handle()

    async def _end_turn(self, turn: VisitorTurn) -> None:
        content: dict[str, object] = {"turnComplete": True}
        if self._model.reports_interaction_status:
            content["interactionStatus"] = "IN_PROGRESS" if self.calls.any_open else "IDLE"
        messages = self._usage.end_of_turn(turn, content)
        self._connection.emit("turn_complete", session=self._session.id, reply=turn.reply)
        for message in messages:
            await self._connection.send(message)
        await self._send_handle_if_resumable()
        await self._connection.trigger("turn_end")
