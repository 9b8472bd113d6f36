"""Which module may import which: the layers, and the one home of each vendor library.

Read from the source, so that an import inside a function counts like any other.
"""

import ast
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

SOURCE: Final = Path(__file__).parents[1] / "daemon"
PACKAGE: Final = "kioskd"

ARROWS: Final[Mapping[str, tuple[str, ...]]] = {
    "__main__": ("cli",),
    "cli": (
        "app",
        "adapters",
        "core",
        "doctor",
        "flow.reload",
        "logs",
        "media",
        "messages",
        "ports",
        "rehearsal",
        "sanitize",
        "settings",
        "tools",
        "regular_file",
    ),
    "app": (
        "adapters",
        "core",
        "flow",
        "logs",
        "media",
        "messages",
        "ports",
        "profiles",
        "prompts",
        "proxies",
        "settings",
        "tools",
    ),
    "prompts": (
        "adapters.espeak",
        "media",
        "settings.document",
        "regular_file",
    ),
    "rehearsal": (
        "app",
        "adapters",
        "core.effects",
        "core.events",
        "core.policy",
        "logs",
        "media",
        "ports",
        "settings",
        "regular_file",
    ),
    "doctor": (
        "app",
        "adapters",
        "logs",
        "media",
        "ports",
        "proxies",
        "regular_file",
        "settings",
        "tools",
    ),
    "flow": ("core", "fairness", "media", "messages", "ports", "sanitize"),
    "tools": ("media.pcm", "patterns", "ports", "proxies", "sanitize", "settings.credentials"),
    "adapters": ("fairness", "media", "messages", "ports", "proxies", "regular_file", "sanitize"),
    "settings": ("patterns", "profiles", "proxies", "regular_file"),
    "proxies": (),
    "patterns": (),
    "profiles": (),
    "core": (),
    "media": (),
    "ports": ("media.pcm",),
    "logs": ("messages", "repeats", "sanitize"),
    "messages": (),
    "repeats": (),
    "regular_file": (),
    "sanitize": (),
    "fairness": (),
    "errors": (),
}
"""Layer: what it may import beside itself, `errors` and the version in `kioskd/__init__.py`."""

HOMES: Final[Mapping[str, tuple[str, ...]]] = {
    "PIL": ("adapters.picture_worker", "media.picture", "media.raw_frame"),
    "aiomqtt": ("tools.mqtt",),
    "anyio": ("tools.mcp",),
    "certifi": ("adapters.gemini",),
    "cryptography": ("rehearsal.certificate",),
    "evdev": ("adapters.evdev",),
    "google": ("adapters.gemini",),
    "gpiod": (
        "adapters.gpio",
        "adapters.gpio_button",
        "adapters.gpio_chips",
        "adapters.gpio_lamp",
        "cli.devices",
    ),
    "httpx2": ("adapters.gemini", "tools.http", "tools.mcp"),
    "jsonschema_rs": ("patterns", "settings.tools_forms"),
    "libcamera": ("adapters.picamera",),
    "livekit": ("media.echo",),
    "matplotlib": ("rehearsal.timeline",),
    "mcp": ("tools.mcp",),
    "mcp_types": ("tools.mcp",),
    "numpy": ("doctor", "media", "rehearsal"),
    "paho": ("tools.mqtt",),
    "picamera2": ("adapters.picamera",),
    "prometheus_client": ("adapters.prometheus",),
    "pyaudio": ("adapters.portaudio",),
    "pydantic": ("adapters", "app", "core", "doctor", "flow", "ports", "rehearsal", "settings", "tools"),
    "pydantic_core": ("settings",),
    "pymicro_wakeword": ("adapters.wakeword",),
    "rich": ("cli.watch",),
    "soxr": ("media.resample", "rehearsal.service"),
    "systemd": ("logs",),
    "webrtcvad": ("media", "rehearsal.service"),
    "websockets": ("adapters.gemini", "rehearsal.service"),
    "yaml": ("settings.document",),
}
"""Who may import a library that is neither Python's nor ours: a module, its parts (`portaudio_thread`), or a folder."""

IMPURE: Final = frozenset(
    {
        *(
            "asyncio",
            "concurrent",
            "datetime",
            "io",
            "logging",
            "multiprocessing",
            "os",
            "pathlib",
            "queue",
            "random",
        ),
        *(
            "sched",
            "secrets",
            "select",
            "selectors",
            "shutil",
            "signal",
            "socket",
            "subprocess",
            "sys",
            "tempfile",
        ),
        *("threading", "time", "warnings"),
    }
)
"""What waits, reads, writes, chances or tells the time: not for a layer that only decides or computes."""

