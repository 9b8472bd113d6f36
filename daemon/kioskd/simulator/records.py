"""Records of all that the simulator received and did, for tests and rehearsals. They are kept in memory."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from kioskd.simulator.auth import Backend
from kioskd.simulator.schema import Setup

_CROSSING_S: Final = 1.0
"""Longest time in seconds for which an answer may cross its cancellation on the way."""


@dataclass(slots=True)
class ConnectionRecord:
    """One WebSocket connection. Times are `time.monotonic()`."""

    number: int
    path: str
    """The request's path, without the query, which may hold the key."""
    session: str | None = None
    """The id of the session, once there is one."""
    resumed: bool = False
    closed_at: float | None = None
    close_sent: int | None = None
    """The WebSocket close code that the simulator sent; None after an abort."""
    close_received: int | None = None
    """The client's close code; None if it sent none."""


@dataclass(slots=True)
class ReceivedPicture:
    """A picture as it was received."""

    at: float
    mime: str
    data: bytes = field(repr=False)
    way: Literal["realtime", "content", "answer"] = "realtime"
    """Way of the picture: a frame of video, a part of client content, or a part of a function's response."""
    size: tuple[int, int] | None = None
    """Width and height in pixels; None if the header does not say them."""
    turn: int | None = None
    """Index in the session's `turns` of the turn in which the model first saw it; None if it did not."""


@dataclass(slots=True)
class VisitorTurn:
    """An input of the visitor, and the model's answer."""

    kind: Literal["speech", "text", "content", "answer"]
    """`answer`: no input of the visitor, but results of functions for which the model did not wait."""
    ended_at: float
    audio_bytes: int
    """Audio of the turn, by the session's turn coverage."""
    seen: list[ReceivedPicture] = field(default_factory=list)
    """Pictures of the turn: by the session's turn coverage, from client content, or from functions."""
    reply: Literal["none", "spoken", "silent", "interrupted"] = "none"
    reply_s: float = 0.0
    """Seconds of sound sent."""

    @property
    def pictures(self) -> int:
        """Number of pictures of the turn."""
        return len(self.seen)


@dataclass(slots=True)
class CallRecord:
    """A function call, and the client's answers."""

    id: str
    name: str
    connection: int
    made_at: float
    blocking: bool
    """Whether the model waited for the answer before anything else."""
    state: Literal["open", "answered", "cancelled", "given_up", "lost"] = "open"
    """`given_up`: the model waits no longer. `lost`: the connection ended before the answer."""
    cancelled_at: float | None = None
    answered_at: list[float] = field(default_factory=list)
    results: list[Mapping[str, Any]] = field(default_factory=list, repr=False)
    """Contents of the answers."""
    audio_bytes: int = 0
    """Audio that arrived while the model waited for the answer."""
    wanted: str = ""
    """Text that the answer must contain, in its JSON."""

    def complaint(self) -> str | None:
        """Return the fault of the client's answer; None if there is none.

        Right is one answer, or none to a cancelled call. An answer may cross its cancellation on the way.
        """
        if len(self.answered_at) > 1:
            return f"{self.name} was answered {len(self.answered_at)} times"
        if not self.answered_at and self.state in {"open", "given_up"}:
            return f"{self.name} was never answered"
        if self.cancelled_at is not None and any(
            at - self.cancelled_at > _CROSSING_S for at in self.answered_at
        ):
            return f"{self.name} was answered although it was cancelled"
        if self.answered_at and self.wanted not in json.dumps(self.results, ensure_ascii=False):
            return f"the answer of {self.name} lacks what it must hold"
        return None


@dataclass(slots=True)
class SessionRecord:
    """A session over all its connections."""

    id: str
    model: str
    backend: Backend
    setups: list[Setup] = field(default_factory=list, repr=False)
    """Setup messages, one for each connection."""
    audio: bytearray = field(default_factory=bytearray, repr=False)
    """All received audio in order, without the part that a transparent resumption sends again."""
    pictures: list[ReceivedPicture] = field(default_factory=list)
    texts: list[str] = field(default_factory=list, repr=False)
    """Texts of realtime input and client content."""
    initial_history: list[tuple[str, str]] = field(default_factory=list, repr=False)
    """Earlier conversation that the client sent: (role, text)."""
    turns: list[VisitorTurn] = field(default_factory=list)
    tool_responses: list[str] = field(default_factory=list)
    """Ids of the answered calls."""
    calls: list[CallRecord] = field(default_factory=list)
    """All function calls in order."""
    unknown_answers: list[str] = field(default_factory=list)
    """Ids in answers over a connection on which they were not called."""
    context_updates: int = 0
    """Number of context updates."""
    tokens: Counter[str] = field(default_factory=Counter)
    """Tokens of the context by modality; each turn is billed for all of them."""

    @property
    def complaints(self) -> list[str]:
        """Faults of the answers to calls."""
        found = [complaint for call in self.calls if (complaint := call.complaint()) is not None]
        return found + ["an answer came for a call that was not made"] * len(self.unknown_answers)

    def show_pictures(self, pictures: Iterable[ReceivedPicture], turn: VisitorTurn) -> None:
        """Record that the model sees these pictures in `turn`, which is one of `turns`."""
        index = next(index for index, each in enumerate(self.turns) if each is turn)
        for picture in pictures:
            turn.seen.append(picture)
            if picture.turn is None:
                picture.turn = index
