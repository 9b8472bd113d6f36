"""What an owner can set of a tool that an installed package brings."""

from typing import Annotated, Literal

from kioskd.tools.guard import NamedSettings
from kioskd.yamlconf.value_types import Name, Range


class PythonSettings(NamedSettings):
    """A tool that an installed package brings."""

    kind: Literal["python"]
    """Calls a function of an installed package."""
    entry: Name
    """Its entry point in the group kioskd.tools."""
    at_once: Annotated[int, Range(1, 16, "each may be a thread")] = 2
    """Calls of this tool at the same time: of a plain function 4 at most, whatever stands here, as its thread cannot be
    stopped; of an async one all of them."""
