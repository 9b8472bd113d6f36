"""Declaration of the kind `python`, tools from installed packages, for the rest of kioskd."""

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
    """Return the function for the entry point `entry`. It takes the arguments, and is plain or async.

    It returns JSON, None, or a `ToolResult`. A plain function runs in a thread of its own.

    Raises:
        ConfigError: no installed package has the entry point, or it cannot be loaded.
    """
    found, wrong = look_up(entry)
    if wrong:
        raise ConfigError(f"tools: the entry point {entry}: {wrong}")
    return found  # type: ignore[no-any-return]  # a package's type is unknown here


def look_up(name: str) -> tuple[Any, str]:
    """Return the object of the entry point `name`, and its fault; the fault is empty if it can be called."""
    points = entry_points(group=GROUP, name=name)
    if not points:
        known = ", ".join(sorted({point.name for point in entry_points(group=GROUP)})) or "none"
        what = f"no installed package has it in the group {GROUP} (known names: {known})"
        return None, f"{what}; add its package to /etc/kioskd/requirements.txt, and run scripts/install.sh"
    try:
        found = next(iter(points)).load()
    except KeyboardInterrupt:
        raise
    except BaseException as err:  # noqa: BLE001 - an import may raise anything
        return None, f"cannot be loaded: {type(err).__name__}; repair or replace its package"
    return found, "" if callable(found) else "is not a function; repair or replace its package"


def _build(tool: PythonSettings, _context: BuildContext) -> ToolSource:
    from kioskd.tools.kinds.python.tool import PythonTool  # noqa: PLC0415 - only if used

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
        "it can pass the call on, and can read the key, memory and state"
    ),
    risk=lambda _tool: "runs within the daemon itself, as Python tools do: it can read the key",
)
