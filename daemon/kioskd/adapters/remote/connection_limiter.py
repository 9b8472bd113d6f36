"""Clients of a listening socket: so many at a time and no more, each with deadlines, none of them able to disturb us.

Where a socket knows its users, no user has more than a share of the places, and the daemon's owner has places of their own.
"""

import asyncio
import contextlib
import logging
import socket
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, NoReturn

from kioskd.ports import Clock

log = logging.getLogger(__name__)

RETRY_S: Final = 60.0
"""How often a socket that cannot be made is tried again."""

WRITE_S: Final = 5.0
"""How long a client may leave what it is sent unread, once the buffers are full."""

CLOSE_S: Final = 1.0


class ClientGone(Exception):
    """The client has left, or did not keep a deadline."""


class ClientStream:
    """The way to one client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def option(self, name: int, size: int) -> bytes:
        """Return an option of the client's socket (SOL_SOCKET). OSError: the kernel does not tell."""
        found: bytes = self._writer.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, name, size)
        return found

    async def read_until(self, end: bytes, *, within_s: float) -> bytes:
        """Return what comes up to `end`, which is included.

        ClientGone: the client left, or took longer. ValueError: there is no end within the bound.
        """
        try:
            async with asyncio.timeout(within_s):
                return await self._reader.readuntil(end)
        except (OSError, EOFError) as error:  # TimeoutError is an OSError
            raise ClientGone(type(error).__name__) from error
        except asyncio.LimitOverrunError as error:
            raise ValueError("too long") from error

    async def read(self, size: int, *, within_s: float) -> bytes:
        """Return exactly so many bytes. ClientGone: the client left, or took longer."""
        try:
            async with asyncio.timeout(within_s):
                return await self._reader.readexactly(size)
        except (OSError, EOFError) as error:
            raise ClientGone(type(error).__name__) from error

    async def write(self, data: bytes) -> None:
        """Send `data`. ClientGone: the client left, or does not read."""
        self._writer.write(data)
        try:
            async with asyncio.timeout(WRITE_S):
                await self._writer.drain()
        except OSError as error:
            raise ClientGone(type(error).__name__) from error

    async def close(self) -> None:
        """Send what is still to be sent, within a second, and hang up."""
        client = self._writer.get_extra_info("socket")
        self._writer.close()
        try:
            with contextlib.suppress(OSError):
                async with asyncio.timeout(CLOSE_S):
                    await self._writer.wait_closed()
        finally:
            if client.fileno() >= 0:  # a transport that is gone has forgotten its loop, and cannot be aborted
                self._writer.transport.abort()


@dataclass(frozen=True, slots=True)
class PeerUser:
    """Whose client it is, as far as the kernel tells."""

    uid: int = -1
    owner: bool = False
    """The user may do everything here anyway."""


def error_place(error: Exception) -> str:
    """Return what kind of error it is and where it was raised. Its text may hold what a client has sent."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = "" if trace is None else f" in {trace.tb_frame.f_code.co_qualname}, line {trace.tb_lineno}"
    return f"{type(error).__name__}{place}"


class ConnectionLimiter:
    """Lets clients in."""

    def __init__(
        self,
        name: str,
        clock: Clock,
        *,
        most: int,
        line_bytes: int,
        full: bytes,
        each: int | None = None,
        user_of: Callable[[socket.socket], PeerUser] = lambda _client: PeerUser(),
    ) -> None:
        """Do not listen yet. `name`: what the log calls the socket.

        `most` clients are let in at a time; owners have as many places again. The next client is sent `full`, and left.
        One user who is no owner has `each` places; None: all. `line_bytes` bounds `ClientStream.read_until`.
        """
        self._name = name
        self._clock = clock
        self._most = most
        self._each = most if each is None else each
        self._line_bytes = line_bytes
        self._full = full
        self._user_of = user_of
        self._clients: Counter[PeerUser] = Counter()

    async def open(
        self, listen: Callable[[], socket.socket], attend: Callable[[ClientStream], Awaitable[None]]
    ) -> NoReturn:
        """Have each client attended to, until cancelled.

        `listen` makes the socket; where it cannot (OSError), that is said once and tried again each minute.
        """
        warned = False
        while True:
            try:
                listening = listen()
            except OSError as error:
                if not warned:
                    warned = True
                    log.warning(
                        "%s socket cannot be made, going on without and trying again: %s",
                        self._name,
                        error.strerror or error,
                    )
                await self._clock.sleep(RETRY_S)
                continue
            with listening:
                await self._accept(listening, attend)

    async def _accept(
        self, listening: socket.socket, attend: Callable[[ClientStream], Awaitable[None]]
    ) -> NoReturn:
        listening.setblocking(False)
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            while True:
                try:
                    client, _ = await loop.sock_accept(listening)
                except OSError as error:
                    log.warning("%s: a client could not be let in: %s", self._name, error.strerror or error)
                    await self._clock.sleep(1.0)
                    continue
                user = self._user_of(client)
                if self._has_place(user):
                    self._clients[user] += 1
                    group.create_task(self._attend(client, user, attend))
                else:
                    with client, contextlib.suppress(OSError):
                        client.send(self._full)

    def _has_place(self, user: PeerUser) -> bool:
        same = sum(count for other, count in self._clients.items() if other.owner is user.owner)
        return same < self._most and (user.owner or self._clients[user] < self._each)

    async def _attend(
        self, client: socket.socket, user: PeerUser, attend: Callable[[ClientStream], Awaitable[None]]
    ) -> None:
        try:
            try:
                streams = await asyncio.open_connection(sock=client, limit=self._line_bytes)
            except OSError:
                client.close()  # it has left already
                return
            stream = ClientStream(*streams)
            try:
                await attend(stream)
            except ClientGone as error:
                log.debug("%s: client gone: %s", self._name, error)
            except Exception as error:  # noqa: BLE001 - a bug that a client has found is said, and ends that client alone
                log.error(  # noqa: TRY400 - the text of the error may hold what the client sent
                    "%s: client hung up on, its request met a bug: %s", self._name, error_place(error)
                )
            finally:
                await stream.close()
        finally:
            self._clients[user] -= 1
            self._clients += Counter()  # forgets users without a client
