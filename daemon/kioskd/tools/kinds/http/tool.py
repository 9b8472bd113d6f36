"""A tool that sends requests to one web server; the address holds the parameters."""

import asyncio
import codecs
import logging
import re
import ssl
from collections.abc import Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Final, NoReturn
from urllib.parse import quote, unquote, urlencode, urlsplit

from pydantic import SecretStr

from kioskd import proxies
from kioskd.tools.contract import FixedTool, ToolResult, declared, failed, read_answer, refused
from kioskd.tools.kinds.http.settings import HttpSettings
from kioskd.tools.template import UnfitError, as_text, fields, fill, remaining
from kioskd.tools.waiting import stay

if TYPE_CHECKING:
    import httpx2

log = logging.getLogger(__name__)

REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_NO_CHARSETS: Final = frozenset({"idna", "punycode", "raw_unicode_escape", "unicode_escape"})
"""Codecs of Python that no server uses; some take forever for a long text."""


class HttpTool(FixedTool):
    """Sends requests to one address.

    `url` can hold {parameter} in its path and query. Arguments that it does not use are sent as `send` says.
    Redirects are followed for GET, to `allowed_hosts` (HOST or HOST:PORT; the address's own host is always
    allowed). `headers` go only to the first host.
    """

    def __init__(self, settings: HttpSettings, headers: Mapping[str, SecretStr]) -> None:
        """`headers`: the headers of the settings, with their secrets."""
        super().__init__(declared(settings, repeatable=settings.method == "GET"))
        self._settings, self._headers = settings, headers
        self._path, self._mark, self._query = settings.url.partition("?")
        self._used = fields(settings.url)
        own = urlsplit(settings.url)
        self._allowed = {(own.hostname or "", own.port or _port(own.scheme))}
        for host in settings.allowed_hosts:
            entry = urlsplit(f"//{host}")
            ends = (443, 80) if entry.port is None else (entry.port,)
            self._allowed |= {(entry.hostname or "", port) for port in ends}
        self._clients: dict[str | None, httpx2.AsyncClient] = {}
        """Clients by their proxy; None is the key of the one without a proxy."""
        self._making = asyncio.Lock()

    async def run(self) -> NoReturn:
        """Keep connections to the server until cancelled."""
        try:
            await stay()
        finally:
            for client in self._clients.values():
                await client.aclose()

    async def call(self, _name: str, arguments: Mapping[str, object]) -> ToolResult:
        """Send the request, and read the answer."""
        import httpx2  # noqa: PLC0415 - slow, and only such tools need it

        client = await self._client_for(self._path)
        try:
            request = self._request(client, arguments)
        except UnfitError as err:
            return refused(str(err))
        except httpx2.InvalidURL:
            return refused("the arguments make an address that is too long or not valid")
        try:
            return await self._ask(request)
        except httpx2.InvalidURL:
            return failed("the server redirects to an address that is not valid")
        except httpx2.HTTPError as err:
            # Only the type is shown: the text can hold the address with its arguments.
            return failed(
                f"the server cannot be reached ({type(err).__name__})",
                retryable=self._settings.method == "GET",
            )

    async def _client_for(self, url: str) -> "httpx2.AsyncClient":
        """Return the client for `url`; raises ProxyError.

        This machine is reached without a proxy, as a proxy would see the headers.
        """
        proxy = proxies.route(url)
        async with self._making:
            if proxy not in self._clients:
                # Reading the certificates takes a while, so a thread does it.
                self._clients[proxy] = await asyncio.to_thread(self.make_client, proxy)
            return self._clients[proxy]

    def make_client(self, proxy: str | None = None) -> "httpx2.AsyncClient":
        """Return a new client that uses `proxy`; None: no proxy."""
        import httpx2  # noqa: PLC0415 - as above

        context = ssl.create_default_context(cafile=self._settings.ca_file)
        # No cookie is kept, as the next visitor is another person.
        jar = CookieJar(policy=DefaultCookiePolicy(allowed_domains=()))
        # The client has no timeout of its own: the tool's deadline ends a call, wherever it waits.
        return httpx2.AsyncClient(
            verify=context,
            cookies=jar,
            timeout=None,
            headers={"User-Agent": "kioskd"},
            proxy=proxy,
            trust_env=False,
        )

    def _request(self, client: "httpx2.AsyncClient", arguments: Mapping[str, object]) -> "httpx2.Request":
        path = fill(self._path, arguments, _in_path)
        if any(unquote(segment) in {".", ".."} for segment in re.split(r"[/\\]", urlsplit(path).path)):
            raise UnfitError("the arguments make a path to another folder")
        query = fill(self._query, arguments, lambda _name, value: quote(value, safe=""))
        others = remaining(arguments, self._used)
        # Answers must not be compressed: a small one could expand without limit.
        headers = {"Accept-Encoding": "identity"} | {
            header: value.get_secret_value() for header, value in self._headers.items()
        }
        if self._settings.sends == "query" and others:
            query = "&".join(filter(None, (query, urlencode(_pairs(others)))))
        url = f"{path}?{query}" if query else f"{path}{self._mark}"
        match self._settings.sends:
            case "json":
                return client.build_request(self._settings.method, url, headers=headers, json=others)
            case "form":
                form = urlencode(_pairs(others)).encode()
                headers |= {"Content-Type": "application/x-www-form-urlencoded"}
                return client.build_request(self._settings.method, url, headers=headers, content=form)
            case "query":
                return client.build_request(self._settings.method, url, headers=headers)

    async def _ask(self, request: "httpx2.Request") -> ToolResult:
        for _ in range(self._settings.redirects + 1):
            client = await self._client_for(str(request.url))
            response = await client.send(request, stream=True, follow_redirects=False)
            try:
                if response.status_code not in REDIRECTS or "location" not in response.headers:
                    return await self._read(response)
                there = self.redirected(client, response)
                if isinstance(there, ToolResult):
                    return there
                request = there
            finally:
                await response.aclose()
        log.warning(
            "tool stopped by a redirect: name=%s redirects=%d; "
            "correct its url to the address that the server names, or set redirects higher",
            self.declarations[0].name,
            self._settings.redirects,
        )
        return failed(f"the server redirects more often than allowed (redirects: {self._settings.redirects})")

    def redirected(
        self, client: "httpx2.AsyncClient", response: "httpx2.Response"
    ) -> "httpx2.Request | ToolResult":
        """Return the request that `response` redirects to; a failure if that is not allowed."""
        here, there = response.url, response.url.join(response.headers["location"])
        if self._settings.method != "GET" and response.status_code != 303:
            return failed("the server redirects the request, which is not sent a second time")
        if (
            there.scheme not in {"http", "https"}
            or (here.scheme, there.scheme) == ("https", "http")
            or there.userinfo
            or (there.host.lower(), there.port or _port(there.scheme)) not in self._allowed
        ):
            return failed("the server redirects to another host, which the owner has not allowed")
        same = (here.scheme, here.host, here.port) == (there.scheme, there.host, there.port)
        headers = {"Accept-Encoding": "identity"}
        if same:
            headers |= {name: response.request.headers[name] for name in self._headers}
        return client.build_request("GET", there, headers=headers)

    async def _read(self, response: "httpx2.Response") -> ToolResult:
        code = response.status_code
        if code in {404, 410}:
            return ToolResult("no_results", f"the server has found nothing ({code})")
        if not response.is_success:
            again = code in {408, 425, 429, 500, 502, 503, 504} and self._settings.method == "GET"
            return failed(f"the server returned an error ({code})", retryable=again)
        if response.headers.get("content-encoding", "identity") != "identity":
            return failed("the server compresses its answer although it was asked not to")
        if self._settings.answer == "none" or (code == 204 and self._settings.method != "GET"):
            return ToolResult("ok", "done")
        body = bytearray()
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > self._settings.answer_bytes:
                return failed(f"the answer is larger than {self._settings.answer_bytes} bytes")
        return read_answer(bytes(body), self._settings.answer, _charset(response))


def _port(scheme: str) -> int:
    return 443 if scheme == "https" else 80


def _charset(response: "httpx2.Response") -> str:
    """Return the charset that the server names; UTF-8 if it names no known one."""
    try:
        charset = codecs.lookup(response.charset_encoding or "utf-8").name
        b"-".decode(charset, errors="replace")  # some codecs are not for text
    except (LookupError, ValueError):
        return "utf-8"
    return "utf-8" if charset in _NO_CHARSETS else charset


def _in_path(name: str, value: str) -> str:
    if not value:
        raise UnfitError(f"{name} is empty")
    for text in (value, unquote(value)):
        if any(part in {".", ".."} for part in re.split(r"[/\\]", text)):
            raise UnfitError(f"{name} is a path to another folder")
    return quote(value, safe="")


def _pairs(arguments: Mapping[str, object]) -> list[tuple[str, str]]:
    """Return pairs of names and values for a query; a list becomes several pairs."""
    return [
        (name, as_text(one))
        for name, value in arguments.items()
        for one in (value if isinstance(value, list | tuple) else [value])
    ]
