"""The environment of a rehearsed daemon: devices that keep their sound, the service's client, an observer."""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from pydantic import SecretStr

from kioskd import app, ports
from kioskd.adapters.clock import SystemClock
from kioskd.adapters.fakes.devices import MemoryButton, MemoryCamera, MemoryReader
from kioskd.adapters.remote.control_socket import ControlSocket
from kioskd.adapters.systemd import notifier
from kioskd.ports import Clock
from kioskd.rehearsal.caption_notes import NotedCaptions
from kioskd.rehearsal.event_log import EventLog, RehearsalObserver
from kioskd.rehearsal.fake_microphone import FakeMicrophone, RecordedMicrophone
from kioskd.rehearsal.fake_speaker import FakeSpeaker, RecordedSpeaker
from kioskd.settings.model import Settings

CARD_PX: Final = (1200, 1600)


@dataclass(frozen=True, slots=True)
class RehearsalEnvironment:
    """The devices, the service's client and the observer of one rehearsal."""

    parts: app.Parts
    clock: Clock
    event_log: EventLog
    observer: RehearsalObserver
    microphone: FakeMicrophone | RecordedMicrophone
    speaker: FakeSpeaker | RecordedSpeaker
    buttons: Mapping[int | str, MemoryButton] | None
    """Buttons that the script presses, by number and by source; None if a person presses real buttons."""
    control: Path
    """The daemon's control socket."""
    reader: MemoryReader | None = None
    """The reader that the script types with; None if the settings have none, or a person scans."""


def scripted_environment(
    settings: Settings, key: SecretStr | None, folder: Path, pictures: Path | None = None
) -> RehearsalEnvironment:
    """Return an environment for a scripted visitor. Blocks: reads and draws pictures.

    Without a key, the client fetches tokens from the place in the settings. `folder` gets the control socket.
    The pictures of the folder `pictures` replace those of the camera.

    Raises:
        ConfigError: a picture in the settings cannot be used.
    """
    clock = SystemClock()
    tools = app.ToolSet(settings, os.environ, clock, rehearsed=True)
    event_log = EventLog(clock)
    microphone = FakeMicrophone(clock)
    speaker = FakeSpeaker(clock, event_log.notify)
    buttons, specs = _buttons(settings)
    reader = MemoryReader() if settings.controls.readers else None
    control = folder / "control"
    devices = app.Devices(
        clock,
        microphone,
        speaker,
        notifier({}),
        buttons=specs,
        readers=[] if reader is None else [app.ReaderSpec(reader)],
        presence=_presence(settings, buttons),
        camera=_camera(settings, pictures),
        control=ControlSocket(control, clock),
        caption_screens=[NotedCaptions(event_log)],
    )
    service = app.LiveService(
        app.live(settings, key, tools.offered, tools.trial),
        tools=tools,
        prompts=app.prompts(settings, _cache()),
        read_aloud=app.read_aloud(settings),
        pictures=app.pictures(settings),
        subjects=app.subjects(settings),
    )
    observer = RehearsalObserver(event_log, lambda: len(microphone.track.frames))
    return RehearsalEnvironment(
        app.Parts(devices, service), clock, event_log, observer, microphone, speaker, buttons, control, reader
    )


