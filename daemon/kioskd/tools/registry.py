"""The kinds of tools, a line each. Only this module names them all."""

from typing import Any, Final

from kioskd.tools.guard import Guard
from kioskd.tools.kinds.builtin.kind import BuiltinKind
from kioskd.tools.kinds.command.kind import CommandKind
from kioskd.tools.kinds.http.kind import HttpKind
from kioskd.tools.kinds.mcp.kind import McpKind
from kioskd.tools.kinds.mqtt.kind import MqttKind
from kioskd.tools.kinds.python.kind import PythonKind
from kioskd.tools.tool_kind import ToolKind

KINDS: Final[dict[str, ToolKind[Any]]] = {
    kind.name: kind
    for kind in (BuiltinKind(), HttpKind(), CommandKind(), MqttKind(), McpKind(), PythonKind())
}
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
