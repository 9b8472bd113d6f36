"""Finds out which tools the service rejects, by dialing with different sets of tools.

A service that rejects a setup names the tool by its number at best. Each dial declares a set of tools, and
the answer says whether the service accepts the set:

1. The tools that the reasons name are left out. After several reasons in turn, only the last one is proven,
and the tools of the others are tried again.
2. If no reason names a tool, or if leaving them out does not help, no tool is declared. If the service
rejects this, too, the tools are not the cause.
3. From the empty set the set grows by halves. A tool is left out if the service rejects it alone, beside the
accepted ones.

A tool stays left out as long as the process lives and its declaration is the same.
"""

import enum
import hashlib
import json
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from kioskd import journal_ids
from kioskd.ports import Tool

log = logging.getLogger(__name__)

MOST_DIALS: Final = 60
"""Most dials of one search. Tools that are not tried by then are left out."""
MOST_FUNCTIONS: Final = 512
"""Most functions that the service accepts in one session."""

_NUMBER: Final = re.compile(r"function_?declarations\[(\d+)\]", re.IGNORECASE)
_NAMED: Final = re.compile(r"[`'\"]([A-Za-z_][\w.:-]*)[`'\"]|declaration found: ([A-Za-z_][\w.:-]*)")


@dataclass(frozen=True, slots=True)
class GoogleSearch:
    """The service's own search, in the form of a `ports.Tool`: a model can reject it beside functions."""

    name: str = "google_search"
    description: str = ""
    parameters: Mapping[str, object] = field(default_factory=dict)
    blocking: bool = False


GOOGLE_SEARCH: Final = GoogleSearch()


@dataclass(frozen=True, slots=True)
class OmittedTool:
    """A tool that is no longer declared to the service."""

    name: str
    place: str
    """The place where the owner has set the tool; empty if it is not known."""
    why: str
    """The service's reason, in its words."""


class TrialPhase(enum.Enum):
    """How far a search has come."""

    WITHOUT_NAMED = enum.auto()
    WITHOUT_ANY = enum.auto()
    GROWING = enum.auto()


@dataclass(slots=True)
class _Search:
    keys: tuple[str, ...]
    """Declarations to search, in their order."""
    phase: TrialPhase = TrialPhase.WITHOUT_NAMED
    named: list[str] = field(default_factory=list)
    last_named: int = 0
    """Number of tools that the last reason has named; they are the last ones in `named`."""
    good: tuple[str, ...] = ()
    """The largest set that the service has accepted."""
    chunks: list[tuple[str, ...]] = field(default_factory=list)
    """Sets that are still to be tried together with the good ones. The first is being tried now."""
    refused: set[frozenset[str]] = field(default_factory=set)
    dials: int = 0
    reason: str = ""
    late: bool = False
    """Whether the service has ended a session after it had accepted the setup. Then only the end of a session
    shows whether the service accepts the tools."""
    pending: "ToolSelection | None" = None
    """The tools of the current session, while `late` is true and the session has not shown its end."""


@dataclass(frozen=True, slots=True)
class ToolSelection:
    """The tools to declare at one dial."""

    tools: tuple[Tool, ...]
    keys: tuple[str, ...] = field(repr=False)


