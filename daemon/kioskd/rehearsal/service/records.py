"""What the stand-in remembers: for whoever checks a rehearsal afterwards. Grows with it, and ends with it."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from kioskd.rehearsal.service.door import Backend
from kioskd.rehearsal.service.schema import Setup


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


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture as it came."""

    at: float
    mime: str
    data: bytes = field(repr=False)


@dataclass(slots=True)
class Turn:
    """What the visitor said or asked, and how the model took it."""

    kind: Literal["speech", "text", "content"]
    ended_at: float
    audio_bytes: int
    """Audio that belongs to the turn, by the session's turn coverage."""

    pictures: int
    """Pictures that belong to it, likewise."""

    reply: Literal["none", "spoken", "silent", "interrupted"] = "none"
    reply_s: float = 0.0
    """Seconds of sound sent."""


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

    pictures: list[Picture] = field(default_factory=list)
    texts: list[str] = field(default_factory=list, repr=False)
    """Typed input, from realtime text and client content."""

    recall: list[tuple[str, str]] = field(default_factory=list, repr=False)
    """Who said what before the session began, as its client told: (role, text)."""

    turns: list[Turn] = field(default_factory=list)
    tool_responses: list[str] = field(default_factory=list)
    """The ids of the answered calls."""

    updates: int = 0
    """How many context updates came."""

    tokens: Counter[str] = field(default_factory=Counter)
    """The context by modality: what each turn bills again."""


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
