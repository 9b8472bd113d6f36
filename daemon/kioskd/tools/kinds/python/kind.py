"""Tools that an installed package brings, as the rest of kioskd knows them."""

from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import entry_points
from typing import Any, Final

from kioskd.errors import ConfigError
from kioskd.tools.contract import ToolSource, declared
from kioskd.tools.kinds.python.settings import PythonSettings
from kioskd.tools.tool_kind import BuildContext, ToolKind
from kioskd.yamlconf.document import ValuePath

GROUP: Final = "kioskd.tools"


def function(entry: str) -> Callable[[Mapping[str, object]], Any]:
    """Return what the entry point `entry` names: a function of the arguments, plain or async.

    It returns JSON, None for nothing, or a `ToolResult`. A plain one runs in a thread of its own.

    Raises:
        ConfigError: no installed package has it, or it cannot be loaded.
    """
    found, wrong = look_up(entry)
    if wrong:
        raise ConfigError(f"tools: the entry point {entry}: {wrong}")
    return found  # type: ignore[no-any-return]  # what a package has cannot be known here


def look_up(name: str) -> tuple[Any, str]:
    """Return what the entry point `name` names, and what keeps it from being called, or nothing."""
    points = entry_points(group=GROUP, name=name)
    if not points:
        known = ", ".join(sorted({point.name for point in entry_points(group=GROUP)})) or "none"
        what = f"no installed package has it in the group {GROUP} (installed are: {known})"
        return None, f"{what}; name its package in /etc/kioskd/requirements.txt, and run scripts/install.sh"
    try:
        found = next(iter(points)).load()
    except KeyboardInterrupt:
        raise
    except BaseException as err:  # noqa: BLE001 - whatever its module raises while it is imported; SystemExit, too
        return None, f"cannot be loaded: {type(err).__name__}; mend or replace its package"
    return found, "" if callable(found) else "names no function; mend or replace its package"


def _build(tool: PythonSettings, _context: BuildContext) -> ToolSource:
    from kioskd.tools.kinds.python.tool import PythonTool  # noqa: PLC0415 - where it is used

    return PythonTool(declared(tool), function(tool.entry))


def _faults(tool: PythonSettings) -> Iterator[tuple[ValuePath, str]]:
    if wrong := look_up(tool.entry)[1]:
        yield ("entry",), wrong


PYTHON: Final = ToolKind(
    name="python",
    settings=PythonSettings,
    build=_build,
    faults=_faults,
    goes_to=lambda _tool: (
        "code of an installed package, which runs within the daemon itself: "
        "it may send it on, and may read the key, memory and state"
    ),
    risk=lambda _tool: "runs within the daemon itself, as Python tools do: it may read the key",
)
