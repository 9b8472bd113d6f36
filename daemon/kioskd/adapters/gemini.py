"""The Gemini Live service through Google's SDK, whose types stop here and in the modules named after it.

The SDK leaves three things to its callers: it waits without limits (`gemini_socket` ends that), it reports trouble by
a dozen kinds of exception (`gemini_errors` sorts them), and it fails on messages newer than itself
(`gemini_connection` goes on).
"""

import asyncio
import functools
import ipaddress
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from pydantic import SecretStr

from kioskd.adapters import gemini_errors
from kioskd.adapters.gemini_connection import AUDIO_UP, GeminiConnection
from kioskd.adapters.gemini_socket import Deadlines, LiveSocket
from kioskd.errors import ConfigError, LinkLost
from kioskd.ports import Connection, pcm

if TYPE_CHECKING:
    from google import genai
    from google.genai import types

log = logging.getLogger(__name__)

WIRE_LOGGERS: Final = (
    "websockets",
    "google_genai",
    "google.auth",
    "httpx2",
    "httpcore2",
    "httpx",
    "httpcore",
    "urllib3",
)
"""Loggers that write keys, handles and speech at DEBUG, and some of them addresses at INFO."""

ENDPOINT: Final = "https://generativelanguage.googleapis.com/"


def quiet_wire_loggers() -> None:
    """Keep the libraries of the wire at WARNING, whatever the level of the root: below it they print what they send."""
    for name in WIRE_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True)
class GeminiConfig:
    """What the service is to be, and how to reach it."""

    key: SecretStr
    model: str
    voice: str
    instructions: str = ""
    language: str | None = None
    """What to speak, as BCP-47 has it (`en-US`); None leaves it to the visitor."""
    api_version: str = "v1beta"
    """Pinned: the SDK's own default, v1, is not known to serve Live."""
    endpoint: str | None = None
    """Base URL of a gateway or stand-in; None for Google's. Always reached by TLS."""
    ca_file: Path | None = None
    """The only authorities to trust, in PEM; None for the system's and certifi's."""


class GeminiLive:
    """Dials the Gemini Live API; meets `ports.Live`. One client serves all dials."""

    def __init__(self, config: GeminiConfig, *, deadlines: Deadlines | None = None) -> None:
        self._config = config
        self._deadlines = deadlines or Deadlines()
        self._client: genai.Client | None = None

    async def warm_up(self) -> None:
        """Import the SDK, read the certificates and build the models, in a thread: 0.5 s on a desk, more on a Pi.

        `connect` does it if nobody has.

        Raises:
            ConfigError: there is no key, or the CA file cannot be read.
        """
        if self._client is None:
            self._client = await asyncio.to_thread(self._build)

    @asynccontextmanager
    async def connect(self, handle: SecretStr | None) -> AsyncIterator[Connection]:
        """Dial, set up, and yield the connection; see `ports.Live.connect`."""
        await self.warm_up()
        from google.genai.errors import APIError  # noqa: PLC0415 - loaded by now

        assert self._client is not None
        secrets = [self._config.key.get_secret_value(), handle.get_secret_value() if handle else ""]
        live = self._client.aio.live
        async with AsyncExitStack() as stack:
            try:
                session = await stack.enter_async_context(
                    live.connect(model=self._config.model, config=_setup(self._config, handle))
                )
            except (*gemini_errors.TROUBLE, APIError) as error:
                # Not chained: the SDK's texts hold whole messages.
                raise gemini_errors.classify(
                    error, during_setup=True, with_handle=handle is not None, secrets=secrets
                ) from None
            connection = GeminiConnection(session, resumed=handle is not None, secrets=secrets)
            try:
                if session.setup_complete is None:
                    raise LinkLost("Live service answered the setup with something else; dialing again")
                yield connection
            finally:
                await connection.close()

    def _build(self) -> "genai.Client":
        from google import genai  # noqa: PLC0415 - takes 350 ms
        from google.genai import types  # noqa: PLC0415

        quiet_wire_loggers()
        if not self._config.key.get_secret_value().strip():
            # The SDK would look for one in the environment.
            raise ConfigError(
                "service key is empty: nothing to dial with; store the key of your Gemini project"
            )
        tls = _tls(self._config.ca_file)
        endpoint = self._config.endpoint or ENDPOINT
        socket_options: dict[str, Any] = {
            "ssl": tls,
            "verify": tls,  # the HTTP client's word for it; else the SDK builds two more contexts
            "create_connection": functools.partial(LiveSocket, deadlines=self._deadlines),
            "open_timeout": self._deadlines.open_s,
            # Pongs of 8 to 30 s were seen on healthy links, so the usual 20 s would cut them. Dead links are found
            # by TCP_USER_TIMEOUT and the send deadline; the ping is the net under an idle uplink.
            "ping_interval": 20,
            "ping_timeout": 40,
            "close_timeout": 2,
            # A reply may come in messages larger than the usual 1 MiB.
            "max_size": 8 * 2**20,
            # The ping is queued behind audio instead of blocking in a full buffer.
            "write_limit": 256 * 2**10,
            # Takes back what base64 adds (374 to 262 kbit/s, next to nothing for silence) for 5 us a frame.
            "compression": "deflate",
        }
        if _is_loopback(endpoint):
            socket_options["proxy"] = None  # a stand-in on this machine is behind no proxy
        client = genai.Client(
            # Everything that the SDK would else look up in the environment is said here: key, service and address.
            api_key=self._config.key.get_secret_value(),
            enterprise=False,
            http_options=types.HttpOptions(
                base_url=endpoint,
                api_version=self._config.api_version,
                client_args={"verify": tls},
                async_client_args=socket_options,
            ),
        )
        _build_models(self._config)
        return client


