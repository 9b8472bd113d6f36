"""The properties of all sections of the settings."""

import pytest
from pydantic import ValidationError

from kioskd.settings.model import Settings
from kioskd.yamlconf.section import Section


class Speaker(Section):
    volume: int = 70
    loudness: float = 1.0


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().speaker.volume = 3  # type: ignore[misc]  # that it cannot be is the point


@pytest.mark.parametrize(
    "written", [{"volume": "3"}, {"volume": 3.0}, {"volume": True}, {"loudness": float("inf")}, {"volum": 3}]
)
def test_values_are_not_converted_and_unknown_names_are_rejected(written: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Speaker.model_validate(written)


def test_an_error_does_not_repeat_the_value() -> None:
    with pytest.raises(ValidationError) as caught:
        Speaker.model_validate({"volume": "sesame"})
    assert "sesame" not in str(caught.value)
