"""The words around captions: each language has all of them."""

import pytest

from kioskd.core.effects import KioskStatus
from kioskd.flow.captions.labels import labels

LANGUAGES = ("en", "de", "fr", "es", "it", "nl", "pt", "pl", "ar", "he")


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_state_has_a_name(language: str) -> None:
    found = labels(f"{language}-XX")
    assert found.language == language
    assert set(found.states) == set(KioskStatus)
    assert all(found.states.values())
    assert set(found.others) == {"visitor", "kiosk", "left", "lost"}


@pytest.mark.parametrize("language", ["", "tlh", "x", "EN-us"])
def test_another_language_has_the_english_names(language: str) -> None:
    assert labels(language).language == "en"
