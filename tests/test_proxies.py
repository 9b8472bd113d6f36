"""A request takes the proxy of the environment, in every form that an environment may have."""

import pytest

from kioskd.proxies import ProxyError, is_loopback, route

FAR = "https://service.example/x"


@pytest.mark.parametrize(
    ("environ", "url", "proxy"),
    [
        ({}, FAR, None),
        ({"https_proxy": "http://p:1"}, FAR, "http://p:1"),
        ({"HTTPS_PROXY": "http://p:1"}, FAR, "http://p:1"),
        ({"HTTPS_PROXY": "http://p:1", "https_proxy": "http://q:2"}, FAR, "http://q:2"),
        ({"https_proxy": "p:1"}, FAR, "http://p:1"),
        ({"https_proxy": "http://user:pass@p:1"}, FAR, "http://user:pass@p:1"),
        ({"https_proxy": ""}, FAR, None),
        ({"https_proxy": " "}, FAR, None),
        ({"ALL_PROXY": "http://p:1"}, FAR, "http://p:1"),
        ({"all_proxy": "socks5://p:1", "https_proxy": "http://q:2"}, FAR, "http://q:2"),
        ({"http_proxy": "http://p:1"}, FAR, None),
        ({"http_proxy": "http://p:1"}, "http://service.example", "http://p:1"),
        ({"HTTP_PROXY": "http://p:1", "REQUEST_METHOD": "GET"}, "http://service.example", None),
        ({"https_proxy": "http://p:1", "no_proxy": "*"}, FAR, None),
        ({"https_proxy": "http://p:1", "NO_PROXY": "service.example"}, FAR, None),
        ({"https_proxy": "http://p:1", "no_proxy": ".example, other"}, FAR, None),
        ({"https_proxy": "http://p:1", "no_proxy": "example"}, FAR, None),
        ({"https_proxy": "http://p:1", "no_proxy": "vice.example"}, FAR, "http://p:1"),
        ({"https_proxy": "http://p:1", "no_proxy": "service.example:8443"}, FAR, "http://p:1"),
        ({"https_proxy": "http://p:1", "no_proxy": "10.0.0.0/8"}, "https://10.1.2.3/", None),
        ({"https_proxy": "http://p:1", "no_proxy": "[fd00::1]"}, "https://[fd00::1]/", None),
        ({"https_proxy": "http://p:1", "no_proxy": "[::1,:::,1/99"}, FAR, "http://p:1"),
        ({"all_proxy": "socks5://p:1", "no_proxy": "service.example"}, FAR, None),
        ({"all_proxy": "socks5://p:1"}, "http://127.0.0.1:80/", None),
    ],
)
def test_the_environments_proxy_is_read_as_curl_reads_it(
    environ: dict[str, str], url: str, proxy: str | None
) -> None:
    assert route(url, environ=environ) == proxy


@pytest.mark.parametrize(
    "value",
    [
        "socks5://user:secret@p:1",
        "socks5h://p:1",
        "socks4://p",
        "socks://p:1",
        "https://p:1",
        "ftp://p",
        "http://",
        "http://:3128",
        "http://p:port",
        "http://p:99999",
        "http://[::1",
        "http://p:1\nX: y",
        "http://p q:1",
        "://",
        "http://p:secret@host:x",
    ],
)
@pytest.mark.parametrize("name", ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])
def test_a_proxy_that_cannot_be_used_is_one_line_with_its_variable(name: str, value: str) -> None:
    with pytest.raises(ProxyError) as caught:
        route(FAR, environ={name: value})
    told = str(caught.value)
    assert told.startswith(f"environment: {name} ")
    assert f"write {name}=http://HOST:PORT" in told
    assert "\n" not in told
    assert "secret" not in told


@pytest.mark.parametrize(
    ("url", "here"),
    [
        *(
            (f"http://{host}/x", True)
            for host in ("localhost", "LOCALHOST", "localhost.", "a.localhost", "127.0.0.1")
        ),
        *((f"http://{host}/x", True) for host in ("127.9.9.9:80", "[::1]:80", "[::ffff:127.0.0.1]")),
        *(
            (f"http://{host}/x", False)
            for host in ("localhost.example", "127.0.0.1.example", "10.0.0.1", "[::2]")
        ),
        ("http://[::1", False),
        ("mqtt://127.0.0.1", True),
    ],
)
def test_each_name_of_this_machine_is_recognized(url: str, here: bool) -> None:
    assert is_loopback(url) is here
