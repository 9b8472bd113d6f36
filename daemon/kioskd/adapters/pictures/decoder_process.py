"""The program that decodes pictures from outside: `python -m kioskd.adapters.pictures.decoder_process`.

The letters of its answers: J for a JPEG, E for an error message.
"""

from collections.abc import Iterator
from typing import Any, Final

from PIL import Image

from kioskd.confined.child import Frame, allow_time, give_up_rights, serve
from kioskd.media import picture

MEMORY_BYTES: Final = 320_000_000
"""Memory on top of the program's own. The largest picture that `picture.fit` takes needs 200 MB."""
CPU_S: Final = 10
"""Seconds of processor time for one picture. A telephone's largest takes 2 s on a Raspberry Pi 3."""


def main() -> None:
    """Decode until standard input ends."""
    Image.preinit()
    Image.init()  # Pillow loads its readers from files, which the next line forbids
    give_up_rights(MEMORY_BYTES)
    serve(_decoded)


def _decoded(data: bytes, options: dict[str, Any]) -> Iterator[Frame]:
    allow_time(CPU_S)
    try:
        yield b"J", picture.fit(data, **options)
    except picture.BadPicture as error:
        yield b"E", str(error).encode()


if __name__ == "__main__":
    main()
