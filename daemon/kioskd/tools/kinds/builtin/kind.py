"""Declaration of the kind `builtin`, the kiosk's own tools, for the rest of kioskd."""

from typing import Final

from kioskd.tools.contract import ToolSource
from kioskd.tools.kinds.builtin.settings import BuiltinSettings
from kioskd.tools.tool_kind import BuildContext, ToolKind


def _build(tool: BuiltinSettings, context: BuildContext) -> ToolSource:
    from kioskd.tools.kinds.builtin.tool import BuiltinTools  # noqa: PLC0415 - only if used

    return BuiltinTools(tool, context.host, useless=context.useless, profiles=context.profiles)


BUILTIN: Final = ToolKind(
    name="builtin",
    settings=BuiltinSettings,
    build=_build,
    names=lambda tool: tool.names,
    names_in="kind",
    twice=("kind", "appears twice, but the kiosk's own tools have only one entry; merge the two"),
    looks=lambda tool: tool.look,
)
