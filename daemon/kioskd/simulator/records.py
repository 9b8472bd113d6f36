"""What the stand-in remembers: for whoever checks a rehearsal afterwards. Grows with it, and ends with it."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from kioskd.simulator.auth import Backend
from kioskd.simulator.schema import Setup

_CROSSING_S: Final = 1.0
"""So long after its cancellation an answer may have been on its way."""


@dataclass(slots=True)
class ConnectionRecord:
    """One WebSocket connection. Times are `time.monotonic()`."""

    number: int
    opened_at: float
    path: str
    """Without the query, which may hold the key."""

    session: str | None = None
    """The session's id, once there is one."""

    resumed: bool = False
    closed_at: float | None = None
    close_sent: int | None = None
    """The WebSocket close code that the stand-in sent; None after an abort."""

    close_received: int | None = None
    """The client's; None where it left without a word."""


@dataclass(slots=True)
class ReceivedPicture:
    """One picture as it came."""

    at: float
    mime: str
    data: bytes = field(repr=False)
    way: Literal["realtime", "content", "answer"] = "realtime"
    """As a frame of video, as a part of what was written, or with what a function has answered."""
    size: tuple[int, int] | None = None
    """Width and height in pixels; None where the header does not say."""
    turn: int | None = None
    """The place, in the session's `turns`, of the turn that the model first had it in; None: it has not seen it."""


@dataclass(slots=True)
class VisitorTurn:
    """What the visitor said or asked, and how the model took it."""

    kind: Literal["speech", "text", "content", "answer"]
    """`answer`: no visitor's, but what came of functions that the model had not waited for."""
    ended_at: float
    audio_bytes: int
    """Audio that belongs to the turn, by the session's turn coverage."""

    seen: list[ReceivedPicture] = field(default_factory=list)
    """Pictures that the model had new before it when it answered: by the turn coverage, written, or from functions."""

    reply: Literal["none", "spoken", "silent", "interrupted"] = "none"
    reply_s: float = 0.0
    """Seconds of sound sent."""

    @property
    def pictures(self) -> int:
        """How many pictures belong to it."""
        return len(self.seen)


@dataclass(slots=True)
class CallRecord:
    """One function call, and how it was dealt with."""

    id: str
    name: str
    connection: int
    made_at: float
    blocking: bool
    """Whether the model waited for the answer before anything else."""
    state: Literal["open", "answered", "cancelled", "given_up", "lost"] = "open"
    """`given_up`: the model has waited long enough. `lost`: its connection ended first."""
    cancelled_at: float | None = None
    answered_at: list[float] = field(default_factory=list)
    results: list[Mapping[str, Any]] = field(default_factory=list, repr=False)
    """What came as answers."""
    audio_bytes: int = 0
    """Audio that came while the call held the model up."""

    def complaint(self) -> str | None:
        """Return what was wrong with how the client dealt with it; None: each call is answered once, or was cancelled.

        An answer may cross its cancellation on the way.
        """
        if len(self.answered_at) > 1:
            return f"{self.name} was answered {len(self.answered_at)} times"
        if not self.answered_at and self.state in {"open", "given_up"}:
            return f"{self.name} was never answered"
        if self.cancelled_at is not None and any(
            at - self.cancelled_at > _CROSSING_S for at in self.answered_at
        ):
            return f"{self.name} was answered though it was cancelled"
        return None


@dataclass(slots=True)
class SessionRecord:
    """One session over all its connections."""

    id: str
    model: str
    backend: Backend
    setups: list[Setup] = field(default_factory=list, repr=False)
    """One a connection."""

    audio: bytearray = field(default_factory=bytearray, repr=False)
    """Every byte of audio received, in order; without what a transparent resumption has taken back."""

    pictures: list[ReceivedPicture] = field(default_factory=list)
    texts: list[str] = field(default_factory=list, repr=False)
    """Typed input, from realtime text and client content."""

    recall: list[tuple[str, str]] = field(default_factory=list, repr=False)
    """Who said what before the session began, as its client told: (role, text)."""

    turns: list[VisitorTurn] = field(default_factory=list)
    tool_responses: list[str] = field(default_factory=list)
    """The ids of the answered calls."""

    calls: list[CallRecord] = field(default_factory=list)
    """Every call of a function, in order."""

    strays: list[str] = field(default_factory=list)
    """Ids that were answered on a connection that had not called them."""

    updates: int = 0
    """How many context updates came."""

    tokens: Counter[str] = field(default_factory=Counter)
    """The context by modality: what each turn bills again."""

    @property
    def complaints(self) -> list[str]:
        """What was wrong with how calls were answered; empty when all was well."""
        found = [complaint for call in self.calls if (complaint := call.complaint()) is not None]
        return found + ["an answer came for a call that was not made"] * len(self.strays)

    def show(self, pictures: Iterable[ReceivedPicture], turn: VisitorTurn) -> None:
        """The model has these new before it in `turn`, which is one of `turns`."""
        place = next(place for place, each in enumerate(self.turns) if each is turn)
        for picture in pictures:
            turn.seen.append(picture)
            if picture.turn is None:
                picture.turn = place


def ignore(_kind: str, _data: dict[str, object]) -> None:
    """Observe nothing."""


class Notices:
    """Tells what happens, as it happens, and lets others wait for it."""

    def __init__(self, observe: Callable[[str, dict[str, object]], None]) -> None:
        self._observe = observe
        self._told: dict[str, list[dict[str, object]]] = {}
        self._waiting: list[tuple[str, int, asyncio.Future[dict[str, object]]]] = []

    def tell(self, kind: str, **data: object) -> None:
        """Report that `kind` happened. `data` holds lengths and ids, never contents."""
        data["t"] = time.monotonic()
        told = self._told.setdefault(kind, [])
        told.append(data)
        self._observe(kind, data)
        for wanted, nth, future in self._waiting:
            if wanted == kind and nth == len(told) and not future.done():
                future.set_result(data)

    async def wait_for(self, kind: str, nth: int) -> dict[str, object]:
        """Return the data of the nth notice of this kind, which may be past; the caller sets the deadline."""
        told = self._told.get(kind, [])
        if len(told) >= nth:
            return told[nth - 1]
        future: asyncio.Future[dict[str, object]] = asyncio.get_running_loop().create_future()
        entry = (kind, nth, future)
        self._waiting.append(entry)
        try:
            return await future
        finally:
            self._waiting.remove(entry)
