"""The composition root: settings -> policy, adapters, flow. It knows everybody and decides nothing."""

import logging
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from pydantic import SecretStr

from kioskd import ports, profiles
from kioskd.core.effects import (
    CancelTimer,
    Dial,
    Flush,
    Forget,
    Greet,
    HangUp,
    Keep,
    SetTimer,
    SetUplink,
    Show,
    Shown,
)
from kioskd.core.events import NetworkChanged, Restored, SettingsChanged
from kioskd.core.policy import Policy
from kioskd.flow.button_to_mailbox import ButtonToMailbox
from kioskd.flow.crew import Work, work_together
from kioskd.flow.engine import Engine, Observer
from kioskd.flow.health import Health
from kioskd.flow.journal import STATUS, Journal
from kioskd.flow.lamp import LampKeeper
from kioskd.flow.live_link import LiveLink
from kioskd.flow.live_to_speaker import LiveToSpeaker
from kioskd.flow.mailbox import Mailbox
from kioskd.flow.mic_to_live import MicToLive
from kioskd.flow.reload import Reload
from kioskd.flow.timers import Timers
from kioskd.settings.credentials import service_key
from kioskd.settings.forms import gpio_line
from kioskd.settings.load import wanted
from kioskd.settings.model import Settings

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that touches the world."""

    clock: ports.Clock
    microphone: ports.Microphone
    speaker: ports.Speaker
    live: ports.Live
    notifier: ports.Notifier
    button: ports.Button | None = None
    lamp: ports.Lamp | None = None
    network: ports.Network | None = None
    keepsake: ports.Keepsake | None = None


NEEDS_RESTART: Final[Mapping[str, Callable[[Settings], object]]] = {
    "microphone.device": lambda settings: settings.microphone.device,
    "microphone.preroll_ms": lambda settings: settings.microphone.preroll_ms,
    "speaker.device": lambda settings: settings.speaker.device,
    "controls": lambda settings: settings.controls,
}
"""Settings that are looked at once, when the devices are opened."""


def policy(settings: Settings) -> Policy:
    """Return what the settings mean for the core."""
    conversation = settings.conversation
    return Policy(
        half_duplex=settings.microphone.echo == "half_duplex",
        greeting=settings.assistant.greeting is not None,
        always_on="start" in conversation.wake,
        idle_s=conversation.idle_s,
        longest_s=conversation.longest_s,
        think_s=conversation.think_s,
    )


def live(settings: Settings, key: SecretStr | None) -> ports.Live:
    """Return the service that the settings name.

    A `key` is used in place of what the settings would fetch (tokens, an account's); with vertex it is one of its
    express mode. None where the settings need none.
    """
    # The SDK is imported by whoever dials, and by nobody else.
    from kioskd.adapters.gemini import GeminiConfig, GeminiLive, Options, Vertex  # noqa: PLC0415

    service, assistant, conversation = settings.service, settings.assistant, settings.conversation
    if not profiles.known(service.model):
        log.warning(
            "model not known to this version, taken for one like %s: model=%s", profiles.NEWEST, service.model
        )
    compression = conversation.compression_tokens
    vertex = None
    if service.provider == "vertex" and service.project is not None:
        vertex = Vertex(service.project, service.location or "global", service.credentials_file)
    return GeminiLive(
        GeminiConfig(
            key=key,
            model=service.model,
            api_version=profiles.api_version(wanted(settings)),
            endpoint=service.endpoint,
            ca_file=service.ca_file,
            proxy=service.proxy,
            vertex=vertex,
            token_url=service.token_url,
            transparent=vertex is not None,
            instructions=assistant.instructions,
            voice=assistant.voice,
            language=assistant.language,
            options=Options(
                temperature=assistant.temperature,
                thinking=assistant.thinking or profiles.profile(service.model).thinking_default,
                vocabulary=assistant.vocabulary,
                speech_start=conversation.speech_start,
                speech_end=conversation.speech_end,
                padding_ms=conversation.padding_ms,
                silence_ms=conversation.silence_ms,
                interruptions=conversation.interruptions,
                search=conversation.search,
                compression_trigger=compression.trigger if compression else None,
                compression_target=compression.target if compression else None,
            ),
        )
    )


def real_parts(settings: Settings, environ: Mapping[str, str]) -> Parts:
    """Return what `kioskd run` uses: this machine's devices and the real service.

    Raises:
        ConfigError: there is no key, or a library that a setting needs is missing.
    """
    # Vendor libraries are imported by whoever is configured to need them, and by nobody else.
    from kioskd.adapters.clock import SystemClock  # noqa: PLC0415
    from kioskd.adapters.keepsake import RuntimeKeepsake, runtime_directory  # noqa: PLC0415
    from kioskd.adapters.network import KernelNetwork  # noqa: PLC0415
    from kioskd.adapters.portaudio import PortAudioMicrophone, PortAudioSpeaker  # noqa: PLC0415
    from kioskd.adapters.systemd import notifier  # noqa: PLC0415

    button: ports.Button | None = None
    lamp: ports.Lamp | None = None
    if settings.controls.button is not None:
        from kioskd.adapters.gpio import GpioButton  # noqa: PLC0415

        button = GpioButton(*gpio_line(settings.controls.button.source))
    if settings.controls.lamp is not None:
        from kioskd.adapters.gpio import GpioLamp  # noqa: PLC0415

        lamp = GpioLamp(*gpio_line(settings.controls.lamp.source))
    directory = runtime_directory(environ)
    service = settings.service
    session_of = f"{service.provider} {service.endpoint} {service.project} {service.location} {service.model}"
    return Parts(
        clock=SystemClock(),
        microphone=PortAudioMicrophone(settings.microphone.device),
        speaker=PortAudioSpeaker(settings.speaker.device),
        live=live(settings, service_key(settings.service, environ)),
        notifier=notifier(environ),
        button=button,
        lamp=lamp,
        network=KernelNetwork(),
        keepsake=RuntimeKeepsake(directory, session_of=session_of) if directory is not None else None,
    )


async def serve(
    settings: Settings,
    parts: Parts,
    *,
    observers: Sequence[Observer] = (),
    reload: Reload[tuple[Settings, ports.Live]] | None = None,
) -> None:
    """Be the kiosk until cancelled, or until something ends it.

    `reload` brings new settings, and the service that they name, while the kiosk runs.

    Raises:
        DeviceLost: a device did not come, or stayed away.
        ConfigError: what the settings name cannot be used.
    """
    clock, mailbox = parts.clock, Mailbox()
    post = mailbox.post
    timers = Timers(clock, post)
    uplink = MicToLive(parts.microphone, post, clock, preroll_ms=settings.microphone.preroll_ms)
    downlink = LiveToSpeaker(parts.speaker, post, clock, volume=settings.speaker.volume)
    link = LiveLink(
        parts.live,
        uplink,
        downlink,
        post,
        clock,
        jitter=random.random,
        greeting=settings.assistant.greeting or "",
    )
    lamp = LampKeeper(parts.lamp, clock, post) if parts.lamp is not None else None
    health = Health(
        clock,
        post,
        parts.notifier,
        {
            "microphone": lambda: uplink.captured,
            "speaker": lambda: downlink.playout.pulled,
            "uplink": lambda: uplink.sent if uplink.sending else None,
            "service client": lambda: 0 if not link.warm else None,
        },
    )

    def show(effect: Show) -> None:
        parts.notifier.status(STATUS[effect.shown])
        if lamp is not None:
            lamp.show(effect)

    def keep(effect: Keep) -> None:
        if parts.keepsake is not None:
            parts.keepsake.keep(effect.conversation, effect.handle)

    def forget(_effect: Forget) -> None:
        if parts.keepsake is not None:
            parts.keepsake.forget()

    engine = Engine(
        policy(settings),
        mailbox,
        {
            SetTimer: timers.set,
            CancelTimer: timers.cancel,
            SetUplink: uplink.set_uplink,
            Flush: downlink.flush,
            Dial: link.dial,
            HangUp: link.hang_up,
            Greet: link.greet,
            Show: show,
            Keep: keep,
            Forget: forget,
        },
        clock,
        current=timers.current,
        observers=[health.observe, Journal().observe, *observers],
    )
    workers: dict[str, Work] = {
        "engine": engine.run,
        "microphone": uplink.capture,
        "speaker": downlink.play,
        "uplink": uplink.send,
        "link": link.run,
        "health": health.run,
    }
    if parts.button is not None:
        workers["button"] = ButtonToMailbox(parts.button, post, clock).run
    if lamp is not None:
        workers["lamp"] = lamp.run

    def apply(new: tuple[Settings, ports.Live]) -> None:
        changed, service = new
        engine.adopt(policy(changed))
        link.use(service, changed.assistant.greeting or "")
        downlink.playout.volume = changed.speaker.volume
        post(SettingsChanged())
        later = [name for name, read in NEEDS_RESTART.items() if read(changed) != read(settings)]
        log.info("settings reloaded%s", f"; after a restart only: {', '.join(later)}" if later else "")

    if reload is not None:
        workers["reload"] = partial(reload.run, apply)
    if parts.network is not None:
        workers["network"] = partial(parts.network.watch, lambda: post(NetworkChanged()))
    show(Show(Shown.STARTING))
    if parts.keepsake is not None and (kept := parts.keepsake.recover()) is not None:
        post(Restored(*kept))
    try:
        await work_together(workers)
    finally:
        timers.cancel_all()
