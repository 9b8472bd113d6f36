"""The program that decodes pictures from outside: `python -m kioskd.adapters.pictures.decoder_process`.

Before it reads a picture, it limits its own memory and time, and forbids itself files and programs. It does
not have the service key. Requests come one by one on standard input, each is answered on standard output:

    request: HEADER (bytes of the options, bytes of the picture), options as JSON, picture
    answer: ANSWER (b"J" for a JPEG, b"E" for an error message; bytes), content
"""

import contextlib
import ctypes
import json
import os
import resource
import struct
import sys
from pathlib import Path
from typing import IO, Final

from PIL import Image

from kioskd.media import picture

HEADER: Final = struct.Struct(">II")
ANSWER: Final = struct.Struct(">cI")

MEMORY_BYTES: Final = 320_000_000
"""Memory on top of the program's own. The largest picture that `picture.fit` takes needs 200 MB."""
CPU_S: Final = 10
"""Seconds of processor time for one picture. A telephone's largest takes 2 s on a Raspberry Pi 3."""

_CREATE_RULESET: Final = 444
_RESTRICT_SELF: Final = 446
"""Number of a Landlock system call; Landlock's numbers are the same on all architectures (linux/unistd.h)."""
_NO_NEW_PRIVILEGES: Final = 38
_ALL_OF_THE_FIRST_VERSION: Final = (1 << 13) - 1
"""LANDLOCK_ACCESS_FS_*: read, write, list, create and delete files, and run programs."""


def main() -> None:
    """Decode until standard input ends."""
    Image.preinit()
    Image.init()  # Pillow loads its readers from files, which the next line forbids
    give_up_rights()
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    while header := requests.read(HEADER.size):
        option_bytes, picture_bytes = HEADER.unpack(header)
        options = json.loads(requests.read(option_bytes))
        allow_time()
        kind, content = _decoded(requests.read(picture_bytes), options)
        answers.write(ANSWER.pack(kind, len(content)) + content)
        answers.flush()


def give_up_rights() -> None:
    """Limit memory, forbid programs and core files, and forbid all files if the kernel can."""
    own_bytes = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    _limit(resource.RLIMIT_AS, own_bytes + MEMORY_BYTES)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NPROC, 0)
    _close_files()


def _limit(what: int, most: int) -> None:
    resource.setrlimit(what, (most, most))


def allow_time() -> None:
    """Allow `CPU_S` more seconds, for the next picture. The hard limit stays, as it could not be raised."""
    spent_s = resource.getrusage(resource.RUSAGE_SELF)
    resource.setrlimit(
        resource.RLIMIT_CPU,
        (int(spent_s.ru_utime + spent_s.ru_stime) + CPU_S, resource.getrlimit(resource.RLIMIT_CPU)[1]),
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


def _decoded(data: bytes, options: dict[str, int]) -> tuple[bytes, bytes]:
    try:
        return b"J", picture.fit(data, **options)  # type: ignore[arg-type]  # from `decoder`, which has checked the options
    except picture.BadPicture as error:
        return b"E", str(error).encode()


def read_exactly(stream: IO[bytes], byte_count: int) -> bytes:
    """Return `byte_count` bytes of a pipe. EOFError: it ends before."""
    data = stream.read(byte_count)
    if len(data) < byte_count:
        raise EOFError
    return data


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):  # the parent process has ended
        main()
