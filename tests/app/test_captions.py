"""The parts of captions are built only if the settings ask for them."""

from pathlib import Path

import pytest
from tests.support.fakes_devices import ManualClock

from kioskd.adapters.captions.page_server import CaptionPage
from kioskd.adapters.captions.terminal import CaptionTerminal
from kioskd.app.captions import captions, screens, workers
from kioskd.errors import Code
from kioskd.media.playout import Playout
from kioskd.settings.captions import CaptionsSettings
from kioskd.settings.conversation import AssistantSettings
from kioskd.settings.model import Settings


@pytest.mark.parametrize(
    ("settings", "kinds"),
    [
        (CaptionsSettings(), []),
        (CaptionsSettings(stream=True), []),
        (CaptionsSettings(port=8088), [CaptionPage]),
        (CaptionsSettings(port=8088, terminal=Path("/dev/tty1")), [CaptionPage, CaptionTerminal]),
    ],
)
def test_each_setting_makes_its_screen(settings: CaptionsSettings, kinds: list[type]) -> None:
    assert [type(each) for each in screens(settings, ManualClock())] == kinds


def test_without_the_settings_there_are_no_captions_and_no_workers() -> None:
    made = captions(Settings(), ManualClock(), Playout(lambda _mark: None), lambda: 0)
    assert made is None
    assert workers(made, []) == {}


def test_a_fault_is_told_in_the_words_of_its_prompt() -> None:
    german = AssistantSettings(language=("de-DE",))
    settings = Settings(captions=CaptionsSettings(stream=True), assistant=german)
    made = captions(settings, ManualClock(), Playout(lambda _mark: None), lambda: 0)
    assert made is not None
    assert Code.WAY in Code
    _, message = made.board.since(0)
    status = message["status"]
    assert isinstance(status, dict)
    assert status["label"] == "Startet"
