"""The Gemini Live service through Google's SDK; no type of the SDK leaves this module and its neighbours.

The SDK leaves three problems to its callers, and each has a module. It waits without limits (see
`live_socket`). It raises a dozen kinds of exception (see `errors`). It fails on messages newer than itself
(see `connection`).
"""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import SecretStr

from kioskd.adapters.gemini import errors, options
from kioskd.adapters.gemini.account import Vertex
from kioskd.adapters.gemini.client import Clients
from kioskd.adapters.gemini.connection import AUDIO_UP, GeminiConnection, SessionTerms
from kioskd.adapters.gemini.device_identity import DeviceIdentity
from kioskd.adapters.gemini.errors import SetupRefused
from kioskd.adapters.gemini.functions import JPEG, holds_up, supports_picture_resolution
from kioskd.adapters.gemini.live_socket import Deadlines
from kioskd.adapters.gemini.options import SessionOptions, SessionProfile
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
"""Matches a rejection of the language's code, but not of a tool's parameter with a similar name."""

SEARCH_S: Final = 3.0
"""Seconds that one visitor waits for the search of a rejected tool. The search continues with the next dial.
"""


@dataclass(frozen=True, slots=True)
class GeminiConfig:
    """Settings of the service, and the way to reach it."""

    key: SecretStr | Callable[[], SecretStr] | None
    """Key of the service, or a function that is asked for it at each dial. With `vertex` it is a key of
    Vertex's express mode. None: `token_url` or `vertex` says where the credentials come from."""
    model: str
    voice: str
    instructions: str = ""
    languages: tuple[str, ...] = ()
    """Languages to speak, as BCP-47 tags (`en-US`). The setup names a single one as that of the speech.
    Empty: the model follows the visitor."""
    api_version: str = "v1beta"
    """API version, pinned: the SDK's own default, v1, is not known to serve Live."""
    other_version: str | None = None
    """API version to dial if `api_version` is rejected: a token opens only the version that it was minted
    for."""
    endpoint: str | None = None
    """Base URL of a gateway or simulator; None for Google's. The connection always uses TLS."""
    ca_file: Path | None = None
    """PEM file with the only authorities to trust; None for the system's and certifi's."""
    proxy: str | None = None
    """URL of an HTTP proxy; None for the environment's. An endpoint on this machine is reached without a
    proxy."""
    vertex: Vertex | None = None
    """Project on Google Cloud; None for the Developer API."""
    token_url: str | None = None
    """The owner's server that mints an ephemeral token for each connection."""
    identity: DeviceIdentity | None = None
    """The device's certificate for that server; None: the server asks for none."""
    transparent: bool = False
    """Whether the service is to count the messages that it has received. Vertex can; the Developer API
    rejects it."""
    options: SessionOptions = options.UNSAID
    """Further settings of the model and of the service's speech detector."""
    tools: Callable[[], Sequence[Tool]] = tuple
    """Returns the tools that the model is allowed to use; called at each connection, in the event loop's
    thread."""
    trial: ToolTrial = field(default_factory=ToolTrial)
    """Knowledge about tools that the service rejects. Pass it on when the settings are read again."""
    profiles: Mapping[str, SessionProfile] = field(default_factory=dict)
    """The settings that differ by the visitor's profile, by its name."""

    def of(self, profile: str) -> "GeminiConfig":
        """Return the settings for a visitor with this profile."""
        if (own := self.profiles.get(profile)) is None:
            return self
        options = replace(self.options, speech_end=own.speech_end, silence_ms=own.silence_ms)
        return replace(self, instructions=own.instructions, voice=own.voice, options=options)


