"""Each module has the test file that a reader looks for: the same path below tests/, and the same name."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
PACKAGE: Final = ROOT / "daemon" / "kioskd"
TESTS: Final = ROOT / "tests"

FOLDERS: Final = ("app", "doctor", "adapters/gemini", "settings", "yamlconf")
"""All modules below these must have a mirror."""

MODULES: Final = ("secret_files.py",)
"""Single modules that must have one, too."""

WITHOUT: Final[Mapping[str, str]] = {
    "__init__.py": "a folder's __init__ only names what the folder holds",
}
"""Modules without a mirror, by name or path, each with the reason."""


def modules(package: Path) -> Iterator[str]:
    """Yield the modules that must have a mirror, by their paths in the package."""
    for folder in FOLDERS:
        for path in sorted((package / folder).rglob("*.py")):
            if path.name not in WITHOUT:
                yield path.relative_to(package).as_posix()
    yield from MODULES


def without_mirror(package: Path, tests: Path) -> list[str]:
    """Return the modules that have no test file of their own."""

    def mirror(module: str) -> Path:
        return tests / Path(module).with_name(f"test_{Path(module).name}")

    return [each for each in modules(package) if each not in WITHOUT and not mirror(each).exists()]


def test_each_module_has_a_test_file_of_its_own() -> None:
    assert without_mirror(PACKAGE, TESTS) == []


def test_a_module_without_a_test_file_is_found(tmp_path: Path) -> None:
    package, tests = tmp_path / "package", tmp_path / "tests"
    for path in ("doctor/__init__.py", "doctor/power.py", "doctor/gone/heat.py"):
        (package / path).parent.mkdir(parents=True, exist_ok=True)
        (package / path).touch()
    assert without_mirror(package, tests) == ["doctor/gone/heat.py", "doctor/power.py", "secret_files.py"]
    (tests / "doctor").mkdir(parents=True)
    (tests / "doctor/test_power.py").touch()
    (tests / "test_secret_files.py").touch()
    assert without_mirror(package, tests) == ["doctor/gone/heat.py"]
