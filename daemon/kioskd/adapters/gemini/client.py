"""The SDK's client, with service, address and secrets given, so that it reads none from the environment."""

import asyncio
import contextlib
import functools
import logging
import re
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from kioskd.adapters.gemini.account import GoogleAccount
from kioskd.adapters.gemini.credentials import (
    TOKEN_PREFIX,
    Credentials,
    DialCredential,
    ServiceKey,
    TokenCredentials,
)
from kioskd.adapters.gemini.deflate import SmallMessageDeflateFactory
from kioskd.adapters.gemini.live_socket import Deadlines, LiveSocket
from kioskd.adapters.gemini.web import HttpClient, tls_context
from kioskd.errors import ConfigError, LinkLost, Remedy

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

log = logging.getLogger(__name__)

ENDPOINT: Final = "https://generativelanguage.googleapis.com/"

_EVERYWHERE: Final = ("us", "eu")
"""Vertex locations that span several regions; their host names follow another rule."""


def quiet_wire_loggers() -> None:
    """Set the network libraries' loggers to WARNING: below that level they print all data."""
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
    """Makes the client for each dial, and reuses it as long as the credentials are the same.

    Creating an instance reads credentials and certificates: it blocks, so do it in a thread.
    ConfigError: there are no credentials, or the CA file or the environment's proxy is unusable.
    """

    def __init__(self, config: "GeminiConfig", deadlines: Deadlines) -> None:
        quiet_wire_loggers()
        self._config = config
        self._deadlines = deadlines
        self._web = HttpClient(tls_context(config.ca_file), config.proxy)
        self._web.route(self._endpoint())
        self._credentials = _credentials(config, self._web)
        self._client: genai.Client | None = None
        self._shown: DialCredential | None = None
        self._version, self._other_version = config.api_version, config.other_version
        self._tried_other = self._version_known = False

    def load(self) -> None:
        """Import the SDK, and make its client if the key is known. It blocks, so do it in a thread."""
        quiet_sdk_warnings()
        if isinstance(self._credentials, ServiceKey):
            self._replace(self._credentials.key)

    @property
    def renewable(self) -> bool:
        """Whether credentials that the service refuses can be fetched again."""
        return self._credentials.renewable

    @property
    def secret(self) -> str:
        """The key or token of the last dial."""
        return self._shown.secret.get_secret_value() if self._shown is not None else ""

    async def client(self) -> "genai.Client":
        """Return the client for the next dial. LinkLost: there are no credentials now."""
        found = await self._credentials.fetch()
        if self._client is None or found != self._shown:
            # The old client is collected in that thread, too. In the loop's thread the SDK would start a task
            # that no task group owns.
            await asyncio.to_thread(self._replace, found)
        assert self._client is not None
        return self._client

    def try_other_version(self, lost: LinkLost) -> bool:
        """Return whether dialing again with the other API version may help; the next dial then uses it.

        A token is minted for one version, and the daemon does not know which version its server uses. Each
        version is tried once for each requested connection.
        """
        known = self._version_known and not _NO_VERSION.search(str(lost))
        token = self.secret.startswith(TOKEN_PREFIX)
        if self._other_version is None or not token or known or not _is_refusal(lost):
            return False
        self._version, self._other_version = self._other_version, self._version
        self._tried_other = not self._tried_other
        if self._tried_other:
            log.info("API version rejected with this token, trying the other one: next=%s", self._version)
        return self._tried_other

    def with_version_named(self, lost: LinkLost) -> LinkLost:
        """Return `lost`, with a remark on the API version if a token was rejected: the version may be the
        reason.
        """
        if not self.secret.startswith(TOKEN_PREFIX) or not _is_refusal(lost):
            return lost
        why = (
            f"rejected with {self._version} and with {self._other_version}"
            if self._other_version
            else f"a token works only with the API version it was minted for; here it is {self._version}"
        )
        what, _, remedy = str(lost).rpartition("; ")  # a message ends in its remedy
        return LinkLost(
            f"{what} ({why}); {remedy}",
            remedy=lost.remedy,
            reached=lost.reached,
            retry_after_s=lost.retry_after_s,
        )

    def note_version_accepted(self) -> None:
        """Remember that the service accepts tokens with the version that was dialed."""
        self._tried_other, self._version_known = False, True

    def drop_credentials(self) -> None:
        """Fetch new credentials for the next dial: the service has rejected these."""
        self._credentials.drop()

    def _replace(self, found: DialCredential) -> None:
        self._client, self._shown = self._build(found), found

    def _build(self, found: DialCredential) -> "genai.Client":
        from google import genai  # noqa: PLC0415 - loaded by now
        from google.genai import types  # noqa: PLC0415

        config, vertex, secret = self._config, self._config.vertex, found.secret.get_secret_value()
        # The SDK would rewrite the URL, and would read one from the environment if it were given none.
        endpoint = self._endpoint()
        options = types.HttpOptions(
            base_url=endpoint,
            api_version=self._version,
            client_args={"verify": self._web.tls, "trust_env": False},
            async_client_args=self._socket_options(endpoint),
        )
        if vertex is None or config.key is not None:
            return genai.Client(api_key=secret, enterprise=vertex is not None, http_options=options)
        from google.oauth2.credentials import Credentials as Bearer  # noqa: PLC0415 - only for Vertex

        return genai.Client(
            enterprise=True,
            project=vertex.project,
            location=vertex.location,
            # Only the token is given: with the account itself the SDK would renew it in the event loop's
            # thread.
            credentials=Bearer(  # type: ignore[no-untyped-call]  # google-auth has no types here
                token=secret, quota_project_id=found.quota_project
            ),
            http_options=options,
        )

    def _endpoint(self) -> str:
        vertex = self._config.vertex
        return self._config.endpoint or (vertex_endpoint(vertex.location) if vertex else ENDPOINT)

    def _socket_options(self, endpoint: str) -> dict[str, Any]:
        tls = self._web.tls
        options: dict[str, Any] = {
            "ssl": tls,
            "verify": tls,  # for the HTTP client; else the SDK builds two more contexts
            "create_connection": functools.partial(LiveSocket, deadlines=self._deadlines),
            "open_timeout": self._deadlines.open_s,
            # Pongs that took 8 to 30 s were seen on healthy links, which the default of 20 s would cut.
            # TCP_USER_TIMEOUT and the send deadline find dead links; the ping only watches an idle uplink.
            "ping_interval": 20,
            "ping_timeout": 40,
            "close_timeout": 2,
            # A message of a reply may be larger than the default of 1 MiB. 5 MiB hold 80 s of sound, and take
            # 30 ms of the event loop to parse on a desk.
            "max_size": 5 * 2**20,
            # The ping waits behind audio in the buffer instead of blocking on a full one.
            "write_limit": 256 * 2**10,
            # Removes the overhead of base64 (374 to 262 kbit/s; almost nothing for silence). It takes 5 us
            # for each frame of audio.
            "compression": None,
            "extensions": [SmallMessageDeflateFactory()],
            # The environment is read in one place; else the SDK's two libraries would each read it in their
            # own way.
            "proxy": self._web.route(endpoint),
            "trust_env": False,
        }
        return options


