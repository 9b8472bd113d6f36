"""What others need to know of the kiosk's own tools."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kioskd.tools.kinds.builtin.settings import BuiltinSettings
from kioskd.tools.tool_kind import BuildContext, ToolKind

if TYPE_CHECKING:
    from kioskd.tools.contract import ToolSource


class BuiltinKind(ToolKind[BuiltinSettings]):
    """The kiosk's own tools, once in the list."""

    name = "builtin"
    settings = BuiltinSettings
    names_in = "kind"
    twice = ("kind", "stands here a second time: the kiosk's own tools are set once; merge them")

    def names(self, tool: BuiltinSettings) -> Sequence[str]:
        """Return those that are switched on."""
        return tool.names

    def looks(self, tool: BuiltinSettings) -> bool:
        """Return whether the model may take a picture."""
        return tool.look

    def build(self, tool: BuiltinSettings, context: BuildContext) -> "ToolSource":
        """Return the tools; without a camera none that looks."""
        from kioskd.tools.kinds.builtin.tool import BuiltinTools  # noqa: PLC0415 - where it is used

        return BuiltinTools(tool, context.host, camera=context.camera)
