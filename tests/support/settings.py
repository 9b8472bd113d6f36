"""One section of the settings, accepted or rejected."""

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from kioskd.settings.model import Settings
from kioskd.yamlconf.section import Section


def taken(section: str, **values: Any) -> Section:
    """Return a section with these values, as the model accepted it."""
    found: Section = getattr(Settings.model_validate({section: values}), section)
    return found


def refusal(section: str, **values: Any) -> str:
    """Return the error message for the one value that is rejected."""
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({section: values})
    (error,) = caught.value.errors()
    return error["msg"]


def subclasses(model: type[Section]) -> Iterator[type[Section]]:
    """Yield all classes below `model`."""
    for each in model.__subclasses__():
        yield each
        yield from subclasses(each)
