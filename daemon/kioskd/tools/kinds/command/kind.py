"""What others need to know of tools that run a program."""

from typing import TYPE_CHECKING

from kioskd.tools.kinds.command.settings import CommandSettings
from kioskd.tools.tool_kind import BuildContext, ToolKind

if TYPE_CHECKING:
    from kioskd.tools.contract import ToolSource


class CommandKind(ToolKind[CommandSettings]):
    """A tool that runs a program, never a shell."""

    name = "command"
    settings = CommandSettings

    def build(self, tool: CommandSettings, context: BuildContext) -> "ToolSource":
        """Return the tool."""
        from kioskd.tools.kinds.command.tool import CommandTool  # noqa: PLC0415 - where it is used
        from kioskd.tools.program import Program  # noqa: PLC0415 - as above

        return CommandTool(tool, Program.of(tool, tool.name, context), context.clock)