class GeminiLive:
    """Dials the Gemini Live API (a `ports.Live`). Dials with the same credentials share one client of the
    SDK.
    """

    def __init__(self, config: GeminiConfig, *, deadlines: Deadlines | None = None) -> None:
        self._config = config
        self._deadlines = deadlines or Deadlines()
        self._clients: Clients | None = None
        self._loading = asyncio.Lock()
        self._warm = False
        self._known_prompt = False
        self._takes_history = True
        self._pictures_in_answers = config.options.pictures_in_answers
        self._answer_resolution = config.options.media_resolution
        self._sends_language_code = len(config.languages) == 1
        self._trial = config.trial

    async def check(self) -> None:
        """Read credentials and certificates in a thread: some milliseconds, as the SDK is not imported.

        ConfigError: there are no credentials, or the CA file is unreadable.
        """
        async with self._loading:
            await self._checked()

    async def warm_up(self) -> None:
        """Import the SDK and build the models, in a thread: 0.3 s on a desk, more on a Pi.

        `connect` does it if it was not done, and waits for it while it is being done.
        ConfigError: as `check`.
        """
        async with self._loading:
            clients = await self._checked()
            if not self._warm:
                await asyncio.to_thread(_load, clients, self._config)
                self._warm = True

    async def _checked(self) -> Clients:
        if self._clients is None:
            self._clients = await asyncio.to_thread(Clients, self._config, self._deadlines)
        return self._clients

    @asynccontextmanager
    async def connect(
        self, handle: SecretStr | None, recall: Sequence[SpokenText] = (), profile: str = ""
    ) -> AsyncIterator[Connection]:
        """Dial, set up, and yield the connection; see `ports.Live.connect`.

        If the service rejects the setup and names neither key nor model, fewer tools are tried, for at most
        `SEARCH_S`; see `tool_trial`.
        """
        await self.warm_up()
        assert self._clients is not None
        clients, history = self._clients, recall if handle is None and self._takes_history else ()
        async with AsyncExitStack() as stack:
            session, attempt = await self._dial(stack, handle, history, profile)
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
        self, stack: AsyncExitStack, handle: SecretStr | None, history: Sequence[SpokenText], profile: str
    ) -> "tuple[AsyncSession, ToolSelection]":
        """Return a session that is set up, and its tools; `stack` closes the session. LinkLost: there is
        none.
        """
        assert self._clients is not None
        loop, trial, config = asyncio.get_running_loop(), self._trial, self._config
        about = f"{config.endpoint} {config.vertex} {config.model}"
        until = loop.time() + SEARCH_S if trial.searching else None
        while True:
            explore = handle is None and (until is None or loop.time() < until)
            # The service can reject its own search as it can reject a tool.
            offered: list[Tool] = [*([GOOGLE_SEARCH] if config.options.search else ()), *config.tools()]
            attempt = trial.attempt(offered, about, explore=explore)
            async with AsyncExitStack() as dialed:
                try:
                    session = await self._dial_once(dialed, handle, history, attempt.tools, profile)
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
                        continue  # this session is closed, and the next set of tools is tried
                stack.push_async_exit(dialed.pop_all())
                return session, attempt

    async def _dial_once(
        self,
        stack: AsyncExitStack,
        handle: SecretStr | None,
        history: Sequence[SpokenText],
        tools: Sequence[Tool],
        profile: str,
    ) -> "AsyncSession":
        """Return a session that is set up; `stack` closes it. LinkLost: there is none."""
        assert self._clients is not None
        from google.genai.errors import APIError  # noqa: PLC0415 - loaded by now

        client = await self._clients.client()
        _race_addresses(client, self._config.endpoint)
        language_code = self._config.languages[0] if self._sends_language_code else None
        setup = _setup(self._config.of(profile), handle, history, tools, language_code)
        try:
            return await stack.enter_async_context(
                client.aio.live.connect(model=self._config.model, config=setup)
            )
        except (*errors.TROUBLE, APIError) as error:
            # The error is not chained, as the SDK's texts hold whole messages.
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
        """Return whether a dial without the language's code may help. The instructions still name the
        language.
        """
        if not self._sends_language_code or _LANGUAGE.search(refused.reason) is None:
            return False
        self._sends_language_code = False
        log.warning(
            "language code rejected, only the instructions name the language from now on: cause=%s",
            refused.reason,
        )
        return True

    def _downgrade_tool_pictures(self) -> None:
        """Change the next answers: drop the picture's resolution first, then the picture itself.

        The service has ended the last session right after an answer with a picture.
        """
        if self._answer_resolution is not None and supports_picture_resolution():
            self._answer_resolution = None
            log.warning("pictures in a tool's answer ask for no resolution from now on: it was rejected")
        else:
            self._pictures_in_answers = False
            log.warning("pictures of tools are sent beside their answers from now on: rejected in them")

    def _without_recall(self, lost: LinkLost) -> LinkLost:
        """Blame the history rather than the settings, as not every model is known to accept one."""
        if lost.remedy is not Remedy.SETTINGS:
            return lost
        self._takes_history = False
        log.warning("service rejects the history, new sessions start without it from now on: cause=%s", lost)
        return LinkLost(str(lost), remedy=Remedy.FRESH)


