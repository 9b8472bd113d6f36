"""No class has too many attributes or constructor parameters: such a class does more than one job."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

PACKAGE: Final = Path(__file__).parents[1] / "daemon" / "kioskd"

MOST_ATTRIBUTES: Final = 15
MOST_PARAMETERS: Final = 12

RECORDS: Final[Mapping[str, str]] = {
    "app/parts.py:Devices": "a list of what a kiosk has, one field for each device",
    "tools/tool_kind.py:ToolKind": "what a kind of tool declares, one field for each declaration",
    "core/levels.py:State": "the state of the whole machine, one field for each fact that a transition reads",
    "core/link_state.py:Link": "the state of the connection, one field for each fact that a transition reads",
    "core/policy.py:Policy": "the owner's settings as the core reads them, one field for each",
    "core/turn.py:Turn": "the state of the conversation, one field for each fact that a transition reads",
    "simulator/records.py:SessionRecord": "a row of the simulator's records, one field for each fact",
    "adapters/gemini/live.py:GeminiConfig": "the service's settings, one field for each",
    "adapters/gemini/options.py:SessionOptions": "the model's settings, one field for each",
    "rehearsal/capture.py:RehearsalRecord": "a row of a rehearsal's record, one field for each column",
}
"""Dataclasses without behaviour that may have more fields, each with the reason."""


def is_dataclass(node: ast.ClassDef) -> bool:
    """Whether the class is decorated as a dataclass."""
    return any("dataclass" in ast.unparse(each) for each in node.decorator_list)


def fields(node: ast.ClassDef) -> set[str]:
    """Return the fields of a dataclass. A ClassVar is none."""
    return {
        each.target.id
        for each in node.body
        if isinstance(each, ast.AnnAssign)
        and isinstance(each.target, ast.Name)
        and "ClassVar" not in ast.unparse(each.annotation)
    }


def attributes(node: ast.ClassDef) -> set[str]:
    """Return the names that methods of the class assign on `self`, and the fields of a dataclass."""
    assigned = fields(node) if is_dataclass(node) else set()
    for method in node.body:
        if not isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        assigned |= {
            each.attr
            for each in ast.walk(method)
            if isinstance(each, ast.Attribute)
            and isinstance(each.ctx, ast.Store)
            and isinstance(each.value, ast.Name)
            and each.value.id == "self"
        }
    return assigned


def parameters(node: ast.ClassDef) -> int:
    """Return how many parameters the constructor takes: `self` and fields with `init=False` do not count."""
    for method in node.body:
        if isinstance(method, ast.FunctionDef) and method.name == "__init__":
            given = method.args
            return len(given.posonlyargs + given.args + given.kwonlyargs) - 1
    if not is_dataclass(node):
        return 0
    return sum(
        isinstance(each, ast.AnnAssign)
        and "ClassVar" not in ast.unparse(each.annotation)
        and not (each.value is not None and "init=False" in ast.unparse(each.value))
        for each in node.body
    )


def too_large(package: Path) -> Iterator[tuple[str, int, int]]:
    """Yield each class over a limit: its file and name, its attributes, its constructor's parameters."""
    for path in sorted(package.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                held, taken = len(attributes(node)), parameters(node)
                if held > MOST_ATTRIBUTES or taken > MOST_PARAMETERS:
                    yield f"{path.relative_to(package).as_posix()}:{node.name}", held, taken


def test_no_class_is_too_large() -> None:
    found = [one for one in too_large(PACKAGE) if one[0] not in RECORDS]
    assert found == []


def test_each_exception_is_still_needed() -> None:
    assert {name for name, _, _ in too_large(PACKAGE)} >= set(RECORDS)


def test_a_class_with_too_much_state_is_found(tmp_path: Path) -> None:
    lines = "".join(f"        self.a{number} = 0\n" for number in range(15))
    (tmp_path / "big.py").write_text(
        f"class Big:\n    def __init__(self):\n{lines}\n"
        "    async def run(self):\n        self.late, other.x = 1, 2\n"
    )
    (tmp_path / "fair.py").write_text(f"class Fair:\n    def __init__(self):\n{lines}\n")
    assert list(too_large(tmp_path)) == [("big.py:Big", 16, 0)]


def test_a_constructor_with_too_many_parameters_is_found(tmp_path: Path) -> None:
    given = ", ".join(f"a{number}" for number in range(12))
    (tmp_path / "big.py").write_text(f"class Big:\n    def __init__(self, {given}, *, last=1): ...\n")
    (tmp_path / "fair.py").write_text(f"class Fair:\n    def __init__(self, {given}): ...\n")
    assert list(too_large(tmp_path)) == [("big.py:Big", 0, 13)]


def test_a_dataclass_is_measured_by_its_fields(tmp_path: Path) -> None:
    lines = "".join(f"    a{number}: int\n" for number in range(12))
    decorated = f"@dataclass(slots=True)\nclass Big:\n{lines}"
    (tmp_path / "big.py").write_text(f"{decorated}    last: int = 0\n")
    (tmp_path / "fair.py").write_text(
        f"{decorated}    own: int = field(init=False)\n    most: ClassVar[int] = 1\n"
    )
    assert list(too_large(tmp_path)) == [("big.py:Big", 13, 13)]
