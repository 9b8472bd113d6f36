"""What is asked for a press, in the language of the prompts."""

import logging

import pytest
from tests.prompts.test_library import Reader, tone

from kioskd.prompts import PromptLibrary, texts
from kioskd.prompts.questions import question

SHIPPED = sorted({path.stem.partition("-")[0] for path in texts.shipped().glob("*.yaml")})


@pytest.mark.parametrize("language", SHIPPED)
def test_every_shipped_language_names_the_tool_and_the_button(language: str) -> None:
    asked = question("open_front-door", "", language)
    assert "open front door" in asked
    assert language == "en" or asked != question("open_front-door", "", "en")


def test_the_owners_words_are_followed_by_what_to_do() -> None:
    assert question("open_door", "Open the yard?", "en-GB") == "Open the yard? To allow it, press the button."


def test_a_language_that_is_not_shipped_is_asked_in_english() -> None:
    assert question("open_door", "", "fi") == "May I use open door? To allow it, press the button."


async def test_a_question_is_read_aloud_in_the_language_of_the_prompts() -> None:
    reader = Reader()
    sound = await PromptLibrary("de-AT", None, None, reader).question("open_door", "")
    ((text, language),) = reader.asked
    assert (text, language) == (question("open_door", "", "de"), "de-AT")
    assert sound == tone(len(text))


async def test_a_question_that_cannot_be_said_is_the_lamps_alone(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    assert await PromptLibrary("en", None, None, Reader(good_for=0)).question("open_door", "") is None
    (line,) = caplog.messages
    assert line.startswith("question not said, the lamp alone asks: tool=open_door: reader: was not done")