def _setup(
    config: GeminiConfig,
    handle: SecretStr | None,
    recall: Sequence[SpokenText] = (),
    tools: Sequence[Tool] = (),
    language_code: str | None = None,
) -> "types.LiveConnectConfig":
    """Return the setup. It is a new object each time, as the SDK writes into it.

    It mentions thinking only if the settings do. It never mentions affective dialog and proactive audio:
    gemini-3.8-live rejects them.
    """
    from google.genai import types  # noqa: PLC0415

    instructions = f"{config.instructions}\n\n{_language_rule(config.languages)}".strip()
    return types.LiveConnectConfig.model_validate(
        {
            "response_modalities": ["AUDIO"],
            "speech_config": {
                "voice_config": {"prebuilt_voice_config": {"voice_name": config.voice}},
                "language_code": language_code,
            },
            "system_instruction": instructions or None,
            # Transcripts of both sides, kept in memory only. They become the history of a new session if this
            # one is lost.
            "output_audio_transcription": {},
            "history_config": {"initial_history_in_client_content": True} if recall else None,
            "session_resumption": {
                "handle": handle.get_secret_value() if handle is not None else None,
                "transparent": config.transparent or None,
            },
            **options.session_fields(config.options, tools),
        }
    )


def _language_rule(languages: Sequence[str]) -> str:
    """Return the sentence on languages for the instructions, or nothing.

    Models with native audio choose the language themselves, whatever `language_code` says.
    """
    if not languages:
        return ""  # the models follow the visitor by themselves
    first = languages[0]
    if len(languages) == 1:
        return f"Speak only the language with the BCP-47 tag {first}, whatever language you hear."
    return (
        "Answer in the language that the visitor speaks, if its BCP-47 tag is one of these: "
        f"{', '.join(languages)}. Speak no other language. If you hear another one, answer in {first}."
    )


def _race_addresses(client: "genai.Client", endpoint: str | None) -> None:
    """Try the next address of a host after 0.25 s (RFC 8305).

    An address that leads nowhere, mostly an IPv6 one, would else use up the whole time. The SDK passes only
    options that `websockets` names itself; this one reaches the event loop. It is not used for this machine:
    if asyncio's race is cancelled at the moment when one address wins, it leaves that socket open.
    """
    if endpoint is None or not is_loopback(endpoint):
        client._api_client._websocket_ssl_ctx["happy_eyeballs_delay"] = 0.25


def _load(clients: Clients, config: GeminiConfig) -> None:
    clients.load()
    _build_models(config)


def _build_models(config: GeminiConfig) -> None:
    """Let pydantic build the classes that the first conversation needs, which takes 40 ms in all."""
    from google.genai import types  # noqa: PLC0415

    types.LiveConnectParameters(model=config.model, config=_setup(config, None)).model_dump(exclude_none=True)
    frame = types.Blob(data=bytes(pcm.FRAME_BYTES), mime_type=AUDIO_UP)
    types.LiveSendRealtimeInputParameters.model_validate({"audio": frame})
    types.FunctionResponsePart.from_bytes(data=b"", mime_type=JPEG)
    part = {"inlineData": {"mimeType": "audio/pcm", "data": "AAAA"}}
    types.LiveServerMessage.model_validate({"serverContent": {"modelTurn": {"parts": [part]}}}).model_dump()
