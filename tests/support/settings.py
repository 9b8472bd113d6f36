"""One section of the settings: taken, or refused."""

from typing import Any

import pytest
from pydantic import ValidationError

from kioskd.settings.model import Settings
from kioskd.yamlconf.section import Section


def taken(section: str, **values: Any) -> Section:
    """Return a section with these values, as it was taken."""
    found: Section = getattr(Settings.model_validate({section: values}), section)
    return found


def refusal(section: str, **values: Any) -> str:
    """Return what is said of the one value that is refused."""
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({section: values})
    (error,) = caught.value.errors()
    return error["msg"]
