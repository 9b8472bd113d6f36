"""Clients of a listening socket: so many at a time and no more, each with deadlines, none of them able to disturb us."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Final, NoReturn

from kioskd.ports import Clock

log = logging.getLogger(__name__)

RETRY_S: Final = 60.0
"""How often a socket that cannot be made is tried again."""

WRITE_S: Final = 5.0
"""How long a client may leave what it is sent unread, once the buffers are full."""

CLOSE_S: Final = 1.0


class Gone(Exception):
    """The client has left, or did not keep a deadline: there is nobody to tell."""


class Way:
    """The way to one client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def option(self, name: int, size: int) -> bytes:
        """Return an option of the client's socket (SOL_SOCKET).

        Raises:
            OSError: the kernel does not tell.
        """
        found: bytes = self._writer.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, name, size)
        return found

    async def read_until(self, end: bytes, *, within_s: float) -> bytes:
        """Return what comes up to `end`, which is included.

        Raises:
            Gone: the client left, or took longer.
            ValueError: there is no end within the bound.
        """
        try:
            async with asyncio.timeout(within_s):
                return await self._reader.readuntil(end)
        except (OSError, EOFError) as error:  # TimeoutError is an OSError
            raise Gone(type(error).__name__) from error
        except asyncio.LimitOverrunError as error:
            raise ValueError("too long") from error

    async def read(self, size: int, *, within_s: float) -> bytes:
        """Return exactly so many bytes.

        Raises:
            Gone: the client left, or took longer.
        """
        try:
            async with asyncio.timeout(within_s):
                return await self._reader.readexactly(size)
        except (OSError, EOFError) as error:
            raise Gone(type(error).__name__) from error

    async def write(self, data: bytes) -> None:
        """Send `data`.

        Raises:
            Gone: the client left, or does not read.
        """
        self._writer.write(data)
        try:
            async with asyncio.timeout(WRITE_S):
                await self._writer.drain()
        except OSError as error:
            raise Gone(type(error).__name__) from error

    async def close(self) -> None:
        """Send what is still to be sent, within a second, and hang up."""
        self._writer.close()
        try:
            with contextlib.suppress(OSError):
                async with asyncio.timeout(CLOSE_S):
                    await self._writer.wait_closed()
        finally:
            self._writer.transport.abort()


class Reception:
    """Lets clients in."""

    def __init__(self, name: str, clock: Clock, *, most: int, line_bytes: int, full: bytes) -> None:
        """`most`: clients at a time; the next is told `full`, and left. `line_bytes`: see `Way.read_until`."""
        self._name = name
        self._clock = clock
        self._most = most
        self._line_bytes = line_bytes
        self._full = full
        self._clients = 0

    async def open(
        self, listen: Callable[[], socket.socket], attend: Callable[[Way], Awaitable[None]]
    ) -> NoReturn:
        """Have each client attended to, until cancelled.

        `listen` makes the socket; where it cannot (OSError), that is said once and tried again each minute.
        """
        told = False
        while True:
            try:
                listening = listen()
            except OSError as error:
                if not told:
                    told = True
                    log.warning(
                        "%s socket cannot be made, going on without and trying again: %s",
                        self._name,
                        error.strerror or error,
                    )
                await self._clock.sleep(RETRY_S)
                continue
            with listening:
                await self._receive(listening, attend)

    async def _receive(self, listening: socket.socket, attend: Callable[[Way], Awaitable[None]]) -> NoReturn:
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
                if self._clients < self._most:
                    self._clients += 1
                    group.create_task(self._attend(client, attend))
                else:
                    with client, contextlib.suppress(OSError):
                        client.send(self._full)

    async def _attend(self, client: socket.socket, attend: Callable[[Way], Awaitable[None]]) -> None:
        try:
            try:
                streams = await asyncio.open_connection(sock=client, limit=self._line_bytes)
            except OSError:
                client.close()  # it has left already
                return
            way = Way(*streams)
            try:
                await attend(way)
            except Gone as error:
                log.debug("%s: client gone: %s", self._name, error)
            finally:
                await way.close()
        finally:
            self._clients -= 1
