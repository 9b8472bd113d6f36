"""The whole daemon: all workers, and the function for each effect of the core."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, NoReturn

from kioskd import journal_ids, logs, ports
from kioskd.app import captions as build_captions
from kioskd.app.build import fleet_link, lamp_workers, live_link, picture_service, storage, visitor_time
from kioskd.app.control import JournalTail, KioskMetrics, OwnerSettings, fit
from kioskd.app.parts import Parts
from kioskd.app.policy import budget, core_policy, notices, session_of
from kioskd.app.sound import sound
from kioskd.app.surroundings import Surroundings, surroundings
from kioskd.app.tool_host import ToolHost, ToolSet
from kioskd.core import effects
from kioskd.core.events import Device, MuteRequested, NetworkChanged, Restored, SettingsChanged
from kioskd.errors import RestartAsked
from kioskd.flow.controls.buttons import ButtonEvents, ButtonWorker
from kioskd.flow.controls.kiosk_view import FeatureViews, KioskView
from kioskd.flow.controls.remote import RemoteControl
from kioskd.flow.controls.status_display import StatusDisplay
from kioskd.flow.link.client_loading import ClientLoading
from kioskd.flow.link.live_link import SessionStart
from kioskd.flow.link.outbox import Outbox
from kioskd.flow.link.picture_pacer import PicturePacer
from kioskd.flow.reporting.journal import Journal
from kioskd.flow.reporting.metrics import MetricCounts, Readings
from kioskd.flow.runtime.device_supervisor import DeviceSupervisor
from kioskd.flow.runtime.engine import Engine, Observer, Performers
from kioskd.flow.runtime.mailbox import Mailbox
from kioskd.flow.runtime.reload import Reload
from kioskd.flow.runtime.timers import Timers
from kioskd.flow.runtime.watchdog import Evidence, Watchdog
from kioskd.flow.runtime.workers import Worker, once, work_together
from kioskd.flow.storage.budget import BudgetEnforcer
from kioskd.settings.model import Settings

if TYPE_CHECKING:
    from kioskd.flow.captions.captions import Captions

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NewSettings:
    """Settings that replace a running daemon's; see `policy.take_over`."""

    settings: Settings
    live: ports.Live
    later: Sequence[str] = ()
    """The settings, as SECTION.NAME, that need a restart."""
    pictures: Sequence[bytes] = field(default=(), repr=False)


async def serve(
    settings: Settings,
    parts: Parts,
    *,
    observers: Sequence[Observer] = (),
    reload: Reload[NewSettings] | None = None,
) -> None:
    """Run the kiosk until cancelled, or until an error ends it.

    `reload` brings new settings and their service while the kiosk runs.

    Raises:
        DeviceStuck: only a new process can use a device.
        RestartAsked: a person has asked for a new process.
        ConfigError: a thing that the settings name cannot be used.
        LinkLost: the parts of the program do not fit together (Remedy.STOP).
    """
    await Kiosk(settings, parts, observers).run(reload)


