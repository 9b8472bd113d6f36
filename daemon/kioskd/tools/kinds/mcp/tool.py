"""The tools of a Model Context Protocol server that the owner allows, as long as the server is connected."""

import asyncio
import contextlib
import functools
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NoReturn

from pydantic import SecretStr

from kioskd import ports
from kioskd.proxies import ProxyError
from kioskd.retry import RetryDelays, TryEnded, retry
from kioskd.tools.contract import TOO_MANY, Declaration, ToolResult, failed, found, too_many
from kioskd.tools.kinds.mcp.http import HttpRefusal, McpAddress, http_transport, trust_fault
from kioskd.tools.kinds.mcp.offers import OfferedTools
from kioskd.tools.kinds.mcp.program import program_transport
from kioskd.tools.kinds.mcp.settings import McpSettings
from kioskd.tools.program import Program
from kioskd.tools.waiting import within

if TYPE_CHECKING:
    import mcp
    import mcp_types
    from mcp.client import Transport

log = logging.getLogger(__name__)

MOST_START_S: Final = 600.0
"""Longest time, in seconds, for a server's start. Each start that takes too long doubles `start_timeout_s`.
"""
LIST_S: Final = 10.0
ASK_AGAIN_S: Final = 60.0
"""Seconds between two listings of the tools, which also show whether the server still answers."""
FIRST_S: Final = 1.0
MOST_S: Final = 60.0
"""Longest wait, in seconds, between tries to reach a server."""
CUT_OFF: Final = "SSE stream "
"""Beginning of the library's error for an answer over HTTP that broke off."""


class _Connection:
    """One connection to the server, from its start until it becomes useless."""

    def __init__(self) -> None:
        self.client: mcp.Client | None = None
        """Client of the server, after its tools were listed."""
        self.refusal = HttpRefusal()
        self.broken = asyncio.Event()
        self.why = ""
        """The reason why it is broken; empty if it is not known."""

    def lose(self, why: str) -> None:
        """Note the reason why it has become useless."""
        self.why = self.why or why
        self.broken.set()


