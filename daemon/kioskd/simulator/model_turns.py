"""The model's turns on one connection: thinking, calling a function, speaking, being interrupted."""

import asyncio
import enum
import time
from collections import deque
from collections.abc import Sequence
from typing import Final

from kioskd.media import pcm
from kioskd.simulator.connection import ClientConnection, pause
from kioskd.simulator.faults import FaultBook
from kioskd.simulator.function_calls import FunctionCalls, PendingCall
from kioskd.simulator.records import SessionRecord, VisitorTurn
from kioskd.simulator.replies import AUDIO_TOKENS_PER_S, Replies, audio_part, messages, usage
from kioskd.simulator.rules import SimulatedModel
from kioskd.simulator.schema import Setup
from kioskd.simulator.script import Reply, ServiceScript, Trigger
from kioskd.simulator.sessions import Sessions
from kioskd.simulator.tts import SpeechRenderer

# Shorter waits would wake the loop more often than a client can tell apart.
_SHORTEST_WAIT_S: Final = 0.01


class _Stage(enum.Enum):
    IDLE = enum.auto()
    THINKING = enum.auto()
    CALLING = enum.auto()
    SPEAKING = enum.auto()


class ModelTurns:
    """Gives the script's replies, one a turn, and takes them back when the visitor interrupts."""

    def __init__(
        self,
        line: ClientConnection,
        session: SessionRecord,
        setup: Setup,
        profile: SimulatedModel,
        *,
        script: ServiceScript,
        replies: Replies,
        voice: SpeechRenderer,
        sessions: Sessions,
        faults: FaultBook,
    ) -> None:
        self._line = line
        self._session = session
        self._profile = profile
        self._script = script
        self._replies = replies
        self._voice = voice
        self._sessions = sessions
        self._faults = faults
        resumption = setup.session_resumption
        self._issues_handles = resumption is not None
        self._transparent = bool(resumption and resumption.transparent)
        self._captions = setup.output_audio_transcription is not None
        self._stage = _Stage.IDLE
        self._task: asyncio.Task[None] | None = None
        self._owed: deque[tuple[VisitorTurn, Reply | None]] = deque()
        self._turn: VisitorTurn | None = None
        self._reply: Reply | None = None
        self._waited_for: Sequence[PendingCall] = ()
        self._sound = b""
        self._sent = 0
        self._silence = asyncio.Event()
        self._silence.set()
        self._interruptions = self._ends = 0
        self.calls = FunctionCalls(line, session, profile, setup.tools or (), sweeps=script.sweeps)
        """The functions that the model has called."""
        self.consumed = 0
        """How many of the client's messages have been dealt with, the setup not counted."""

    async def meet(self, trigger: Trigger) -> None:
        """Count an occasion for faults, and let those happen that are due."""
        for fault in self._faults.due(trigger):
            await self._line.commit(fault)

    def visitor_speaks(self, speaks: bool) -> None:
        """What came of functions is not spoken of while the visitor speaks."""
        if speaks:
            self._silence.clear()
        else:
            self._silence.set()

    def answer(self, turn: VisitorTurn, reply: Reply | None = None) -> None:
        """Let the model answer `turn`, with the script's next reply or this one: now, or after what it is saying."""
        self._owed.append((turn, reply))
        if self._task is None or self._task.done():
            self._task = self._line.spawn(self._answer_all)

    async def new_input(self) -> None:
        """The client has written something that asks for no answer: it cancels calls that hold the model up, from 3.8 on.

        Frames of video do not, as far as is known.
        """
        if self._profile.blocking_tools == "optional" and self.calls.holding_up:
            await self.interrupt()

    async def interrupt(self) -> None:
        """The visitor has taken the turn: end the reply, if there is one.

        One that has not begun is forgotten without a word, and stays the next one to be given.
        """
        stage, self._stage = self._stage, _Stage.IDLE
        if stage is _Stage.IDLE or self._task is None or self._turn is None:
            return
        self._task.cancel()
        self._task, turn = None, self._turn
        # What functions have brought is spoken of later; a visitor's turn that waited is over.
        self._owed = deque(owed for owed in self._owed if owed[0].kind == "answer")
        if stage is _Stage.THINKING:
            if turn.kind == "answer":
                self._owed.appendleft((turn, self._reply))
            return
        self._interruptions += 1
        content: dict[str, object] = {"interrupted": True}
        rest = self._sound[self._sent : self._sent + pcm.byte_count(0.040, pcm.DOWNLINK_HZ)]
        if rest and self._interruptions % 2 == 0:
            # The real one does so at times: audio that is void as it arrives.
            content["modelTurn"] = {"role": "model", "parts": [audio_part(rest)]}
        self._line.tell("interrupted", sent_s=self._sent_s)
        turn.reply = "interrupted"
        await self._line.send({"serverContent": content})
        ids = self.calls.cancel(turn)
        if ids:
            self._line.tell("tool_call_cancelled", ids=ids)
            await self._line.send({"toolCallCancellation": {"ids": ids}})
        waited_for, self._waited_for = self._waited_for, ()
        if any(call.record.state == "open" for call in waited_for) and self._reply is not None:
            self._line.spawn(self._follow_up, self._reply, waited_for)
        await self._end_turn(turn)

    async def issue_handle(self) -> None:
        """Send a new resumption handle, where the client wants them."""
        if not self._issues_handles:
            return
        update: dict[str, object] = {"newHandle": self._sessions.issue(self._session), "resumable": True}
        if self._transparent:
            # 64-bit integers are strings in the service's JSON.
            update["lastConsumedClientMessageIndex"] = str(self.consumed)
        self._line.tell("handle_issued", session=self._session.id)
        await self._line.send({"sessionResumptionUpdate": update})

    @property
    def _sent_s(self) -> float:
        return pcm.duration_s(self._sent, pcm.DOWNLINK_HZ)

    async def _answer_all(self) -> None:
        while self._owed:
            await self._one_reply(*self._owed.popleft())

    async def _one_reply(self, turn: VisitorTurn, given: Reply | None) -> None:
        self._turn, self._reply, self._sound, self._sent = turn, given, b"", 0
        self._stage = _Stage.THINKING
        reply = given or self._replies.coming
        await pause(self._script.think_s if reply.think_s is None else reply.think_s)
        place = self._replies.place if given else self._replies.take()
        self._reply = reply
        silent = reply.silent
        if reply.tool_calls and given is None:
            self._stage = _Stage.CALLING
            await self._forbid_resuming()
            calls = await self.calls.make(reply.tool_calls, turn)
            await self.meet("tool_call")
            if reply.meanwhile is not None and not self.calls.holding_up:
                self._line.spawn(self._follow_up, reply, calls)
                reply = reply.meanwhile
                silent = reply.silent
            else:
                self._waited_for = calls
                when, shown = await self.calls.outcome(calls)
                self._waited_for = ()
                self._session.show(shown, turn)
                silent = silent or when in {None, "silent"}
        if silent:
            turn.reply = "silent"
        else:
            await self._speak(reply, turn, place)
        self._stage = _Stage.IDLE
        await self._end_turn(turn)

    async def _follow_up(self, reply: Reply, calls: Sequence[PendingCall]) -> None:
        """Speak of what has come of functions that the model did not wait for."""
        when, shown = await self.calls.outcome(calls)
        if when in {None, "silent"}:
            await self._issue_handle_if_free()
            return
        await self._silence.wait()
        if when == "interrupt" and self._stage is _Stage.SPEAKING:
            await self.interrupt()
        turn = VisitorTurn("answer", time.monotonic(), 0)
        self._session.turns.append(turn)
        self._session.show(shown, turn)
        self.answer(turn, reply)

    async def _speak(self, reply: Reply, turn: VisitorTurn, place: int) -> None:
        already_calling = self._stage is _Stage.CALLING
        self._stage = _Stage.SPEAKING
        self._sound = self._voice.sound_of(reply)
        turn.reply = "spoken"
        if not already_calling:
            await self._forbid_resuming()
        loop = asyncio.get_running_loop()
        began = loop.time()
        for sent, content in messages(self._sound, reply.text if self._captions else None):
            first, self._sent = self._sent == 0, sent
            turn.reply_s = self._sent_s
            if first:
                self._line.tell(
                    "reply_began", session=self._session.id, place=place, meanwhile=reply is not self._reply
                )
            await self._line.send({"serverContent": content})
            if first:
                await self.meet("reply")
            ahead = began + self._sent_s / self._script.pace - loop.time()
            if ahead > _SHORTEST_WAIT_S:
                await pause(ahead)
        self._line.tell("reply_sent", sent_s=self._sent_s)
        await self._line.send({"serverContent": {"generationComplete": True}})
        await self.meet("reply_end")
        # The service takes it that the reply is played as it comes, and ends the turn when it has been heard.
        await pause(max(0.0, began + self._sent_s - loop.time()))

    async def _forbid_resuming(self) -> None:
        if self._issues_handles:
            await self._line.send({"sessionResumptionUpdate": {"newHandle": "", "resumable": False}})

    async def _issue_handle_if_free(self) -> None:
        """With a call open a session cannot be resumed."""
        if not self.calls.any_open:
            await self.issue_handle()

    async def _end_turn(self, turn: VisitorTurn) -> None:
        content: dict[str, object] = {"turnComplete": True}
        if self._profile.says_idle:
            content["interactionStatus"] = "IN_PROGRESS" if self.calls.any_open else "IDLE"
        message: dict[str, object] = {"serverContent": content}
        cost: dict[str, object] | None = None
        if self._script.usage:
            cost = usage(self._session.tokens, turn.reply_s, self._session.backend)
            self._ends += 1
            if self._ends % 2:
                message["usageMetadata"], cost = cost, None
        self._session.tokens["AUDIO"] += round(turn.reply_s * AUDIO_TOKENS_PER_S)
        self._line.tell("turn_complete", session=self._session.id, reply=turn.reply)
        await self._line.send(message)
        if cost is not None:
            await self._line.send({"usageMetadata": cost})
        await self._issue_handle_if_free()
        await self.meet("turn_end")
