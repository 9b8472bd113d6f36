"""No test uses a private attribute of an object or a module: tests look at the package from outside."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

TESTS: Final = Path(__file__).parent

ALLOWED: Final[Mapping[str, str]] = {
    "os._exit": "Python's own name for ending a process at once",
    "server._tool_manager": "the MCP library has no public way to declare a tool without an end",
    "Picamera2._get_raw_modes": "the virtual camera has to replace this method of the library",
}
"""Private names that tests may use, each with the reason."""


def private_names(tests: Path) -> Iterator[tuple[str, str]]:
    """Yield each use of a private attribute of another object: the file and the expression."""
    for path in sorted(tests.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Attribute) or not node.attr.startswith("_"):
                continue
            own = ast.unparse(node.value) in ("self", "cls", "super()")
            if not own and not node.attr.endswith("__"):
                yield path.relative_to(tests).as_posix(), ast.unparse(node)


def test_no_test_reaches_into_private_attributes() -> None:
    found = [(file, name) for file, name in private_names(TESTS) if name not in ALLOWED]
    assert found == []


def test_each_exception_is_still_needed() -> None:
    assert {name for _, name in private_names(TESTS)} >= set(ALLOWED)


def test_a_reach_into_an_object_is_found(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "made[0]._turn\nmake()._find(1)\nself._own, cls._own, super()._own, it.__dict__\n"
    )
    found = {("test_it.py", "make()._find"), ("test_it.py", "made[0]._turn")}
    assert set(private_names(tmp_path)) == found
