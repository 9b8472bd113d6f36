"""The daemon put together: all workers, and who performs what for the core."""

import asyncio
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NoReturn

from kioskd import journal_ids, ports
from kioskd.app.books import Books
from kioskd.app.camera import camera
from kioskd.app.desk import FrontDesk
from kioskd.app.devices import Parts
from kioskd.app.policy import core_policy, session_of
from kioskd.app.sound import sound, wake_word
from kioskd.app.tool_host import ToolHost, ToolSet
from kioskd.core.effects import (
    AskConfirmation,
    CancelTimer,
    Chime,
    Confirm,
    Dial,
    Duck,
    Flush,
    ForgetHandle,
    Greet,
    HangUp,
    KeepHandle,
    KioskStatus,
    Prompt,
    SetCamera,
    SetMute,
    SetTimer,
    SetUplink,
    ShowStatus,
    StopPrompt,
    TakeSnapshot,
)
from kioskd.core.events import Device, MuteRequested, NetworkChanged, Restored, SettingsChanged
from kioskd.errors import RestartAsked
from kioskd.flow.audio.level_meters import LevelMeters
from kioskd.flow.controls.buttons import ButtonEvents, ButtonWorker
from kioskd.flow.controls.lamps import LampWorker
from kioskd.flow.link.live_link import LiveLink
from kioskd.flow.link.picture_pacer import PicturePacer
from kioskd.flow.reporting.journal import status
from kioskd.flow.runtime.device_supervisor import DeviceSupervisor
from kioskd.flow.runtime.engine import Engine, Observer, Performers
from kioskd.flow.runtime.mailbox import Mailbox
from kioskd.flow.runtime.reload import Reload
from kioskd.flow.runtime.timers import Timers
from kioskd.flow.runtime.watchdog import Evidence, Watchdog
from kioskd.flow.runtime.workers import Worker, once, work_together
from kioskd.flow.storage.disk_writer import DiskWriter
from kioskd.flow.storage.preferences import PreferenceKeeper
from kioskd.settings.model import Settings

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NewSettings:
    """What a daemon that runs goes by from now on; see `meaning.renewed`."""

    settings: Settings
    live: ports.Live
    later: Sequence[str] = ()
    """The settings, as SECTION.NAME, that hold only after a restart."""
    pictures: Sequence[bytes] = field(default=(), repr=False)


async def serve(
    settings: Settings,
    parts: Parts,
    *,
    observers: Sequence[Observer] = (),
    reload: Reload[NewSettings] | None = None,
) -> None:
    """Be the kiosk until cancelled, or until something ends it.

    `reload` brings new settings, and the service that they name, while the kiosk runs.

    Raises:
        DeviceStuck: only a new process can use a device.
        RestartAsked: somebody has asked for a new process.
        ConfigError: what the settings name cannot be used.
        LinkLost: the program does not fit together (Remedy.STOP).
    """
    await Kiosk(settings, parts, observers).run(reload)


