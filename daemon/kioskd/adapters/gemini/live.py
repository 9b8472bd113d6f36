"""The Gemini Live service through Google's SDK, whose types stop here and in the modules named after it.

The SDK leaves three things to its callers: it waits without limits (`live_socket` ends that), it reports trouble by
a dozen kinds of exception (`errors` sorts them), and it fails on messages newer than itself
(`connection` goes on).
"""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import SecretStr

from kioskd.adapters.gemini import errors, options
from kioskd.adapters.gemini.account import Vertex
from kioskd.adapters.gemini.client import Clients
from kioskd.adapters.gemini.connection import AUDIO_UP, GeminiConnection, SessionTerms
from kioskd.adapters.gemini.errors import SetupRefused
from kioskd.adapters.gemini.functions import JPEG, holds_up, supports_picture_resolution
from kioskd.adapters.gemini.live_socket import Deadlines
from kioskd.adapters.gemini.options import SessionOptions
from kioskd.adapters.gemini.tool_pictures import PictureDelivery
from kioskd.adapters.gemini.tool_trial import GOOGLE_SEARCH, ToolSelection, ToolTrial
from kioskd.errors import LinkLost, Remedy
from kioskd.ports import Connection, SpokenText, Tool, pcm
from kioskd.proxies import is_loopback

if TYPE_CHECKING:
    from google import genai
    from google.genai import types
    from google.genai.live import AsyncSession

__all__ = ["GeminiConfig", "GeminiLive", "SessionOptions", "ToolTrial", "Vertex"]

log = logging.getLogger(__name__)

_LANGUAGE: Final = re.compile(r"^(?!.*function).*language.?code", re.IGNORECASE)
"""What refuses the code of a language, and no parameter of a tool that has such a name."""

SEARCH_S: Final = 3.0
"""How long one visitor waits for the search of a tool that the service refuses. The next dial goes on with it."""


@dataclass(frozen=True, slots=True)
class GeminiConfig:
    """What the service is to be, and how to reach it."""

    key: SecretStr | Callable[[], SecretStr] | None
    """What opens the service; a function is asked at each dial. None: `token_url` or `vertex` says where that comes from.
    With `vertex` a key is that of its express mode."""
    model: str
    voice: str
    instructions: str = ""
    language: str | None = None
    """What to speak, as BCP-47 has it (`en-US`); None leaves it to the visitor."""
    api_version: str = "v1beta"
    """Pinned: the SDK's own default, v1, is not known to serve Live."""
    other_version: str | None = None
    """What is dialed where the first is refused: a token opens only the version that it was minted for."""
    endpoint: str | None = None
    """Base URL of a gateway or simulator; None for Google's. Always reached by TLS."""
    ca_file: Path | None = None
    """The only authorities to trust, in PEM; None for the system's and certifi's."""
    proxy: str | None = None
    """URL of an HTTP proxy; None for the environment's. No proxy is asked for what is on this machine."""
    vertex: Vertex | None = None
    """Where on Google Cloud; None for the Developer API."""
    token_url: str | None = None
    """The owner's server that mints an ephemeral token for each connection."""
    transparent: bool = False
    """Whether the service is to count the messages that it has taken in; Vertex can, the Developer API refuses."""
    options: SessionOptions = options.UNSAID
    """What else the model and the service's detectors are told."""
    tools: Callable[[], Sequence[Tool]] = tuple
    """What the model may have done; asked for at each connection, in the event loop's thread."""
    trial: ToolTrial = field(default_factory=ToolTrial)
    """What is known of tools that the service refuses. To be passed on when the settings are read again."""