def real_environment(settings: Settings, key: SecretStr | None, folder: Path) -> RehearsalEnvironment:
    """Return an environment with the devices of this machine that the settings name. For use within a running
    loop.

    Without a button in the settings the script presses one itself. Without a key, the client fetches tokens
    from the place in the settings.

    Raises:
        ConfigError: a library that a setting needs is missing.
    """
    loop = asyncio.get_running_loop()
    environ = {} if key is None else {"GEMINI_API_KEY": key.get_secret_value()}
    real = app.real_parts(settings, environ)
    devices, clock = real.devices, real.devices.clock
    event_log = EventLog(clock)
    microphone = RecordedMicrophone(devices.microphone, clock)
    speaker = RecordedSpeaker(devices.speaker, clock, lambda: _notify(loop, event_log))
    buttons, specs = (None, devices.buttons) if devices.buttons else _buttons(settings)
    control = folder / "control"
    # Always the simulator, also if the owner's settings name tokens or an account of a real service.
    tools = app.ToolSet(settings, os.environ, clock, rehearsed=True)
    live = app.live(settings, key, tools.offered, tools.trial)
    devices = replace(
        devices,
        microphone=microphone,
        speaker=speaker,
        buttons=specs,
        control=ControlSocket(control, clock),
        caption_screens=[NotedCaptions(event_log), *devices.caption_screens],
    )
    service = replace(real.service, live=live, keys=None, tools=tools)
    observer = RehearsalObserver(event_log, lambda: len(microphone.track.frames))
    return RehearsalEnvironment(
        replace(real, devices=devices, service=service),
        clock,
        event_log,
        observer,
        microphone,
        speaker,
        buttons,
        control,
    )


def _notify(loop: asyncio.AbstractEventLoop, event_log: EventLog) -> None:
    # The device's thread may outlive the loop by a period.
    if not loop.is_closed():
        loop.call_soon_threadsafe(event_log.notify)


def _buttons(settings: Settings) -> tuple[dict[int | str, MemoryButton], list[app.ButtonSpec]]:
    """Return a button in memory for each button of the settings; a plain one if they have none."""
    buttons: dict[int | str, MemoryButton] = {}
    specs: list[app.ButtonSpec] = []
    for number, wanted in enumerate(settings.controls.all_buttons, 1):
        buttons[number] = buttons[wanted.source] = MemoryButton()
        specs.append(app.hand(buttons[number], wanted))
    if not specs:
        buttons[1] = MemoryButton()
        specs.append(app.ButtonSpec(buttons[1]))
    return buttons, specs


def _presence(settings: Settings, buttons: dict[int | str, MemoryButton]) -> app.PresenceSpec | None:
    """Return a sensor in memory, if the settings have one. The script holds and releases it by its source."""
    presence = settings.controls.presence
    if presence is None:
        return None
    sensor = buttons[presence.source] = MemoryButton()
    return app.presence_spec(sensor, presence)


def _camera(settings: Settings, pictures: Path | None) -> ports.Camera | None:
    camera = settings.camera
    if not camera.on:
        return None
    if pictures is not None:
        from kioskd.adapters.cameras.folder import FolderCamera  # noqa: PLC0415 - brings Pillow

        # The pictures are upright, however the camera is mounted.
        return FolderCamera(pictures, size=camera.size, quality=camera.quality)
    if camera.parsed.rehearsed:
        return camera.parsed.build(camera.form)
    return MemoryCamera(colour_card(camera.size, camera.quality))


def colour_card(size: int, quality: int) -> bytes:
    """Return a JPEG (4:3) of a grid in many colours."""
    from kioskd.media import raw_frame  # noqa: PLC0415 - brings Pillow

    height, width = CARD_PX
    rows, columns = np.mgrid[0:height, 0:width]
    grid = np.where((rows % 64 < 3) | (columns % 64 < 3), 255, 0)
    red, blue = columns * 255 // width, rows * 255 // height
    pixels = np.dstack([np.maximum(red, grid), np.maximum(255 - red, grid), np.maximum(blue, grid)])
    card = raw_frame.Layout("RGB3", width, height, stride=3 * width)
    return raw_frame.jpeg(pixels.astype(np.uint8).tobytes(), card, size=size, quality=quality)


def _cache() -> Path | None:
    """Return the user's cache folder for rendered prompts, as rendering takes seconds."""
    home = os.environ.get("HOME")
    caches = os.environ.get("XDG_CACHE_HOME") or (home and f"{home}/.cache")
    return Path(caches, "kioskd") if caches else None