class Kiosk:
    """All workers, and who performs what for the core. Made within the running loop."""

    def __init__(self, settings: Settings, parts: Parts, observers: Sequence[Observer]) -> None:
        self._session_of = session_of(settings)
        self._parts = parts
        clock, self._mailbox = parts.clock, Mailbox()
        post = self._post = self._mailbox.post
        self._timers, self._hands = Timers(clock, post), ButtonEvents(post)
        self._keeping = DiskWriter(clock, post, parts.places)
        self._memory = PreferenceKeeper(
            parts.memory,
            self._keeping,
            volume=settings.speaker.volume,
            volume_floor=settings.speaker.volume_floor,
            volume_ceiling=settings.speaker.volume_ceiling,
        )
        self._restart, self._meters = asyncio.Event(), LevelMeters()
        self._wake_word = wake_word(settings)
        self._uplink, self._downlink = sound(
            settings, parts, self._meters, post, volume=self._memory.volume, wake_word=self._wake_word
        )
        self._way = PicturePacer(clock, uplink_idle=lambda: self._uplink.idle)
        self._camera = camera(settings, parts, self._way, post, self._tell)
        self._books = Books(settings, parts, post, self._tell, self._keeping)
        self._tools = parts.tools or ToolSet(Settings(), {}, clock)
        self._tool_desk = ToolHost(
            self._tools,
            post,
            self._books.limits,
            tell=self._tell,
            set_volume=self._set_volume,
            camera=self._camera,
            hands=self._hands,
            prompts=parts.prompts,
        )
        self._link = LiveLink(
            self._books.overheard(parts.live),
            self._uplink,
            self._downlink,
            post,
            clock,
            way=self._way,
            jitter=random.random,
            greeting=settings.assistant.greeting or "",
            pictures=parts.pictures,
            calls=self._tool_desk.runner,
            companions=[self._camera] if self._camera is not None else [],
            on_usage=self._books.limits.used,
            room=self._mailbox.room,
            read_aloud=parts.read_aloud,
        )
        self._lamps = [
            LampWorker(
                [lit.lamp],
                clock,
                post,
                local_time=parts.local_time,
                brightness=lit.brightness,
                night=lit.night,
                name=lit.name,
            )
            for lit in parts.lamps
        ]
        self._desk = FrontDesk(
            settings,
            parts,
            self._meters,
            post,
            uplink=self._uplink,
            downlink=self._downlink,
            link=self._link,
            camera=self._camera,
            tool_calls=self._tool_desk.counts,
            account=lambda: self._books.limits.account,
            set_volume=self._set_volume,
        )
        self._health = Watchdog(clock, post, parts.notifier, self._evidence())
        self._engine = Engine(
            core_policy(settings),
            self._mailbox,
            self._performers(),
            clock,
            current=self._timers.current,
            observers=[
                self._health.observe,
                self._link.observe,
                *self._books.observers,
                *self._desk.observers,
                *self._tool_desk.observers,
                *observers,
            ],
        )

    async def run(self, reload: Reload[NewSettings] | None) -> None:
        """Start everybody, and be there until it ends."""
        self._desk.claim()
        workers = self._workers() | self._books.workers() | self._desk.workers()
        if reload is not None:
            workers["reload"] = partial(
                reload.run, self._apply, self._parts.notifier, post=self._post, wall=self._parts.wall
            )
            workers["refused file"] = partial(reload.watch, self._parts.clock, self._post)
            self._desk.renew = reload.now
        self._show(ShowStatus(KioskStatus.STARTING))
        if self._memory.muted:
            self._post(MuteRequested(muted=True))
        if self._parts.resumption is not None and (kept := self._parts.resumption.recover()) is not None:
            self._post(Restored(*kept))
        try:
            await work_together(workers)
        finally:
            self._timers.cancel_all()

    def _evidence(self) -> Mapping[str, Evidence]:
        """Who must show signs of life, and how; see `Watchdog`."""
        uplink, downlink, link, word = self._uplink, self._downlink, self._link, self._wake_word
        return {
            "microphone": lambda: None if uplink.absent else uplink.captured,
            "speaker": lambda: None if downlink.missing else downlink.playout.pulled,
            "uplink": lambda: uplink.sent if uplink.sending else None,
            "service client": lambda: None if link.warm else 0,
            "wake word": lambda: None if word is None or word.ready else 0,
        }

    def _performers(self) -> Performers:
        """Who carries out which effect."""
        return {
            SetTimer: self._timers.set,
            CancelTimer: self._timers.cancel,
            SetUplink: self._uplink.set_uplink,
            SetMute: self._mute,
            SetCamera: self._camera.set_eyes if self._camera is not None else _nothing,
            TakeSnapshot: self._camera.looks.ask if self._camera is not None else _nothing,
            Flush: self._downlink.flush,
            Duck: self._downlink.duck,
            Chime: self._downlink.chime,
            Prompt: self._downlink.prompt,
            StopPrompt: self._downlink.hush_prompt,
            Dial: self._link.dial,
            HangUp: self._hang_up,
            Greet: self._link.greet,
            Confirm: self._tool_desk.allow,
            AskConfirmation: lambda _effect: self._downlink.question(self._tool_desk.question),
            ShowStatus: self._show,
            KeepHandle: self._keep,
            ForgetHandle: self._forget,
        }

    def _workers(self) -> dict[str, Worker]:
        """Who works from the start to the end."""
        parts, post = self._parts, self._post
        workers: dict[str, Worker] = {
            "engine": self._engine.run,
            "microphone": self._uplink.capture,
            "speaker": self._downlink.play,
            "uplink": self._uplink.send,
            **self._tool_desk.workers,
            "link": self._link.run,
            "health": self._health.run,
            "keeping": self._keeping.run,
            "memory": self._memory.run,
            "restart": self._restart_when_asked,
        }
        for hand in parts.hands:
            workers[hand.name] = ButtonWorker(
                hand.button,
                hand.rules,
                self._hands.post,
                parts.clock,
                name=hand.name,
                restart=self._restart.set,
                hands=self._hands,
            ).run
        for number, keeper in enumerate(self._lamps, 1):
            workers[f"lamp {number}"] = keeper.run
        if self._wake_word is not None:
            workers["wake word"] = self._wake_word.run
        if self._camera is not None:
            workers["camera"] = self._camera.run
        if parts.camera_lamp is not None:
            name = "camera lamp"
            lamp = DeviceSupervisor(name, parts.clock, post, device=Device.LAMP, called=name, needed=False)
            workers[name] = partial(lamp.use, parts.camera_lamp.run)
        if parts.network is not None:
            workers["network"] = partial(parts.network.watch, lambda: post(NetworkChanged()))
        if parts.prompts is not None:
            workers["prompts"] = partial(once, parts.prompts.prepare)
        return workers

    async def _restart_when_asked(self) -> NoReturn:
        await self._restart.wait()
        raise RestartAsked("somebody held the button for a new start; the service manager starts it")

    def _tell(self, what: str | bytes, settled: Callable[[str], None] = lambda _why: None) -> bool:
        """Tell it to the link, which is made later than those who do."""
        return self._link.tell(what, settled)

    def _hang_up(self, effect: HangUp) -> None:
        self._link.hang_up(effect)
        if self._camera is not None:
            self._camera.forget(effect)

    def _mute(self, effect: SetMute) -> None:
        self._uplink.set_mute(effect)
        self._memory.muted = effect.muted

    def _set_volume(self, percent: int) -> int:
        """Speak as loudly as asked, as far as the owner lets anybody; return what it has come to."""
        self._memory.volume = percent
        self._downlink.playout.volume = self._memory.volume
        return self._memory.volume

    def _show(self, effect: ShowStatus) -> None:
        self._desk.words = status(effect, kept=self._books.kept)
        self._parts.notifier.status(self._desk.words)
        for lamp in self._lamps:
            lamp.show(self._books.lamp(effect))

    def _keep(self, effect: KeepHandle) -> None:
        if self._parts.resumption is not None:
            self._parts.resumption.keep(effect.conversation, effect.handle)

    def _forget(self, _effect: ForgetHandle) -> None:
        if self._parts.resumption is not None:
            self._parts.resumption.forget()

    def _apply(self, new: NewSettings) -> None:
        """Go by new settings: at once, or over the next connection."""
        settings = new.settings
        self._engine.adopt(core_policy(settings))
        self._books.adopt(settings)
        self._desk.adopt(settings)
        self._link.use(self._books.overheard(new.live), settings.assistant.greeting or "", new.pictures)
        self._memory.adopt(settings.speaker.volume)
        self._downlink.playout.volume = self._memory.volume
        self._post(SettingsChanged(session_void=session_of(settings) != self._session_of))
        self._session_of = session_of(settings)
        self._tools.model = settings.service.model
        log.info(
            "settings reloaded%s",
            f"; after a restart only: {', '.join(new.later)}" if new.later else "",
            extra={"message_id": journal_ids.RELOADED, "visitor": True},
        )


def _nothing(_effect: object) -> None:
    """There is nobody to do it."""
