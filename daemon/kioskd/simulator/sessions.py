"""The service's memory of conversations, and the handles that lead back to them."""

import secrets
import time
from collections import Counter
from dataclasses import dataclass

from kioskd.simulator.auth import Backend
from kioskd.simulator.connection import ClientConnection
from kioskd.simulator.records import SessionRecord
from kioskd.simulator.wire import INTERNAL, INVALID, RefusalError


@dataclass(slots=True)
class _Memory:
    record: SessionRecord
    tokens: Counter[str]
    """The context at the moment the handle was issued: what came after is forgotten with the connection."""

    audio_bytes: int = 0
    """How much audio there was at that moment."""

    handle: str | None = None
    line: ClientConnection | None = None
    left_at: float | None = None


class Sessions:
    """All sessions of the stand-in.

    A session has one handle at a time, which may be used more than once; a new one voids the one before.
    """

    def __init__(self, *, last_s: float, unknown_code: int) -> None:
        self._last_s = last_s
        self._unknown_code = unknown_code
        self._memories: dict[str, _Memory] = {}
        self._by_handle: dict[str, _Memory] = {}

    @property
    def records(self) -> list[SessionRecord]:
        """Every session so far, oldest first."""
        return [memory.record for memory in self._memories.values()]

    def begin(self, model: str, backend: Backend, line: ClientConnection) -> SessionRecord:
        """Return a new session on `line`."""
        record = SessionRecord(secrets.token_hex(8), model, backend)
        self._memories[record.id] = _Memory(record, Counter(), line=line)
        return record

    async def left(self, handle: str) -> None:
        """Wait until what came over the session's last connection, if that is closed, has been heard."""
        memory = self._by_handle.get(handle)
        if memory is not None and memory.line is not None and not memory.line.is_open:
            await memory.line.all_heard()

    def resume(
        self, handle: str, model: str, line: ClientConnection, *, transparent: bool = False
    ) -> SessionRecord:
        """Return the session behind `handle`, on `line` from now on.

        `transparent`: the client sends again what came after the handle was issued, so that is forgotten.

        Raises:
            RefusalError: unknown, void or expired (1008 or 1007, by the script), still connected elsewhere (1011), or
                asked for with another model (1007).
        """
        memory = self._by_handle.get(handle)
        if memory is None or self._expired(memory):
            raise RefusalError(self._unknown_code, "BidiGenerateContent session not found")
        if memory.line is not None and memory.line.is_open:
            raise RefusalError(INTERNAL, "The session is still open on another connection.")
        if memory.record.model != model:
            raise RefusalError(INVALID, "The model cannot be changed when a session is resumed.")
        memory.line, memory.left_at = line, None
        memory.record.tokens = Counter(memory.tokens)
        if transparent:
            del memory.record.audio[memory.audio_bytes :]
        return memory.record

    def issue(self, record: SessionRecord) -> str:
        """Return a new handle for the session as it is now."""
        memory = self._memories[record.id]
        if memory.handle is not None:
            del self._by_handle[memory.handle]
        memory.handle = secrets.token_urlsafe(32)
        memory.tokens = Counter(record.tokens)
        memory.audio_bytes = len(record.audio)
        self._by_handle[memory.handle] = memory
        return memory.handle

    def leave(self, record: SessionRecord, line: ClientConnection) -> None:
        """`line` is over; the session can be resumed for a while."""
        memory = self._memories[record.id]
        if memory.line is line:
            memory.line, memory.left_at = None, time.monotonic()

    def _expired(self, memory: _Memory) -> bool:
        return memory.left_at is not None and time.monotonic() - memory.left_at >= self._last_s
