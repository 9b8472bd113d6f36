"""Running the model's tool calls. An answer goes only over the connection that its call came from.

    take ─► tool is running ─► answers ─► the connection
                 │
                 └─► that connection has ended ─► text over the next one, in a quiet moment

The tools themselves keep deadlines, rates and guards. The runner answers every call once. A lost connection
loses no result, and a resumed session repeats no action.
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
"""The most calls that run at once. Further calls are answered with "busy"."""
MOST: Final = 64
"""The most calls that run, or whose answer waits. Further calls get no answer.

It is also the most calls that are remembered after the model got their result.
"""
AT_A_TIME: Final = 4
"""The most late results in one text."""
LINGER_S: Final = 5.0
"""The most seconds that the model may take to speak of an answer. Until then no rollover takes place."""


class ToolExecutor(Protocol):
    """Runs tools."""

    def terms(self, name: str) -> CallTerms:
        """Return the rules for the tool called `name`; some rules also for an unknown tool."""

    async def call(
        self, call: ToolCall, *, turn: int, conversation: int, begun: Callable[[], None]
    ) -> CallOutcome:
        """Run one call, and return its outcome. A failure is an outcome, too. Keeps the tool's deadline.

        `begun` is called when the call is allowed, before it has any effect.

        Cancelling ends the call soon.
        """


class ToolRunner:
    """Runs the calls of all connections in turn; a `live_link.ConnectionUser`. `run` must be running."""

    def __init__(
        self,
        toolbox: ToolExecutor,
        post: Callable[[Event], None],
        clock: Clock,
        *,
        tell: Callable[[str | bytes], bool],
    ) -> None:
        """`tell` sends a text or a picture over the present connection. It returns False if it cannot now."""
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
        """The conversation, as the core knows it."""
        self.turn = 0
        """The number of the visitor's turn. Limits for one turn start again with the next."""
        self.counts: Counter[str] = Counter()
        """All calls since the start, by status; and how many were cancelled."""

    def connect(self, connection: Connection, epoch: int) -> None:
        """Use a connection. Only its own calls are answered over it."""
        self._connection, self._epoch = connection, epoch
        self._report()
        self._tell_late()

    def disconnect(self) -> None:
        """Stop using the connection. Results that the model has not spoken of yet go over the next one."""
        self._connection = None
        for work in tuple(self._works):
            if work.stage is CallStage.WORKING:
                continue
            if work.stage is not CallStage.WRITTEN and work.was_done:
                work.stage = CallStage.DONE
            else:
                self._works.remove(work)

    def take(self, message: Message) -> None:
        """Start or stop the calls in a message. Ignore other messages. Returns at once."""
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
        """End the conversation when the model has said goodbye."""
        self._post(EndRequested(self._epoch))

    def observe(
        self, _now: float, event: Event, before: State, after: State, _effects: tuple[Effect, ...]
    ) -> None:
        """Note one step; see `engine.Observer`."""
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
            # Our detection may miss a soft voice, or a pause between voices. The service's turns count, too.
            case TurnEnded(epoch=self._epoch) | ReplyInterrupted(epoch=self._epoch) if not self._pending():
                self.turn += 1
            case ReplyBegan(epoch=self._epoch):
                self._settle()
            case HandleIssued(epoch=self._epoch):
                # No handle is issued during a call. A session resumed with this one knows all answered calls.
                self._deeds.keep_only(lambda work: work in self._works and not work.known_to_model)
                if all(work.terms.scheduling == "silent" for work in self._works if work.known_to_model):
                    self._settle()
        self._tell_late()

    async def run(self) -> NoReturn:
        """Work until cancelled; then cancel the running calls."""
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
            log.warning("tool call gets no answer, too many wait: waiting=%d", waiting)
        elif call.fault:
            self.counts["refused"] += 1
            self._finish(work, unreadable(call.fault))
        elif (late := like(call, self._late())) is not None:
            late.call, late.epoch, late.turn = call, self._epoch, self.turn
            self._ready.set()
        elif (deed := self._deeds.repeated(call, self._epoch)) is not None:
            log.info("a resumed session repeats a tool call, not run again: epoch=%d", self._epoch)
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
        """End a call without an answer. It stays in the deed log: the session may resume from before it."""
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
        """Send the results of the present connection's calls."""
        connection = self._connection
        due = [work for work in self._present() if work.stage is CallStage.DONE]
        if connection is None or not due:
            return
        try:
            await connection.answer([work.answer() for work in due])
        except LinkLost as error:
            # The reader reports the loss. Some answers may be lost, so all go over the next one.
            log.debug("tool answers not sent: calls=%d cause=%s", len(due), error)
            if self._connection is connection:
                self._connection = None
            return
        if self._connection is connection:  # else it was left meanwhile, and arrivals are unknown, too
            for work in due:
                work.stage = CallStage.ANSWERED
            oldest = [work for work in self._works if work.known_to_model][:-MOST]
            self._works = [work for work in self._works if work not in oldest]
            self._linger()

    def _tell_late(self) -> None:
        """Send results of calls of earlier connections as text, in a quiet moment."""
        if self._connection is None or any(work.known_to_model for work in self._works):
            return
        done = [work for work in self._late() if work.stage is CallStage.DONE]
        nothing = [work for work in done if not work.was_done]  # the model does not miss these
        self._works = [work for work in self._works if work not in nothing]
        ready = [work for work in done if work.was_done and self._opportune(work)]
        if not ready:
            return
        ready = ready[:AT_A_TIME]
        for work in ready:
            if work.picture is not None:
                self._tell(work.picture)
        if not self._tell(late_text(ready)):
            return  # retried at the next step of the core
        log.info("late tool results sent as text: calls=%d epoch=%d", len(ready), self._epoch)
        for work in ready:
            work.stage = CallStage.WRITTEN
        self._linger()
        self._report()

    def _opportune(self, work: RunningCall) -> bool:
        if self._turn.voice:
            return False
        if work.terms.scheduling == "interrupt" or self._turn.phase is TurnPhase.LISTENING:
            return True
        # A newer question is answered first. But the visitor may wait for this very result.
        return self._turn.phase is TurnPhase.THINKING and work.turn == self.turn

    def _linger(self) -> None:
        if self._turn.leaving:  # the model's next words are its goodbye, and need not wait
            self._settle()
            return
        if self._lingering is not None:
            self._lingering.cancel()
        self._lingering = self._clock.call_later(LINGER_S, self._linger_no_more)

    def _linger_no_more(self) -> None:
        self._settle()
        self._tell_late()

    def _settle(self) -> None:
        """Stop waiting for the model to speak of results."""
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
        # Results that wait for a quiet moment must not prevent that moment.
        return sum(work.epoch == self._epoch or work.stage is not CallStage.DONE for work in self._works)

    def _report(self) -> None:
        if not self._turn.awake:
            return
        blocking = sum(work.terms.blocking and not work.known_to_model for work in self._present())
        report = CallsChanged(self._epoch, self._pending(), blocking)
        if report != self._reported:
            self._reported = report
            self._post(report)