class Kiosk:
    """All workers, and the function for each effect of the core. Must be made in the running event loop."""

    def __init__(self, settings: Settings, parts: Parts, observers: Sequence[Observer]) -> None:
        """Make all workers, each after those that it needs. Reads files: blocks.

        Raises:
            ConfigError: a thing that the settings name cannot be used.
        """
        self._parts, self._owner = parts, OwnerSettings(settings, parts)
        clock, self._mailbox = parts.devices.clock, Mailbox()
        post, self._timers = self._mailbox.post, Timers(clock, self._mailbox.post)
        self._storage = storage(settings, parts, post)
        recorder = self._storage.recorder
        self.sound = sound(settings, parts, post, self._storage.preferences, on_sent=recorder.sent)
        uplink = self.sound.uplink
        pacer = PicturePacer(clock, uplink_idle=lambda: uplink.idle)
        outbox = Outbox(pacer, clock, recorder.wrote)
        self._pictures = picture_service(settings, parts, pacer, post, outbox.put)
        self._buttons = ButtonEvents(post)
        self._budget = BudgetEnforcer(
            budget(settings), clock, post, parts.devices.wall, tell=outbox.put,
            notices=notices(settings), day=self._storage.day,
        )  # fmt: skip
        self._tools = self._make_tools(settings, outbox)
        captions = build_captions.captions(
            settings,
            clock,
            self.sound.downlink.playout,
            lambda: self._link.newest_reply,
            ends_in_s=self._tools.time.ends_in_s,
        )
        if captions is not None:
            self.sound.announcements.caption = captions.announce
        self._link = live_link(
            settings,
            parts,
            self.sound,
            outbox,
            self._mailbox,
            users=[self._pictures, self._tools.runner],
            on_message=[
                *(recorder.received, self._budget.received, self._tools.runner.take, self._note_language),
                *([captions.received] if captions is not None else []),
            ],
        )
        self._display = StatusDisplay(parts.devices.notifier, lamp_workers(parts, post), recorder.kept)
        client = ClientLoading(parts.service.live, at_once="start" in settings.conversation.wake)
        self._watchdog = Watchdog(clock, post, parts.devices.notifier, self._evidence(client))
        around = surroundings(parts, post, outbox)
        remote, own = self._make_remote(settings, outbox, around, captions)
        self._others: Mapping[str, Worker] = {
            "service client": partial(once, client.run), **around.workers, **remote,
        }  # fmt: skip
        self._engine = self._make_engine(settings, [client.observe, *around.observers, *own], observers)

    async def run(self, reload: Reload[NewSettings] | None) -> None:
        devices = self._parts.devices
        devices.control.claim()
        workers = self._workers()
        if reload is not None:
            workers["reload"] = partial(
                reload.run, self._apply, devices.notifier, post=self._mailbox.post, wall=devices.wall
            )
            workers["refused file"] = partial(reload.watch, devices.clock, self._mailbox.post)
            self._owner.read_again = reload.now
        self._display.show(effects.ShowStatus(effects.KioskStatus.STARTING))
        if self._storage.preferences.muted:
            self._mailbox.post(MuteRequested(muted=True))
        if (kept := self._parts.stores.resumption.recover()) is not None:
            self._mailbox.post(Restored(*kept))
        try:
            await work_together(workers)
        finally:
            self._timers.cancel_all()
            logs.set_common_fields({})

    def _make_tools(self, settings: Settings, outbox: Outbox) -> ToolHost:
        service, clock = self._parts.service, self._parts.devices.clock
        time = visitor_time(
            settings, self._mailbox.post, self.sound, outbox, timer_left_s=self._timers.left_s,
            limit_left_s=lambda: self._budget.left_s,
        )  # fmt: skip
        return ToolHost(
            service.tools or ToolSet(Settings(), {}, clock),
            self._mailbox.post,
            self._storage.day,
            tell=outbox.put,
            volume=self.sound.volume,
            pictures=self._pictures,
            buttons=self._buttons,
            prompts=service.prompts,
            time=time,
        )

    def _make_remote(
        self, settings: Settings, outbox: Outbox, around: Surroundings, captions: "Captions | None"
    ) -> tuple[Mapping[str, Worker], Sequence[Observer]]:
        """Return the workers of control socket, metrics, captions and fleet, and their observers."""
        devices, journal = self._parts.devices, JournalTail()
        counts = MetricCounts(devices.clock.now())
        metrics = KioskMetrics(counts, devices.clock.now, partial(self._readings, around))
        view = KioskView(
            self._mailbox.post,
            outbox.put,
            self._display,
            self._pictures,
            self.sound.uplink,
            self.sound.volume,
            journal,
            self._owner,
            metrics,
            self._tools,
            FeatureViews(
                self._tools.time, self.sound.announcements, devices.fleet, around.subjects, around.presence
            ),
        )
        remote = RemoteControl(
            view,
            counts,
            self.sound.meters,
            devices.clock,
            fit=fit(settings),
            captions=captions.follow if captions is not None else None,
        )
        workers: dict[str, Worker] = {
            "control": partial(journal.follow, partial(devices.control.serve, remote.handle)),
            "metrics": partial(devices.metrics.serve, metrics.families),
            **build_captions.workers(captions, devices.caption_screens),
        }
        observers = [counts.observe, remote.observe]
        if captions is not None:
            observers.append(captions.observe)
        if (fleet := fleet_link(settings, self._parts, remote, self._budget, self._buttons)) is not None:
            workers["fleet"] = fleet.run
            observers.append(fleet.observe)
        return workers, observers

    def _make_engine(
        self, settings: Settings, own: Sequence[Observer], observers: Sequence[Observer]
    ) -> Engine:
        """Return the engine. Each step goes to `own` before the tools, and to `observers` last."""
        return Engine(
            core_policy(settings),
            self._mailbox,
            self.performers(),
            self._parts.devices.clock,
            current=self._timers.current,
            observers=[
                self._watchdog.observe,
                self._link.observe,
                Journal(logs.set_common_fields).observe,
                self._budget.observe,
                self._storage.recorder.observe,
                self.sound.announcements.observe,
                *own,
                *self._tools.observers,
                *observers,
            ],
        )

    def _readings(self, around: Surroundings) -> Readings:
        uplink, playout = self.sound.uplink, self.sound.downlink.playout
        return Readings(
            link=self._link.counts,
            sent=uplink.sent,
            resent=uplink.resent,
            dropped=uplink.dropped,
            gap_bytes=playout.starved_bytes,
            overflow_bytes=playout.dropped_bytes,
            volume=playout.volume,
            pictures=self._pictures.counts,
            tool_calls=self._tools.runner.counts,
            budget=self._budget.status.limited,
            subjects=around.subjects.counts if around.subjects is not None else {},
        )

    def _evidence(self, client: ClientLoading) -> Mapping[str, Evidence]:
        """Return the evidence of each part that must work; see `Watchdog`."""
        uplink, downlink = self.sound.uplink, self.sound.downlink
        words = self.sound.word_detectors
        return {
            "microphone": lambda: None if uplink.absent else uplink.captured,
            "speaker": lambda: None if downlink.missing or downlink.paused else downlink.playout.pulled,
            "uplink": lambda: uplink.sent if uplink.sending else None,
            "service client": lambda: None if client.ready else 0,
            "wake word": lambda: None if all(word.ready for word in words) else 0,
        }

    def performers(self) -> Performers:
        """Return the function that carries out each kind of effect."""
        uplink, downlink, resumption = self.sound.uplink, self.sound.downlink, self._parts.stores.resumption
        return {
            effects.SetTimer: self._timers.set,
            effects.CancelTimer: self._timers.cancel,
            effects.SetUplink: uplink.set_uplink,
            effects.SetMute: self._mute,
            effects.SetCamera: self._pictures.set_camera,
            effects.TakeSnapshot: self._pictures.take_snapshot,
            effects.SetSpeaker: downlink.set_speaker,
            effects.Flush: downlink.flush,
            effects.Duck: downlink.duck,
            effects.Chime: downlink.chime,
            effects.Prompt: downlink.prompt,
            effects.StopPrompt: downlink.hush_prompt,
            effects.Dial: self._link.dial,
            effects.HangUp: self._hang_up,
            effects.Greet: self._link.greet,
            effects.Confirm: self._tools.confirmation.allow,
            effects.Announce: self.sound.announcements.announce,
            effects.AskConfirmation: lambda _effect: downlink.question(self._tools.confirmation.sound),
            effects.ShowStatus: self._display.show,
            effects.KeepHandle: lambda kept: resumption.keep(kept.conversation, kept.handle, kept.profile),
            effects.ForgetHandle: lambda _effect: resumption.forget(),
        }

    def _workers(self) -> dict[str, Worker]:
        devices, post = self._parts.devices, self._mailbox.post
        workers: dict[str, Worker] = {
            "engine": self._engine.run,
            "microphone": self.sound.uplink.capture,
            "speaker": self.sound.downlink.play,
            "uplink": self.sound.uplink.send,
            **self._tools.workers,
            "link": self._link.run,
            "watchdog": self._watchdog.run,
            "disk writer": self._storage.disk_writer.run,
            "preferences": self._storage.preferences.run,
            "restart": self._restart_when_asked,
            "camera": self._pictures.run,
            "network": partial(devices.network.watch, lambda: post(NetworkChanged())),
            "prompts": partial(once, self._parts.service.prompts.run),
            "budget": self._budget.run,
            "records": self._storage.recorder.run,
            **self.sound.announcements.workers,
            **self._others,
        }
        for spec in devices.buttons:
            workers[spec.name] = ButtonWorker(
                spec.button,
                spec.rules,
                self._buttons.post,
                devices.clock,
                name=spec.name,
                restart=self._buttons.restart_wanted.set,
                buttons=self._buttons,
            ).run
        for number, lamp in enumerate(self._display.lamps, 1):
            workers[f"lamp {number}"] = lamp.run
        for word in self.sound.word_detectors:
            workers["wake word"] = word.run
        for each in devices.camera_lamps:
            name = "camera lamp"
            supervisor = DeviceSupervisor(
                name, devices.clock, post, device=Device.LAMP, called=name, needed=False
            )
            workers[name] = partial(supervisor.use, each.run)
        return workers

    async def _restart_when_asked(self) -> NoReturn:
        await self._buttons.restart_wanted.wait()
        raise RestartAsked(
            "a person held the button to restart the daemon; the service manager starts it again"
        )

    def _hang_up(self, effect: effects.HangUp) -> None:
        self._link.hang_up(effect)
        self._pictures.forget(effect)
        self._parts.service.prompts.forget()

    def _note_language(self, message: ports.Message) -> None:
        if isinstance(message, ports.SpokenText) and message.by_visitor and message.language:
            self._parts.service.prompts.heard(message.language)

    def _mute(self, effect: effects.SetMute) -> None:
        self.sound.uplink.set_mute(effect)
        self._storage.preferences.muted = effect.muted

    def _apply(self, new: NewSettings) -> None:
        """Use new settings: at once, or from the next connection on."""
        settings, old = new.settings, self._owner.settings
        self._owner.settings = settings
        self._engine.use_policy(core_policy(settings))
        self._budget.use_settings(budget(settings), notices(settings))
        self._link.use(SessionStart(new.live, settings.assistant.greeting or "", new.pictures))
        self.sound.volume.use_default(settings.speaker.volume)
        self._mailbox.post(SettingsChanged(session_void=session_of(settings) != session_of(old)))
        self._tools.use_settings(settings)
        log.info(
            "settings reloaded%s",
            f"; these need a restart: {', '.join(new.later)}" if new.later else "",
            extra={"message_id": journal_ids.RELOADED, "visitor": True},
        )