class GeminiLive:
    """Dials the Gemini Live API; meets `ports.Live`. One client serves all dials that show the same credentials."""

    def __init__(self, config: GeminiConfig, *, deadlines: Deadlines | None = None) -> None:
        self._config = config
        self._deadlines = deadlines or Deadlines()
        self._clients: Clients | None = None
        self._known_prompt = False
        self._takes_history = True
        self._pictures_in_answers = config.options.pictures_in_answers
        self._answer_resolution = config.options.media_resolution
        self._sends_language_code = config.language is not None
        self._trial = config.trial

    async def warm_up(self) -> None:
        """Import the SDK, read the certificates and build the models, in a thread: 0.5 s on a desk, more on a Pi.

        `connect` does it if need be. ConfigError: there is nothing to dial with, or the CA file cannot be read.
        """
        if self._clients is None:
            self._clients = await asyncio.to_thread(self._prepare)

    @asynccontextmanager
    async def connect(
        self, handle: SecretStr | None, recall: Sequence[SpokenText] = ()
    ) -> AsyncIterator[Connection]:
        """Dial, set up, and yield the connection; see `ports.Live.connect`.

        A setup that the service refuses for no reason that names key or model is tried with fewer tools, for `SEARCH_S`
        at most; see `tool_trial`.
        """
        await self.warm_up()
        assert self._clients is not None
        clients, history = self._clients, recall if handle is None and self._takes_history else ()
        async with AsyncExitStack() as stack:
            session, attempt = await self._dial(stack, handle, history)
            connection = GeminiConnection(
                session,
                self._session_terms(attempt.tools, resumed=handle is not None),
                secrets=[clients.secret, handle.get_secret_value() if handle else ""],
                renewable=clients.renewable,
                known_prompt=self._known_prompt,
            )
            try:
                if history:
                    await connection.send_history(history)
                yield connection
            except LinkLost as lost:
                if lost.remedy is Remedy.CREDENTIALS:
                    clients.drop_credentials()
                if history:
                    raise self._without_recall(lost) from None
                if isinstance(lost, SetupRefused) and self._trial.refused(attempt, lost.reason, late=True):
                    raise LinkLost(str(lost), remedy=Remedy.FRESH, reached=True) from None
                raise
            finally:
                self._known_prompt = connection.receipts.prompt
                self._trial.session_ended()
                if connection.refuses_pictures:
                    self._downgrade_tool_pictures()
                await connection.close()

    async def _dial(
        self, stack: AsyncExitStack, handle: SecretStr | None, history: Sequence[SpokenText]
    ) -> "tuple[AsyncSession, ToolSelection]":
        """Return a session that is set up, to be closed by `stack`, and the tools that it has. LinkLost: there is none."""
        assert self._clients is not None
        loop, trial, config = asyncio.get_running_loop(), self._trial, self._config
        about = f"{config.endpoint} {config.vertex} {config.model}"
        until = loop.time() + SEARCH_S if trial.searching else None
        while True:
            explore = handle is None and (until is None or loop.time() < until)
            # The service's own search may be refused like a tool.
            offered: list[Tool] = [*([GOOGLE_SEARCH] if config.options.search else ()), *config.tools()]
            attempt = trial.attempt(offered, about, explore=explore)
            async with AsyncExitStack() as dialed:
                try:
                    session = await self._dial_once(dialed, handle, history, attempt.tools)
                except SetupRefused as refused:
                    if history:
                        raise self._without_recall(refused) from None
                    if self._without_language(refused):
                        continue
                    if trial.refused(attempt, refused.reason):
                        until = until or loop.time() + SEARCH_S
                        continue
                    if self._clients.try_other_version(refused):
                        continue
                    raise self._clients.with_version_named(refused) from None
                except LinkLost as lost:
                    if lost.remedy is Remedy.CREDENTIALS:
                        self._clients.drop_credentials()
                    if self._clients.try_other_version(lost):
                        continue
                    raise self._clients.with_version_named(
                        self._without_recall(lost) if history else lost
                    ) from None
                self._clients.note_version_accepted()
                if explore:
                    trial.accepted(attempt)
                    if trial.searching and trial.answers_at_once and until and loop.time() < until:
                        continue  # the next set is tried; this session is closed
                stack.push_async_exit(dialed.pop_all())
                return session, attempt

    async def _dial_once(
        self,
        stack: AsyncExitStack,
        handle: SecretStr | None,
        history: Sequence[SpokenText],
        tools: Sequence[Tool],
    ) -> "AsyncSession":
        """Return a session that is set up, to be closed by `stack`. LinkLost: there is none."""
        assert self._clients is not None
        from google.genai.errors import APIError  # noqa: PLC0415 - loaded by now

        client = await self._clients.client()
        _race_addresses(client, self._config.endpoint)
        language_code = self._config.language if self._sends_language_code else None
        setup = _setup(self._config, handle, history, tools, language_code)
        try:
            return await stack.enter_async_context(
                client.aio.live.connect(model=self._config.model, config=setup)
            )
        except (*errors.TROUBLE, APIError) as error:
            # Not chained: the SDK's texts hold whole messages.
            raise errors.classify(
                error,
                during_setup=True,
                with_handle=handle is not None,
                renewable=self._clients.renewable,
                secrets=[self._clients.secret, handle.get_secret_value() if handle else ""],
            ) from None

    def _session_terms(self, tools: Sequence[Tool], *, resumed: bool) -> SessionTerms:
        options = self._config.options
        beside: PictureDelivery = "as_turn" if options.client_content == "any_time" else "as_frame"
        return SessionTerms(
            resumed=resumed,
            answers_need_no_id=self._config.vertex is not None,
            transparent=self._config.transparent,
            own_turns=options.own_turns,
            client_content=options.client_content,
            picture_delivery="in_answer" if self._pictures_in_answers else beside,
            resolution=self._answer_resolution,
            blocking_tools=frozenset(tool.name for tool in tools if holds_up(tool, options.functions)),
        )

    def _without_language(self, refused: SetupRefused) -> bool:
        """Return whether a dial without the language's code may help. The instructions name the language all the same."""
        if not self._sends_language_code or _LANGUAGE.search(refused.reason) is None:
            return False
        self._sends_language_code = False
        log.warning("language is told by the instructions alone from now on: cause=%s", refused.reason)
        return True

    def _downgrade_tool_pictures(self) -> None:
        """Answer without what the service may have given the last session up for: a resolution, then the picture."""
        if self._answer_resolution is not None and supports_picture_resolution():
            self._answer_resolution = None
            log.warning("pictures in a tool's answer ask for no resolution from now on: refused with one")
        else:
            self._pictures_in_answers = False
            log.warning("pictures that a tool took are sent beside its answers from now on: refused in them")

    def _without_recall(self, lost: LinkLost) -> LinkLost:
        """Blame what was told of before, rather than the settings: not every model is known to take it."""
        if lost.remedy is not Remedy.SETTINGS:
            return lost
        self._takes_history = False
        log.warning("new sessions are not told what was said before any more: cause=%s", lost)
        return LinkLost(str(lost), remedy=Remedy.FRESH)

    def _prepare(self) -> Clients:
        clients = Clients(self._config, self._deadlines)
        _build_models(self._config)
        return clients


