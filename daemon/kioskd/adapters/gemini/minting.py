"""Mints ephemeral tokens of the service, for devices that hold no key."""

import asyncio
import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import SecretStr

from kioskd.adapters.gemini.client import ENDPOINT, quiet_sdk_warnings, quiet_wire_loggers
from kioskd.adapters.gemini.credentials import TOKEN_PREFIX
from kioskd.adapters.gemini.errors import ODD
from kioskd.adapters.gemini.functions import BlockingRule, declarations
from kioskd.adapters.gemini.reasons import plain
from kioskd.adapters.gemini.web import HttpClient, not_reached, tls_context
from kioskd.errors import LinkLost, Remedy
from kioskd.ports import Tool

if TYPE_CHECKING:
    from google import genai
    from google.genai import types

MINT_S: Final = 6.0
"""Seconds for one request to the service. A device waits 8 s for its token."""

_SPARE_S: Final = 60.0
"""Seconds that a token lives longer than the conversation: the minute in which it opens a session."""


@dataclass(frozen=True, slots=True)
class LockedSession:
    """The settings that a token fixes. None leaves a setting to the device."""

    model: str
    api_version: str
    longest_s: float
    """Seconds that a conversation lasts at most."""
    voice: str | None = None
    instructions: str | None = None
    tools: tuple[Tool, ...] | None = None
    """The functions that the model may call; empty: none."""
    functions: BlockingRule = "non_blocking"
    """Whether the model waits for functions. This is a property of the model."""


@dataclass(frozen=True, slots=True)
class MintConfig:
    """The way to the service."""

    key: SecretStr
    """The service's key."""
    endpoint: str | None = None
    """Base URL of a gateway or simulator; None for Google's."""
    ca_file: Path | None = None
    """PEM file with the only authorities to trust; None for the system's and certifi's."""
    proxy: str | None = None
    """URL of an HTTP proxy; None for the environment's."""


class TokenMint:
    """Mints tokens by the SDK. Each one opens one session, within a minute, and locks its settings.

    Creating an instance imports the SDK, so it blocks for half a second. ConfigError: the CA file or the
    proxy cannot be used.
    """

    def __init__(
        self,
        config: MintConfig,
        *,
        wall: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
        mint_s: float = MINT_S,
    ) -> None:
        quiet_wire_loggers()
        quiet_sdk_warnings()
        self._config = config
        self._wall = wall
        self._mint_s = mint_s
        self._endpoint = config.endpoint or ENDPOINT
        self._web = HttpClient(tls_context(config.ca_file), config.proxy)
        self._web.route(self._endpoint)
        self._clients: dict[str, genai.Client] = {}

    async def mint(self, session: LockedSession) -> SecretStr:
        """Return a new token. Safe to cancel.

        Raises:
            LinkLost: the service gave none; its remedy says what may help.
        """
        from google.genai.errors import APIError  # noqa: PLC0415 - loaded by now

        try:
            async with asyncio.timeout(self._mint_s):
                token = await self._client(session.api_version).aio.auth_tokens.create(
                    config=_request(session, self._wall())
                )
        except TimeoutError:
            raise LinkLost(f"Live service minted no token within {self._mint_s:g} s") from None
        except APIError as error:
            # The error is not chained, as the SDK's texts hold whole messages.
            raise _refused(error) from None
        except _trouble() as error:
            raise not_reached("Live service", "service.endpoint", error) from None
        name = token.name or ""
        if not name.startswith(TOKEN_PREFIX):
            raise LinkLost(
                "Live service answered without a token; check service.endpoint", remedy=Remedy.SETTINGS
            )
        return SecretStr(name)

    async def close(self) -> None:
        """Close the connections to the service."""
        for client in self._clients.values():
            await client.aio.aclose()
        self._clients.clear()

    def _client(self, version: str) -> "genai.Client":
        from google import genai  # noqa: PLC0415 - takes 350 ms
        from google.genai import types  # noqa: PLC0415 - as above

        if version not in self._clients:
            web: dict[str, Any] = {"verify": self._web.tls, "trust_env": False}
            self._clients[version] = genai.Client(
                api_key=self._config.key.get_secret_value(),
                enterprise=False,
                http_options=types.HttpOptions(
                    base_url=self._endpoint,
                    api_version=version,
                    client_args=web,
                    async_client_args=web | {"proxy": self._web.route(self._endpoint)},
                ),
            )
        return self._clients[version]


def _request(session: LockedSession, now: dt.datetime) -> "types.CreateAuthTokenConfig":
    from google.genai import types  # noqa: PLC0415 - loaded by now

    fixed: dict[str, object] = {"response_modalities": ["AUDIO"]}
    if session.voice is not None:
        fixed["speech_config"] = {"voice_config": {"prebuilt_voice_config": {"voice_name": session.voice}}}
    if session.instructions is not None:
        fixed["system_instruction"] = session.instructions
    if session.tools is not None:
        declared = declarations(session.tools, session.functions)
        fixed["tools"] = [declared] if declared is not None else []
    return types.CreateAuthTokenConfig(
        uses=1,
        expire_time=now + dt.timedelta(seconds=session.longest_s + _SPARE_S),
        # new_session_expire_time is left out. The service then takes a minute by its own clock. A wrong clock
        # of this machine cannot make tokens that are dead at their birth.
        live_connect_constraints=types.LiveConnectConstraints(
            model=session.model, config=types.LiveConnectConfig.model_validate(fixed)
        ),
        # Empty: exactly the fields above are fixed. Without it, the device's resumption handle would be
        # ignored, too.
        lock_additional_fields=[],
    )


def _trouble() -> tuple[type[Exception], ...]:
    import httpx2  # noqa: PLC0415 - loaded by now

    # The SDK fails with the odd ones on an answer that is not JSON, or has another form.
    return (httpx2.HTTPError, httpx2.InvalidURL, OSError, ImportError, *ODD)


def _refused(error: Any) -> LinkLost:
    """Return the loss for an HTTP status of the service."""
    status: int = error.code or 0
    what = f"Live service minted no token: HTTP {status} {plain(str(error.message or ''))}".rstrip()
    if status == 429:
        return LinkLost(f"{what}; waiting", remedy=Remedy.QUOTA, reached=True, retry_after_s=_after(error))
    if status >= 500 or status == 408:
        return LinkLost(f"{what}; asking again", reached=True, retry_after_s=_after(error))
    return LinkLost(
        f"{what}; check the service key, and the model and api_version of the rows",
        remedy=Remedy.SETTINGS,
        reached=True,
    )


def _after(error: Any) -> float | None:
    headers = getattr(error.response, "headers", None) or {}
    after = str(headers.get("Retry-After", ""))
    return float(after) if after.isascii() and after.isdigit() and len(after) < 6 else None


def pinned(instructions: str, languages: Sequence[str]) -> str:
    """Return the instructions with a sentence on the languages that the model may speak.

    Models with native audio choose the language themselves, whatever the setup's language code says.
    """
    if not languages:
        return instructions
    if len(languages) == 1:
        pin = f"Speak only the language with the BCP-47 tag {languages[0]}, whatever language you hear."
    else:
        tags = ", ".join(languages)
        pin = f"Speak only the languages with the BCP-47 tags {tags}, whatever language you hear."
    return f"{instructions}\n\n{pin}".strip()
