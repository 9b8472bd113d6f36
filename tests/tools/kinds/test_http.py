"""A tool that asks a web server, with a real server."""

import asyncio
import json
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from tests.support.http_peers import Answer, Asked, Peer, http_server
from tests.support.tools import http_tool

from kioskd.adapters.clock import SystemClock
from kioskd.simulator.certificate import make_certificate
from kioskd.tools.contract import Guarded, ToolResult, failed
from kioskd.tools.guard import Guard
from kioskd.tools.kinds.http.tool import HttpTool
from kioskd.tools.toolbox import Toolbox


class Shop:
    """A server with given answers, and tools that ask it."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack
        self.answer: Callable[[Asked], Answer | None] = lambda _asked: Answer(body=b'{"left": 3}')

    async def close(self) -> None:
        """Stop the server."""
        await self._stack.aclose()

    async def open(self) -> Peer:
        return await self._stack.enter_async_context(http_server(self._say, None))

    def _say(self, asked: Asked) -> Answer | None:
        return self.answer(asked)

    def tool(self, url: str, **options: Any) -> HttpTool:
        return http_tool(url, **options)


@pytest.fixture
async def stack() -> Any:
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture
def shop(stack: AsyncExitStack) -> Shop:
    return Shop(stack)


async def ask(tool: HttpTool, **arguments: object) -> ToolResult:
    """Call `tool` once, and close it."""
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        run = group.create_task(tool.run())
        result = await tool.call("ask", arguments)
        run.cancel()
    return result


async def test_parameters_fill_path_and_query_and_the_rest_is_added_to_the_query(shop: Shop) -> None:
    peer = await shop.open()
    tool = shop.tool(f"http://127.0.0.1:{peer.port}/items/{{item}}?shop={{shop}}")
    result = await ask(tool, item="red shoes", shop="a&b", size=42, sale=True, colours=["x", "y"])
    assert result == ToolResult("ok", "done", {"left": 3})
    assert peer.asked[0].line == (
        "GET /items/red%20shoes?shop=a%26b&size=42&sale=true&colours=x&colours=y HTTP/1.1"
    )


async def test_a_post_sends_the_rest_as_json(shop: Shop) -> None:
    peer = await shop.open()
    tool = shop.tool(f"http://127.0.0.1:{peer.port}/doors/{{door}}", method="POST")
    await ask(tool, door="front", why={"who": "a\r\nb"})
    assert peer.asked[0].line == "POST /doors/front HTTP/1.1"
    assert json.loads(peer.asked[0].body) == {"why": {"who": "a\r\nb"}}
    assert peer.asked[0].headers["content-type"] == "application/json"


async def test_a_form_is_sent_with_its_content_type(shop: Shop) -> None:
    peer = await shop.open()
    await ask(shop.tool(f"http://127.0.0.1:{peer.port}/f", method="POST", send="form"), a="1&b=2", c="ü")
    assert peer.asked[0].body == b"a=1%26b%3D2&c=%C3%BC"


async def test_headers_are_sent_and_their_secrets_are_hidden_in_results(shop: Shop) -> None:
    peer = await shop.open()
    shop.answer = lambda asked: Answer(body=json.dumps({"echo": asked.headers}).encode())
    secret = SecretStr("tok-12345")
    tool = shop.tool(
        f"http://127.0.0.1:{peer.port}/", headers={"Authorization": SecretStr("Bearer tok-12345")}
    )
    box = Toolbox([Guarded(tool, Guard(), [secret])], clock=SystemClock(), confirm=no)
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        run = group.create_task(box.run())
        result = await box.call("ask", {}, turn=1, conversation=1)
        run.cancel()
    assert peer.asked[0].headers["authorization"] == "Bearer tok-12345"
    assert "Bearer (hidden)" in str(result.data)
    assert "tok-12345" not in str(result.data)


async def no(_name: str, _words: str) -> bool:
    return False


@pytest.mark.parametrize(
    ("status", "wanted", "retryable"),
    [
        (404, "no_results", False),
        (400, "error", False),
        (403, "error", False),
        (429, "error", True),
        (503, "error", True),
    ],
)
async def test_the_status_decides_whether_the_result_is_retryable(
    shop: Shop, status: int, wanted: str, retryable: bool
) -> None:
    peer = await shop.open()
    shop.answer = lambda _asked: Answer(status=status, body=b"no")
    result = await ask(shop.tool(f"http://127.0.0.1:{peer.port}/"))
    assert (result.status, result.retryable) == (wanted, retryable)


async def test_a_failed_post_is_never_retryable(shop: Shop) -> None:
    peer = await shop.open()
    shop.answer = lambda _asked: Answer(status=503)
    assert not (await ask(shop.tool(f"http://127.0.0.1:{peer.port}/", method="POST"))).retryable


@pytest.mark.parametrize(
    ("body", "answer", "wanted"),
    [
        (b"[]", "json", "no_results"),
        (b"", "json", "no_results"),
        (b"<html>", "json", "error"),
        (b"open", "text", "ok"),
        (b"  ", "text", "no_results"),
        (b"", "none", "ok"),
    ],
)
async def test_an_answer_is_read_in_the_form_that_the_owner_sets(
    shop: Shop, body: bytes, answer: str, wanted: str
) -> None:
    peer = await shop.open()
    shop.answer = lambda _asked: Answer(body=body)
    assert (await ask(shop.tool(f"http://127.0.0.1:{peer.port}/", answer=answer))).status == wanted


@pytest.mark.parametrize(
    ("content_type", "body", "read"),
    [
        ("text/plain; charset=iso-8859-1", b"caf\xe9", "caf\xe9"),
        ('text/plain; charset="UTF-16"', "caf\xe9".encode("utf-16"), "caf\xe9"),
        ("text/plain", "caf\xe9".encode(), "caf\xe9"),
        ("text/plain; charset=", b"caf\xc3\xa9", "caf\xe9"),
        *(
            (f"text/plain; charset={name}", b"caf\xc3\xa9", "caf\xe9")
            for name in ("klingon", "zlib", "undefined", "idna", "punycode", "\xff")
        ),
    ],
)  # fmt: skip
async def test_a_text_is_read_in_the_charset_that_the_server_names(
    shop: Shop, content_type: str, body: bytes, read: str
) -> None:
    peer = await shop.open()
    shop.answer = lambda _asked: Answer(body=body, headers={"Content-Type": content_type})
    assert (await ask(shop.tool(f"http://127.0.0.1:{peer.port}/", answer="text"))).data == read


async def test_an_answer_that_is_too_large_is_not_read_to_its_end(shop: Shop) -> None:
    peer = await shop.open()
    shop.answer = lambda _asked: Answer(body=b"x" * 5_000_000)
    tool = shop.tool(f"http://127.0.0.1:{peer.port}/", answer="text", answer_bytes=1000)
    assert (await ask(tool)).message == "the answer is larger than 1000 bytes"


async def test_a_compressed_answer_is_rejected_unread(shop: Shop) -> None:
    peer = await shop.open()
    shop.answer = lambda _asked: Answer(body=b"\x1f\x8b", headers={"Content-Encoding": "gzip"})
    assert (await ask(shop.tool(f"http://127.0.0.1:{peer.port}/"))).status == "error"
    assert peer.asked[0].headers["accept-encoding"] == "identity"


async def test_a_missing_server_gives_a_retryable_result(shop: Shop) -> None:
    peer = await shop.open()
    await shop.close()
    result = await ask(shop.tool(f"http://127.0.0.1:{peer.port}/secret-path"))
    assert (result.status, result.retryable) == ("error", True)
    assert "secret-path" not in result.message


def test_only_the_tools_own_deadline_ends_a_call(shop: Shop) -> None:
    client = shop.tool("http://127.0.0.1:9/").make_client()
    assert set(client.timeout.as_dict().values()) == {None}


async def test_cancelling_a_call_closes_its_connection(shop: Shop) -> None:
    hung_up, asked = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await reader.read()
        hung_up.set()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    tool = shop.tool(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    async with server, asyncio.timeout(60), asyncio.TaskGroup() as group:
        call = group.create_task(ask(tool))
        await asked.wait()
        call.cancel()
        await hung_up.wait()


async def test_cookies_are_not_kept_for_the_next_visitor(shop: Shop) -> None:
    peer = await shop.open()
    shop.answer = lambda _asked: Answer(body=b"1", headers={"Set-Cookie": "who=me; Path=/"})
    tool = shop.tool(f"http://127.0.0.1:{peer.port}/")
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        run = group.create_task(tool.run())
        await tool.call("ask", {})
        await tool.call("ask", {})
        run.cancel()
    assert [("cookie" in asked.headers) for asked in peer.asked] == [False, False]


async def test_a_certificate_is_checked(stack: AsyncExitStack, tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    served = http_server(lambda _asked: Answer(body=b"1"), certificate.server_context())
    peer = await stack.enter_async_context(served)
    shop = Shop(stack)
    url = f"https://127.0.0.1:{peer.port}/"
    assert (await ask(shop.tool(url))).status == "error"
    assert (await ask(shop.tool(url, ca_file=certificate.ca_file))).status == "ok"


# Redirects.


def moved(to: str, status: int = 302) -> Answer:
    return Answer(status=status, headers={"Location": to})


async def test_a_redirect_within_the_host_is_followed_as_often_as_allowed(shop: Shop) -> None:
    peer = await shop.open()
    shop.answer = lambda asked: (
        Answer(body=b"1") if "/c" in asked.line else moved("/b" if "/a" in asked.line else "/c")
    )
    url = f"http://127.0.0.1:{peer.port}/a"
    assert (await ask(shop.tool(url, redirects=2))).status == "ok"
    assert (await ask(shop.tool(url, redirects=1))).status == "error"


async def test_the_error_for_too_many_redirects_names_the_option_but_not_the_address(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    peer = await shop.open()
    shop.answer = lambda _asked: moved("/secret-path")
    result = await ask(shop.tool(f"http://127.0.0.1:{peer.port}/a"))
    assert result == failed("the server redirects more often than allowed (redirects: 0)")
    [told] = [record.message for record in caplog.records if record.name == "kioskd.tools.kinds.http.tool"]
    assert "name=ask redirects=0" in told
    assert "secret-path" not in caplog.text


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirected_post_is_not_sent_again(shop: Shop, status: int) -> None:
    peer = await shop.open()
    shop.answer = lambda _asked: moved("/b", status)
    result = await ask(shop.tool(f"http://127.0.0.1:{peer.port}/a", method="POST", redirects=3))
    assert (result.status, len(peer.asked)) == ("error", 1)


async def test_a_redirect_to_an_allowed_host_is_followed_without_secrets(shop: Shop) -> None:
    here, there = await shop.open(), await shop.open()
    shop.answer = lambda asked: (
        Answer(body=b"1") if "/there" in asked.line else moved(f"http://127.0.0.1:{there.port}/there")
    )
    tool = shop.tool(
        f"http://127.0.0.1:{here.port}/",
        redirects=1,
        headers={"X-Shop": SecretStr("tok-12345")},
        allowed_hosts=[f"127.0.0.1:{there.port}"],
    )
    assert (await ask(tool)).status == "ok"
    assert "x-shop" in here.asked[0].headers
    assert "x-shop" not in there.asked[0].headers


async def test_headers_are_sent_with_redirects_within_the_host(shop: Shop) -> None:
    peer = await shop.open()
    shop.answer = lambda asked: Answer(body=b"1") if "/b" in asked.line else moved("/b")
    url = f"http://127.0.0.1:{peer.port}/a"
    await ask(shop.tool(url, redirects=1, headers={"X-Shop": SecretStr("tok-12345")}))
    assert [asked.headers.get("x-shop") for asked in peer.asked] == ["tok-12345"] * 2


@pytest.mark.parametrize(
    "elsewhere",
    [
        "http://127.0.0.1:{other}/",  # another port
        "http://localhost:{other}/",
        "//127.0.0.1:{other}/",
        "http://127.0.0.1:{own}@127.0.0.1:{other}/",  # the tool's own host as a user name
        "http://u:p@127.0.0.1:{own}/",
        "http://[::1]:{own}/",
        "http://[::ffff:127.0.0.1]:{own}/",
        "http://127.0.0.1%2eexample:{own}/",
        "http://127.0.0.1.example:{own}/",
        "http://%31%32%37.0.0.1:{other}/",
        "http:\\\\127.0.0.1:{other}\\",
        "http://2130706433:{other}/",
        "http://127.0.0.1:port/",  # no address
        "file:///etc/passwd",
        "ftp://127.0.0.1:{own}/",
        "https://127.0.0.1:{other}/",
    ],
)
async def test_a_redirect_to_another_host_is_not_followed(shop: Shop, elsewhere: str) -> None:
    own, other = await shop.open(), await shop.open()
    shop.answer = lambda _asked: moved(elsewhere.format(own=own.port, other=other.port))
    result = await ask(shop.tool(f"http://127.0.0.1:{own.port}/", redirects=1))
    assert result.status == "error"
    assert other.asked == []


async def test_a_redirect_from_tls_to_plain_http_is_not_followed(shop: Shop) -> None:
    tool = shop.tool("https://127.0.0.1/", allowed_hosts=["127.0.0.1:80"], redirects=1)
    import httpx2  # noqa: PLC0415 - only this test needs it

    async with httpx2.AsyncClient() as client:
        request = client.build_request("GET", "https://127.0.0.1/")
        response = httpx2.Response(302, headers={"Location": "http://127.0.0.1:80/"}, request=request)
        result = tool.redirected(client, response)
        assert isinstance(result, ToolResult)
        assert result.status == "error"


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
async def test_a_request_to_this_machine_uses_no_proxy(
    shop: Shop, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with http_server(lambda _asked: Answer(body=b"1"), None) as proxy:
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        peer = await shop.open()
        for host in ("127.0.0.1", "localhost"):
            tool = shop.tool(f"http://{host}:{peer.port}/", headers={"X-Key": SecretStr("s3cret")})
            assert (await ask(tool)).status == "ok"
    assert proxy.asked == []
    assert [asked.headers["x-key"] for asked in peer.asked] == ["s3cret"] * 2


async def test_a_request_to_another_machine_uses_the_proxy(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with http_server(lambda _asked: Answer(body=b"1"), None) as proxy:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        assert (await ask(shop.tool("http://shop.example/x"))).status == "ok"
    assert proxy.asked[0].line == "GET http://shop.example/x HTTP/1.1"
