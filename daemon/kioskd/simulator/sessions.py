"""The service's sessions, and the handles that resume them."""

import secrets
import time
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from kioskd.simulator.auth import Backend
from kioskd.simulator.connection import ClientConnection
from kioskd.simulator.records import SessionRecord
from kioskd.simulator.schema import Resumption
from kioskd.simulator.wire import INTERNAL, RefusalError


@dataclass(slots=True)
class _Session:
    record: SessionRecord
    tokens: Counter[str]
    """Tokens of the context when the handle was issued; later ones are lost with the connection."""
    audio_bytes: int = 0
    """Length of the audio when the handle was issued."""
    handle: str | None = None
    connection: ClientConnection | None = None
    left_at: float | None = None


class Sessions:
    """All sessions of the simulator.

    A session has one handle at a time, which can be used more than once. A new handle makes the old one
    invalid.
    """

    def __init__(self, *, last_s: float, unknown_code: int) -> None:
        self._last_s = last_s
        self._unknown_code = unknown_code
        self._sessions: dict[str, _Session] = {}
        self._by_handle: dict[str, _Session] = {}

    @property
    def records(self) -> list[SessionRecord]:
        """All sessions so far, oldest first."""
        return [session.record for session in self._sessions.values()]

    def begin(self, model: str, backend: Backend, connection: ClientConnection) -> SessionRecord:
        """Return a new session on `connection`."""
        record = SessionRecord(secrets.token_hex(8), model, backend)
        self._sessions[record.id] = _Session(record, Counter(), connection=connection)
        return record

    async def drained(self, handle: str) -> None:
        """Wait until all messages of the session's last connection are handled, if it is closed."""
        session = self._by_handle.get(handle)
        if session is not None and session.connection is not None and not session.connection.is_open:
            await session.connection.drain()

    def resume(
        self, handle: str, model: str, connection: ClientConnection, *, transparent: bool = False
    ) -> SessionRecord:
        """Return the session of `handle`, and move it to `connection`.

        `transparent`: the client sends all data after the handle again, so the session forgets these data.

        Raises:
            RefusalError: the handle is unknown, invalid or expired (1008 or 1007, by the script), the
                session is still
                on another open connection (1011), or the setup names another model (1007).
        """
        session = self._by_handle.get(handle)
        if session is None or self._expired(session):
            raise RefusalError("BidiGenerateContent session not found", self._unknown_code)
        if session.connection is not None and session.connection.is_open:
            raise RefusalError("The session is still open on another connection.", INTERNAL)
        if session.record.model != model:
            raise RefusalError("The model cannot be changed when a session is resumed.")
        session.connection, session.left_at = connection, None
        session.record.tokens = Counter(session.tokens)
        if transparent:
            del session.record.audio[session.audio_bytes :]
        return session.record

    def issue(self, record: SessionRecord) -> str:
        """Return a new handle for the session as it is now."""
        session = self._sessions[record.id]
        if session.handle is not None:
            del self._by_handle[session.handle]
        session.handle = secrets.token_urlsafe(32)
        session.tokens = Counter(record.tokens)
        session.audio_bytes = len(record.audio)
        self._by_handle[session.handle] = session
        return session.handle

    def leave(self, record: SessionRecord, connection: ClientConnection) -> None:
        """Detach the session from `connection`, which is over; it can be resumed for a while."""
        session = self._sessions[record.id]
        if session.connection is connection:
            session.connection, session.left_at = None, time.monotonic()

    def forget(self, ids: Collection[str]) -> None:
        """Forget these sessions and their handles, except those on a connection."""
        for name in ids:
            session = self._sessions.get(name)
            if session is not None and session.connection is None:
                del self._sessions[name]
                self._by_handle.pop(session.handle or "", None)

    def _expired(self, session: _Session) -> bool:
        return session.left_at is not None and time.monotonic() - session.left_at >= self._last_s


class ResumptionUpdates:
    """Sends a client the handle that resumes its session, if the client asked for handles."""

    def __init__(
        self,
        connection: ClientConnection,
        session: SessionRecord,
        sessions: Sessions,
        wanted: Resumption | None,
    ) -> None:
        self._connection = connection
        self._session = session
        self._sessions = sessions
        self._wanted = wanted
        self.messages_handled = 0
        """Number of the client's messages that were handled, without the setup."""

    async def send_handle(self) -> None:
        """Send a new handle."""
        if self._wanted is None:
            return
        update: dict[str, object] = {"newHandle": self._sessions.issue(self._session), "resumable": True}
        if self._wanted.transparent:
            # 64-bit integers are strings in the service's JSON.
            update["lastConsumedClientMessageIndex"] = str(self.messages_handled)
        self._connection.emit("handle_issued", session=self._session.id)
        await self._connection.send({"sessionResumptionUpdate": update})

    async def send_not_resumable(self) -> None:
        """Tell the client that the session cannot be resumed at present."""
        if self._wanted is not None:
            await self._connection.send({"sessionResumptionUpdate": {"newHandle": "", "resumable": False}})
