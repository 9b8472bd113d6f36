"""The Live service in memory: a script answers the dials, speaks, listens and breaks the connection.

The script's waits have no deadline: put them under `asyncio.timeout`.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from pydantic import SecretStr

from kioskd.errors import KioskError, LinkLost
from kioskd.ports import Connection, Message, SpokenText, ToolAnswer

_KEPT: Final = 10_000
"""Number of sent items and frames that are kept (200 s of frames); older ones are dropped."""


class _Changing:
    """Object whose changes can be awaited."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()

    def _change(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def until(self, holds: Callable[[], object]) -> None:
        """Wait until `holds()` is true; it is checked at each change."""
        while not holds():
            await self._changed.wait()


class ScriptedConnection(_Changing):
    """One connection: the script's side, and the daemon's side as a `ports.Connection`."""

    def __init__(self, *, resumed: bool, recall: Sequence[SpokenText] = ()) -> None:
        super().__init__()
        self.resumed = resumed
        """Whether it resumed the session of the dial's handle."""
        self.recall = tuple(recall)
        """The earlier texts that the new session was given."""
        self.audio: deque[bytes] = deque(maxlen=_KEPT)
        """The frames that the daemon sent."""
        self.backlog = 0
        """Bytes that have not left this machine, set by the script; see `ports.Connection.backlog`."""
        self.written = 0
        """Bytes of the pictures that the daemon sent; see `ports.Connection.written`."""
        self.closed = False
        """Whether the daemon has hung up."""
        self._log: deque[tuple[str, Any]] = deque(maxlen=_KEPT)
        self._counts: Counter[str] = Counter()
        self._taken_in: int | None = None
        self._arrived: int | None = None
        self._inbox: deque[tuple[Message, ...]] = deque(maxlen=_KEPT)
        self._lost: LinkLost | None = None
        self._reading = False
        self._stalled = False

    @property
    def sent(self) -> list[str]:
        """The kinds of sent items, in order: `audio`, `begin`, `end`, `picture`, `show`, `answer`, `text`,
        `context`."""
        return [kind for kind, _ in self._log]

    @property
    def texts(self) -> list[str]:
        """The texts that the daemon sent."""
        return self._all("text")

    @property
    def contexts(self) -> list[str]:
        """The texts that the daemon put into the model's memory."""
        return self._all("context")

    @property
    def pictures(self) -> list[bytes]:
        """The pictures that the daemon sent."""
        return self._all("picture")

    @property
    def shown(self) -> list[bytes]:
        """The pictures that the daemon put into the model's memory."""
        return [jpeg for jpegs in self._all("show") for jpeg in jpegs]

    @property
    def answers(self) -> list[ToolAnswer]:
        """The answers to tool calls, with their pictures."""
        return [answer for answers in self._all("answer") for answer in answers]

    @property
    def audio_begins(self) -> int:
        """How often the daemon reported the beginning of a visitor's turn."""
        return self._counts["begin"]

    @property
    def audio_ends(self) -> int:
        """How often the daemon reported a pause of the microphone."""
        return self._counts["end"]

    def stall(self) -> None:
        """Accept nothing more: senders wait without a deadline until `go_on`, a loss, or the end."""
        self._stalled = True

    def go_on(self) -> None:
        """Accept everything again, waiting items first."""
        self._stalled = False
        self._change()

    def say(self, *messages: Message) -> None:
        """Send one message of the service that contains all of `messages`."""
        self._inbox.append(messages)
        self._change()

    def drop(self, error: LinkLost | None = None) -> None:
        """Break the connection: earlier messages can still be received, then every call raises `error`."""
        self._lost = error or LinkLost("Live service lost: dropped by the script; dialing again")
        self._change()

    async def heard(self, byte_count: int) -> bytes:
        """Wait for at least `byte_count` bytes of audio, and return all that came."""
        await self.until(lambda: sum(map(len, self.audio)) >= byte_count)
        return b"".join(self.audio)

    async def hung_up(self) -> None:
        """Wait until the daemon has closed the connection."""
        await self.until(lambda: self.closed)

    @property
    def delivered(self) -> int:
        """Number of frames that the service processed; see `ports.Connection.delivered`."""
        return self._counts["audio"] if self._taken_in is None else self._taken_in

    @delivered.setter
    def delivered(self, frames: int) -> None:
        """Set the number of processed frames. Until it is first set, all frames count as processed."""
        self._taken_in = frames

    @property
    def arrived(self) -> int:
        """Number of pictures' bytes that arrived, set by the script; see `ports.Connection.arrived`."""
        return self.written if self._arrived is None else self._arrived

    @arrived.setter
    def arrived(self, byte_count: int) -> None:
        """Set the number of arrived bytes. Until it is first set, all bytes count as arrived."""
        self._arrived = byte_count

    async def receive(self) -> Sequence[Message]:
        """Return the contents of the next message; see `ports.Connection.receive`."""
        if self._reading:
            raise RuntimeError("receive() has one caller at a time")
        self._reading = True
        try:
            await self.until(lambda: self._inbox or self._lost or self.closed)
        finally:
            self._reading = False
        if not self._inbox:
            self._check()
        return self._inbox.popleft()

    async def send_audio(self, frame: bytes) -> None:
        """Record one frame; see `ports.Connection.send_audio`."""
        await self._take("audio")
        self.audio.append(frame)

    async def begin_audio(self) -> None:
        """Record the beginning of a visitor's turn; see `ports.Connection.begin_audio`."""
        await self._take("begin")

    async def end_audio(self) -> None:
        """Record a pause of the microphone; see `ports.Connection.end_audio`."""
        await self._take("end")

    async def send_picture(self, jpeg: bytes) -> None:
        """Record one picture; see `ports.Connection.send_picture`."""
        await self._take("picture", jpeg)
        self.written += len(jpeg)

    async def show_pictures(self, jpegs: Sequence[bytes]) -> None:
        """Record pictures for the model's memory; see `ports.Connection.show_pictures`."""
        if jpegs:
            await self._take("show", tuple(jpegs))
            self.written += sum(map(len, jpegs))

    async def send_context(self, text: str) -> None:
        """Record a text for the model's memory; see `ports.Connection.send_context`."""
        await self._take("context", text)

    async def answer(self, answers: Sequence[ToolAnswer]) -> None:
        """Record answers to tool calls; see `ports.Connection.answer`."""
        if answers:
            await self._take("answer", tuple(answers))

    async def send_text(self, text: str) -> None:
        """Record one text; see `ports.Connection.send_text`."""
        await self._take("text", text)

    def hang_up(self) -> None:
        """Close the connection from the daemon's side."""
        self.closed = True
        self._change()

    async def _take(self, kind: str, what: object = None) -> None:
        await self.until(lambda: not self._stalled or self._lost or self.closed)
        self._check()
        self._log.append((kind, what))
        self._counts[kind] += 1
        self._change()

    def _all(self, kind: str) -> list[Any]:
        return [what for each, what in self._log if each == kind]

    def _check(self) -> None:
        if self._lost is not None:
            raise self._lost
        if self.closed:
            raise LinkLost("Live service lost: this side has hung up")


class ScriptedDial:
    """Dial that waits for the script's answer."""

    def __init__(
        self, handle: SecretStr | None, recall: Sequence[SpokenText] = (), profile: str = ""
    ) -> None:
        self.profile = profile
        """Name of the visitor's profile."""
        self.handle = handle
        """Handle of the session to resume; None for a new session."""
        self.recall = tuple(recall)
        """Earlier texts for a new session."""
        self._answer: asyncio.Future[ScriptedConnection] = asyncio.get_running_loop().create_future()

    def accept(self) -> ScriptedConnection:
        """Accept the dial, and return its connection."""
        resumed = self.handle is not None
        connection = ScriptedConnection(resumed=resumed, recall=() if resumed else self.recall)
        if self._answer.cancelled():
            connection.hang_up()
        else:
            self._answer.set_result(connection)
        return connection

    def refuse(self, error: KioskError) -> None:
        """End the dial with `error`, mostly a LinkLost with its remedy."""
        if not self._answer.cancelled():
            self._answer.set_exception(error)

    async def answered(self) -> ScriptedConnection:
        """Wait for the script's answer. If cancelled, a connection that was given is closed."""
        try:
            return await self._answer
        except asyncio.CancelledError:
            if not self._answer.cancelled() and self._answer.exception() is None:
                self._answer.result().hang_up()
            raise


class ScriptedLive(_Changing):
    """Live service in which every dial waits for the script's answer; meets `ports.Live`."""

    def __init__(self) -> None:
        super().__init__()
        self.checked = self.warmed_up = False
        """Whether `check` and `warm_up` were called."""
        self.open: list[ScriptedConnection] = []
        """The connections that the daemon has open."""
        self._dials: deque[ScriptedDial] = deque(maxlen=_KEPT)

    async def dialed(self) -> ScriptedDial:
        """Wait for the next dial that the script has not taken yet."""
        await self.until(lambda: self._dials)
        return self._dials.popleft()

    async def accept(self) -> ScriptedConnection:
        """Wait for the next dial, accept it, and return its connection."""
        return (await self.dialed()).accept()

    async def refuse(self, error: KioskError) -> None:
        """Wait for the next dial, and end it with `error`."""
        (await self.dialed()).refuse(error)

    async def check(self) -> None:
        """Record the call; there is nothing to check."""
        self.checked = True

    async def warm_up(self) -> None:
        """Record the call; nothing needs warming up."""
        self.warmed_up = True

    @asynccontextmanager
    async def connect(
        self, handle: SecretStr | None, recall: Sequence[SpokenText] = (), profile: str = ""
    ) -> AsyncIterator[Connection]:
        """Dial, wait for the script's answer, and yield the connection; see `ports.Live.connect`."""
        dial = ScriptedDial(handle, recall, profile)
        self._dials.append(dial)
        self._change()
        try:
            connection = await dial.answered()
        finally:
            if dial in self._dials:  # cancelled before the script took it
                self._dials.remove(dial)
        self.open.append(connection)
        try:
            yield connection
        finally:
            self.open.remove(connection)
            connection.hang_up()
            self._change()
