"""The SDK's client, told everything that it would else look up in the environment: service, address and secrets."""

import asyncio
import functools
import logging
import ssl
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kioskd.adapters.gemini.account import GoogleAccount
from kioskd.adapters.gemini.credentials import Credentials, Pass, ServiceKey, TokenServer
from kioskd.adapters.gemini.deflate import SmallOnlyFactory
from kioskd.adapters.gemini.live_socket import Deadlines, LiveSocket
from kioskd.adapters.gemini.web import Web, is_loopback
from kioskd.errors import ConfigError

if TYPE_CHECKING:
    from google import genai

    from kioskd.adapters.gemini import GeminiConfig

WIRE_LOGGERS: Final = (
    "websockets",
    "google",
    "google_genai",
    "httpx2",
    "httpcore2",
    "httpx",
    "httpcore",
    "urllib3",
)
"""Loggers that write keys, handles and speech at DEBUG, and some of them addresses at INFO."""

ENDPOINT: Final = "https://generativelanguage.googleapis.com/"

_EVERYWHERE: Final = ("us", "eu")
"""Vertex locations of several regions each; their host is named by another rule."""


def quiet_wire_loggers() -> None:
    """Keep the libraries of the wire at WARNING, whatever the level of the root: below it they print what they send."""
    for name in WIRE_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)


def vertex_endpoint(location: str) -> str:
    """Return the base URL of Vertex in `location`."""
    if location == "global":
        return "https://aiplatform.googleapis.com/"
    if location in _EVERYWHERE:
        return f"https://aiplatform.{location}.rep.googleapis.com/"
    return f"https://{location}-aiplatform.googleapis.com/"


class Clients:
    """Makes the client for each dial; the same one as long as the same pass opens the service.

    Making this blocks for 0.5 s (the SDK's import, certificates), so it belongs into a thread.

    Raises:
        ConfigError: there is nothing to dial with, or the CA file cannot be read.
    """

    def __init__(self, config: "GeminiConfig", deadlines: Deadlines) -> None:
        quiet_wire_loggers()
        self._config = config
        self._deadlines = deadlines
        self._web = Web(_tls(config.ca_file), config.proxy)
        self._credentials = _credentials(config, self._web)
        self._client: genai.Client | None = None
        self._pass: Pass | None = None
        _expect_news()
        if isinstance(self._credentials, ServiceKey):
            self._replace(self._credentials.key)
        else:
            _expect_experiments()

    @property
    def renewable(self) -> bool:
        """Whether credentials that the service refuses can be had anew."""
        return self._credentials.renewable

    async def client(self) -> "tuple[genai.Client, str]":
        """Return the client for the next dial, and the secret that it shows.

        Raises:
            LinkLost: credentials cannot be had now.
        """
        found = await self._credentials.fetch()
        if self._client is None or found != self._pass:
            # The old one goes in that thread too: collected in the loop's, the SDK would start a task of nobody's.
            await asyncio.to_thread(self._replace, found)
        assert self._client is not None
        return self._client, found.secret.get_secret_value()

    def drop_credentials(self) -> None:
        """Have new credentials fetched for the next dial: the service has refused these."""
        self._credentials.drop()

    def _replace(self, found: Pass) -> None:
        self._client, self._pass = self._build(found), found

    def _build(self, found: Pass) -> "genai.Client":
        from google import genai  # noqa: PLC0415 - takes 350 ms
        from google.genai import types  # noqa: PLC0415

        config, vertex, secret = self._config, self._config.vertex, found.secret.get_secret_value()
        # The SDK would rewrite it in its own way, and reads one from the environment when it is told none.
        endpoint = config.endpoint or (vertex_endpoint(vertex.location) if vertex else ENDPOINT)
        options = types.HttpOptions(
            base_url=endpoint,
            api_version=config.api_version,
            client_args={"verify": self._web.tls},
            async_client_args=self._socket_options(endpoint),
        )
        if vertex is None or config.key is not None:
            return genai.Client(api_key=secret, enterprise=vertex is not None, http_options=options)
        from google.oauth2.credentials import Credentials as Bearer  # noqa: PLC0415 - only for Vertex

        return genai.Client(
            enterprise=True,
            project=vertex.project,
            location=vertex.location,
            # The token alone: with the account itself the SDK would renew it in the loop's own thread.
            credentials=Bearer(token=secret, quota_project_id=found.quota_project),  # type: ignore[no-untyped-call]  # google-auth has no types here
            http_options=options,
        )

    def _socket_options(self, endpoint: str) -> dict[str, Any]:
        tls = self._web.tls
        options: dict[str, Any] = {
            "ssl": tls,
            "verify": tls,  # the HTTP client's word for it; else the SDK builds two more contexts
            "create_connection": functools.partial(LiveSocket, deadlines=self._deadlines),
            "open_timeout": self._deadlines.open_s,
            # Pongs of 8 to 30 s were seen on healthy links, so the usual 20 s would cut them. Dead links are found
            # by TCP_USER_TIMEOUT and the send deadline; the ping is the net under an idle uplink.
            "ping_interval": 20,
            "ping_timeout": 40,
            "close_timeout": 2,
            # A reply may come in messages larger than the usual 1 MiB. This is 80 s of sound in one, and takes 30 ms of the
            # loop to take apart on a desk.
            "max_size": 5 * 2**20,
            # The ping is queued behind audio instead of blocking in a full buffer.
            "write_limit": 256 * 2**10,
            # Takes back what base64 adds (374 to 262 kbit/s, next to nothing for silence) for 5 us a frame of audio.
            "compression": None,
            "extensions": [SmallOnlyFactory()],
        }
        if is_loopback(endpoint):
            options["proxy"] = None  # a stand-in on this machine is behind no proxy
        elif self._config.proxy is not None:
            options["proxy"] = self._config.proxy
        return options


def _credentials(config: "GeminiConfig", web: Web) -> Credentials:
    if config.key is not None:
        stored = ServiceKey(config.key)
        if not stored.key.secret.get_secret_value().strip():
            # The SDK would look for one in the environment.
            raise ConfigError(
                "service key is empty: nothing to dial with; store the key of your Gemini project"
            )
        return stored
    if config.token_url is not None:
        return TokenServer(config.token_url, config.model, web)
    if config.vertex is not None:
        return GoogleAccount(config.vertex, web)
    raise ConfigError("service key is missing: nothing to dial with; store the key of your Gemini project")


def _expect_experiments() -> None:
    """Import the SDK, and keep it from warning at each dial that it knows ephemeral tokens as an experiment."""
    from google.genai.errors import ExperimentalWarning  # noqa: PLC0415 - takes 350 ms

    warnings.filterwarnings("ignore", "The SDK's ephemeral token support", ExperimentalWarning)


def _expect_news() -> None:
    """Keep the SDK from writing to stderr, in its own words, each value of the service's that is newer than itself."""
    warnings.filterwarnings("ignore", category=UserWarning, module=r"google\.genai\._common")


def _tls(ca_file: Path | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # ssl.SSLError, for a file without certificates, is one
        raise ConfigError(
            f"service.ca_file = {ca_file}: cannot be used ({error.strerror or error}); "
            "name a readable PEM file with the authority's certificate"
        ) from None
    if ca_file is None:
        import certifi  # noqa: PLC0415 - a device without ca-certificates still knows Google's authorities

        context.load_verify_locations(certifi.where())
    return context