def _setup(config: GeminiConfig, handle: SecretStr | None) -> "types.LiveConnectConfig":
    """Return what to say at setup. A new object each time: the SDK writes into it.

    Says nothing of thinking, affective dialog or proactive audio: gemini-3.8-live refuses them.
    """
    from google.genai import types  # noqa: PLC0415

    instructions = config.instructions
    if config.language is not None:
        # The models with native audio change the language by themselves, whatever `language_code` says.
        pin = f"Speak only the language with the BCP-47 tag {config.language}, whatever language you hear."
        instructions = f"{instructions}\n\n{pin}".strip()
    return types.LiveConnectConfig(
        response_modalities=[types.Modality.AUDIO],
        speech_config=types.SpeechConfig(
            voice_config=types.VoiceConfig(
                prebuilt_voice_config=types.PrebuiltVoiceConfig(voice_name=config.voice)
            ),
            language_code=config.language,
        ),
        system_instruction=instructions or None,
        # Without it a session ends after 15 minutes of audio.
        context_window_compression=types.ContextWindowCompressionConfig(sliding_window=types.SlidingWindow()),
        session_resumption=types.SessionResumptionConfig(
            handle=handle.get_secret_value() if handle is not None else None
        ),
        realtime_input_config=types.RealtimeInputConfig(
            # Said, as the default differs by model. No camera is sent, and silence would be billed again each turn.
            turn_coverage=types.TurnCoverage.TURN_INCLUDES_ONLY_ACTIVITY
        ),
    )


def _build_models(config: GeminiConfig) -> None:
    """Have pydantic build what the first conversation needs; it does so at first use, for 40 ms in all."""
    from google.genai import types  # noqa: PLC0415

    types.LiveConnectParameters(model=config.model, config=_setup(config, None)).model_dump(exclude_none=True)
    frame = types.Blob(data=bytes(pcm.FRAME_BYTES), mime_type=AUDIO_UP)
    types.LiveSendRealtimeInputParameters.model_validate({"audio": frame})
    part = {"inlineData": {"mimeType": "audio/pcm", "data": "AAAA"}}
    types.LiveServerMessage.model_validate({"serverContent": {"modelTurn": {"parts": [part]}}}).model_dump()


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


def _is_loopback(endpoint: str) -> bool:
    host = urlsplit(endpoint).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
