"""The README shows files of this repository as they are."""

import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]


def test_the_readme_shows_the_first_configuration_as_it_is_shipped() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.findall(r"^```yaml\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    assert (ROOT / "config" / "examples" / "starter.yaml").read_text(encoding="utf-8") in shown


def test_the_first_configuration_has_ten_lines() -> None:
    starter = (ROOT / "config" / "examples" / "starter.yaml").read_text(encoding="utf-8")
    assert len(starter.splitlines()) == 10
