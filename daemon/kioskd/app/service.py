"""Builds the service from the settings, and the voice that reads its written replies aloud."""

import logging
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import SecretStr

from kioskd import live_models, ports, proxies
from kioskd.app.policy import SLOW_MS, own_turns, pace_of
from kioskd.core.policy import DEFAULT_PROFILE
from kioskd.flow.link.turn_endings import ReadAloud
from kioskd.settings.credentials import device_key
from kioskd.settings.load import wanted_features
from kioskd.settings.model import Settings
from kioskd.tools.registry import kind_of

if TYPE_CHECKING:
    from kioskd.adapters.gemini import DeviceIdentity, ToolTrial

log = logging.getLogger(__name__)


def endpoint(settings: Settings) -> str:
    from kioskd.adapters.gemini.client import ENDPOINT, vertex_endpoint  # noqa: PLC0415 - as below

    service = settings.service
    if service.endpoint is not None:
        return service.endpoint
    return vertex_endpoint(service.location or "global") if service.provider == "vertex" else ENDPOINT


def find_proxies(settings: Settings) -> None:
    """Find the proxy for each address that the daemon itself calls.

    Raises:
        ConfigError: the environment names a proxy that cannot be used.
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
    """Return the service in the settings. `tools` returns the model's tools at each dial.

    `trial`: the findings of an earlier service about tools that the service rejects.

    `key`: a key, or a function that returns it at each dial. It replaces tokens or an account's credentials.
    With vertex it is an express mode key. None: the settings need no key.
    """
    # The SDK is imported only here.
    from kioskd.adapters.gemini import (  # noqa: PLC0415
        GeminiConfig,
        GeminiLive,
        SessionOptions,
        SessionProfile,
        ToolTrial,
        Vertex,
    )

    service, assistant, conversation = settings.service, settings.assistant, settings.conversation
    if not live_models.known(service.model):
        log.warning(
            "model not known to this version, treated like %s: model=%s",
            live_models.NEWEST,
            service.model,
        )
    if gone := live_models.probably_shut_down(service.model):
        log.warning("%s", gone)
    compression = conversation.compression_tokens
    profile = live_models.profile(service.model)
    # A "seed_only" model gets requested pictures as video, so each picture must count in its turn.
    all_pictures = _sends_pictures(settings) or profile.client_content == "seed_only"
    vertex = None
    if service.provider == "vertex" and service.project is not None:
        vertex = Vertex(service.project, service.location or "global", service.credentials_file)

    def at_pace(name: str) -> tuple[Literal["low", "high"] | None, int | None]:
        """Return the settings of the service's detector for the end of speech, at a profile's pace."""
        slow = pace_of(settings, name) == "slow"
        return (
            conversation.speech_end or ("low" if slow else None),
            conversation.silence_ms or (SLOW_MS if slow else None),
        )

    speech_end, silence_ms = at_pace(DEFAULT_PROFILE)
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
            identity=_identity(settings),
            transparent=vertex is not None,
            instructions=assistant.instructions,
            voice=assistant.voice,
            languages=assistant.languages,
            tools=tools,
            trial=trial or ToolTrial(),
            profiles={
                name: SessionProfile(
                    "\n\n".join(filter(None, (assistant.instructions, own.instructions))),
                    own.voice or assistant.voice,
                    *at_pace(name),
                )
                for name, own in assistant.profiles.items()
            },
            options=SessionOptions(
                own_turns=own_turns(settings),
                turn_coverage="activity_and_pictures" if all_pictures else "activity",
                media_resolution=service.media_resolution,
                temperature=assistant.temperature,
                thinking=assistant.thinking or profile.thinking_default,
                vocabulary=assistant.vocabulary,
                speech_start=conversation.speech_start,
                speech_end=speech_end,
                padding_ms=conversation.padding_ms,
                silence_ms=silence_ms,
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


def _identity(settings: Settings) -> "DeviceIdentity | None":
    """Return the certificate that the token server asks for; None if the settings name none.

    Raises:
        KeyUnusableError: its private key is missing, or open to other users.
    """
    service = settings.service
    if service.token_certificate is None:
        return None
    from kioskd.adapters.gemini import DeviceIdentity  # noqa: PLC0415 - as in `live`

    key = device_key("service.token_key_file", service.token_key_file, os.environ)
    proof = service.token_proof or "certificate"
    return DeviceIdentity(service.token_certificate, key, proof, service.ca_file)


def read_aloud(settings: Settings) -> ReadAloud:
    """Return a function that turns a written reply into sound."""
    from kioskd.prompts import TextToSpeech  # noqa: PLC0415

    return TextToSpeech(settings.assistant.first_language).read


def _sends_pictures(settings: Settings) -> bool:
    """Return whether pictures are sent unasked, and belong to the visitor's turn in which they are sent."""
    return settings.camera.on and settings.camera.when != "request"
