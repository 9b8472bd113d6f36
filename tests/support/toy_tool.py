"""A kind of tool outside kioskd, as an author would add it: settings, the tool, and the kind's object."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Final, Literal

from kioskd.tools.contract import FixedTool, ToolResult, ToolSource, declared
from kioskd.tools.credentials import secret
from kioskd.tools.guard import NamedSettings
from kioskd.tools.kinds.value_types import Credential, WebAddress
from kioskd.tools.tool_kind import BuildContext, ToolKind
from kioskd.yamlconf.document import ValuePath
from kioskd.yamlconf.value_types import PathOnDisk, Range


class BellSettings(NamedSettings):
    """A tool that rings a bell."""

    kind: Literal["bell"]
    """Rings a bell."""
    times: Annotated[int, Range(1, 9, "more is noise")] = 1
    """How often it rings."""
    tower: PathOnDisk
    """Where the bell hangs."""
    sexton: WebAddress = "https://tower.example/ring"
    """The web address of the person who rings it."""
    opens_with: Credential | None = None
    """credential:NAME of the key to the tower."""


class BellTool(FixedTool):
    """Tool that rings a bell."""

    def __init__(self, settings: BellSettings, key: str) -> None:
        super().__init__(declared(settings))
        self._settings, self._key = settings, key

    async def call(self, name: str, arguments: Mapping[str, object]) -> ToolResult:
        """Ring, and return the key, which must not reach the model."""
        del name
        return ToolResult("ok", "rung", {"ding": self._settings.times, "key": self._key, **arguments})


def _build(tool: BellSettings, context: BuildContext) -> ToolSource:
    key = "" if tool.opens_with is None else secret(tool.opens_with, context.environ).get_secret_value()
    return BellTool(tool, key)


def _faults(tool: BellSettings) -> Iterator[tuple[ValuePath, str]]:
    if not tool.tower.is_dir():
        yield ("tower",), "does not exist; build it"


BELL: Final = ToolKind(
    name="bell",
    settings=BellSettings,
    build=_build,
    credentials=lambda tool: {("opens_with",): tool.opens_with} if tool.opens_with else {},
    faults=_faults,
    web_address=lambda tool: tool.sexton,
    goes_to=lambda tool: f"all who hear the bell in {tool.tower.name}",
)