_NO_VERSION: Final = re.compile(r"\b404\b|api version", re.IGNORECASE)
"""Matches a reason that says that the API version does not exist, even if it was accepted before."""


def _is_refusal(lost: LinkLost) -> bool:
    return lost.reached and lost.remedy in (Remedy.CREDENTIALS, Remedy.SETTINGS)


def _credentials(config: "GeminiConfig", web: HttpClient) -> Credentials:
    if config.key is not None:
        stored = ServiceKey(config.key)
        if not stored.key.secret.get_secret_value().strip():
            # The SDK would look for a key in the environment.
            raise ConfigError("service key is empty; store the key of your Gemini project")
        return stored
    if config.token_url is not None:
        return TokenCredentials(config.token_url, config.model, web, identity=config.identity)
    if config.vertex is not None:
        return GoogleAccount(config.vertex, web)
    raise ConfigError("service key is missing; store the key of your Gemini project")


class _NoPillow(MetaPathFinder):
    """Makes Pillow missing for imports of one thread.

    The SDK imports Pillow for a type's name, which takes 2 MB and 20 ms. The daemon gives it no such picture.
    """

    def __init__(self) -> None:
        self._thread = threading.get_ident()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Refuse Pillow; see `importlib.abc.MetaPathFinder`."""
        if fullname == "PIL" and threading.get_ident() == self._thread:
            raise ModuleNotFoundError(name=fullname)
        return None


@contextlib.contextmanager
def _without_pillow() -> Iterator[None]:
    """Let this thread not find Pillow during the block, unless it is loaded."""
    finder = _NoPillow()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


def quiet_sdk_warnings() -> None:
    """Import the SDK, and keep it from writing warnings to stderr.

    It would warn at each dial, and for each value that is newer than the SDK.
    """
    with _without_pillow():
        from google.genai.errors import ExperimentalWarning  # noqa: PLC0415 - takes 250 ms

    # The SDK knows tokens only for v1alpha, and Google's guide has them for v1beta. To the SDK minting is an
    # experiment.
    warnings.filterwarnings(
        "ignore", "The SDK's (ephemeral token support|token creation)", ExperimentalWarning
    )
    warnings.filterwarnings("ignore", category=UserWarning, module=r"google\.genai\._common")
