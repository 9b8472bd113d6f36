"""What others need to know of tools that an installed package brings."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from kioskd.tools.kinds.python.entry import function, look_up
from kioskd.tools.kinds.python.settings import PythonSettings
from kioskd.tools.tool_kind import BuildContext, ToolKind
from kioskd.yamlconf.document import ValuePath

if TYPE_CHECKING:
    from kioskd.tools.contract import ToolSource


class PythonKind(ToolKind[PythonSettings]):
    """A function of an installed package."""

    name = "python"
    settings = PythonSettings

    def faults(self, tool: PythonSettings) -> Iterator[tuple[ValuePath, str]]:
        """Yield why its entry point cannot be used."""
        if wrong := look_up(tool.entry)[1]:
            yield ("entry",), wrong

    def goes_to(self, tool: PythonSettings) -> str:
        """Return that it is code within the daemon."""
        del tool
        return (
            "code of an installed package, which runs within the daemon itself: "
            "it may send it on, and may read the key, memory and state"
        )

    def risk(self, tool: PythonSettings) -> str:
        """Return that it is code within the daemon."""
        del tool
        return "runs within the daemon itself, as Python tools do: it may read the key"

    def build(self, tool: PythonSettings, context: BuildContext) -> "ToolSource":
        """Return the tool; raises ConfigError where its entry point cannot be used."""
        del context
        from kioskd.tools.contract import declared  # noqa: PLC0415 - where it is used
        from kioskd.tools.kinds.python.tool import PythonTool  # noqa: PLC0415 - as above

        return PythonTool(declared(tool), function(tool.entry))
