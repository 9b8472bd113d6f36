"""Settings files as an owner writes them, and their faults."""

import textwrap
from pathlib import Path

import pytest

from kioskd.settings.load import (
    SettingsError,
    load,
)
from kioskd.settings.model import Settings


def faults_of(file: Path, text: str) -> list[tuple[int, int, str, str]]:
    file.write_text(textwrap.dedent(text), encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        load(file)
    return [(fault.line, fault.column, fault.key, fault.what) for fault in caught.value.faults]


def settings_of(file: Path, text: str) -> Settings:
    file.write_text(textwrap.dedent(text), encoding="utf-8")
    return load(file)
