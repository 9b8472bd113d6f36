"""The sentences of the prompts, and the questions that ask for a press of the button.

Each language has a YAML file of lines `CODE: sentence`; the owner's files take precedence over the shipped
ones.
"""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from kioskd import regular_file
from kioskd.errors import Code
from kioskd.yamlconf.document import Document

log = logging.getLogger(__name__)

DEFAULT: Final = "en"

LARGEST_BYTES: Final = 1_000_000

LONGEST: Final = 500
"""Most characters of a sentence: half a minute of speech, longer than a visitor listens."""

ALLOW: Final = "ALLOW"
"""Key of the question before a call; {name} in it is the tool's name."""

PRESS: Final = "PRESS"
"""Key of the request to press the button."""

_ALIASES: Final = {"cmn": "zh"}
"""Other codes for a language, with the code that the files use."""

_TAG: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*")


@dataclass(frozen=True, slots=True)
class Texts:
    """The sentence for each code, the language of the sentences, and the words that ask for a press."""

    language: str
    sentences: Mapping[Code, str]
    requests: Mapping[str, str] = field(default_factory=dict)
    """The sentences with the keys `ALLOW` and `PRESS`."""


def shipped() -> Path:
    """Return the folder of the shipped texts, which is in the built package, or else in the checkout."""
    packaged = Path(__file__).with_name("shipped")
    return packaged if packaged.is_dir() else Path(__file__).parents[3] / "config" / "prompts"


def tags(language: str) -> tuple[str, ...]:
    """Return the names of files for `language`, most specific first; none if it is no language tag."""
    if not _TAG.fullmatch(language):
        return ()
    short = language.split("-", maxsplit=1)[0].lower()
    return tuple(dict.fromkeys((language, _ALIASES.get(short, short))))


def known(language: str, owner: Path | None) -> bool:
    """Return whether there are texts in `language`; looks at files."""
    folders = [folder for folder in (shipped(), owner) if folder is not None]
    return any((folder / f"{tag}.yaml").is_file() for folder in folders for tag in tags(language))


def read(language: str, owner: Path | None) -> Texts:
    """Return the texts in `language`, else in English; reads files. It logs each unusable text."""
    sentences = _sentences(language, owner)
    if not sentences:
        log.warning(
            "there are no prompts in this language, so they are spoken in %s: language=%s; "
            "put LANGUAGE.yaml into the folder that speaker.prompts_folder names",
            DEFAULT,
            language,
        )
        language, sentences = DEFAULT, _sentences(DEFAULT, owner)
    requests: dict[str, str] = {key: sentences[key] for key in (ALLOW, PRESS) if key in sentences}
    spoken = {Code(key): words for key, words in sentences.items() if key not in requests}
    return Texts(language, spoken, requests)


def _sentences(language: str, owner: Path | None) -> dict[str, str]:
    found: dict[str, str] = {}
    # The most specific file comes last, so that its sentences stay.
    for folder in (shipped(), owner):
        for tag in reversed(tags(language)):
            if folder is not None:
                found.update(_read(folder / f"{tag}.yaml"))
    return found


def _read(path: Path) -> dict[str, str]:
    try:
        text = regular_file.content(path, LARGEST_BYTES).decode("utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        log.warning(
            "prompts of one file not used: file=%s cannot be read: %s; correct or remove it", path, error
        )
        return {}
    document = Document(str(path), text)
    if not isinstance(document.data, dict):
        if not document.faults:
            document.fault((), "holds no prompts; write lines of the form CODE: sentence, or remove it")
        document.data = {}
    found: dict[str, str] = {}
    keys = (*Code, ALLOW, PRESS)
    for key, sentence in document.data.items():
        if key not in keys:
            document.fault((key,), f"is not a code; use one of {', '.join(keys)}", of_name=True)
        elif not isinstance(sentence, str) or not 0 < len(sentence.strip()) <= LONGEST:
            document.fault((key,), f"is not a sentence; write one of at most {LONGEST} characters")
        else:
            found[key] = " ".join(sentence.split())
    for fault in document.faults:
        log.warning("prompt not used: %s", fault)
    return found


def question(name: str, words: str, read: Texts) -> str | None:
    """Return the question before a call of the tool `name`, or None if the texts have no words for it.

    `words` is the owner's own question, or empty.
    """
    if not {ALLOW, PRESS} <= read.requests.keys():
        return None
    called = " ".join(name.replace("_", " ").replace("-", " ").split())
    return f"{words or read.requests[ALLOW].replace('{name}', called)} {read.requests[PRESS]}"
