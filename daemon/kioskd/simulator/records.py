"""What the simulator received and did, for the checks of a test or a rehearsal. All of it is kept in memory."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from kioskd.simulator.auth import Backend
from kioskd.simulator.schema import Setup

_CROSSING_S: Final = 1.0
"""An answer that comes within this time after its cancellation may have been on its way."""


@dataclass(slots=True)
class ConnectionRecord:
    """One WebSocket connection. Times are `time.monotonic()`."""

    number: int
    path: str
    """Without the query, which may hold the key."""
    session: str | None = None
    """The session's id, once there is one."""
    resumed: bool = False
    closed_at: float | None = None
    close_sent: int | None = None
    """The WebSocket close code that the simulator sent; None after an abort."""
    close_received: int | None = None
    """The client's close code; None where it sent no close."""


@dataclass(slots=True)
class ReceivedPicture:
    """One picture as it was received."""

    at: float
    mime: str
    data: bytes = field(repr=False)
    way: Literal["realtime", "content", "answer"] = "realtime"
    """As a frame of video, as a part of client content, or with a function's response."""
    size: tuple[int, int] | None = None
    """Width and height in pixels; None where the header does not say."""
    turn: int | None = None
    """The index, in the session's `turns`, of the turn in which the model first saw it; None: it has not."""


@dataclass(slots=True)
class VisitorTurn:
    """What the visitor said or asked, and how the model answered."""

    kind: Literal["speech", "text", "content", "answer"]
    """`answer`: the model speaks of functions that it had not waited for; the visitor said nothing."""
    ended_at: float
    audio_bytes: int
    """Audio that belongs to the turn, by the session's turn coverage."""
    seen: list[ReceivedPicture] = field(default_factory=list)
    """Pictures that the model saw first in this turn: by the turn coverage, written, or from functions."""
    reply: Literal["none", "spoken", "silent", "interrupted"] = "none"
    reply_s: float = 0.0
    """Seconds of sound sent."""

    @property
    def pictures(self) -> int:
        """How many pictures belong to the turn."""
        return len(self.seen)


@dataclass(slots=True)
class CallRecord:
    """One function call, and how the client answered it."""

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
    """The answers' contents."""
    audio_bytes: int = 0
    """Audio that came while the model waited for the answer."""

    def complaint(self) -> str | None:
        """Return what was wrong with the client's answer; None if the call was answered once, or was cancelled.

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
    """One for each connection."""
    audio: bytearray = field(default_factory=bytearray, repr=False)
    """Every byte of audio received, in order; a transparent resumption removes what will be sent again."""
    pictures: list[ReceivedPicture] = field(default_factory=list)
    texts: list[str] = field(default_factory=list, repr=False)
    """Typed input, from realtime text and client content."""
    initial_history: list[tuple[str, str]] = field(default_factory=list, repr=False)
    """What was said before the session, as the client told: (role, text)."""
    turns: list[VisitorTurn] = field(default_factory=list)
    tool_responses: list[str] = field(default_factory=list)
    """The ids of the answered calls."""
    calls: list[CallRecord] = field(default_factory=list)
    """Every call of a function, in order."""
    unknown_answers: list[str] = field(default_factory=list)
    """Ids that were answered on a connection that had not called them."""
    context_updates: int = 0
    """How many context updates came."""
    tokens: Counter[str] = field(default_factory=Counter)
    """The context's tokens by modality: each turn bills them again."""

    @property
    def complaints(self) -> list[str]:
        """What was wrong with the answers to calls; empty if nothing was."""
        found = [complaint for call in self.calls if (complaint := call.complaint()) is not None]
        return found + ["an answer came for a call that was not made"] * len(self.unknown_answers)

    def show_pictures(self, pictures: Iterable[ReceivedPicture], turn: VisitorTurn) -> None:
        """Note that the model sees these pictures in `turn`, which is one of `turns`."""
        index = next(index for index, each in enumerate(self.turns) if each is turn)
        for picture in pictures:
            turn.seen.append(picture)
            if picture.turn is None:
                picture.turn = index
