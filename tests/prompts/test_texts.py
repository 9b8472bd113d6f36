import logging
import os
from pathlib import Path

import pytest

from kioskd.errors import SPOKEN, Code
from kioskd.live_models import VERTEX_LANGUAGES
from kioskd.prompts import texts

SHIPPED = sorted(path.stem for path in texts.shipped().glob("*.yaml"))

SPOKEN_LETTERS = {
    "pl": {"W": "wu", "K": "ka", "D": "de", "B": "be", "S": "es"},
    "cs": {"K": "ká", "S": "es"},
    "nl": {"S": "es"},
}
"""Names of letters, for languages that read a single letter as a word."""


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_each_language_that_the_service_documents_has_texts() -> None:
    assert {tag.partition("-")[0] for tag in VERTEX_LANGUAGES} <= set(SHIPPED)
    assert len({tag.partition("-")[0] for tag in SHIPPED}) >= 24


def test_mandarin_has_two_codes_and_the_same_texts() -> None:
    assert texts.read("cmn-Hans-CN", None).sentences == texts.read("zh-CN", None).sentences


@pytest.mark.parametrize("language", SHIPPED)
def test_every_shipped_language_has_a_sentence_for_every_code_that_is_spoken(
    language: str, caplog: pytest.LogCaptureFixture
) -> None:
    read = texts.read(language, None)
    assert read.language == language
    assert set(read.sentences) == set(SPOKEN)
    assert warnings(caplog) == []


@pytest.mark.parametrize("language", SHIPPED)
def test_every_shipped_sentence_ends_with_its_code_letter_by_letter(language: str) -> None:
    for code, sentence in texts.read(language, None).sentences.items():
        letter, digit = code
        spoken = SPOKEN_LETTERS.get(language, {}).get(letter, letter)
        assert sentence.endswith(f" {spoken} {digit}."), sentence


@pytest.mark.parametrize("language", SHIPPED)
def test_no_two_codes_have_the_same_words(language: str) -> None:
    sentences = texts.read(language, None).sentences
    assert len({sentence[:-4] for sentence in sentences.values()}) == len(SPOKEN)


def test_texts_of_a_region_take_precedence_over_those_of_the_language() -> None:
    assert "acessar" in texts.read("pt-BR", None).sentences[Code.WAY]
    assert "aceder" in texts.read("pt-PT", None).sentences[Code.WAY]


def test_a_language_without_texts_is_english_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    read = texts.read("fi-FI", None)
    assert read == texts.read("en", None)
    assert len(warnings(caplog)) == 1
    assert "language=fi-FI" in warnings(caplog)[0]


@pytest.mark.parametrize("language", ["", "../en", "en/..", "-v", "x" * 300])
def test_a_text_that_is_no_language_tag_names_no_file(language: str) -> None:
    assert texts.tags(language) == ()
    assert texts.read(language, None).language == "en"


def test_the_owners_sentences_take_precedence_over_the_shipped_ones(tmp_path: Path) -> None:
    (tmp_path / "de.yaml").write_text("W1: >\n  Kein Netz,\n  Code W 1.\n", encoding="utf-8")
    (tmp_path / "de-AT.yaml").write_text("W2: Servus, Code W 2.\n", encoding="utf-8")
    read = texts.read("de-AT", tmp_path)
    assert read.language == "de-AT"
    assert read.sentences[Code.WAY] == "Kein Netz, Code W 1."
    assert read.sentences[Code.SERVICE] == "Servus, Code W 2."
    assert read.sentences[Code.QUOTA] == texts.read("de", None).sentences[Code.QUOTA]


def test_an_owner_can_add_a_language(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "fi.yaml").write_text("W1: Inget internet, kod W 1.\n", encoding="utf-8")
    read = texts.read("fi", tmp_path)
    assert (read.language, dict(read.sentences)) == ("fi", {Code.WAY: "Inget internet, kod W 1."})
    assert warnings(caplog) == []


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ("W1: fine\nX9: what\n", ":2:1 X9: is not a code; use one of W1, "),
        ("W1: fine\nW2: 12\n", ":2:5 W2: is not a sentence"),
        ("W1: fine\nW2: ''\n", ":2:5 W2: is not a sentence"),
        (f"W1: fine\nW2: {'x' * 501}\n", ":2:5 W2: is not a sentence"),
        ("W1: fine\nW2: [a]\n", ":2:5 W2: is not a sentence"),
    ],
)
def test_a_bad_line_of_the_owner_is_logged_and_ignored(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: str, place: str
) -> None:
    (tmp_path / "en.yaml").write_text(content, encoding="utf-8")
    read = texts.read("en", tmp_path)
    assert read.sentences[Code.WAY] == "fine"
    assert read.sentences[Code.SERVICE] == texts.read("en", None).sentences[Code.SERVICE]
    assert len(warnings(caplog)) == 1
    assert f"{tmp_path / 'en.yaml'}{place}" in warnings(caplog)[0]


@pytest.mark.parametrize("content", [b"", b"- W1\n", b"W1: 'x\n", b"\xff\xfe\x00", b"W1\n"])
def test_a_bad_file_of_the_owner_is_logged_and_ignored(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    (tmp_path / "en.yaml").write_bytes(content)
    assert texts.read("en", tmp_path) == texts.read("en", None)
    assert len(warnings(caplog)) == 1
    assert str(tmp_path / "en.yaml") in warnings(caplog)[0]


def test_prompts_that_are_not_a_regular_file_are_ignored_at_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    os.mkfifo(tmp_path / "en.yaml")
    assert texts.read("en", tmp_path) == texts.read("en", None)
    assert "no regular file but a named pipe" in caplog.text


@pytest.mark.parametrize("language", sorted({tag.partition("-")[0] for tag in SHIPPED}))
def test_every_shipped_language_names_the_tool_and_the_button(language: str) -> None:
    asked = texts.question("open_front-door", "", texts.read(language, None))
    assert asked is not None
    assert "open front door" in asked
    assert language == "en" or asked != texts.question("open_front-door", "", texts.read("en", None))


def test_the_owners_question_is_followed_by_the_request_for_a_press() -> None:
    assert (
        texts.question("open_door", "Open the yard?", texts.read("en-GB", None))
        == "Open the yard? To allow it, press the button."
    )


def test_a_language_without_words_for_a_question_has_no_question(tmp_path: Path) -> None:
    (tmp_path / "gl.yaml").write_text("W1: Non hai internet, código W 1.\n", encoding="utf-8")
    assert texts.question("open_door", "", texts.read("gl", tmp_path)) is None
