"""A healthy kiosk made of files, programs and devices in memory, in which tests plant faults.

Its time runs fast.
"""

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from tests.support.fakes_devices import ManualClock, MemoryLamp, MemoryNotifier, MemorySpeaker
from tests.support.fakes_live import ScriptedLive
from tests.support.parts import parts as kiosk_parts
from tests.support.pictures import encoded, quarters

from kioskd import app
from kioskd.adapters.fakes.devices import MemoryButton, MemoryCamera, MemoryReader
from kioskd.doctor.checks import examine
from kioskd.doctor.context import CheckContext, Technician
from kioskd.doctor.finding import Finding, Verdict
from kioskd.doctor.machine import Machine
from kioskd.errors import DeviceLost
from kioskd.media import pcm
from kioskd.settings.model import Settings
from kioskd.simulator import Simulator

GID = os.getgid()
"""The only group that a test without root may give to files."""

UNIT = {
    "LoadState": "loaded",
    "UnitFileState": "enabled",
    "ActiveState": "inactive",
    "Result": "success",
    "WatchdogSec": "30s",
    "NeedDaemonReload": "no",
    "User": "kioskd",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "NoNewPrivileges": "yes",
    "DevicePolicy": "closed",
    "CapabilityBoundingSet": "",
    "LimitCORE": "0",
}


class VirtualClock(ManualClock):
    """A clock that advances as fast as all tasks can follow, while `running`."""

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Advance the clock during the block."""
        driver = asyncio.create_task(self._run())
        try:
            yield
        finally:
            driver.cancel()
            await asyncio.wait([driver])

    async def _run(self) -> NoReturn:
        while True:
            await self.advance(pcm.PERIOD_MS / 1000)
            # Threads and sockets need real time.
            await asyncio.sleep(0)


class SlowClock(ManualClock):
    """The clock of a device whose crystal may be slow: then its second is longer than a second of `true`."""

    def __init__(self, true: VirtualClock) -> None:
        super().__init__()
        self.pace = 1.0
        """Seconds of this clock in one true second."""
        self._true = true

    def now(self) -> float:
        return self._true.now() * self.pace

    async def sleep(self, seconds: float) -> None:
        await self._true.sleep(seconds / self.pace)


class RoomMicrophone:
    """A `ports.Microphone` that captures the noise of its room and the echo of a speaker."""

    def __init__(self, clock: VirtualClock, speaker: MemorySpeaker) -> None:
        self.urgent = True
        self.noise = 30.0
        """Deviation of the noise; full scale is 32768."""
        self.gain = 1.0
        self.zeros = False
        self.pace = 1.0
        self.held_up = 0
        """The number of next captures in which a busy machine delivers the sound late."""
        self.return_db = -10.0
        self.delay_s = 0.08
        self.gone = False
        self._clock = clock
        self._speaker = speaker
        self._chance = np.random.default_rng(1)

    async def capture(self, sink: Callable[[bytes], None]) -> NoReturn:
        if self.gone:
            raise DeviceLost("microphone 'mic': no such device; plug it in")
        pace = self.pace
        if self.held_up:
            self.held_up -= 1
            pace = 0.9
        due = self._clock.now()
        while True:
            due += pcm.FRAME_MS / 1000 / pace
            await self._clock.sleep(max(0.0, due - self._clock.now()))
            sink(self._frame())

    def _frame(self) -> bytes:
        count = pcm.FRAME_BYTES // pcm.SAMPLE_BYTES
        if self.zeros:
            return bytes(pcm.FRAME_BYTES)
        sound = (self._chance.normal(0, self.noise, count) + self._echo(count)) * self.gain
        return np.clip(np.rint(sound), -32768, 32767).astype("<i2").tobytes()

    def _echo(self, count: int) -> "np.typing.NDArray[np.float64]":
        """Return the part of the played sound that arrives now, at this microphone's rate."""
        heard = np.frombuffer(bytes(self._speaker.heard), "<i2").astype(float)
        needed = count * pcm.DOWNLINK_HZ // pcm.UPLINK_HZ
        end = len(heard) - round(self.delay_s * pcm.DOWNLINK_HZ)
        piece = heard[max(0, end - needed) : max(0, end)]
        piece = np.concatenate([np.zeros(needed - len(piece)), piece])
        at = np.arange(count) * pcm.DOWNLINK_HZ / pcm.UPLINK_HZ
        return np.asarray(np.interp(at, np.arange(needed), piece) * 10 ** (self.return_db / 20))


