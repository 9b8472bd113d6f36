"""Tools of a Model Context Protocol server: those of them that the owner allows, for as long as the server is there."""

import asyncio
import contextlib
import logging
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NoReturn

from pydantic import SecretStr

from kioskd import ports
from kioskd.proxies import ProxyError
from kioskd.tools.contract import TOO_MANY, Declaration, ToolResult, failed, found, hide, too_many, within
from kioskd.tools.mcp_http import ANSWER_S, LARGEST_ANSWER, HttpRefusal, McpAddress, connected, trust_fault
from kioskd.tools.mcp_program import McpProgram, spoken_to
from kioskd.tools.mcp_schema import usable

if TYPE_CHECKING:
    import mcp
    import mcp_types
    from mcp.client import Transport

__all__ = ["ANSWER_S", "LARGEST_ANSWER", "McpAddress", "McpServer"]

log = logging.getLogger(__name__)

START_S: Final = 60.0
"""Seconds in which a server may start and answer for the first time; programs on a small device take half of it."""
MOST_START_S: Final = 600.0
"""The same after some tries in vain: each doubles it."""
LIST_S: Final = 10.0
ASK_AGAIN_S: Final = 60.0
"""Seconds between two listings, which also show whether the server is still there."""
FIRST_S: Final = 1.0
MOST_S: Final = 60.0
"""Seconds before the first and between later tries to reach a server."""
LONGEST_DESCRIPTION: Final = 1000
CUT_OFF: Final = "SSE stream "
"""How the library's word begins for an answer over HTTP that ended before its end."""
MOST_PAGES: Final = 20


