"""Settings of a tool that an installed package brings."""

from typing import Annotated, Literal

from pydantic import Field

from kioskd.tools.guard import NamedSettings
from kioskd.yamlconf.value_types import Name, Range


class PythonSettings(NamedSettings):
    """A tool that an installed Python package brings. It runs within the daemon."""

    kind: Literal["python"]
    """Kind of this tool: it calls a function of an installed package."""
    entry: Annotated[Name, Field(examples=["next_trams"])]
    """Name of the package's entry point in the group kioskd.tools."""
    at_once: Annotated[int, Range(1, 16, "each may be a thread")] = 2
    """Most calls of this tool at the same time. For a plain function there are 4 at most, because its thread
    cannot be stopped. An async function has no other limit."""
