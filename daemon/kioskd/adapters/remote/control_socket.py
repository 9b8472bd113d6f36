"""The socket for commands such as `kioskd status`; see control_wire for its messages.

Root, the daemon's own user, and members of the group that owns the socket's directory may connect. The kernel
enforces this by the socket's mode, and the daemon checks each client's user again. The handler decides which
requests a member may make.
"""

import contextlib
import enum
import fcntl
import json
import logging
import os
import socket
import stat
import struct
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final, NoReturn

from kioskd.adapters.remote.connection_limiter import ClientStream, ConnectionLimiter, PeerUser
from kioskd.adapters.remote.control_wire import LINE_BYTES, PICTURE_BYTES
from kioskd.errors import KioskError
from kioskd.fairness import others_first
from kioskd.ports import Clock, RequestHandler, SendLine

log = logging.getLogger(__name__)

CLIENTS: Final = 8
"""Clients of group members at a time. Root and the daemon's own user share as many places of their own."""
CLIENTS_EACH: Final = 4
"""Clients of one group member at a time."""
WATCHERS_EACH: Final = 2
"""Clients of one group member that may watch at a time."""
_WATCHING: Final = ("watch", "captions")
"""Requests that are answered until the client leaves."""
REQUEST_S: Final = 10.0
"""Seconds for a client to send a request, or to leave after an answer."""
PICTURE_S: Final = 20.0

_MODE: Final = 0o660
_PEER: Final = struct.Struct("iII")
"""struct ucred of unix(7): pid, uid, gid."""
_SO_PEERGROUPS: Final = 59
"""Option with the peer's supplementary groups, from linux/asm-generic/socket.h; Python has no name for it."""
_GROUPS_BYTES: Final = 1024
"""Most bytes that Python asks the kernel for: 256 groups."""


class _Peer(enum.Enum):
    """Rank of the client."""

    OWNER = enum.auto()
    """Root or the daemon's own user: both can read its memory and settings anyway."""
    MEMBER = enum.auto()
    """A member of the socket's group."""
    STRANGER = enum.auto()


