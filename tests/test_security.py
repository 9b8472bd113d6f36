"""Each promise of .github/SECURITY.md names a test that exists."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / ".github/SECURITY.md").read_text()
ATTACKERS = (
    *("A visitor", "A stranger in the network", "A local user", "A hostile service", "An injected model"),
    *("A supplier", "A thief of the card"),
)
NAMED = re.findall(r"`(tests/[^`]+?\.py)::([^`]+)`", TEXT)


@pytest.mark.parametrize("attacker", ATTACKERS)
def test_each_attacker_has_promises_and_each_promise_a_test(attacker: str) -> None:
    [section] = re.findall(rf"(?ms)^### {attacker}$(.*?)(?=^##)", TEXT)
    rows = re.findall(r"(?m)^\| ([^|]+) \| ([^|]+) \|$", section)[2:]
    assert len(rows) >= 3
    for promise, shown in rows:
        assert promise.endswith(".")
        assert re.fullmatch(r"`tests/[\w/]+\.py::test_\w+`", shown)


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_each_named_test_exists(path: str, name: str) -> None:
    tree = ast.parse((ROOT / path).read_text())
    functions = {
        one.name for one in ast.walk(tree) if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert name in functions


def test_the_readme_links_to_the_security_policy() -> None:
    assert "(.github/SECURITY.md)" in (ROOT / "README.md").read_text()
