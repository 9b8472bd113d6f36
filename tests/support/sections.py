"""One section of the settings, and what is said of it."""

from typing import Any

import pytest
from pydantic import ValidationError

from kioskd.settings.model import Settings
from kioskd.yamlconf.section import Section


def refusal(section: str, **values: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({section: values})
    (error,) = caught.value.errors()
    return error["msg"]


def taken(section: str, values: dict[str, Any]) -> dict[str, Any]:
    """Return what a section holds when these values are given."""
    held: Section = getattr(Settings.model_validate({section: values}), section)
    return held.model_dump(exclude_unset=True)
