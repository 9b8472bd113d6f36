"""Settings -> the service that they name, and who speaks where it only writes."""

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pydantic import SecretStr

from kioskd import live_models, ports, proxies
from kioskd.app.policy import SLOW_MS, own_turns
from kioskd.flow.link.turn_endings import ReadAloud
from kioskd.settings.load import wanted_features
from kioskd.settings.model import Settings
from kioskd.tools.registry import kind_of

if TYPE_CHECKING:
    from kioskd.adapters.gemini import ToolTrial

log = logging.getLogger(__name__)


def endpoint(settings: Settings) -> str:
    """Return the service's own address."""
    from kioskd.adapters.gemini.client import ENDPOINT, vertex_endpoint  # noqa: PLC0415 - as below

    service = settings.service
    if service.endpoint is not None:
        return service.endpoint
    return vertex_endpoint(service.location or "global") if service.provider == "vertex" else ENDPOINT


def find_proxies(settings: Settings) -> None:
    """Find the proxy for each address that the daemon itself asks.

    Raises:
        ConfigError: the environment names one that cannot be used.
    """
    for url in (endpoint(settings), settings.service.token_url):
        if url is not None:
            proxies.route(url, settings.service.proxy)
    for tool in settings.tools:
        if (address := kind_of(tool).web_address(tool)) is not None:
            proxies.route(address)


def live(
    settings: Settings,
    key: SecretStr | Callable[[], SecretStr] | None,
    tools: Callable[[], Sequence[ports.Tool]] = lambda: (),
    trial: "ToolTrial | None" = None,
) -> ports.Live:
    """Return the service that the settings name; `tools` says at each dial what the model may call.

    `trial` is what an earlier one has found out of tools that the service refuses.

    A `key`, or who tells it at each dial, is used in place of what the settings would fetch (tokens, an account's); with
    vertex it is one of its express mode. None where the settings need none.
    """
    # The SDK is imported by whoever dials, and by nobody else.
    from kioskd.adapters.gemini import GeminiConfig, GeminiLive, SessionOptions, ToolTrial, Vertex  # noqa: PLC0415

    service, assistant, conversation = settings.service, settings.assistant, settings.conversation
    if not live_models.known(service.model):
        log.warning(
            "model not known to this version, taken for one like %s: model=%s",
            live_models.NEWEST,
            service.model,
        )
    if gone := live_models.probably_shut_down(service.model):
        log.warning("%s", gone)
    compression = conversation.compression_tokens
    slow = conversation.pace == "slow"
    profile = live_models.profile(service.model)
    # Who takes written content as a seed only is shown pictures as video, whenever somebody asks: each must count then.
    all_pictures = _sends_pictures(settings) or profile.client_content == "seed_only"
    vertex = None
    if service.provider == "vertex" and service.project is not None:
        vertex = Vertex(service.project, service.location or "global", service.credentials_file)
    return GeminiLive(
        GeminiConfig(
            key=key,
            model=service.model,
            api_version=live_models.api_version(wanted_features(settings)),
            other_version=live_models.other_version(wanted_features(settings)),
            endpoint=service.endpoint,
            ca_file=service.ca_file,
            proxy=service.proxy,
            vertex=vertex,
            token_url=service.token_url,
            transparent=vertex is not None,
            instructions=assistant.instructions,
            voice=assistant.voice,
            language=assistant.language,
            tools=tools,
            trial=trial or ToolTrial(),
            options=SessionOptions(
                own_turns=own_turns(settings),
                turn_coverage="activity_and_pictures" if all_pictures else "activity",
                media_resolution=service.media_resolution,
                temperature=assistant.temperature,
                thinking=assistant.thinking or profile.thinking_default,
                vocabulary=assistant.vocabulary,
                speech_start=conversation.speech_start,
                speech_end=conversation.speech_end or ("low" if slow else None),
                padding_ms=conversation.padding_ms,
                silence_ms=conversation.silence_ms or (SLOW_MS if slow else None),
                interruptions=conversation.interruptions,
                search=conversation.search,
                compression_trigger=compression.trigger if compression else None,
                compression_target=compression.target if compression else None,
                functions=profile.functions,
                client_content=profile.client_content,
                pictures_in_answers=profile.pictures_in_answers,
            ),
        )
    )


def read_aloud(settings: Settings) -> ReadAloud:
    """Return what reads aloud a reply that came in writing."""
    from kioskd.prompts import TextToSpeech  # noqa: PLC0415

    return TextToSpeech(settings.assistant.language).read


def _sends_pictures(settings: Settings) -> bool:
    """Return whether pictures come by themselves, and each belongs to the visitor's turn in which it came."""
    return settings.camera.on and settings.camera.when != "request"
