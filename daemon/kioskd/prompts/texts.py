"""The sentences: one YAML a language, `CODE: sentence`; the owner's own go before those that are shipped."""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kioskd import regular_file
from kioskd.errors import Code
from kioskd.yamlconf.document import Document

log = logging.getLogger(__name__)

DEFAULT: Final = "en"

LARGEST_BYTES: Final = 1_000_000

LONGEST: Final = 500
"""Characters: half a minute, which nobody stands through."""

_TAG: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*")


@dataclass(frozen=True, slots=True)
class Texts:
    """What is said for each code, and the language that it is in."""

    language: str
    sentences: Mapping[Code, str]


def shipped() -> Path:
    """Return the folder of the texts that are shipped: part of the package once it is built, of the checkout before."""
    packaged = Path(__file__).with_name("shipped")
    return packaged if packaged.is_dir() else Path(__file__).parents[3] / "config" / "prompts"


def tags(language: str) -> tuple[str, ...]:
    """Return the names under which `language` may be found, the most special first; none for what is no language."""
    if not _TAG.fullmatch(language):
        return ()
    return tuple(dict.fromkeys((language, language.split("-", maxsplit=1)[0].lower())))


def read(language: str, owner: Path | None) -> Texts:
    """Return the texts for `language`, or in English where there are none; reads files.

    What cannot be used costs one line in the journal each.
    """
    sentences = _sentences(language, owner)
    if not sentences:
        log.warning(
            "prompts have no texts in this language, speaking %s: language=%s; put LANGUAGE.yaml into the folder "
            "that speaker.prompts_folder names",
            DEFAULT,
            language,
        )
        language, sentences = DEFAULT, _sentences(DEFAULT, owner)
    return Texts(language, sentences)


def _sentences(language: str, owner: Path | None) -> dict[Code, str]:
    found: dict[Code, str] = {}
    # The most special last, so that it stays.
    for folder in (shipped(), owner):
        for tag in reversed(tags(language)):
            if folder is not None:
                found.update(_read(folder / f"{tag}.yaml"))
    return found


def _read(path: Path) -> dict[Code, str]:
    try:
        text = regular_file.content(path, LARGEST_BYTES).decode("utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        log.warning(
            "prompts of one file left out: file=%s cannot be read: %s; mend or remove it", path, error
        )
        return {}
    document = Document(str(path), text)
    if not isinstance(document.data, dict):
        if not document.faults:
            document.fault((), "holds no prompts: each line is CODE: sentence; mend or remove it")
        document.data = {}
    found: dict[Code, str] = {}
    for key, sentence in document.data.items():
        if key not in set(Code):
            document.fault((key,), f"is no code; the codes are {', '.join(Code)}", of_name=True)
        elif not isinstance(sentence, str) or not 0 < len(sentence.strip()) <= LONGEST:
            document.fault((key,), f"must be a sentence of at most {LONGEST} characters; write one")
        else:
            found[Code(key)] = " ".join(sentence.split())
    for fault in document.faults:
        log.warning("prompt left out: %s", fault)
    return found
