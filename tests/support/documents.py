"""Documents for tests: small ones that are well, and those that are made to break their reader."""

import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import docx

KEY: Final = b"<</Filter/Standard/V 1/R 2/P -4/O<" + b"41" * 32 + b">/U<" + b"42" * 32 + b">>>"
"""The dictionary of an encryption without a known password."""


def pdf(pages: Sequence[str], *, titles: Sequence[str] = (), encrypted: bool = False) -> bytes:
    """Return a PDF file. Each page has its lines; each title is a bookmark of the page with its number."""
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    first = 4 + 2 * len(pages)
    outline = f"/Outlines {first} 0 R" if titles else ""
    objects = [
        f"<</Type/Catalog/Pages 2 0 R{outline}>>".encode(),
        f"<</Type/Pages/Kids[{kids}]/Count {len(pages)}>>".encode(),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    for number, text in enumerate(pages):
        lines = "".join(f"({line}) Tj T* " for line in text.split("\n"))
        content = f"BT /F1 10 Tf 12 TL 50 700 Td {lines}ET".encode()
        resources = f"/Resources<</Font<</F1 3 0 R>>>>/Contents {5 + 2 * number} 0 R"
        objects.append(f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]{resources}>>".encode())
        objects.append(b"<</Length %d>>stream\n%s\nendstream" % (len(content), content))
    if titles:
        last = first + len(titles)
        objects.append(f"<</First {first + 1} 0 R/Last {last} 0 R/Count {len(titles)}>>".encode())
        for number, title in enumerate(titles):
            after = f"/Next {first + number + 2} 0 R" if number + 1 < len(titles) else ""
            place = f"/Parent {first} 0 R/Dest[{4 + 2 * number} 0 R/Fit]{after}"
            objects.append(f"<</Title({title}){place}>>".encode())
    made = bytearray(b"%PDF-1.4\n")
    places = []
    for number, content in enumerate(objects, 1):
        places.append(len(made))
        made += b"%d 0 obj%s endobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    lock = b"/Encrypt %s/ID[<00><00>]" % KEY if encrypted else b""
    start = len(made)
    made += b"xref\n0 %d\n0000000000 65535 f \n%s" % (len(objects) + 1, table)
    made += b"trailer<</Size %d/Root 1 0 R%s>>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, lock, start)
    return bytes(made)


def word(heading: str, *paragraphs: str) -> bytes:
    """Return a Word file."""
    document = docx.Document()
    document.add_heading(heading, 1)
    for text in paragraphs:
        document.add_paragraph(text)
    made = io.BytesIO()
    document.save(made)
    return made.getvalue()


def _zip_bomb() -> bytes:
    made = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(word("Bomb", "x"))) as good,
        zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as bomb,
    ):
        for name in good.namelist():
            if name != "word/document.xml":
                bomb.writestr(name, good.read(name))
        with bomb.open("word/document.xml", "w", force_zip64=True) as part:
            for _ in range(600):
                part.write(b" " * 1_000_000)
    return made.getvalue()


HOSTILE: Final[Mapping[str, tuple[Callable[[], bytes], str]]] = {
    "encrypted.pdf": (lambda: pdf(["secret"], encrypted=True), "is encrypted"),
    "truncated.pdf": (lambda: pdf(["some words"] * 3)[:200], "is damaged"),
    "pictures.pdf": (lambda: pdf([""] * 3), "holds pictures and no text"),
    "encrypted.docx": (lambda: b"\xd0\xcf\x11\xe0" + bytes(2_000), "is encrypted or an old Word file"),
    "truncated.docx": (lambda: word("A", "b")[:-400], "is damaged"),
    "bomb.docx": (_zip_bomb, "takes more memory or time"),
    "empty.txt": (lambda: b"", "holds no text"),
    "binary.txt": (lambda: bytes(range(256)), "is not text"),
    "empty.html": (lambda: b"<html></html>", "holds no text"),
}
"""Files by their names, each with the beginning of the journal's words."""
