"""An MCP server that is reached over streamable HTTP: its client, and the meaning of its HTTP errors.

No words of a server are repeated: texts hold only codes and our own words.
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
"""Most bytes of one answer over HTTP."""
ANSWER_S: Final = 150.0
"""Seconds for a server's answer over HTTP. Each tool's deadline is shorter, and ends a call before."""
_NETWORK_S: Final = 30.0
_SESSION: Final = "mcp-session-id"
_EVENT_END: Final = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_METHOD_NOT_FOUND: Final = -32601

_REFUSALS: Final = {
    401: "it asks for a credential (401): set headers (Authorization: Bearer credential:NAME), or renew it",
    403: "it refuses this credential or this device (403): ask its owner for access",
    404: "no MCP server is at this path (404): correct url, which often ends in /mcp",
    405: "this path accepts no POST (405): correct url; perhaps the server has only the older SSE",
    406: "it does not support streamable HTTP (406): correct url",
    407: "the proxy asks for a credential (407): correct https_proxy or no_proxy",
    415: "it does not support streamable HTTP (415): correct url",
    421: "it does not serve this host name (421): correct url, or the host names that the server allows",
    429: "it is asked too often (429): call it less often",
    500: "it has an internal error (500): look into its own log",
    502: "the gateway before it does not reach it (502): start the server behind the gateway",
    503: "it is not ready (503): wait, or look into its own log",
    504: "it does not answer its gateway (504): check the server behind the gateway",
}


@dataclass(frozen=True, slots=True)
class McpAddress:
    """A server that is reached over streamable HTTP. Redirects to other hosts are not followed."""

    url: str
    headers: Mapping[str, SecretStr]
    ca_file: Path | None = None
    """Certificates to trust instead of the public ones."""


@dataclass(slots=True)
class HttpRefusal:
    """Errors that the server has returned over one connection, as HTTP statuses."""

    words: str = ""
    """The fault and its remedy; empty if there is no fault."""
    session_gone: bool = False
    """Whether the server does not know our session any more, as after a restart. The call was not carried
    out."""


def meaning(status: int) -> str:
    """Return the meaning of an HTTP status, with a remedy."""
    if 300 <= status < 400:
        return f"it redirects ({status}): set url to the address that it names"
    return _REFUSALS.get(status, f"it returned an error ({status}): look into its own log")


def trust_fault(error: BaseException) -> str | None:
    """Return the fault of the server's certificate if that is the cause of `error`; else None."""
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
    """Yield the transport to `server`. Each answer is limited, and errors are noted in `refusal`.

    `lose` is called with the reason when the connection becomes useless.

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
    import httpx2  # noqa: PLC0415 - slow, and only such servers need it

    # Answers must not be compressed: a small one could expand without limit.
    headers = {"Accept-Encoding": "identity"} | {
        name: value.get_secret_value() for name, value in server.headers.items()
    }
    return httpx2.AsyncClient(
        headers=headers,
        timeout=httpx2.Timeout(_NETWORK_S, read=ANSWER_S),
        event_hooks={"response": [check]},
        verify=ssl.create_default_context(cafile=server.ca_file),
        # This machine is reached without a proxy, which would see the headers.
        proxy=proxies.route(server.url),
        trust_env=False,
    )


async def _note(refusal: HttpRefusal, lose: Callable[[str], None], response: "httpx2.Response") -> None:
    status = response.status_code
    if response.request.method != "POST":
        return  # servers need not offer a stream or an end of sessions
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
    """Return whether an error concerns the session, not the request."""
    if status == 400:
        return b"session" in body.lower()
    try:
        return bool(json.loads(body)["error"]["code"] != _METHOD_NOT_FOUND)
    except (ValueError, LookupError, TypeError, RecursionError):
        return True


async def _bound(lose: Callable[[str], None], response: "httpx2.Response") -> None:
    """Let reading of `response` fail beyond `LARGEST_ANSWER`, or if it would take long to parse.

    A compressed answer cannot be limited, so it raises httpx2.ReadError.
    """
    import httpx2  # noqa: PLC0415 - as above

    if response.headers.get("content-encoding", "identity") != "identity":
        lose("it compresses its answers although it was asked not to")
        raise httpx2.ReadError("the answer is compressed")
    stream = response.stream
    events = response.headers.get("content-type", "").startswith("text/event-stream")
    assert isinstance(stream, httpx2.AsyncByteStream)
    whole: httpx2.AsyncByteStream = stream

    class Bounded(httpx2.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            left, found, tail = LARGEST_ANSWER, 0, b""
            async for chunk in whole:
                # The library limits each event. Here only the time for parsing one is limited.
                left -= 0 if events else len(chunk)
                first, *others = _EVENT_END.split(tail + chunk) if events else [chunk]
                totals = [found + marks(first), *map(marks, others)]
                if left < 0 or max(totals) > MOST_MARKS:
                    lose("it sends larger answers than allowed")
                    raise httpx2.ReadError("the answer is too large")
                found = totals[-1]
                tail = chunk[-3:] if events else b""
                yield chunk

        async def aclose(self) -> None:
            await whole.aclose()

    response.stream = Bounded()
