"""An MCP server that is reached over streamable HTTP: its client, and what its refusals mean.

Nothing of what a server says is repeated here: codes and our own words only.
"""

import asyncio
import contextlib
import json
import re
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import SecretStr

from kioskd import proxies
from kioskd.tools.contract import MOST_MARKS, marks

if TYPE_CHECKING:
    import httpx2
    from mcp.client import Transport

LARGEST_ANSWER: Final = 1 << 20
"""Bytes of one answer over HTTP."""
ANSWER_S: Final = 150.0
"""Seconds for a server's answer over HTTP: longer than any tool's deadline, which is what ends a call."""
_NETWORK_S: Final = 30.0
_SESSION: Final = "mcp-session-id"
_EVENT_END: Final = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_METHOD_NOT_FOUND: Final = -32601

_REFUSALS: Final = {
    401: "it asks for a credential (401): set headers, Authorization: Bearer credential:NAME say, or renew that secret",
    403: "it refuses this credential or this device (403): have its owner allow it",
    404: "no MCP server is at this path (404): correct url, which often ends in /mcp",
    405: "this path takes no POST (405): it speaks no streamable HTTP, perhaps only the older SSE; correct url",
    406: "it does not speak streamable HTTP (406): correct url",
    407: "the proxy asks for a credential (407): correct https_proxy or no_proxy",
    415: "it does not speak streamable HTTP (415): correct url",
    421: "it does not serve this host name (421): correct url, or what the server allows",
    429: "it is asked too often (429): call it less often",
    500: "it has failed inside (500): see its own log",
    502: "the gateway before it does not reach it (502): start the server behind the gateway",
    503: "it is not ready (503): wait, or see its own log",
    504: "the gateway before it waits in vain (504): see the server behind the gateway",
}


@dataclass(frozen=True, slots=True)
class McpAddress:
    """A server that is reached over streamable HTTP. Redirects stay with its own host."""

    url: str
    headers: Mapping[str, SecretStr]
    ca_file: Path | None = None
    """Certificates to trust in place of the public ones."""


@dataclass(slots=True)
class HttpRefusal:
    """What the server's answers over one connection have said by their HTTP status."""

    words: str = ""
    """What is wrong and what to do; empty when nothing is."""
    session_gone: bool = False
    """Whether it does not know our session any more, as after a restart: the call was not carried out."""


def meaning(status: int) -> str:
    """Return what an HTTP status means here, and what to do."""
    if 300 <= status < 400:
        return f"it points elsewhere ({status}): set url to where it leads"
    return _REFUSALS.get(status, f"it refuses ({status}): see its own log")


def trust_fault(error: BaseException) -> str | None:
    """Return what is wrong with the server's certificate, if that is the cause of `error`."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        if isinstance(link, ssl.SSLCertVerificationError):
            return (
                f"its certificate is not trusted: {link.verify_message}; set ca_file, or this device's clock"
            )
        link = link.__cause__ or link.__context__
    return None


@contextlib.asynccontextmanager
async def http_transport(
    server: McpAddress, refusal: HttpRefusal, lose: Callable[[str], None]
) -> "AsyncIterator[Transport]":
    """Yield the way to `server`. Each answer is bounded, and what it refuses is noted in `refusal`.

    `lose` is told why the connection is of no more use.

    Raises:
        OSError: `ca_file` cannot be used.
        ProxyError: the environment's proxy cannot be used.
    """
    from mcp.client.streamable_http import streamable_http_client  # noqa: PLC0415 - an extra

    async def check(response: "httpx2.Response") -> None:
        await _bound(lose, response)
        await _note(refusal, lose, response)

    client = await asyncio.to_thread(_client, server, check)
    async with client:
        yield streamable_http_client(server.url, http_client=client)


def _client(server: McpAddress, check: Callable[["httpx2.Response"], object]) -> "httpx2.AsyncClient":
    import httpx2  # noqa: PLC0415 - slow, and only where there is such a server

    # No compression: a small answer could then become an endless one.
    headers = {"Accept-Encoding": "identity"} | {
        name: value.get_secret_value() for name, value in server.headers.items()
    }
    return httpx2.AsyncClient(
        headers=headers,
        timeout=httpx2.Timeout(_NETWORK_S, read=ANSWER_S),
        event_hooks={"response": [check]},
        verify=ssl.create_default_context(cafile=server.ca_file),
        # This machine is asked without any proxy: it would be shown the headers.
        proxy=proxies.route(server.url),
        trust_env=False,
    )


async def _note(refusal: HttpRefusal, lose: Callable[[str], None], response: "httpx2.Response") -> None:
    status = response.status_code
    if response.request.method != "POST":
        return  # a server may offer no stream of its own, and no way to end a session
    if status < 300:
        refusal.words = ""
        return
    if (
        _SESSION in response.request.headers
        and status in {400, 404}
        and _of_session(status, await response.aread())
    ):
        refusal.session_gone = True
        lose("it does not know our session any more")
    else:
        refusal.words = meaning(status)


def _of_session(status: int, body: bytes) -> bool:
    """Return whether a refusal is one of the session, rather than of what was asked in it."""
    if status == 400:
        return b"session" in body.lower()
    try:
        return bool(json.loads(body)["error"]["code"] != _METHOD_NOT_FOUND)
    except (ValueError, LookupError, TypeError, RecursionError):
        return True


async def _bound(lose: Callable[[str], None], response: "httpx2.Response") -> None:
    """Have reading of `response` end with an error at `LARGEST_ANSWER`, or where it would take long to parse.

    A compressed one has no bound that could be seen: raises httpx2.ReadError.
    """
    import httpx2  # noqa: PLC0415 - as above

    if response.headers.get("content-encoding", "identity") != "identity":
        lose("it compresses its answers though it was asked not to")
        raise httpx2.ReadError("the answer is compressed")
    stream = response.stream
    events = response.headers.get("content-type", "").startswith("text/event-stream")
    assert isinstance(stream, httpx2.AsyncByteStream)
    whole: httpx2.AsyncByteStream = stream

    class Bounded(httpx2.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            left, found, tail = LARGEST_ANSWER, 0, b""
            async for chunk in whole:
                # Events are bounded by the library, one by one; here only what each would take to parse.
                left -= 0 if events else len(chunk)
                first, *others = _EVENT_END.split(tail + chunk) if events else [chunk]
                totals = [found + marks(first), *map(marks, others)]
                if left < 0 or max(totals) > MOST_MARKS:
                    lose("it answers with more than is taken")
                    raise httpx2.ReadError("the answer is too large")
                found = totals[-1]
                tail = chunk[-3:] if events else b""
                yield chunk

        async def aclose(self) -> None:
            await whole.aclose()

    response.stream = Bounded()
