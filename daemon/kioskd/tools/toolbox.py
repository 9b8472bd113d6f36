"""Carries out calls of tools: it checks each call, limits it, and always returns an answer."""

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple, NoReturn

from kioskd import ports
from kioskd.errors import KioskError
from kioskd.tools.arguments import Arguments
from kioskd.tools.call_counts import CallCounts, CallsToday, DayCounts
from kioskd.tools.contract import Declaration, Guarded, ToolResult, failed, hide, refused, unfit
from kioskd.tools.guard import Guard
from kioskd.tools.json_text import encode
from kioskd.tools.template import fill
from kioskd.tools.waiting import stay, within

log = logging.getLogger(__name__)

LONGEST_SPOKEN: Final = 60
"""Longest argument, in characters, within a spoken question."""


class Offer(NamedTuple):
    """A tool that the model is allowed to call by one name."""

    declaration: Declaration
    tool: Guarded


class Toolbox:
    """All tools of this kiosk, each behind its guard.

    `confirm` asks a person to press the button, and returns whether the press came. Its arguments are the
    tool's name and its `confirm_text` (empty without one). `day` counts the calls of tools with a daily
    limit. Without `day` they are counted as long as the process lives.
    """

    def __init__(
        self,
        tools: Sequence[Guarded],
        *,
        clock: ports.Clock,
        confirm: Callable[[str, str], Awaitable[bool]],
        day: CallsToday | None = None,
    ) -> None:
        # Tools that the owner names take precedence over tools that servers name, whatever their order.
        self._tools = sorted(tools, key=lambda tool: not tool.source.declarations)
        self._clock = clock
        self._confirm = confirm
        self._counts = CallCounts(day or DayCounts())
        self._running: Counter[str] = Counter()
        self._asking: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._denied: dict[str, tuple[int, int]] = {}
        """The conversation and turn in which a person last did not allow a tool."""
        self._checks: dict[str, tuple[Declaration, Arguments]] = {}
        self._clashes: set[str] = set()
        for declaration in self.declarations():
            self._check(declaration)

    def declarations(self) -> tuple[Declaration, ...]:
        """Return the tools that the model is allowed to call now. A server not reached yet has none."""
        return tuple(offer.declaration for offer in self._offers().values())

    def offer(self, name: str) -> Offer | None:
        """Return the tool of this name; None if there is none."""
        return self._offers().get(name)

    @property
    def conditions(self) -> list[str]:
        """The conditions of the tools that have one to tell."""
        return [words for tool in self._tools if (words := tool.source.condition)]

    async def call(
        self,
        name: str,
        arguments: Mapping[str, object],
        *,
        turn: int,
        conversation: int,
        begun: Callable[[], None] = lambda: None,
    ) -> ToolResult:
        """Carry out one call and return its result, whose JSON fits into the guard's `result_bytes`.

        `begun` is called after the call was allowed and before the tool starts. Faults of any kind become
        results. Cancelling ends everything that the call has started, and then there is no result.
        """
        offer = self.offer(name)
        if offer is None:
            log.warning("tool call rejected, no tool has this name: length=%d", len(name))
            return refused("there is no such tool")
        began, when = self._clock.now(), (conversation, turn)
        fault = self._fault(offer, arguments, when)
        result = self.bounded(fault or await self._guarded(offer, arguments, begun, when), offer.tool)
        took = self._clock.now() - began
        log.info("tool called: name=%s status=%s took=%.1fs", name, result.status, took)
        return result

    async def ready(self) -> None:
        """Return after each tool's first attempt to find out what it offers; `run` must be running."""
        for tool in self._tools:
            await tool.source.ready()

    async def run(self) -> NoReturn:
        """Keep the tools' connections until cancelled. The caller runs it as a task."""
        async with asyncio.TaskGroup() as group:
            for number, tool in enumerate(self._tools):
                group.create_task(tool.source.run(), name=f"tool {number}")
        await stay()

    def _offers(self) -> dict[str, Offer]:
        """Return the tools by name. The first one to use a name keeps it.

        The settings rule out equal names, but servers name their tools later.
        """
        offers: dict[str, Offer] = {}
        for tool in self._tools:
            for declaration in tool.source.declarations:
                if declaration.name not in offers:
                    offers[declaration.name] = Offer(declaration, tool)
                elif declaration.name not in self._clashes:
                    self._clashes.add(declaration.name)
                    log.warning(
                        "tool left out, another tool has its name: name=%s; give its server a prefix",
                        declaration.name,
                    )
        return offers

    def _check(self, declaration: Declaration) -> Arguments:
        known = self._checks.get(declaration.name)
        if known is None or known[0] is not declaration:
            known = (declaration, Arguments(declaration.parameters))
            self._checks[declaration.name] = known
        return known[1]

    def _fault(
        self, offer: Offer, arguments: Mapping[str, object], when: tuple[int, int]
    ) -> ToolResult | None:
        """Return why a call is not let in; None if it is let in, and counted."""
        name, guard = offer.declaration.name, offer.tool.guard
        if fault := self._check(offer.declaration).fault(arguments):
            return refused(f"the arguments do not fit: {fault}")
        if self._running[name] >= guard.at_once:
            return ToolResult("busy", "it is still busy with an earlier call; wait for it", retryable=True)
        sameness = f"{name}({encode(dict(arguments), in_order=True)}"
        if fault := self._counts.enter(name, guard, sameness, when):
            log.warning("tool call rejected, the tool was called too often: name=%s", name)
            return refused(fault)
        return None

    async def _guarded(
        self, offer: Offer, arguments: Mapping[str, object], begun: Callable[[], None], when: tuple[int, int]
    ) -> ToolResult:
        name, guard = offer.declaration.name, offer.tool.guard
        self._running[name] += 1
        try:
            if guard.confirm == "button" and not await self._allowed(name, guard, arguments, when):
                return refused("the button was not pressed to allow it; do not call it again unless asked to")
            if guard.dry_run:
                return ToolResult("ok", "dry run: the call was checked and allowed, but not carried out")
            begun()
            return await self._carried_out(offer, arguments)
        finally:
            self._running[name] -= 1

    async def _allowed(
        self, name: str, guard: Guard, arguments: Mapping[str, object], when: tuple[int, int]
    ) -> bool:
        """Ask for a press of the button.

        After a denial it does not ask again in the same turn, so that the model cannot wear people down.
        """
        async with self._asking[name]:
            if self._denied.get(name) == when:
                return False
            allowed = await self._confirm(name, fill(guard.confirm_text or "", arguments, _spoken))
            if not allowed:
                self._denied[name] = when
            return allowed

    async def _carried_out(self, offer: Offer, arguments: Mapping[str, object]) -> ToolResult:
        declaration, deadline_s = offer.declaration, offer.tool.guard.deadline_s
        try:
            call = offer.tool.source.call(declaration.name, arguments)
            return await within(self._clock, deadline_s, call)
        except TimeoutError:
            unsure = "" if declaration.repeatable else "; it is not known whether it was done"
            return ToolResult(
                "timeout",
                f"it took longer than {deadline_s:g} s and was stopped{unsure}",
                retryable=declaration.repeatable,
            )
        except KioskError as err:
            log.warning("tool failed: name=%s error=%s", declaration.name, err)
            return failed("it is out of order at the moment", retryable=declaration.repeatable)
        except asyncio.CancelledError as err:
            # The call itself was cancelled, or the tool has let out a CancelledError of its own. In the
            # second case the caller still waits for an answer.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            return _broken(declaration, err)
        except Exception as err:  # noqa: BLE001 - an owner's package may raise anything
            return _broken(declaration, err)

    @staticmethod
    def bounded(result: ToolResult, tool: Guarded) -> ToolResult:
        """Return `result` without secrets, or a failure if its data cannot be sent."""
        if (fault := unfit(result.data)) is not None:
            return failed(fault)
        data, message = hide(result.data, tool.secrets), str(hide(result.message, tool.secrets))
        return replace(result, data=data, message=message)


def _spoken(_name: str, value: str) -> str:
    """Return an argument for speech: one short line without invisible characters."""
    plain = "".join(letter if letter.isprintable() else " " for letter in value[: 4 * LONGEST_SPOKEN])
    return " ".join(plain.split())[:LONGEST_SPOKEN]


def _broken(declaration: Declaration, err: BaseException) -> ToolResult:
    # Only the type is logged: the text can hold an argument, an answer or a secret.
    log.error("tool has a bug: name=%s type=%s", declaration.name, type(err).__name__)
    return failed("it is broken; tell the visitor that it does not work")
