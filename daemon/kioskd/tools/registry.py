"""The kinds of tools, a line each. Only this module names them all."""

from typing import Any, Final

from kioskd.tools.guard import Guard
from kioskd.tools.kinds.builtin.kind import BUILTIN
from kioskd.tools.kinds.command.kind import COMMAND
from kioskd.tools.kinds.http.kind import HTTP
from kioskd.tools.kinds.mcp.kind import MCP
from kioskd.tools.kinds.mqtt.kind import MQTT
from kioskd.tools.kinds.python.kind import PYTHON
from kioskd.tools.tool_kind import ToolKind

_ALL: Final[tuple[ToolKind[Any], ...]] = (BUILTIN, HTTP, COMMAND, MQTT, MCP, PYTHON)
KINDS: Final = {kind.name: kind for kind in _ALL}
"""Each kind by the name that `kind` has in the YAML."""


def kind_of(tool: Guard) -> ToolKind[Any]:
    """Return the kind of one entry of `tools`.

    Raises:
        LookupError: no kind has such settings.
    """
    for kind in KINDS.values():
        if isinstance(tool, kind.settings):
            return kind
    raise LookupError(type(tool).__name__)
