"""A connection in front of another one, for tests that watch the calls."""

from collections.abc import Sequence

from kioskd.ports import Connection, Message, ToolAnswer


class ConnectionProxy:
    """Connection that passes every call on; a `ports.Connection`. Subclasses override methods."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def resumed(self) -> bool:
        """See `ports.Connection`."""
        return self._connection.resumed

    @property
    def delivered(self) -> int:
        """See `ports.Connection`."""
        return self._connection.delivered

    @property
    def backlog(self) -> int:
        """See `ports.Connection`."""
        return self._connection.backlog

    @property
    def written(self) -> int:
        """See `ports.Connection`."""
        return self._connection.written

    @property
    def arrived(self) -> int:
        """See `ports.Connection`."""
        return self._connection.arrived

    async def receive(self) -> Sequence[Message]:
        """See `ports.Connection`."""
        return await self._connection.receive()

    async def send_audio(self, frame: bytes) -> None:
        """See `ports.Connection`."""
        await self._connection.send_audio(frame)

    async def begin_audio(self) -> None:
        """See `ports.Connection`."""
        await self._connection.begin_audio()

    async def end_audio(self) -> None:
        """See `ports.Connection`."""
        await self._connection.end_audio()

    async def send_picture(self, jpeg: bytes) -> None:
        """See `ports.Connection`."""
        await self._connection.send_picture(jpeg)

    async def show_pictures(self, jpegs: Sequence[bytes]) -> None:
        """See `ports.Connection`."""
        await self._connection.show_pictures(jpegs)

    async def send_context(self, text: str) -> None:
        """See `ports.Connection`."""
        await self._connection.send_context(text)

    async def answer(self, answers: Sequence[ToolAnswer]) -> None:
        """See `ports.Connection`."""
        await self._connection.answer(answers)

    async def send_text(self, text: str) -> None:
        """See `ports.Connection`."""
        await self._connection.send_text(text)
