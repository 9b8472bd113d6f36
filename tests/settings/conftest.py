"""The file in which the tests of this folder write settings."""

from pathlib import Path

import pytest


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "kioskd.yaml"
