"""Clients of a listening socket, limited in number and by deadlines, so that none disturbs the daemon.

If a socket knows its users, each user has a limited share of the places. The daemon's owner has separate
places.
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
"""Seconds between two attempts to create a socket."""

WRITE_S: Final = 5.0
"""Seconds in which a client must read when the buffers are full."""

CLOSE_S: Final = 1.0


class ClientGone(Exception):
    """The client left, or missed a deadline."""


class ClientStream:
    """Stream to and from one client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def option(self, name: int, size: int) -> bytes:
        """Return an option of the client's socket (SOL_SOCKET). OSError: the kernel has no value."""
        found: bytes = self._writer.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, name, size)
        return found

    async def read_until(self, end: bytes, *, within_s: float) -> bytes:
        """Return the bytes up to and including `end`.

        ClientGone: the client left, or took longer. ValueError: `end` did not come within the size limit.
        """
        try:
            async with asyncio.timeout(within_s):
                return await self._reader.readuntil(end)
        except (OSError, EOFError) as error:  # TimeoutError is an OSError
            raise ClientGone(type(error).__name__) from error
        except asyncio.LimitOverrunError as error:
            raise ValueError("too long") from error

    async def read(self, size: int, *, within_s: float) -> bytes:
        """Return exactly `size` bytes. ClientGone: the client left, or took longer."""
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
        """Send the rest within a second, and close the connection."""
        client = self._writer.get_extra_info("socket")
        self._writer.close()
        try:
            with contextlib.suppress(OSError):
                async with asyncio.timeout(CLOSE_S):
                    await self._writer.wait_closed()
        finally:
            if client.fileno() >= 0:  # a closed transport has no loop any more, and cannot be aborted
                self._writer.transport.abort()


@dataclass(frozen=True, slots=True)
class PeerUser:
    """User of a client, as far as the kernel knows."""

    uid: int = -1
    owner: bool = False
    """Whether the user is root or the daemon's own, who can do everything here anyway."""


def error_place(error: Exception) -> str:
    """Return an error's type and place. Its text is left out, as it may contain a client's data."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = "" if trace is None else f" in {trace.tb_frame.f_code.co_qualname}, line {trace.tb_lineno}"
    return f"{type(error).__name__}{place}"


class ConnectionLimiter:
    """Socket server that limits the number of its clients."""

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
        """Do not listen yet. `name`: the socket's name in the log.

        At most `most` clients are served at a time; owners have as many places of their own. Further clients
        are sent `full` and closed. One user who is not an owner may have `each` clients, or `most` if it is
        None. `line_bytes` limits `ClientStream.read_until`.
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
        """Serve each client by `attend`, until cancelled.

        `listen` creates the socket. If it fails (OSError), this is logged once, and retried each minute.
        """
        warned = False
        while True:
            try:
                listening = listen()
            except OSError as error:
                if not warned:
                    warned = True
                    log.warning(
                        "%s socket cannot be created, kioskd goes on without it and retries each minute: %s",
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
                    log.warning(
                        "%s: the system gave no connection to a new client, retrying: %s",
                        self._name,
                        error.strerror or error,
                    )
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
                client.close()  # the client has left already
                return
            stream = ClientStream(*streams)
            try:
                await attend(stream)
            except ClientGone as error:
                log.debug("%s: client gone: %s", self._name, error)
            except Exception as error:  # noqa: BLE001 - a bug is logged, and ends this client only
                log.error(  # noqa: TRY400 - the error's text may contain the client's data
                    "%s: client closed, as its request met a bug in kioskd: %s",
                    self._name,
                    error_place(error),
                )
            finally:
                await stream.close()
        finally:
            self._clients[user] -= 1
            self._clients += Counter()  # removes users without a client