class McpServer:
    """What one server offers. A `Kind`.

    Of its tools those in `allow` (the server's names) are offered, as `prefix` + name. They are listed when the
    connection is made, and every minute in which none is called: one that does one thing at a time would not answer. A
    call that the connection does not survive is never made again.
    """

    def __init__(
        self,
        server: McpProgram | McpAddress,
        *,
        clock: ports.Clock,
        label: str,
        allow: Sequence[str],
        prefix: str = "",
        blocking: bool = False,
        secrets: Sequence[SecretStr] = (),
        start_timeout_s: float = START_S,
    ) -> None:
        """Speak to `server`, which the journal calls `label`; `secrets` are kept out of what it declares.

        It may take `start_timeout_s` to start; one that took longer is given twice as long by the next try.
        """
        self.declarations: tuple[Declaration, ...] = ()
        self._server, self._clock, self._label = server, clock, label
        self._allow, self._prefix, self._blocking = tuple(dict.fromkeys(allow)), prefix, blocking
        self._secrets = secrets
        self._theirs: dict[str, str] = {}
        self._schemas: dict[str, tuple[object, dict[str, object] | None]] = {}
        """What was taken over of which schema, by the server's names: to look closely takes a while."""
        self._client: mcp.Client | None = None
        self._tried, self._broken = asyncio.Event(), asyncio.Event()
        self._patience_s = start_timeout_s
        self._refusal = HttpRefusal()
        self._wanted, self._up = asyncio.Event(), asyncio.Event()
        self._why = ""
        """Of the connection that is broken; empty where nobody has said."""
        self._missed: dict[str, str] = {}
        """Tools that are not offered, and why; each is told once."""
        self._at_work = 0
        """Calls."""

    async def settled(self) -> None:
        """Return when the server was listed, or could not be reached."""
        await self._tried.wait()

    async def run(self) -> NoReturn:
        """Keep the server connected (and running, if it is a program) until cancelled."""
        import anyio  # noqa: PLC0415 - comes with the extra, needed only where there is such a tool
        import httpx2  # noqa: PLC0415 - as above
        import mcp  # noqa: PLC0415 - as above

        # Silent: its lines show what servers say.
        for name in ("mcp", "client"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        wait_s, told, began = FIRST_S, False, 0.0
        while True:
            trouble, began = "", self._clock.now()
            try:
                await self._serve()
            except* (
                # The library says with RuntimeError and ValueError that a server breaks the protocol.
                *(OSError, RuntimeError, ValueError, mcp.MCPError, httpx2.HTTPError),
                *(anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream),
            ) as group:
                trouble = self._trouble(group)
            except* ProxyError as group:
                trouble = str(group.exceptions[0])
            finally:
                up, self._client = self._client is not None, None
                self._up.clear()
            self._tried.set()
            if up:
                wait_s, told = FIRST_S, False
            if not told:
                why = self._why or self._refusal.words or trouble
                log.warning("mcp server lost, retrying: name=%s error=%s", self._label, why)
            told = True
            if up and self._refusal.session_gone and self._clock.now() - began > FIRST_S:
                continue  # the server is there, and knows nothing of us: it was started again
            await self._pause(wait_s)
            wait_s = min(wait_s * 2, MOST_S)

    async def _pause(self, seconds: float) -> None:
        """Wait before the next try; a call cuts that short to a second, as a person waits for it."""
        await self._clock.sleep(min(seconds, FIRST_S))
        self._wanted.clear()
        with contextlib.suppress(TimeoutError):
            await within(self._clock, max(seconds - FIRST_S, 0.001), self._wanted.wait())

    def _trouble(self, group: BaseExceptionGroup[BaseException]) -> str:
        first = _first(group)
        if isinstance(first, TimeoutError) and not self._broken.is_set():
            waited_s, self._patience_s = self._patience_s, min(self._patience_s * 2, MOST_START_S)
            return (
                f"it did not answer within {waited_s:g} s of its start; the next try waits for {self._patience_s:g} s, "
                "and start_timeout_s sets the first"
            )
        return trust_fault(first) or _named(first)

    async def call(self, name: str, arguments: Mapping[str, object]) -> ToolResult:
        """Have the server carry out one call."""
        import anyio  # noqa: PLC0415 - as above
        import httpx2  # noqa: PLC0415 - as above
        import mcp  # noqa: PLC0415 - as above

        self._at_work += 1
        try:
            return await self._asked(name, arguments)
        except mcp.MCPError as err:
            from mcp_types import CONNECTION_CLOSED  # noqa: PLC0415 - as above

            # A number that servers use for errors of their own, too: most libraries begin to count there.
            cut_off = self._broken.is_set() or err.message.startswith(CUT_OFF)
            if err.code == CONNECTION_CLOSED and cut_off:
                return self._went_away()
            if self._refusal.words:
                return failed(f"its server does not answer: {self._refusal.words}")
            return failed(f"its server refuses ({err.code})", data=err.message)
        except (OSError, httpx2.HTTPError, anyio.BrokenResourceError, anyio.ClosedResourceError):
            return self._went_away()
        except (RuntimeError, ValueError):
            return failed("its server has answered what it had not promised")
        finally:
            self._at_work -= 1

    async def _asked(self, name: str, arguments: Mapping[str, object]) -> ToolResult:
        import mcp  # noqa: PLC0415 - as above

        for last in (False, True):
            client, refusal = self._client, self._refusal
            if client is None:
                break
            try:
                return _read(await client.call_tool(self._theirs[name], dict(arguments)))
            except mcp.MCPError:
                if last or not refusal.session_gone:
                    raise
            # The server has refused it unseen: it may be asked again, once, within the tool's own deadline.
            await self._up.wait()
        self._wanted.set()
        return failed("its server is not connected", retryable=True)

    def _lose(self, why: str) -> None:
        self._why = self._why or why
        self._up.clear()
        self._broken.set()

    def _went_away(self) -> ToolResult:
        self._lose("it went away")
        return failed("its server went away; nobody knows whether it was done")

    async def _serve(self) -> None:
        """Connect, list, and come back when the server does not answer any more."""
        import mcp  # noqa: PLC0415 - as above

        self._broken.clear()
        self._why = ""
        self._refusal = HttpRefusal()
        async with contextlib.AsyncExitStack() as stack:
            transport = await stack.enter_async_context(self._transport())
            client = mcp.Client(transport, cache=None)
            await within(self._clock, self._patience_s, stack.enter_async_context(client))
            await within(self._clock, max(LIST_S, self._patience_s), self._list(client))
            self._client = client
            self._up.set()
            self._tried.set()
            log.info("mcp server connected: name=%s tools=%d", self._label, len(self.declarations))
            try:
                await self._watch(client)
            finally:
                self._broken.set()  # before the client is closed, which ends the calls that still wait

    async def _watch(self, client: "mcp.Client") -> None:
        while not self._broken.is_set():
            try:
                await within(self._clock, ASK_AGAIN_S, self._broken.wait())
            except TimeoutError:
                if not self._at_work:
                    await within(self._clock, LIST_S, self._list(client))

    @contextlib.asynccontextmanager
    async def _transport(self) -> "AsyncIterator[Transport]":
        if isinstance(self._server, McpProgram):
            yield spoken_to(self._server, self._clock, self._lose)
        else:
            async with connected(self._server, self._refusal, self._lose) as transport:
                yield transport

    async def _list(self, client: "mcp.Client") -> None:
        offered: dict[str, mcp_types.Tool] = {}
        cursor = None
        for _ in range(MOST_PAGES):
            page = await client.list_tools(cursor=cursor)
            offered |= {tool.name: tool for tool in page.tools}
            cursor = page.next_cursor
            if cursor is None:
                break
        declared: dict[str, Declaration] = {}
        for name in self._allow:
            await self._clock.sleep(0)  # each takes a few milliseconds to look at
            if (tool := offered.get(name)) is None:
                self._miss(name, "the server has none of that name; correct allow")
            elif (schema := self._usable(tool)) is None:
                self._miss(name, "its schema is none, or too large; its author can mend that")
            elif (declaration := self._declaration(tool, schema)).name in declared:
                self._miss(name, f"another is called {declaration.name}, too; take out one of the two")
            else:
                declared[declaration.name] = declaration
                self._theirs[declaration.name] = name
                self._missed.pop(name, None)
        if tuple(declared.values()) != self.declarations:  # else the same objects stay
            self.declarations = tuple(declared.values())

    def _usable(self, tool: "mcp_types.Tool") -> dict[str, object] | None:
        known = self._schemas.get(tool.name)
        if known is None or known[0] != tool.input_schema:
            known = self._schemas[tool.name] = (tool.input_schema, self._without_secrets(tool))
        return known[1]

    def _without_secrets(self, tool: "mcp_types.Tool") -> dict[str, object] | None:
        clean = hide(usable(tool.input_schema), self._secrets)
        return clean if isinstance(clean, dict) else None

    def _miss(self, name: str, why: str) -> None:
        if self._missed.get(name) != why:
            self._missed[name] = why
            log.warning("mcp tool left out: server=%s tool=%s cause=%s", self._label, name, why)

    def _declaration(self, tool: "mcp_types.Tool", schema: Mapping[str, object]) -> Declaration:
        name = re.sub(r"[^A-Za-z0-9_]", "_", f"{self._prefix}{tool.name}")
        if not re.match(r"[A-Za-z_]", name):
            name = f"_{name}"  # the service takes no digit first
        description = str(hide(tool.description or tool.title or tool.name, self._secrets))
        return Declaration(
            name[:64],
            description[:LONGEST_DESCRIPTION],
            schema,
            self._blocking,
            bool(tool.annotations and tool.annotations.read_only_hint),
        )


def _read(result: "mcp_types.CallToolResult") -> ToolResult:
    texts = [getattr(block, "text", f"({block.type} left out)") for block in result.content]
    data = "\n".join(texts) if result.structured_content is None else result.structured_content
    if too_many(data):
        return failed(TOO_MANY)
    return failed("its server says that it failed", data=data) if result.is_error else found(data)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return what went wrong first."""
    first: BaseException = group
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first


def _named(error: BaseException) -> str:
    """Return what `error` means, by its type: its text may hold what a server said."""
    import httpx2  # noqa: PLC0415 - loaded by now

    match error:
        case httpx2.ConnectError() | httpx2.ConnectTimeout():
            return f"it cannot be reached ({type(error).__name__}): see that it runs, and correct url"
        case FileNotFoundError() | PermissionError():
            return f"it cannot be started or trusted ({type(error).__name__}): correct argv or ca_file"
    return type(error).__name__