class ControlSocket:
    """The daemon's side of the control socket."""

    def __init__(self, path: Path, clock: Clock) -> None:
        """Use `path`. Its directory is created if the parent exists."""
        self._path = path
        self._clock = clock
        self._claim: int | None = None
        self._sending_pictures: set[_Peer] = set()
        self._watching: Counter[int] = Counter()

    def claim(self) -> None:
        """Take the socket's lock, until `serve` ends or the process does.

        KioskError: another daemon has the lock. If the lock cannot be created, `serve` logs why.
        """
        with contextlib.suppress(OSError):
            self._lock()

    async def serve(self, handle: RequestHandler) -> NoReturn:
        """Handle requests until cancelled, then remove the socket. KioskError: another daemon uses it."""
        limiter = ConnectionLimiter(
            "control",
            self._clock,
            most=CLIENTS,
            line_bytes=LINE_BYTES,
            full=_line({"ok": False, "why": f"kioskd has {CLIENTS} clients already; try again later"}),
            each=CLIENTS_EACH,
            user_of=_user_of,
        )
        try:
            await limiter.open(self._listen, partial(self._attend, handle))
        finally:
            if self._claim is not None:
                self._path.unlink(missing_ok=True)
                os.close(self._claim)
                self._claim = None

    def _lock(self) -> None:
        if self._claim is not None:
            return
        self._path.parent.mkdir(mode=0o700, exist_ok=True)
        lock = os.open(self._path.with_name(f"{self._path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise KioskError(
                f"another kioskd is running already: socket={self._path}; stop it (systemctl stop kioskd), "
                "or give this one its own socket by the environment variable KIOSKD_SOCKET"
            ) from None
        self._claim = lock

    def _listen(self) -> socket.socket:
        self._lock()
        # The process that left this socket behind has no lock any more, so it is dead.
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISSOCK(self._path.lstat().st_mode):
                raise FileExistsError(17, f"{self._path} is not a socket; remove it")
            self._path.unlink()
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listening.bind(str(self._path))
            # Clients cannot connect before `listen`, so no client sees the wider mode.
            self._path.chmod(_MODE)
            group = self._path.parent.stat().st_gid
            if self._path.stat().st_gid != group:
                os.chown(self._path, -1, group)
            listening.listen(CLIENTS)
        except OSError:
            listening.close()
            raise
        return listening

    async def _attend(self, handle: RequestHandler, stream: ClientStream) -> None:
        async def answer(message: Mapping[str, object]) -> None:
            await stream.write(_line(message))

        peer, uid = self._peer(stream)
        if peer is _Peer.STRANGER:
            await answer({"ok": False, "why": "this user may not control kioskd; use sudo"})
            return
        carry_out = partial(handle, privileged=peer is _Peer.OWNER)
        while True:
            await others_first()  # requests that have arrived are read without waiting
            try:
                line = await stream.read_until(b"\n", within_s=REQUEST_S)
            except ValueError:
                await answer({"ok": False, "why": f"the request has more than {LINE_BYTES} bytes"})
                return
            request, size = _parsed(line)
            if size is None:
                await answer({"ok": False, "why": "the request is not a JSON object in one line"})
                return
            if size > PICTURE_BYTES:
                await answer({"ok": False, "why": f"a file may have {PICTURE_BYTES // 1_000_000} MB at most"})
                return
            if size and peer in self._sending_pictures:
                await answer({"ok": False, "why": "another file is being sent; try again later"})
                return
            if size:
                await self._receive_picture(stream, size, peer, partial(carry_out, request), answer)
            elif request.get("do") in _WATCHING and peer is _Peer.MEMBER:
                await self._watch_within_share(uid, partial(carry_out, request, b""), answer)
            else:
                await carry_out(request, b"", answer)

    async def _watch_within_share(
        self, uid: int, watch: Callable[[SendLine], Awaitable[None]], answer: SendLine
    ) -> None:
        if self._watching[uid] >= WATCHERS_EACH:
            await answer({"ok": False, "why": f"{WATCHERS_EACH} clients of this user watch already; end one"})
            return
        self._watching[uid] += 1
        try:
            await watch(answer)
        finally:
            self._watching[uid] -= 1
            self._watching += Counter()

    async def _receive_picture(
        self,
        stream: ClientStream,
        size: int,
        peer: _Peer,
        handle: Callable[[bytes, SendLine], Awaitable[None]],
        answer: SendLine,
    ) -> None:
        """Read the picture behind a request and handle it. Members may send one at a time, and owners one."""
        self._sending_pictures.add(peer)
        try:
            await handle(await stream.read(size, within_s=PICTURE_S), answer)
        finally:
            self._sending_pictures.discard(peer)

    def _peer(self, stream: ClientStream) -> tuple[_Peer, int]:
        try:
            pid, uid, gid = _PEER.unpack(stream.option(socket.SO_PEERCRED, _PEER.size))
            packed = stream.option(_SO_PEERGROUPS, _GROUPS_BYTES)
            groups = {gid, *(number for (number,) in struct.iter_unpack("I", packed))}
            ours = self._path.stat().st_gid
        except OSError as error:
            log.warning("control: client rejected, as the kernel does not name its user: %s", error)
            return _Peer.STRANGER, -1
        peer = _Peer.MEMBER if ours in groups else _Peer.STRANGER
        if uid in (0, os.geteuid()):
            peer = _Peer.OWNER
        log.debug("control: client pid=%d uid=%d taken_for=%s", pid, uid, peer.name.lower())
        return peer, uid


def _user_of(client: socket.socket) -> PeerUser:
    """Return a client's user, before anything is read from it."""
    try:
        _, uid, _ = _PEER.unpack(client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    except OSError:
        return PeerUser()
    return PeerUser(uid, owner=uid in (0, os.geteuid()))


def _line(message: Mapping[str, object]) -> bytes:
    return json.dumps(message, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"


def _parsed(line: bytes) -> tuple[Mapping[str, object], int | None]:
    """Return the request and the number of bytes behind it; None if the line is not a request."""
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        return {}, None
    if not isinstance(request, dict):
        return {}, None
    size = request.get("bytes", 0)
    return request, size if type(size) is int and size >= 0 else None