def _setup(
    config: GeminiConfig,
    handle: SecretStr | None,
    recall: Sequence[SpokenText] = (),
    tools: Sequence[Tool] = (),
    language_code: str | None = None,
) -> "types.LiveConnectConfig":
    """Return what to say at setup. A new object each time: the SDK writes into it.

    Says nothing of thinking unless told, nor of affective dialog and proactive audio: gemini-3.8-live refuses them.
    """
    from google.genai import types  # noqa: PLC0415

    instructions = config.instructions
    if config.language is not None:
        # The models with native audio change the language by themselves, whatever `language_code` says.
        pin = f"Speak only the language with the BCP-47 tag {config.language}, whatever language you hear."
        instructions = f"{instructions}\n\n{pin}".strip()
    return types.LiveConnectConfig.model_validate(
        {
            "response_modalities": ["AUDIO"],
            "speech_config": {
                "voice_config": {"prebuilt_voice_config": {"voice_name": config.voice}},
                "language_code": language_code,
            },
            "system_instruction": instructions or None,
            # Both sides' words, kept in memory only: what a new session is told when this one is lost.
            "output_audio_transcription": {},
            "history_config": {"initial_history_in_client_content": True} if recall else None,
            "session_resumption": {
                "handle": handle.get_secret_value() if handle is not None else None,
                "transparent": config.transparent or None,
            },
            **options.session_fields(config.options, tools),
        }
    )


def _race_addresses(client: "genai.Client", endpoint: str | None) -> None:
    """Have a dial try the next address after 0.25 s (RFC 8305): one that leads nowhere, IPv6 mostly, would use up the
    time for all.

    The SDK passes on to `websockets` only what that names itself; this goes through it to the event loop. Not on
    this machine: asyncio's race leaves its winner open when it is cancelled at the moment of winning.
    """
    if endpoint is None or not is_loopback(endpoint):
        client._api_client._websocket_ssl_ctx["happy_eyeballs_delay"] = 0.25


def _build_models(config: GeminiConfig) -> None:
    """Have pydantic build what the first conversation needs; it does so at first use, for 40 ms in all."""
    from google.genai import types  # noqa: PLC0415

    types.LiveConnectParameters(model=config.model, config=_setup(config, None)).model_dump(exclude_none=True)
    frame = types.Blob(data=bytes(pcm.FRAME_BYTES), mime_type=AUDIO_UP)
    types.LiveSendRealtimeInputParameters.model_validate({"audio": frame})
    types.FunctionResponsePart.from_bytes(data=b"", mime_type=JPEG)
    part = {"inlineData": {"mimeType": "audio/pcm", "data": "AAAA"}}
    types.LiveServerMessage.model_validate({"serverContent": {"modelTurn": {"parts": [part]}}}).model_dump()