PURE: Final = frozenset({"core", "media"})

PURE_NEVERTHELESS: Final = frozenset({("media.picture", "io"), ("media.picture", "warnings")})
"""Pillow reads bytes only as a file, and tells of a bomb by a warning."""

HEAVY: Final = frozenset(
    {
        *(
            "PIL",
            "aiomqtt",
            "evdev",
            "google",
            "gpiod",
            "httpx2",
            "jsonschema",
            "livekit",
            "matplotlib",
            "mcp",
        ),
        *("paho", "picamera2", "pyaudio", "prometheus_client", "pymicro_wakeword", "referencing", "rich"),
    }
)
"""What no command may load before it knows that it is needed: slow, or not there on every machine."""


@dataclass(frozen=True)
class Import:
    """One module importing another, by full dotted names."""

    importer: str
    imported: str
    line: int
    eager: bool
    """Whether it happens as soon as the importer is imported."""

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.imported}"


def modules(source: Path) -> dict[str, Path]:
    """Return the package's modules by their dotted names."""
    found = {}
    for path in sorted((source / PACKAGE).rglob("*.py")):
        parts = path.relative_to(source).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(source: Path) -> list[Import]:
    """Return every import in the package."""
    known = modules(source)
    found: list[Import] = []
    for name, path in known.items():
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        late = {id(node) for outer in ast.walk(tree) if _defers(outer) for node in ast.walk(outer)}
        for node in ast.walk(tree):
            line, eager = getattr(node, "lineno", 0), id(node) not in late
            found.extend(Import(name, target, line, eager) for target in _targets(node, package, known))
    return found


def _defers(node: ast.AST) -> bool:
    if isinstance(node, ast.If):
        return ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)


def _targets(node: ast.AST, package: str, known: Mapping[str, Path]) -> Iterator[str]:
    match node:
        case ast.Import(names):
            for alias in names:
                yield alias.name
        case ast.ImportFrom(module, names, level):
            above = package.split(".")[: len(package.split(".")) - level + 1] if level else []
            base = ".".join([*above, *([module] if module else [])])
            for alias in names:
                whole = f"{base}.{alias.name}"
                yield whole if whole in known else base
        case ast.Call(ast.Name("__import__" | "import_module"), [ast.Constant(str(module)), *_]):
            yield module
        case ast.Call(ast.Attribute(_, "import_module"), [ast.Constant(str(module)), *_]):
            yield module


def violations(source: Path) -> list[str]:
    """Return what is wrong with the package's imports, a line each."""
    return [f"{found}: {why}" for found in imports(source) if (why := _fault(found))]


def _fault(found: Import) -> str | None:
    importer = found.importer.removeprefix(f"{PACKAGE}.")
    if found.imported.split(".")[0] == PACKAGE:
        return _fault_of_arrow(importer.split(".")[0], found.imported.removeprefix(PACKAGE).removeprefix("."))
    return _fault_of_library(importer, found.imported)


def _fault_of_arrow(layer: str, imported: str) -> str | None:
    if layer == PACKAGE:
        return "kioskd/__init__.py imports nothing of ours"
    if layer not in ARROWS:
        return f"'{layer}' has no row in ARROWS: say what it may import"
    allowed = ("", "errors", layer, *ARROWS[layer])
    return None if _within(imported, allowed) else f"no arrow from '{layer}' to there"


def _fault_of_library(importer: str, imported: str) -> str | None:
    layer, top = importer.partition(".")[0], imported.partition(".")[0]
    if top in sys.stdlib_module_names:
        impure = layer in PURE and top in IMPURE and (importer, top) not in PURE_NEVERTHELESS
        return f"'{layer}' is pure" if impure else None
    if top not in HOMES:
        return f"'{top}' has no row in HOMES: say which adapter owns it"
    if layer == "core" and imported != "pydantic":
        return "core knows no library but pydantic, for SecretStr"
    return None if _within(importer, HOMES[top]) else f"'{top}' belongs to {', '.join(HOMES[top])}"


def _within(module: str, homes: tuple[str, ...]) -> bool:
    return any(module == home or (home and module.startswith((f"{home}.", f"{home}_"))) for home in homes)


