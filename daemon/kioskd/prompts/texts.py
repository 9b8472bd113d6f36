"""The sentences of the prompts, and the questions that ask for a press of the button.

Each language has a YAML file of lines `CODE: sentence`; the owner's files take precedence over the shipped
ones.
"""

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
"""Most characters of a sentence: half a minute of speech, longer than a visitor listens."""

_ALLOW: Final = {
    "en": "May I use {name}?",
    "de": "Darf ich {name} ausführen?",
    "fr": "Puis-je exécuter {name} ?",
    "es": "¿Puedo ejecutar {name}?",
    "it": "Posso eseguire {name}?",
    "nl": "Mag ik {name} uitvoeren?",
    "pt": "Posso executar {name}?",
    "pl": "Czy mogę wykonać {name}?",
}
_PRESS: Final = {
    "en": "To allow it, press the button.",
    "de": "Zum Erlauben bitte den Knopf drücken.",
    "fr": "Pour l'autoriser, appuyez sur le bouton.",
    "es": "Para permitirlo, pulse el botón.",
    "it": "Per permetterlo, premere il pulsante.",
    "nl": "Druk op de knop om het toe te staan.",
    "pt": "Para permitir, prima o botão.",
    "pl": "Aby zezwolić, naciśnij przycisk.",
}

_TAG: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*")


@dataclass(frozen=True, slots=True)
class Texts:
    """The sentence for each code, and the language of the sentences."""

    language: str
    sentences: Mapping[Code, str]


def shipped() -> Path:
    """Return the folder of the shipped texts, which is in the built package, or else in the checkout."""
    packaged = Path(__file__).with_name("shipped")
    return packaged if packaged.is_dir() else Path(__file__).parents[3] / "config" / "prompts"


def tags(language: str) -> tuple[str, ...]:
    """Return the names of files for `language`, most specific first; none if it is no language tag."""
    if not _TAG.fullmatch(language):
        return ()
    return tuple(dict.fromkeys((language, language.split("-", maxsplit=1)[0].lower())))


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
    return Texts(language, sentences)


def _sentences(language: str, owner: Path | None) -> dict[Code, str]:
    found: dict[Code, str] = {}
    # The most specific file comes last, so that its sentences stay.
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
            "prompts of one file not used: file=%s cannot be read: %s; correct or remove it", path, error
        )
        return {}
    document = Document(str(path), text)
    if not isinstance(document.data, dict):
        if not document.faults:
            document.fault((), "holds no prompts; write lines of the form CODE: sentence, or remove it")
        document.data = {}
    found: dict[Code, str] = {}
    for key, sentence in document.data.items():
        if key not in set(Code):
            document.fault((key,), f"is not a code; use one of {', '.join(Code)}", of_name=True)
        elif not isinstance(sentence, str) or not 0 < len(sentence.strip()) <= LONGEST:
            document.fault((key,), f"is not a sentence; write one of at most {LONGEST} characters")
        else:
            found[Code(key)] = " ".join(sentence.split())
    for fault in document.faults:
        log.warning("prompt not used: %s", fault)
    return found


def question(name: str, words: str, language: str) -> str:
    """Return the question before a call of the tool `name`. `words` is the owner's own question, or empty."""
    tag = next((tag for tag in tags(language) if tag in _PRESS), DEFAULT)
    asked = words or _ALLOW[tag].format(name=" ".join(name.replace("_", " ").replace("-", " ").split()))
    return f"{asked} {_PRESS[tag]}"
