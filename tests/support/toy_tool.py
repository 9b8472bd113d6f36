"""A kind of tool that kioskd does not have, written as an author would add one: settings, the tool, and the kind's object."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, NoReturn

from kioskd.tools.contract import ToolResult, ToolSource, declared, stay
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
    """Who rings it."""
    opens_with: Credential | None = None
    """credential:NAME of the key to the tower."""


class BellTool:
    """Rings. A `ToolSource`."""

    def __init__(self, settings: BellSettings, key: str) -> None:
        self.declarations = (declared(settings),)
        self._settings, self._key = settings, key

    async def settled(self) -> None:
        """Return at once."""

    async def run(self) -> NoReturn:
        """Do nothing between calls."""
        await stay()

    async def call(self, name: str, arguments: Mapping[str, object]) -> ToolResult:
        """Ring, and tell the key, which nobody must ever hear."""
        del name
        return ToolResult("ok", "rung", {"ding": self._settings.times, "key": self._key, **arguments})


class BellKind(ToolKind[BellSettings]):
    """Tools that ring a bell."""

    name = "bell"
    settings = BellSettings

    def credentials(self, tool: BellSettings) -> Mapping[ValuePath, str]:
        """Return the reference to the key."""
        return {} if tool.opens_with is None else {("key",): tool.opens_with}

    def faults(self, tool: BellSettings) -> Iterator[tuple[ValuePath, str]]:
        """Yield that there is no tower."""
        if not tool.tower.is_dir():
            yield ("tower",), "stands nowhere here; build it"

    def web_address(self, tool: BellSettings) -> str:
        """Return the sexton's address."""
        return tool.sexton

    def goes_to(self, tool: BellSettings) -> str:
        """Return who hears it."""
        return f"all who hear the bell in {tool.tower.name}"

    def build(self, tool: BellSettings, context: BuildContext) -> ToolSource:
        """Return the tool; raises KeyUnusableError for its key."""
        key = "" if tool.opens_with is None else secret(tool.opens_with, context.environ).get_secret_value()
        return BellTool(tool, key)
