"""The parent's half of a confined process: starts it, asks it, and ends it.

Threads may share one: it answers one request at a time. Every method blocks; none may run on the loop.
"""

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from typing import IO

from kioskd.confined.child import FRAME, HEADER, Frame


class ChildLost(Exception):
    """The child gave no answer: it reached one of its limits, or it was ended."""


class ChildNotStarted(Exception):
    """The child cannot be started. The text is the system's reason."""


class ConfinedProcess:
    """One child process that answers until `close`; it is started again when it has died."""

    def __init__(self, module: str, *, most_bytes: int) -> None:
        """`module`: the child's program, as for `python -m`. `most_bytes`: its largest frame."""
        self._module, self._most_bytes = module, most_bytes
        self._turn = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False

    @property
    def process_id(self) -> int | None:
        """The id of the child process; None while none runs."""
        process = self._process
        return None if process is None or process.poll() is not None else process.pid

    def start(self) -> None:
        """Start the process early, so that it is ready for the first request, which reports any error."""
        self._closed = False
        with contextlib.suppress(OSError):
            self._process = _start(self._module)

    def ask(self, content: bytes, options: Mapping[str, object], *, deadline_s: float) -> Iterator[Frame]:
        """Yield the frames of the answer. A caller that leaves before the last one ends the process.

        ChildLost: there is no answer, or no more of it, until `deadline_s`.
        ChildNotStarted: there is no process.
        """
        with self._turn:
            process = self._running()
            alarm = threading.Timer(deadline_s, self._kill)
            alarm.daemon = True
            alarm.start()
            finished = False
            try:
                _send(process.stdin, content, json.dumps(options).encode())
                while not finished:
                    frame = self._frame(process.stdout)
                    finished = frame[0].isupper()
                    if finished:
                        alarm.cancel()
                    yield frame
            except (OSError, EOFError, ValueError):
                raise ChildLost from None
            finally:
                alarm.cancel()
                if not finished:
                    self._kill()

    def close(self) -> None:
        """End the process at once. A request that waits ends with `ChildLost`."""
        self._closed = True
        self._kill()

    def _running(self) -> "subprocess.Popen[bytes]":
        process = self._process
        if process is None or process.poll() is not None:
            self._kill()  # closes the pipes of a dead process
            try:
                process = self._process = _start(self._module)
            except OSError as error:
                raise ChildNotStarted(error.strerror) from None
            if self._closed:
                self._kill()
        return process

    def _frame(self, pipe: IO[bytes] | None) -> Frame:
        assert pipe is not None
        letter, byte_count = FRAME.unpack(_exactly(pipe, FRAME.size))
        if byte_count > self._most_bytes:
            raise ValueError("the frame is larger than any true one")
        return letter, _exactly(pipe, byte_count)

    def _kill(self) -> None:
        process = self._process
        if process is None:
            return
        with contextlib.suppress(OSError):
            process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError, ValueError):
                assert pipe is not None
                pipe.close()


def _send(pipe: IO[bytes] | None, content: bytes, options: bytes) -> None:
    assert pipe is not None
    pipe.write(HEADER.pack(len(options), len(content)) + options)
    pipe.write(content)
    pipe.flush()


def _exactly(pipe: IO[bytes], byte_count: int) -> bytes:
    """Return `byte_count` bytes of a pipe. EOFError: it ends before."""
    data = pipe.read(byte_count)
    if len(data) < byte_count:
        raise EOFError
    return data


def _start(module: str) -> "subprocess.Popen[bytes]":
    # Keep all else of the environment out: it may hold a service key.
    environ = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return subprocess.Popen(  # noqa: S603 - the caller names a module of this package
        [sys.executable, "-I", "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environ,
        cwd="/",
    )
