"""The program that reads documents: `python -m kioskd.tools.kinds.documents.reader_process`.

The letters of its answers: p for passages as JSON, D for the end of the document, E for an error message.
"""

import codecs
import contextlib
import encodings.aliases
import json
import os
from collections.abc import Iterator
from typing import Any, Final

from kioskd.confined.child import Frame, allow_time, give_up_rights, serve
from kioskd.tools.kinds.documents.formats import READERS, Unreadable, text_blocks
from kioskd.tools.kinds.documents.passages import cut, terms

MEMORY_BYTES: Final = 300_000_000
"""Memory on top of the program's own."""
AT_ONCE: Final = 50
"""Passages of one frame. More would hold up the daemon, which reads them."""
MOST_PASSAGES: Final = 20_000
"""The daemon holds the passages of one document in memory."""
TOO_MUCH: Final = "takes more memory or time to read than kioskd allows; split it, or raise file_s"
_NICER: Final = 15
"""The visitor's sound goes first."""


def main() -> None:
    """Read documents until standard input ends."""
    os.nice(_NICER)
    for name in set(encodings.aliases.aliases.values()):  # documents name them, and they are files
        with contextlib.suppress(LookupError):
            codecs.lookup(name)
    for suffix in READERS:  # the libraries load some parts only when they are used
        with contextlib.suppress(Unreadable):
            list(text_blocks(suffix, b"# x"))
    give_up_rights(MEMORY_BYTES)
    serve(_read)


def _read(data: bytes, options: dict[str, Any]) -> Iterator[Frame]:
    allow_time(options["cpu_s"])
    try:
        yield from _passages(data, options["suffix"])
    except Unreadable as error:
        yield b"E", str(error).encode()
    except (MemoryError, RecursionError):
        yield b"E", TOO_MUCH.encode()
    else:
        yield b"D", b""


def _passages(data: bytes, suffix: str) -> Iterator[Frame]:
    waiting: list[list[object]] = []
    count = 0
    for page, heading, text in cut(text_blocks(suffix, data)):
        count += 1
        if count > MOST_PASSAGES:
            raise Unreadable(f"has more than {MOST_PASSAGES} passages; split it")
        waiting.append([page, heading, text, " ".join(terms(heading)), " ".join(terms(text))])
        if len(waiting) == AT_ONCE:
            yield b"p", json.dumps(waiting).encode()
            waiting.clear()
    if not count:
        raise Unreadable("holds no text; remove it")
    if waiting:
        yield b"p", json.dumps(waiting).encode()


if __name__ == "__main__":
    main()
