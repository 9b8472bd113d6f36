"""The kiosk's own tools, as the rest of kioskd knows them."""

from typing import Final

from kioskd.tools.contract import ToolSource
from kioskd.tools.kinds.builtin.settings import BuiltinSettings
from kioskd.tools.tool_kind import BuildContext, ToolKind


def _build(tool: BuiltinSettings, context: BuildContext) -> ToolSource:
    from kioskd.tools.kinds.builtin.tool import BuiltinTools  # noqa: PLC0415 - where it is used

    return BuiltinTools(tool, context.host, camera=context.camera)


BUILTIN: Final = ToolKind(
    name="builtin",
    settings=BuiltinSettings,
    build=_build,
    names=lambda tool: tool.names,
    names_in="kind",
    twice=("kind", "stands here a second time: the kiosk's own tools are set once; merge them"),
    looks=lambda tool: tool.look,
)
