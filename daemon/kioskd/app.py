"""The composition root: settings -> policy, adapters, flow. It knows everybody and decides nothing."""

import logging
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

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
from kioskd.flow.engine import Engine, Observer, Performers
from kioskd.flow.health import Evidence, Health
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

if TYPE_CHECKING:
    from kioskd.media.echo import EchoCanceller

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
    "microphone.echo": lambda settings: (
        settings.microphone.echo,
        settings.microphone.noise_suppression,
        settings.microphone.gain_control,
    ),
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
        age_s=settings.service.renew_s,
    )


def echo_canceller(settings: Settings) -> "EchoCanceller | None":
    """Return what takes the kiosk's own voice out of its microphone, where the settings ask for it.

    Raises:
        ConfigError: the extra kioskd[echo] is not installed.
    """
    microphone = settings.microphone
    if microphone.echo != "cancel":
        return None
    from kioskd.media.echo import EchoCanceller  # noqa: PLC0415 - brings numpy and WebRTC

    return EchoCanceller(
        noise_suppression=microphone.noise_suppression is not False,
        gain_control=microphone.gain_control is True,
        delay_s=0.0,  # as the speaker says once it plays
    )


def session_of(settings: Settings) -> str:
    """Return what a session belongs to: with another model or service, its handle is void."""
    service = settings.service
    return f"{service.provider} {service.endpoint} {service.project} {service.location} {service.model}"


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
    return Parts(
        clock=SystemClock(),
        microphone=PortAudioMicrophone(settings.microphone.device),
        speaker=PortAudioSpeaker(settings.speaker.device),
        live=live(settings, service_key(settings.service, environ)),
        notifier=notifier(environ),
        button=button,
        lamp=lamp,
        network=KernelNetwork(),
        keepsake=RuntimeKeepsake(directory, session_of=session_of(settings))
        if directory is not None
        else None,
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
        LinkLost: the program does not fit together (Remedy.STOP).
    """
    await _Kiosk(settings, parts, observers).run(reload)


class _Kiosk:
    """All workers, and who performs what for the core. Made within the running loop."""

    def __init__(self, settings: Settings, parts: Parts, observers: Sequence[Observer]) -> None:
        self._settings = settings
        self._session_of = session_of(settings)
        self._parts = parts
        clock, self._mailbox = parts.clock, Mailbox()
        post = self._post = self._mailbox.post
        self._timers = Timers(clock, post)
        echo = echo_canceller(settings)
        self._uplink = MicToLive(
            parts.microphone, post, clock, preroll_ms=settings.microphone.preroll_ms, echo=echo
        )
        self._downlink = LiveToSpeaker(parts.speaker, post, clock, volume=settings.speaker.volume, echo=echo)
        self._link = LiveLink(
            parts.live,
            self._uplink,
            self._downlink,
            post,
            clock,
            jitter=random.random,
            greeting=settings.assistant.greeting or "",
        )
        self._lamp = LampKeeper(parts.lamp, clock, post) if parts.lamp is not None else None
        self._health = Health(clock, post, parts.notifier, self._evidence())
        self._engine = Engine(
            policy(settings),
            self._mailbox,
            self._performers(),
            clock,
            current=self._timers.current,
            observers=[self._health.observe, Journal().observe, *observers],
        )

    async def run(self, reload: Reload[tuple[Settings, ports.Live]] | None) -> None:
        """Start everybody, and be there until it ends."""
        workers = self._workers()
        if reload is not None:
            workers["reload"] = partial(reload.run, self._apply)
        self._show(Show(Shown.STARTING))
        if self._parts.keepsake is not None and (kept := self._parts.keepsake.recover()) is not None:
            self._post(Restored(*kept))
        try:
            await work_together(workers)
        finally:
            self._timers.cancel_all()

    def _evidence(self) -> Mapping[str, Evidence]:
        """Who must show signs of life, and how; see `Health`."""
        uplink, downlink, link = self._uplink, self._downlink, self._link
        return {
            "microphone": lambda: uplink.captured,
            "speaker": lambda: downlink.playout.pulled,
            "uplink": lambda: uplink.sent if uplink.sending else None,
            "service client": lambda: None if link.warm else 0,
        }

    def _performers(self) -> Performers:
        """Who carries out which effect."""
        return {
            SetTimer: self._timers.set,
            CancelTimer: self._timers.cancel,
            SetUplink: self._uplink.set_uplink,
            Flush: self._downlink.flush,
            Dial: self._link.dial,
            HangUp: self._link.hang_up,
            Greet: self._link.greet,
            Show: self._show,
            Keep: self._keep,
            Forget: self._forget,
        }

    def _workers(self) -> dict[str, Work]:
        """Who works from the start to the end."""
        parts, post = self._parts, self._post
        workers: dict[str, Work] = {
            "engine": self._engine.run,
            "microphone": self._uplink.capture,
            "speaker": self._downlink.play,
            "uplink": self._uplink.send,
            "link": self._link.run,
            "health": self._health.run,
        }
        if parts.button is not None:
            workers["button"] = ButtonToMailbox(parts.button, post, parts.clock).run
        if self._lamp is not None:
            workers["lamp"] = self._lamp.run
        if parts.network is not None:
            workers["network"] = partial(parts.network.watch, lambda: post(NetworkChanged()))
        return workers

    def _show(self, effect: Show) -> None:
        self._parts.notifier.status(STATUS[effect.shown])
        if self._lamp is not None:
            self._lamp.show(effect)

    def _keep(self, effect: Keep) -> None:
        if self._parts.keepsake is not None:
            self._parts.keepsake.keep(effect.conversation, effect.handle)

    def _forget(self, _effect: Forget) -> None:
        if self._parts.keepsake is not None:
            self._parts.keepsake.forget()

    def _apply(self, new: tuple[Settings, ports.Live]) -> None:
        """Go by new settings: at once, over the next connection, or (said) after a restart."""
        settings, service = new
        self._engine.adopt(replace(policy(settings), half_duplex=policy(self._settings).half_duplex))
        self._link.use(service, settings.assistant.greeting or "")
        self._downlink.playout.volume = settings.speaker.volume
        self._post(SettingsChanged(session_void=session_of(settings) != self._session_of))
        self._session_of = session_of(settings)
        later = [name for name, read in NEEDS_RESTART.items() if read(settings) != read(self._settings)]
        log.info("settings reloaded%s", f"; after a restart only: {', '.join(later)}" if later else "")
