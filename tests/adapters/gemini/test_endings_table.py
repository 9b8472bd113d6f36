"""The manual's table of endings is the adapter's own."""

from pathlib import Path

from tests.support.generated import generated

from kioskd.adapters.gemini.errors import ENDINGS


def test_every_ending_has_its_line(tmp_path: Path) -> None:
    table = generated("endings", "endings", tmp_path)[2:]
    cells = [line.split("|") for line in table]
    assert [cell[1].strip() for cell in cells] == [row.name for row in ENDINGS]
    assert [cell[4].strip() for cell in cells] == [row.remedy.value for row in ENDINGS]
    assert "| service unavailable | HTTP 408, 425, 500-599 |  | resume | W2 |" in table
    assert "| proxy does not reach the service | proxy 408, 425, 500-599 |  | resume | W1 |" in table
