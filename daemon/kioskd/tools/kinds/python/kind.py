"""Tools that an installed package brings, as the rest of kioskd knows them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from kioskd.tools.kinds.python.entry import function, look_up
from kioskd.tools.kinds.python.settings import PythonSettings
from kioskd.tools.tool_kind import BuildContext, ToolKind
from kioskd.yamlconf.document import ValuePath

if TYPE_CHECKING:
    from kioskd.tools.contract import ToolSource


def _build(tool: PythonSettings, _context: BuildContext) -> "ToolSource":
    from kioskd.tools.contract import declared  # noqa: PLC0415 - where it is used
    from kioskd.tools.kinds.python.tool import PythonTool  # noqa: PLC0415 - as above

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
