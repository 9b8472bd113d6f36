"""Builds the groups of workers for `Kiosk` from settings and parts."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kioskd import __version__, ports
from kioskd.app.parts import Parts
from kioskd.app.policy import budget, pause_ms
from kioskd.app.sound import Sound
from kioskd.core.events import Event, Timer
from kioskd.flow.camera.no_camera import NoPictureService
from kioskd.flow.controls.buttons import ButtonEvents
from kioskd.flow.controls.lamps import LampWorker
from kioskd.flow.controls.remote import RemoteControl
from kioskd.flow.controls.visitor_time import VisitorTime
from kioskd.flow.link.connection_log import ConnectionLog
from kioskd.flow.link.incoming_reply import IncomingReply
from kioskd.flow.link.live_link import ConnectionUser, LiveLink, SessionStart
from kioskd.flow.link.outbox import Outbox
from kioskd.flow.link.picture_pacer import PicturePacer
from kioskd.flow.link.transcript import Transcript
from kioskd.flow.runtime.mailbox import Mailbox
from kioskd.flow.storage.budget import BudgetEnforcer
from kioskd.flow.storage.conversation_recorder import ConversationRecorder
from kioskd.flow.storage.day_spending import DaySpending
from kioskd.flow.storage.disk_writer import DiskWriter
from kioskd.flow.storage.preferences import PreferenceKeeper
from kioskd.settings.model import Settings

if TYPE_CHECKING:
    from kioskd.flow.camera.picture_service import PictureService
    from kioskd.flow.camera.snapshot_requests import ShowPicture
    from kioskd.flow.fleet.fleet_link import FleetLink


@dataclass(frozen=True, slots=True)
class Storage:
    """The objects that store preferences, figures and records."""

    disk_writer: DiskWriter
    preferences: PreferenceKeeper
    day: DaySpending
    recorder: ConversationRecorder


def storage(settings: Settings, parts: Parts, post: Callable[[Event], None]) -> Storage:
    """Return the objects that store preferences, figures and records. Reads files: blocks."""
    devices, stores, speaker = parts.devices, parts.stores, settings.speaker
    disk_writer = DiskWriter(devices.clock, post, stores.places)
    return Storage(
        disk_writer,
        PreferenceKeeper(
            stores.preferences,
            disk_writer,
            volume=speaker.volume,
            volume_floor=speaker.volume_floor,
            volume_ceiling=speaker.volume_ceiling,
        ),
        DaySpending(
            devices.clock,
            devices.wall,
            disk_writer,
            store=stores.budget,
            time=devices.time,
            limited=budget(settings).daily,
        ),
        ConversationRecorder(devices.clock, devices.wall, words=stores.transcripts, sounds=stores.recordings),
    )


def picture_service(
    settings: Settings,
    parts: Parts,
    pacer: PicturePacer,
    post: Callable[[Event], None],
    show: "ShowPicture",
) -> "PictureService | NoPictureService":
    """Return the picture service; one that does nothing if there is no camera. `show` sends a snapshot."""
    if parts.devices.camera is None:
        return NoPictureService()
    from kioskd.flow.camera.picture_service import PictureService  # noqa: PLC0415 - brings Pillow

    camera = settings.camera
    return PictureService(
        parts.devices.camera,
        parts.devices.clock,
        post,
        pacer=pacer,
        show=show,
        every_s=camera.every_s,
        min_change=camera.min_change,
        refresh_s=camera.refresh_s,
        lamps=parts.devices.camera_lamps,
    )


def lamp_workers(parts: Parts, post: Callable[[Event], None]) -> list[LampWorker]:
    devices = parts.devices
    return [
        LampWorker(
            [spec.lamp],
            devices.clock,
            post,
            local_time=lambda: devices.wall().time(),
            brightness=spec.brightness,
            night=spec.night,
            name=spec.name,
        )
        for spec in devices.lamps
    ]


def visitor_time(
    settings: Settings,
    post: Callable[[Event], None],
    sound: Sound,
    outbox: Outbox,
    *,
    timer_left_s: Callable[[Timer], float | None],
    limit_left_s: Callable[[], float | None],
) -> VisitorTime:
    """Return the visitor's time and profile; see `VisitorTime`."""
    profiles = settings.assistant.profiles
    return VisitorTime(
        post,
        timer_left_s=timer_left_s,
        limit_left_s=limit_left_s,
        tell=outbox.put,
        profiles={name: profile.instructions or "" for name, profile in profiles.items()},
        use_pace=lambda profile: sound.use_pause(pause_ms(settings, profile)),
    )


def live_link(
    settings: Settings,
    parts: Parts,
    sound: Sound,
    outbox: Outbox,
    mailbox: Mailbox,
    *,
    users: Sequence[ConnectionUser],
    on_message: Sequence[Callable[[ports.Message], None]],
) -> LiveLink:
    """Return the link to the service in `parts`; see `LiveLink`."""
    service, clock = parts.service, parts.devices.clock
    connection_log, transcript = ConnectionLog(clock), Transcript()
    replies = IncomingReply(
        sound.downlink,
        mailbox.post,
        clock,
        counts=connection_log.counts,
        transcript=transcript,
        read_aloud=service.read_aloud,
    )
    return LiveLink(
        SessionStart(service.live, settings.assistant.greeting or "", service.pictures),
        sound.uplink,
        mailbox.post,
        clock,
        replies=replies,
        outbox=outbox,
        transcript=transcript,
        connection_log=connection_log,
        jitter=random.random,
        users=users,
        on_message=on_message,
        room=mailbox.room,
    )


def fleet_link(
    settings: Settings, parts: Parts, remote: RemoteControl, budget: BudgetEnforcer, buttons: ButtonEvents
) -> "FleetLink | None":
    """Return the link to the fleet's broker; None if this kiosk belongs to no fleet."""
    fleet, broker = settings.fleet, settings.fleet_broker
    if parts.devices.fleet is None or fleet is None or broker is None:
        return None
    from kioskd.flow.fleet.commands import FleetCommands  # noqa: PLC0415 - only if used
    from kioskd.flow.fleet.entities import FleetTopics  # noqa: PLC0415 - the same
    from kioskd.flow.fleet.fleet_link import FleetIdentity, FleetLink  # noqa: PLC0415 - the same

    identity = FleetIdentity(
        fleet.name, fleet.title or fleet.name, fleet.site, __version__, broker.home_assistant
    )

    def today() -> Mapping[str, float]:
        spent = budget.status
        return {"minutes": spent.seconds / 60, "tokens": spent.tokens}

    return FleetLink(
        parts.devices.fleet,
        identity,
        parts.devices.clock,
        status=remote.status,
        today=today,
        commands=FleetCommands(
            FleetTopics(fleet.name).command(""), remote.handle, buttons.restart_wanted.set
        ),
    )