class McpServer:
    """One server and its tools. A `ToolSource`.

    It offers the allowed tools, named prefix + name. It lists them after connecting, and then every minute,
    but not during a call: a server that does one thing at a time would not answer. A call whose connection is
    lost is never made again.
    """

    def __init__(
        self,
        settings: McpSettings,
        server: Program | McpAddress,
        clock: ports.Clock,
        secrets: Sequence[SecretStr] = (),
    ) -> None:
        """Connect to `server`; `secrets` are hidden in its declarations.

        It must start within `start_timeout_s`; after a start that took too long the next try waits twice as
        long.
        """
        self._settings, self._server, self._clock = settings, server, clock
        self._offers = OfferedTools(settings, clock, secrets)
        self._connection = _Connection()
        self._patience_s = settings.start_timeout_s
        self._tried, self._wanted, self._up = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._at_work = 0
        """Number of calls in progress."""

    @property
    def declarations(self) -> Sequence[Declaration]:
        """The tools on offer now: the same objects until something changes."""
        return self._offers.declarations

    @property
    def condition(self) -> str:
        """Whether the server is connected, and how many tools it offers."""
        words = "connected" if self.connected else "not connected"
        return f"{self._settings.name}: {words}, {len(self.declarations)} tools"

    @property
    def connected(self) -> bool:
        """Whether the server was listed, and is still connected."""
        return self._connection.client is not None

    async def ready(self) -> None:
        """Return when the server was listed, or could not be reached."""
        await self._tried.wait()

    async def run(self) -> NoReturn:
        """Keep the server connected (and running, if it is a program) until cancelled."""
        # These logs are silenced, as their lines show the servers' words.
        for name in ("mcp", "client"):
            logging.getLogger(name).setLevel(logging.CRITICAL)

        def lost(error: str) -> None:
            log.warning("mcp server lost, retrying: name=%s error=%s", self._settings.name, error)

        await retry(self._use, delays=RetryDelays(FIRST_S, MOST_S), lost=lost, pause=self._pause)

    async def call(self, name: str, arguments: Mapping[str, object]) -> ToolResult:
        """Let the server carry out one call."""
        self._at_work += 1
        try:
            for last in (False, True):
                connection = self._connection
                if connection.client is None:
                    break
                result = await self._asked(connection, connection.client, name, arguments, last=last)
                if result is not None:
                    return result
                # The server has not carried out the call. So it is made once more, within the tool's
                # deadline.
                await self._up.wait()
            self._wanted.set()
            return failed("its server is not connected", retryable=True)
        finally:
            self._at_work -= 1

    async def _asked(
        self,
        connection: _Connection,
        client: "mcp.Client",
        name: str,
        arguments: Mapping[str, object],
        *,
        last: bool,
    ) -> ToolResult | None:
        """Return the server's answer; None if it does not know our session, and this is not the last try."""
        import anyio  # noqa: PLC0415 - an extra that only such tools need
        import httpx2  # noqa: PLC0415 - as above
        import mcp  # noqa: PLC0415 - as above

        try:
            return _read(await client.call_tool(self._offers.server_names[name], dict(arguments)))
        except mcp.MCPError as err:
            if connection.refusal.session_gone and not last:
                return None
            return self._refused(connection, err.code, err.message)
        except (OSError, httpx2.HTTPError, anyio.BrokenResourceError, anyio.ClosedResourceError):
            return self._went_away(connection)
        except (RuntimeError, ValueError):
            return failed("its server has sent an answer that breaks the protocol")

    def _refused(self, connection: _Connection, code: int, message: str) -> ToolResult:
        from mcp_types import CONNECTION_CLOSED  # noqa: PLC0415 - as above

        # Many servers use this number for errors of their own, too, as most libraries start counting there.
        if code == CONNECTION_CLOSED and (connection.broken.is_set() or message.startswith(CUT_OFF)):
            return self._went_away(connection)
        if connection.refusal.words:
            return failed(f"its server does not answer: {connection.refusal.words}")
        return failed(f"its server returned an error ({code})", data=message)

    def _went_away(self, connection: _Connection) -> ToolResult:
        self._lose(connection, "it went away")
        return failed("its server went away; it is not known whether it was done")

    def _lose(self, connection: _Connection, why: str) -> None:
        connection.lose(why)
        if connection is self._connection:
            self._up.clear()

    async def _use(self) -> TryEnded:
        """Connect, list the tools, and return when the server no longer answers, or was not reached."""
        import anyio  # noqa: PLC0415 - as above
        import httpx2  # noqa: PLC0415 - as above
        import mcp  # noqa: PLC0415 - as above

        connection = self._connection = _Connection()
        trouble, began = "", self._clock.now()
        try:
            await self._serve(connection)
        except* (
            # With RuntimeError and ValueError the library reports that a server breaks the protocol.
            *(OSError, RuntimeError, ValueError, mcp.MCPError, httpx2.HTTPError),
            *(anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream),
        ) as group:
            trouble = self._trouble(connection, group)
        except* ProxyError as group:
            trouble = str(group.exceptions[0])
        finally:
            worked, connection.client = connection.client is not None, None
            self._up.clear()
        self._tried.set()
        # A server that answers but does not know our session was restarted.
        again = worked and connection.refusal.session_gone and self._clock.now() - began > FIRST_S
        return TryEnded(connection.why or connection.refusal.words or trouble, worked=worked, at_once=again)

    async def _serve(self, connection: _Connection) -> None:
        import mcp  # noqa: PLC0415 - as above

        async with contextlib.AsyncExitStack() as stack:
            transport = await stack.enter_async_context(self._transport(connection))
            client = mcp.Client(transport, cache=None)
            await within(self._clock, self._patience_s, stack.enter_async_context(client))
            await within(self._clock, max(LIST_S, self._patience_s), self._offers.update(client))
            connection.client = client
            self._up.set()
            self._tried.set()
            name, offered = self._settings.name, len(self._offers.declarations)
            log.info("mcp server connected: name=%s tools=%d", name, offered)
            try:
                await self._watch(connection.broken, client)
            finally:
                connection.broken.set()  # must come first, as closing the client ends waiting calls

    async def _watch(self, broken: asyncio.Event, client: "mcp.Client") -> None:
        while not broken.is_set():
            try:
                await within(self._clock, ASK_AGAIN_S, broken.wait())
            except TimeoutError:
                if not self._at_work:
                    await within(self._clock, LIST_S, self._offers.update(client))

    @contextlib.asynccontextmanager
    async def _transport(self, connection: _Connection) -> "AsyncIterator[Transport]":
        lose = functools.partial(self._lose, connection)
        if isinstance(self._server, Program):
            yield program_transport(self._server, self._clock, lose)
        else:
            async with http_transport(self._server, connection.refusal, lose) as transport:
                yield transport

    async def _pause(self, seconds: float) -> None:
        """Wait before the next try. A call shortens the wait to one second, as a visitor waits for it."""
        await self._clock.sleep(min(seconds, FIRST_S))
        self._wanted.clear()
        with contextlib.suppress(TimeoutError):
            await within(self._clock, max(seconds - FIRST_S, 0.001), self._wanted.wait())

    def _trouble(self, connection: _Connection, group: BaseExceptionGroup[BaseException]) -> str:
        first = _first(group)
        if isinstance(first, TimeoutError) and not connection.broken.is_set():
            waited_s, self._patience_s = self._patience_s, min(self._patience_s * 2, MOST_START_S)
            return (
                f"it did not answer within {waited_s:g} s of its start; "
                f"the next try waits for {self._patience_s:g} s, and start_timeout_s sets the first"
            )
        return trust_fault(first) or _named(first)


def _read(result: "mcp_types.CallToolResult") -> ToolResult:
    texts = [getattr(block, "text", f"({block.type} left out)") for block in result.content]
    data = "\n".join(texts) if result.structured_content is None else result.structured_content
    if too_many(data):
        return failed(TOO_MANY)
    return failed("its server reports a failure", data=data) if result.is_error else found(data)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first error of the group."""
    first: BaseException = group
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first


def _named(error: BaseException) -> str:
    """Return the meaning of `error`, by its type: its text can hold the server's words."""
    import httpx2  # noqa: PLC0415 - loaded by now

    match error:
        case httpx2.ConnectError() | httpx2.ConnectTimeout():
            return f"it cannot be reached ({type(error).__name__}): check that it runs, and correct url"
        case FileNotFoundError() | PermissionError():
            return f"it cannot be started or trusted ({type(error).__name__}): correct argv or ca_file"
    return type(error).__name__