class Bystander(Technician):
    """A person who does what doctor asks, or does not."""

    def __init__(self, button: MemoryButton, reader: MemoryReader, sensor: MemoryButton) -> None:
        self.presses = True
        self.scans = True
        self.comes = True
        self.sees = True
        self.hears = True
        self.told: list[str] = []
        self._button = button
        self._reader = reader
        self._sensor = sensor

    def show(self, text: str) -> None:
        self.told.append(text)
        if text.startswith("Press") and self.presses:
            self._button.press()
        if text.startswith("Show") and self.scans:
            self._reader.scan("code")
        if text.startswith("Step") and self.comes:
            self._sensor.hold()

    async def ask(self, question: str) -> bool | None:
        self.told.append(question)
        return self.hears if "hear" in question else self.sees


@dataclass(slots=True)
class Kiosk:
    """The kiosk; a test changes its fields before `examined`."""

    root: Path
    service: Simulator
    settings: dict[str, Any] = field(default_factory=dict)
    environ: dict[str, str] = field(default_factory=dict)
    unit: dict[str, str] = field(default_factory=lambda: dict(UNIT))
    free_mb: float = 5000.0
    read_only: bool = False
    """Whether the disk refuses to be written to."""
    asking: bool = True
    wear: bool = False
    clock: VirtualClock = field(default_factory=VirtualClock)
    mode: int = 0o644
    """Mode of the settings file."""
    broken: str | None = None
    """Text of the settings file in place of `settings`."""

    speaker_clock: SlowClock = field(init=False)
    speaker: MemorySpeaker = field(init=False)
    microphone: RoomMicrophone = field(init=False)
    button: MemoryButton = field(default_factory=MemoryButton)
    reader: MemoryReader = field(default_factory=MemoryReader)
    sensor: MemoryButton = field(default_factory=MemoryButton)
    lamp: MemoryLamp = field(default_factory=MemoryLamp)
    camera: MemoryCamera = field(default_factory=lambda: MemoryCamera(encoded(quarters())))
    bystander: Bystander = field(init=False)

    def __post_init__(self) -> None:
        self.speaker_clock = SlowClock(self.clock)
        self.speaker = MemorySpeaker(self.speaker_clock)
        self.microphone = RoomMicrophone(self.clock, self.speaker)
        self.bystander = Bystander(self.button, self.reader, self.sensor)
        ca_file = self.file("/etc/kioskd/ca.pem", self.service.ca_file.read_text())
        self.settings = {
            "service": {"endpoint": self.service.endpoint, "ca_file": str(ca_file)},
            "microphone": {"device": "hw:CARD=mic,DEV=0"},
            "speaker": {"device": "hw:CARD=spk,DEV=0"},
            "camera": {"source": "v4l2:Webcam"},
            "tools": [{"kind": "builtin"}],
            "controls": {"button": {"source": "gpio:gpiochip0/17"}, "lamp": {"source": "gpio:gpiochip0/25"}},
        }
        self.environ = {"GEMINI_API_KEY": self.service.key.get_secret_value()}
        self.file("/run/systemd/system/here")
        self.file("/etc/passwd", "root:x:0:0::/:/bin/sh\nkioskd:x:64123:64123::/:/bin/false\n")
        self.groups("audio", "video", "gpio", "input")
        self.program("timedatectl", "printf 'NTP=yes\\nNTPSynchronized=yes\\nTimezone=Europe/Rome\\n'")
        self.program("journalctl", "echo 2026-11-20T12:00:00 kioskd[7]: ready")
        for node in ("snd/pcmC0D0c", "snd/pcmC1D0p", "snd/controlC0", "video0", "gpiochip0"):
            self.file(f"/dev/{node}").chmod(0o660)
        self.file("/proc/uptime", "100000.00 1.00")
        self.file("/proc/asound/cards", " 0 [mic]: USB - Mic\n 1 [spk]: USB - Spk\n")
        for number, card, stream in ((0, "mic", "pcm0c"), (1, "spk", "pcm0p")):
            self.file(f"/proc/asound/card{number}/id", card)
            self.file(f"/proc/asound/card{number}/{stream}/sub0/status", "closed\n")
        self.file("/sys/devices/platform/soc/soc:firmware/get_throttled", "0\n")
        self.file("/sys/class/thermal/thermal_zone0/temp", "48312\n")
        self.file("/var/lib/kioskd/here")

    def file(self, path: str, text: str = "") -> Path:
        """Put a file into the machine."""
        where = self.root / path.lstrip("/")
        where.parent.mkdir(parents=True, exist_ok=True)
        where.write_text(text)
        return where

    def groups(self, *ours: str) -> None:
        """Write the groups of the devices; kioskd is a member of `ours`."""
        names = ("audio", "video", "gpio", "input")
        self.file(
            "/etc/group", "".join(f"{name}:x:{GID}:{'kioskd' if name in ours else ''}\n" for name in names)
        )

    def program(self, name: str, script: str) -> None:
        """Put a program into the machine."""
        self.file(f"/bin/{name}", f"#!/bin/sh\n{script}\n").chmod(0o755)

    def process(self, pid: int, *words: str, comm: str = "") -> None:
        """Plant a running process."""
        self.file(f"/proc/{pid}/cmdline", "\0".join(words) + "\0")
        self.file(f"/proc/{pid}/comm", f"{comm or words[0]}\n")

    def hold(self, card: int, stream: str, pid: int) -> None:
        """Plant a process that holds one direction of a card."""
        self.file(f"/proc/asound/card{card}/{stream}/sub0/status", f"state: RUNNING\nowner_pid   : {pid}\n")

    def context(self) -> CheckContext:
        """Return the context for the checks."""
        unit = "\n".join(f"{name}={value}" for name, value in self.unit.items())
        self.program("systemctl", f"cat <<'EOF'\n{unit}\nEOF")
        path = self.file("/etc/kioskd/kioskd.yaml", self.broken or json.dumps(self.settings))
        path.chmod(self.mode)
        machine = Machine(self.root, f"{self.root / 'bin'}:/usr/bin:/bin", self._statvfs)
        found = CheckContext.of(
            path,
            self.environ,
            machine=machine,
            person=self.bystander if self.asking else None,
            wear=self.wear,
        )
        return CheckContext(
            found.settings, self.environ, machine, path, found.faults, found.person, self.clock, self._parts,
            self.wear,
        )  # fmt: skip

    async def examined(self) -> list[Finding]:
        """Return all findings of doctor."""
        async with self.clock.running():
            return await examine(self.context())

    def _parts(self, settings: Settings) -> app.Parts:
        controls = settings.controls
        return kiosk_parts(
            self.clock,
            self.microphone,
            self.speaker,
            ScriptedLive(),
            MemoryNotifier(),
            buttons=[app.hand(self.button, one) for one in controls.all_buttons],
            readers=[app.ReaderSpec(self.reader, f"reader {one.source}") for one in controls.readers],
            presence=app.presence_spec(self.sensor, controls.presence) if controls.presence else None,
            lamps=[app.LampSpec(self.lamp) for _ in controls.all_lamps],
            camera=self.camera if settings.camera.source != "off" else None,
        )

    def _statvfs(self, _path: Path) -> os.statvfs_result:
        blocks = round(self.free_mb * 1e6 / 4096)
        flags = os.ST_RDONLY if self.read_only else 0
        return os.statvfs_result((4096, 4096, 10**7, blocks, blocks, 10**6, 10**6, 10**6, flags, 255))


def faults(findings: list[Finding]) -> list[tuple[str, str | None]]:
    """Return check and name of each fault."""
    return [(one.check, one.fault) for one in findings if one.verdict is Verdict.FAULT]


def finding_of(findings: list[Finding], check: str) -> Finding:
    """Return the one finding of a check."""
    [found] = [one for one in findings if one.check == check]
    return found