def eager_libraries(source: Path, start: str) -> dict[str, str]:
    """Return the foreign libraries that importing `start` loads, each with the module of ours that does it."""
    known = modules(source)
    found = [one for one in imports(source) if one.eager]
    loaded: dict[str, str] = {}
    waiting, seen = [start], {start}
    while waiting:
        name = waiting.pop()
        parents = [name.rsplit(".", level)[0] for level in range(1, name.count(".") + 1)]
        for one in (one for one in found if one.importer == name):
            top = one.imported.split(".")[0]
            if top != PACKAGE and top not in sys.stdlib_module_names:
                loaded.setdefault(top, str(one))
            parents.append(one.imported)
        for needed in parents:
            if needed in known and needed not in seen:
                seen.add(needed)
                waiting.append(needed)
    return loaded


def test_every_import_follows_an_arrow() -> None:
    assert len(imports(SOURCE)) > 100
    assert violations(SOURCE) == []


@pytest.mark.parametrize("command", [name for name in modules(SOURCE) if _within(name, ("kioskd.cli",))])
def test_a_command_loads_nothing_heavy_before_it_runs(command: str) -> None:
    loaded = eager_libraries(SOURCE, command)
    assert {library: why for library, why in loaded.items() if library in HEAVY} == {}


def test_no_row_is_left_of_a_layer_that_is_gone() -> None:
    planned = {"doctor", "tools"}
    layers = {name.split(".")[1] for name in modules(SOURCE) if "." in name}
    assert layers <= set(ARROWS)
    assert set(ARROWS) - planned <= layers


# The check itself, on a tree with one bad import


def plant(root: Path, module: str, text: str) -> Path:
    """Write a package of one bad module (and a few good ones) under `root`; return its source root."""
    for name in ("", "core", "media", "flow", "adapters", "cli", "settings", "rehearsal"):
        folder = root / PACKAGE / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "__init__.py").touch()
    for name in (
        "errors",
        "ports",
        "app",
        "core/events",
        "core/machine",
        "media/pcm",
        "flow/crew",
        "adapters/clock",
    ):
        (root / PACKAGE / f"{name}.py").touch()
    (root / PACKAGE / f"{module}.py").write_text(text)
    return root


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("core/turn", "import asyncio"),
        ("core/turn", "from time import monotonic"),
        ("core/turn", "from kioskd import ports"),
        ("core/turn", "from kioskd.media import pcm"),
        ("core/turn", "from ..media import pcm"),
        ("core/turn", "import pydantic.networks"),
        ("core/turn", "def f():\n    import logging"),
        ("media/voice", "import time"),
        ("media/voice", "from kioskd.core import events"),
        ("media/voice", "import pydantic"),
        ("settings/load", "from kioskd.core import events"),
        ("flow/engine", "from kioskd.adapters import clock"),
        ("flow/engine", "from kioskd import app"),
        ("flow/engine", "import google.genai"),
        ("adapters/gemini", "from kioskd.flow.crew import Crew"),
        ("adapters/gemini", "from kioskd import core"),
        ("adapters/gpio", "import pyaudio"),
        ("adapters/gpio", "import importlib\nimportlib.import_module('google.genai')"),
        ("adapters/gpio", "import left_pad"),
        ("rehearsal/stage", "from kioskd.core import machine"),
        ("rehearsal/stage", "from kioskd.flow import crew"),
        ("ports", "from kioskd import adapters"),
        ("errors", "from kioskd import ports"),
        ("app", "from kioskd import cli"),
        ("__init__", "from kioskd import errors"),
        ("novelty", "from kioskd import ports"),
    ],
)
def test_a_bad_import_is_found(tmp_path: Path, module: str, text: str) -> None:
    assert len(violations(plant(tmp_path, module, text))) == 1


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("core/turn", "from pydantic import SecretStr\nfrom kioskd.core import events\nimport enum"),
        ("media/voice", "import webrtcvad\nfrom kioskd import errors\nfrom kioskd.media import pcm"),
        ("flow/engine", "import asyncio\nfrom kioskd.core.machine import step\nfrom kioskd.flow import crew"),
        ("adapters/gemini_socket", "import websockets\nfrom kioskd import ports"),
        ("rehearsal/stage", "from kioskd import __version__, app\nfrom kioskd.core import events"),
    ],
)
def test_a_good_import_is_let_pass(tmp_path: Path, module: str, text: str) -> None:
    assert violations(plant(tmp_path, module, text)) == []


def test_a_heavy_library_is_found_behind_another_module(tmp_path: Path) -> None:
    source = plant(tmp_path, "cli/run", "from kioskd import app")
    plant(source, "app", "from kioskd.adapters import gemini")
    plant(source, "adapters/gemini", "import google.genai")
    assert "google" in eager_libraries(source, "kioskd.cli.run")
    plant(source, "app", "def build():\n    from kioskd.adapters import gemini")
    assert eager_libraries(source, "kioskd.cli.run") == {}
