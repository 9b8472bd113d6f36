"""The child's half of a confined process: its limits, and the exchange with its parent.

A program calls `give_up_rights` before it reads anything from outside, and then `serve`. Requests come one by
one on standard input, and each is answered on standard output by one or more frames:

    request: HEADER (bytes of the options, bytes of the content), options as JSON, content
    frame: FRAME (one letter, bytes), content; a capital letter marks the last frame of an answer
"""

import contextlib
import ctypes
import json
import os
import resource
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

HEADER: Final = struct.Struct(">II")
FRAME: Final = struct.Struct(">cI")

Frame = tuple[bytes, bytes]
"""A letter, and the content."""

_CREATE_RULESET: Final = 444
_RESTRICT_SELF: Final = 446
"""Number of a Landlock system call; Landlock's numbers are the same on all architectures (linux/unistd.h)."""
_NO_NEW_PRIVILEGES: Final = 38
_ALL_OF_THE_FIRST_VERSION: Final = (1 << 13) - 1
"""LANDLOCK_ACCESS_FS_*: read, write, list, create and delete files, and run programs."""


def serve(answer: Callable[[bytes, dict[str, Any]], Iterator[Frame]]) -> None:
    """Answer requests until standard input ends. `answer` gets the content and the options of each."""
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    with contextlib.suppress(BrokenPipeError):  # the parent process has ended
        while header := requests.read(HEADER.size):
            option_bytes, content_bytes = HEADER.unpack(header)
            options = json.loads(requests.read(option_bytes))
            for letter, content in answer(requests.read(content_bytes), options):
                answers.write(FRAME.pack(letter, len(content)) + content)
                answers.flush()


def give_up_rights(memory_bytes: int) -> None:
    """Limit memory, forbid programs and core files, and forbid all files if the kernel can.

    The program may take `memory_bytes` of further memory. A module that it imports later is a file, too.
    """
    own_bytes = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    _limit(resource.RLIMIT_AS, own_bytes + memory_bytes)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NPROC, 0)
    _close_files()


def _limit(what: int, most: int) -> None:
    resource.setrlimit(what, (most, most))


def allow_time(cpu_s: int) -> None:
    """Allow `cpu_s` more seconds of processor time. The hard limit stays, as it could not be raised."""
    spent = resource.getrusage(resource.RUSAGE_SELF)
    resource.setrlimit(
        resource.RLIMIT_CPU,
        (int(spent.ru_utime + spent.ru_stime) + cpu_s, resource.getrlimit(resource.RLIMIT_CPU)[1]),
    )


def _close_files() -> None:
    """Forbid opening files, by Landlock. Without Landlock, the other limits remain."""
    libc = ctypes.CDLL(None, use_errno=True)
    rights = struct.pack("Q", _ALL_OF_THE_FIRST_VERSION)
    rules = libc.syscall(_CREATE_RULESET, rights, ctypes.c_size_t(len(rights)), 0)
    if rules < 0:
        return
    libc.prctl(_NO_NEW_PRIVILEGES, *(ctypes.c_ulong(argument) for argument in (1, 0, 0, 0)))
    libc.syscall(_RESTRICT_SELF, rules, 0)
    os.close(rules)
