"""Declaration of the kind `command`, tools that run a program, for the rest of kioskd."""

from typing import Final

from kioskd.tools.contract import ToolSource
from kioskd.tools.kinds.command.settings import CommandSettings
from kioskd.tools.tool_kind import BuildContext, ToolKind


def _build(tool: CommandSettings, context: BuildContext) -> ToolSource:
    from kioskd.tools.kinds.command.tool import CommandTool  # noqa: PLC0415 - only if used
    from kioskd.tools.program import Program  # noqa: PLC0415 - as above

    return CommandTool(tool, Program.of(tool, tool.name, context), context.clock)


COMMAND: Final = ToolKind(name="command", settings=CommandSettings, build=_build)