class ToolTrial:
    """Knowledge about the tools, and the search for those that the service rejects."""

    def __init__(self, place: Callable[[str], str] = lambda _name: "") -> None:
        """`place` returns where the owner has set the tool of a name."""
        self._place = place
        self._left_out: dict[str, OmittedTool] = {}
        self._offered: dict[str, Tool] = {}
        self._search: _Search | None = None

    @property
    def left_out(self) -> tuple[OmittedTool, ...]:
        """The offered tools that are not declared."""
        return tuple(self._left_out[key] for key in self._offered if key in self._left_out)

    @property
    def searching(self) -> bool:
        """Whether it is still unknown which tools the service rejects."""
        return self._search is not None

    @property
    def answers_at_once(self) -> bool:
        """Whether a completed setup already shows that the service accepts the tools."""
        return self._search is None or not self._search.late

    def attempt(self, tools: Sequence[Tool], about: str, *, explore: bool = True) -> ToolSelection:
        """Return the tools to declare at the next dial of the service that `about` names.

        Without `explore` it is a set that the service has accepted, if one is known.
        """
        self._offered = {}
        functions = 0
        for tool in tools:
            key = _key(tool, about)
            self._offered[key] = tool
            functions += tool is not GOOGLE_SEARCH
            if functions > MOST_FUNCTIONS and key not in self._left_out:
                self._omit(key, f"at most {MOST_FUNCTIONS} functions can be declared")
        keys = tuple(key for key in self._offered if key not in self._left_out)
        if self._search is not None and self._search.keys != keys:
            self._search = None  # other tools are offered now, so the search starts again
        search = self._search
        if search is not None:
            keys = self._next(search) if explore else search.good
        return ToolSelection(tuple(self._offered[key] for key in keys), keys)

    def accepted(self, attempt: ToolSelection) -> None:
        """Note that the service has set up a session with these tools."""
        search = self._search
        if search is not None and search.late:
            search.pending = attempt
        elif search is not None:
            self._prove(search, attempt)

    def session_ended(self) -> None:
        """Note that the session is over, and that the service did not end it because of its setup."""
        search = self._search
        if search is not None and search.pending is not None:
            pending, search.pending = search.pending, None
            self._prove(search, pending)

    def _prove(self, search: _Search, attempt: ToolSelection) -> None:
        declared = set(attempt.keys)
        if search.phase is not TrialPhase.GROWING and not declared:
            search.phase, search.chunks = TrialPhase.GROWING, [search.keys]
        elif search.phase is TrialPhase.WITHOUT_NAMED and declared == set(search.keys) - set(search.named):
            unproven = tuple(search.named[: len(search.named) - search.last_named])
            search.phase, search.good = TrialPhase.GROWING, attempt.keys
            search.chunks = [unproven] if unproven else []
        elif search.chunks and declared == {*search.good, *search.chunks[0]}:
            search.good = attempt.keys
            search.chunks.pop(0)
        self._advance(search)

    def refused(self, attempt: ToolSelection, reason: str, *, late: bool = False) -> bool:
        """Note that the service has rejected the setup. Return whether a dial with other tools may help.

        `late`: the service ended the session soon after its setup.
        """
        if not attempt.keys:
            if self._search is not None:
                log.info("tools are not the cause: the service rejects the session without them, too")
            self._search = None
            return False
        search = self._search
        if search is None:
            log.warning("session rejected, looking for a tool that may be the cause: cause=%s", reason)
            search = self._search = _Search(tuple(key for key in self._offered if key not in self._left_out))
        search.reason, search.late, search.pending = reason, search.late or late, None
        if not late or search.phase is TrialPhase.GROWING:
            # A session can end for another reason, so all tools get another try before one is blamed.
            search.refused.add(frozenset(attempt.keys))
        if search.phase is TrialPhase.WITHOUT_NAMED:
            named = [key for key in self._named(attempt, reason) if key not in search.named]
            search.named += named
            search.last_named = len(named)
            if not named or len(search.named) == len(search.keys) or search.dials >= MOST_DIALS:
                search.phase = TrialPhase.WITHOUT_ANY
        elif set(attempt.keys) == set(search.good):  # the service accepted it before, and now rejects it
            search.chunks.insert(0, search.good)
            search.good = ()
        self._advance(search)
        return True

    def _next(self, search: _Search) -> tuple[str, ...]:
        search.dials += 1
        match search.phase:
            case TrialPhase.WITHOUT_NAMED:
                return tuple(key for key in search.keys if key not in search.named)
            case TrialPhase.WITHOUT_ANY:
                return ()
        wanted = {*search.good, *search.chunks[0]}
        return tuple(key for key in search.keys if key in wanted)

    def _advance(self, search: _Search) -> None:
        """Go on to the next set that was not tried yet; end the search if there is none."""
        if search is not self._search or search.phase is not TrialPhase.GROWING:
            return
        while search.chunks and {*search.good, *search.chunks[0]} in search.refused:
            chunk = search.chunks.pop(0)
            if len(chunk) > 1:
                half = len(chunk) // 2
                search.chunks[:0] = [chunk[:half], chunk[half:]]
        if not search.chunks or search.dials >= MOST_DIALS:
            self._end(search, search.good)

    def _end(self, search: _Search, good: Sequence[str]) -> None:
        self._search = None
        for key in search.keys:
            if key not in good:
                self._omit(key, search.reason)

    def _omit(self, key: str, why: str) -> None:
        name = self._offered[key].name
        left_out = self._left_out[key] = OmittedTool(name, self._place(name), why)
        log.warning(
            "tool left out, the service rejects it: name=%s set_at=%s cause=%s; "
            "simplify its parameters there, or remove the tool",
            left_out.name,
            left_out.place or "(unknown)",
            why,
            extra={"message_id": journal_ids.TOOL_LEFT_OUT},
        )

    def _named(self, attempt: ToolSelection, reason: str) -> list[str]:
        """Return the tools that a reason names."""
        functions = [
            key for key, tool in zip(attempt.keys, attempt.tools, strict=True) if tool is not GOOGLE_SEARCH
        ]
        found = {functions[int(digits)] for digits in _NUMBER.findall(reason) if int(digits) < len(functions)}
        names = {name for pair in _NAMED.findall(reason) for name in pair if name}
        found |= {key for key in functions if self._offered[key].name in names}
        return [key for key in attempt.keys if key in found]


def _key(tool: Tool, about: str) -> str:
    """Return a hash that identifies one declaration to one service."""
    said = json.dumps([about, tool.name, tool.description, tool.parameters, tool.blocking], default=str)
    return hashlib.sha256(said.encode()).hexdigest()
