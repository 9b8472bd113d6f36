"""The program that decodes pictures from outside: `python -m kioskd.adapters.pictures.decoder_process`.

It gives away what it does not need before it reads the first byte of a picture: memory, time, files, programs.
It knows no key. One request after the other comes on standard input, and one answer for each goes to standard output:

    request: HEADER (bytes of the options, bytes of the picture), options as JSON, picture
    answer: ANSWER (b"J" for a JPEG, b"E" for what is wrong; bytes), content
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
"""On top of what the program itself takes. The largest picture that `picture.fit` takes needs 200 MB."""
CPU_S: Final = 10
"""Seconds of the processor for one picture. A telephone's largest takes 2 s on a Raspberry Pi 3."""

_CREATE_RULESET: Final = 444
_RESTRICT_SELF: Final = 446
"""Numbers of Landlock's system calls, the same on all architectures (linux/unistd.h)."""
_NO_NEW_PRIVILEGES: Final = 38
_ALL_OF_THE_FIRST_VERSION: Final = (1 << 13) - 1
"""LANDLOCK_ACCESS_FS_*: reading, writing, listing, making and removing of files, and running programs."""


def main() -> None:
    """Decode until standard input ends."""
    Image.preinit()
    Image.init()  # Pillow loads its readers from files, which cannot be opened any more after the next line
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
    """Bound memory, forbid programs and core files, and close the file system where the kernel can."""
    own_bytes = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    _limit(resource.RLIMIT_AS, own_bytes + MEMORY_BYTES)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NPROC, 0)
    _close_files()


def _limit(what: int, most: int) -> None:
    resource.setrlimit(what, (most, most))


def allow_time() -> None:
    """Count the seconds of the next picture only. The hard limit stays where it is, so that it can be moved."""
    spent_s = resource.getrusage(resource.RUSAGE_SELF)
    resource.setrlimit(
        resource.RLIMIT_CPU,
        (int(spent_s.ru_utime + spent_s.ru_stime) + CPU_S, resource.getrlimit(resource.RLIMIT_CPU)[1]),
    )


def _close_files() -> None:
    """Let no file be opened any more, by Landlock. A kernel or a unit without it leaves the other bounds."""
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
        return b"J", picture.fit(data, **options)  # type: ignore[arg-type]  # from `decoder`, which has checked them
    except picture.BadPicture as error:
        return b"E", str(error).encode()


def read_exactly(stream: IO[bytes], byte_count: int) -> bytes:
    """Return so many bytes of a pipe. EOFError where it ends before."""
    data = stream.read(byte_count)
    if len(data) < byte_count:
        raise EOFError
    return data


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):  # its owner has ended
        main()
