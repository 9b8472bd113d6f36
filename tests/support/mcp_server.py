"""An MCP server made with `mcp`'s own server side, as a program: over stdio, or with a port over streamable HTTP."""

import os
import sys
from pathlib import Path

import anyio
from mcp.server import MCPServer
from mcp.shared.exceptions import MCPError
from mcp_types import CONNECTION_CLOSED, ToolAnnotations

server = MCPServer("museum")

STDOUT = os.dup(1)
"""The library keeps the protocol's pipe to itself: descriptor 1 leads elsewhere as soon as it speaks."""


@server.tool(annotations=ToolAnnotations(read_only_hint=True))
def opening_hours(day: str) -> str:
    """When the museum is open on a day of the week."""
    return "" if day == "monday" else f"{day}: 10 to 18"


@server.tool(name="find-work")
def find_work(title: str) -> dict[str, str]:
    """Where a work hangs."""
    return {"title": title, "room": "4"}


@server.tool()
def secrets_of_the_house() -> str:
    """Not for visitors."""
    return "the safe is behind the Vermeer"


@server.tool()
def broken() -> str:
    """Fails."""
    raise RuntimeError("no such room")


@server.tool()
def closed() -> str:
    """Refuses, with the number by which the library says that a connection is lost."""
    raise MCPError(code=CONNECTION_CLOSED, message="closed on Mondays")


@server.tool()
async def slow() -> str:
    """Takes for ever; says in a file that it has begun and that it was cancelled."""
    notes = Path(os.environ["NOTES"])
    (notes / "begun").touch()
    try:
        await anyio.sleep_forever()
    finally:
        (notes / "cancelled").touch()
    return ""


@server.tool(name="3d_map")
def map_of_the_house() -> str:
    """Has a name that no function of the service has."""
    return "a map"


@server.tool(name="3d-map")
def other_map_of_the_house() -> str:
    """Has a name that becomes the same."""
    return "another"


def endless() -> str:
    """Is described without an end; see below."""
    return ""


server.add_tool(endless)
_each_names_two = {f"t{n}": {"anyOf": [{"$ref": f"#/$defs/t{n + 1}"}] * 2} for n in range(24)}
next(tool for tool in server._tool_manager.list_tools() if tool.name == "endless").parameters = {
    "type": "object",
    "properties": {"q": {"$ref": "#/$defs/t0"}},
    "$defs": _each_names_two | {"t24": {"const": "x"}},
}


@server.tool()
def babble() -> str:
    """Begin a line and never end it."""
    while True:
        os.write(STDOUT, b"x" * 65_536)


@server.tool()
def die() -> str:
    """End the server in the middle of a call."""
    os._exit(3)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[1]))
    else:
        server.run("stdio")
