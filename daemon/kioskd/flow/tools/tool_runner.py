"""The model's calls -> tools -> answers, each over the connection that it came by, and over no other.

    take ─► tool at work ─► answers ─► the connection
                 │
                 └─► that connection is gone ─► told as text over the next one, in a quiet moment

Deadlines, rates and guards are the tools' own. Here it is seen to that every call is answered once, that nothing which a
tool has found or done is lost with a connection, and that nothing is done twice because a session was resumed.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from typing import Final, NoReturn, Protocol

from kioskd.core.effects import Effect
from kioskd.core.events import (
    CallsChanged,
    EndRequested,
    Event,
    HandleIssued,
    ReplyBegan,
    ReplyInterrupted,
    TextSubmitted,
    TurnEnded,
)
from kioskd.core.machine import State
from kioskd.core.turn import Turn, TurnPhase
from kioskd.errors import LinkLost
from kioskd.flow.tools.deed_log import DeedLog
from kioskd.flow.tools.tool_calls import (
    CallOutcome,
    CallStage,
    CallTerms,
    RunningCall,
    busy,
    late_text,
    like,
    unreadable,
)
from kioskd.ports import (
    Cancellable,
    Clock,
    Connection,
    Message,
    ToolCall,
    ToolCallsCancelled,
    ToolsCalled,
)

log = logging.getLogger(__name__)

AT_ONCE: Final = 16
"""Calls at work; more are answered that the kiosk is busy."""
MOST: Final = 64
"""Calls that are at work, or whose answer waits to be sent: what comes on top, quicker than answers can be sent, stays
unanswered. Likewise, so many are remembered that the model was told of.
"""
AT_A_TIME: Final = 4
"""Late results that are told in one text."""
LINGER_S: Final = 5.0
"""How long the model may take to speak of an answer. Until then the connection is not left for another in peace."""


class ToolExecutor(Protocol):
    """Whoever carries calls out."""

    def terms(self, name: str) -> CallTerms:
        """Return how the tool called `name` is dealt with; some terms also where there is no such tool."""

    async def call(
        self, call: ToolCall, *, turn: int, conversation: int, begun: Callable[[], None]
    ) -> CallOutcome:
        """Carry out one call; trouble is an outcome, too. It ends within the tool's own deadline.

        `begun` is called when it was allowed, before anything is done for it.

        Cancelling ends what the call has begun, soon.
        """


class ToolRunner:
    """Takes the calls of one connection after the other; a `live_link.ConnectionUser`. `run` must be running."""

    def __init__(
        self,
        toolbox: ToolExecutor,
        post: Callable[[Event], None],
        clock: Clock,
        *,
        tell: Callable[[str | bytes], bool],
    ) -> None:
        """`tell` says a text to the model, or shows it a picture, over the connection that is up; False: not now."""
        self._toolbox = toolbox
        self._post = post
        self._clock = clock
        self._tell = tell
        self._group: asyncio.TaskGroup | None = None
        self._connection: Connection | None = None
        self._epoch = 0
        self._works: list[RunningCall] = []
        self._deeds = DeedLog()
        self._ready = asyncio.Event()
        self._lingering: Cancellable | None = None
        self._reported: CallsChanged | None = None
        self._turn = Turn()
        """The conversation, as the core has it."""
        self.turn = 0
        """The number of the visitor's turn: what a tool may do in one, it may do in the next again."""
        self.counts: Counter[str] = Counter()
        """What came of calls, ever, by status; and how many were cancelled."""

    def connect(self, connection: Connection, epoch: int) -> None:
        """Have a connection: what it calls for is answered over it, and over no other."""
        self._connection, self._epoch = connection, epoch
        self._report()
        self._tell_late()

    def disconnect(self) -> None:
        """Have none. What the model has not spoken of yet is told to it over the next."""
        self._connection = None
        for work in tuple(self._works):
            if work.stage is CallStage.WORKING:
                continue
            if work.stage is not CallStage.WRITTEN and work.was_done:
                work.stage = CallStage.DONE
            else:
                self._works.remove(work)

    def take(self, message: Message) -> None:
        """Begin, or stop, the calls that a message names; any other message is ignored. Returns at once."""
        if self._connection is None or not self._turn.awake:
            return
        match message:
            case ToolsCalled(calls):
                for call in calls:
                    self._begin(call)
            case ToolCallsCancelled(ids):
                for work in self._present():
                    if work.call.id in ids and not work.known_to_model:
                        self._stop(work)
            case _:
                return
        self._report()

    def end_conversation(self) -> None:
        """Let the conversation end when the model has taken its leave."""
        self._post(EndRequested(self._epoch))

    def observe(
        self, _now: float, event: Event, before: State, after: State, _effects: tuple[Effect, ...]
    ) -> None:
        """Be told of one step; see `engine.Observer`."""
        known, turn = self._turn, after.turn
        self._turn = turn
        if not turn.awake or turn.conversation != known.conversation:
            self._forget()
        if turn.leaving and not known.leaving:
            self._settle()
        spoken = turn.voice and not before.turn.voice
        if turn.awake and (
            spoken or isinstance(event, TextSubmitted) or turn.conversation != before.turn.conversation
        ):
            self.turn += 1
        match event:
            # A voice may be too soft for our ears, or one of many that never pause: the service tells, too.
            case TurnEnded(epoch=self._epoch) | ReplyInterrupted(epoch=self._epoch) if not self._pending():
                self.turn += 1
            case ReplyBegan(epoch=self._epoch):
                self._settle()
            case HandleIssued(epoch=self._epoch):
                # None is issued with a call open: what resumes the session from now on knows of all that was told.
                self._deeds.keep_only(lambda work: work in self._works and not work.known_to_model)
                if all(work.terms.scheduling == "silent" for work in self._works if work.known_to_model):
                    self._settle()
        self._tell_late()

    async def run(self) -> NoReturn:
        """Work until cancelled; then end what is at work."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            while True:
                await self._ready.wait()
                self._ready.clear()
                await self._answer()
                self._tell_late()
                self._report()

    def _begin(self, call: ToolCall) -> None:
        work = RunningCall(call, self._epoch, self.turn, self._toolbox.terms(call.name))
        if any(known.call.id == call.id for known in self._present()):
            return
        if (waiting := sum(not known.known_to_model for known in self._works)) >= MOST:
            log.warning("tool call left unanswered, too many wait: waiting=%d", waiting)
        elif call.fault:
            self.counts["refused"] += 1
            self._finish(work, unreadable(call.fault))
        elif (late := like(call, self._late())) is not None:
            late.call, late.epoch, late.turn = call, self._epoch, self.turn
            self._ready.set()
        elif (deed := self._deeds.repeated(call, self._epoch)) is not None:
            log.info("tool call of a resumed session not carried out again: epoch=%d", self._epoch)
            self._finish(work, deed.done_before())
        elif sum(work.stage is CallStage.WORKING for work in self._works) >= AT_ONCE:
            self.counts["busy"] += 1
            self._finish(work, busy(AT_ONCE))
        else:
            self._start(work)

    def _start(self, work: RunningCall) -> None:
        assert self._group is not None, "run() is not running"
        self._works.append(work)
        work.task = self._group.create_task(self._carry_out(work), name="tool call")

    async def _carry_out(self, work: RunningCall) -> None:
        outcome = await self._toolbox.call(
            work.call,
            turn=work.turn,
            conversation=self._turn.conversation,
            begun=lambda: self._deeds.add(work),
        )
        work.task, work.outcome, work.stage = None, outcome, CallStage.DONE
        self.counts[str(outcome.result.get("status"))] += 1
        if not work.was_done:
            self._deeds.discard(work)
        self._ready.set()

    def _finish(self, work: RunningCall, outcome: CallOutcome) -> None:
        work.outcome, work.stage = outcome, CallStage.DONE
        self._works.append(work)
        self._ready.set()

    def _stop(self, work: RunningCall) -> None:
        """End it without an answer. What it had begun stays a deed: the session may be resumed from before the call."""
        self._works.remove(work)
        if work.task is not None:
            work.task.cancel()
            self.counts["cancelled"] += 1

    def _forget(self) -> None:
        for work in tuple(self._works):
            self._stop(work)
        self._deeds.clear()
        self._reported = None

    async def _answer(self) -> None:
        """Send what has come of the calls of the connection that is up."""
        connection = self._connection
        due = [work for work in self._present() if work.stage is CallStage.DONE]
        if connection is None or not due:
            return
        try:
            await connection.answer([work.answer() for work in due])
        except LinkLost as error:
            # Its reader reports it. Nobody knows what has arrived, so this is told to the next.
            log.debug("tool answers not sent: calls=%d cause=%s", len(due), error)
            if self._connection is connection:
                self._connection = None
            return
        if self._connection is connection:  # else it was left meanwhile, and nobody knows either
            for work in due:
                work.stage = CallStage.ANSWERED
            oldest = [work for work in self._works if work.known_to_model][:-MOST]
            self._works = [work for work in self._works if work not in oldest]
            self._linger()

    def _tell_late(self) -> None:
        """Tell as text what the connection did not live to be told, in a moment that it does not disturb."""
        if self._connection is None or any(work.known_to_model for work in self._works):
            return
        done = [work for work in self._late() if work.stage is CallStage.DONE]
        nothing = [work for work in done if not work.was_done]  # the model has lost nothing by it
        self._works = [work for work in self._works if work not in nothing]
        ready = [work for work in done if work.was_done and self._opportune(work)]
        if not ready:
            return
        ready = ready[:AT_A_TIME]
        for work in ready:
            if work.picture is not None:
                self._tell(work.picture)
        if not self._tell(late_text(ready)):
            return  # tried again at the next step of the core
        log.info("late results told as text: calls=%d epoch=%d", len(ready), self._epoch)
        for work in ready:
            work.stage = CallStage.WRITTEN
        self._linger()
        self._report()

    def _opportune(self, work: RunningCall) -> bool:
        if self._turn.voice:
            return False
        if work.terms.scheduling == "interrupt" or self._turn.phase is TurnPhase.LISTENING:
            return True
        # What else was said is answered first; but it may be this that the visitor waits for.
        return self._turn.phase is TurnPhase.THINKING and work.turn == self.turn

    def _linger(self) -> None:
        if self._turn.leaving:  # whatever it says now is its last word, and nothing is held up for it
            self._settle()
            return
        if self._lingering is not None:
            self._lingering.cancel()
        self._lingering = self._clock.call_later(LINGER_S, self._linger_no_more)

    def _linger_no_more(self) -> None:
        self._settle()
        self._tell_late()

    def _settle(self) -> None:
        """What was told is the model's business now."""
        self._works = [work for work in self._works if not work.known_to_model]
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None
        self._report()

    def _present(self) -> list[RunningCall]:
        return [work for work in self._works if work.epoch == self._epoch]

    def _late(self) -> list[RunningCall]:
        return [work for work in self._works if work.epoch != self._epoch and not work.known_to_model]

    def _pending(self) -> int:
        # What waits for an opportune moment to be told must not keep that moment from coming.
        return sum(work.epoch == self._epoch or work.stage is not CallStage.DONE for work in self._works)

    def _report(self) -> None:
        if not self._turn.awake:
            return
        blocking = sum(work.terms.blocking and not work.known_to_model for work in self._present())
        report = CallsChanged(self._epoch, self._pending(), blocking)
        if report != self._reported:
            self._reported = report
            self._post(report)
