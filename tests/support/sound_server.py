"""A virtual sound card: tests play sound into the microphone, and record the speaker's.

It consists of two private PulseAudio daemons behind ALSA, one for each device. If only a sink or source were
unloaded, PulseAudio would move its streams elsewhere. So ending a daemon is what comes close to unplugging.
"""

import array
import asyncio
import contextlib
import os
import random
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self

Device = Literal["mic", "spk"]

NEEDED: Final = ("pulseaudio", "pactl", "pacat", "parec")
MICROPHONE: Final = "kioskmic"
SPEAKER: Final = "kioskspk"
SPEAKER_HZ: Final = 24_000

_SINK: Final[dict[Device, str]] = {"mic": "micbus", "spk": "spk"}
_PATIENCE_S: Final = 30.0

HISS_S: Final = 60
"""Seconds that a quiet room lasts: longer than any test."""


def missing() -> str | None:
    """Return why the virtual sound card cannot be made here; None if it can."""
    absent = [name for name in NEEDED if shutil.which(name) is None]
    return (
        f"missing: {', '.join(absent)}; run `apt install pulseaudio pulseaudio-utils libasound2-plugins`"
        if absent
        else None
    )


class Recording:
    """Recorded sound; `arrived` has the monotonic second and the byte count of each piece."""

    def __init__(self, process: subprocess.Popen[bytes], patience_s: float = _PATIENCE_S) -> None:
        self._patience_s = patience_s
        self.pcm = bytearray()
        self.arrived: list[tuple[float, int]] = []
        self._process = process
        self._more = threading.Condition()
        self._reader = threading.Thread(target=self._read, name="recording", daemon=True)
        self._reader.start()

    def wait_bytes(self, count: int) -> None:
        """Return when at least `count` bytes have been recorded."""
        with self._more:
            if not self._more.wait_for(lambda: len(self.pcm) >= count, self._patience_s):
                raise TimeoutError(f"recorded {len(self.pcm)} of {count} bytes in {self._patience_s} s")

    def stop(self) -> None:
        self._process.kill()
        self._process.wait(_PATIENCE_S)
        self._reader.join(_PATIENCE_S)
        if self._process.stdout:
            self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout
        while piece := os.read(self._process.stdout.fileno(), 65536):
            with self._more:
                self.pcm += piece
                self.arrived.append((time.monotonic(), len(piece)))
                self._more.notify_all()


class SoundServer:
    """Virtual sound card, which exists from entry to exit and needs its own folder."""

    def __init__(self, folder: Path, *, patience_s: float = _PATIENCE_S) -> None:
        """`patience_s`: the longest wait for its daemons, and for recorded sound."""
        self._folder = folder
        self._patience_s = patience_s
        self._daemons: dict[Device, subprocess.Popen[bytes]] = {}
        self._config = folder / "asound.conf"

    @property
    def environ(self) -> dict[str, str]:
        """The environment that a process needs before it first calls ALSA."""
        return {"ALSA_CONFIG_PATH": str(self._config)}

    def address(self, device: Device) -> str:
        """Return libpulse's address of the device's daemon."""
        return f"unix:{self._socket(device)}"

    def __enter__(self) -> Self:
        self._config.write_text(
            f'pcm.{MICROPHONE} {{ type asym capture.pcm {{ type pulse server "{self.address("mic")}" '
            f'device "micbus.monitor" }} }}\n'
            f'pcm.{SPEAKER} {{ type asym playback.pcm {{ type pulse server "{self.address("spk")}" '
            f'device "spk" }} }}\n'
            f'pcm.default {{ type asym capture.pcm "{MICROPHONE}" playback.pcm "{SPEAKER}" }}\n'
            f'ctl.default {{ type pulse server "{self.address("spk")}" }}\n'
        )
        self._start("mic")
        self._start("spk")
        self._await("mic")
        self._await("spk")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for device in tuple(self._daemons):
            self.unplug(device)

    def unplug(self, device: Device) -> None:
        """Kill the device's daemon, which is as abrupt as unplugging."""
        daemon = self._daemons.pop(device)
        daemon.kill()
        daemon.wait(_PATIENCE_S)
        self._socket(device).unlink(missing_ok=True)

    def replug(self, device: Device) -> None:
        """Start the device's daemon, and return when sound flows through it."""
        if device not in self._daemons:
            self._start(device)
            self._await(device)

    def freeze(self, device: Device) -> None:
        """Stop the device's daemon, like a hanging driver: it gives no sound and no error."""
        self._daemons[device].send_signal(signal.SIGSTOP)

    def thaw(self, device: Device) -> None:
        """Continue a frozen daemon; does nothing if it runs or does not exist."""
        if device in self._daemons:
            self._daemons[device].send_signal(signal.SIGCONT)

    def mend(self) -> None:
        """Make both devices exist and run, after any test."""
        for device in _SINK:
            self.thaw(device)
            if device in self._daemons and not self._sounds(device):
                self.unplug(device)
            self.replug(device)

    def _sounds(self, device: Device) -> bool:
        """Return whether the device's daemon delivers sound; a broken one would fail all later tests."""
        if self._daemons[device].poll() is not None:
            return False
        try:
            with self.recorded(device, SPEAKER_HZ) as recording:
                recording.wait_bytes(1)
        except TimeoutError:
            return False
        return True

    def _start(self, device: Device) -> None:
        sink = _SINK[device]
        home = self._folder / f"run-{device}"
        home.mkdir(mode=0o700, exist_ok=True)
        script = self._folder / f"{device}.pa"
        script.write_text(
            f"load-module module-native-protocol-unix socket={self._socket(device)} auth-anonymous=1\n"
            f"load-module module-null-sink sink_name={sink} rate=48000 channels=1\n"
            # An idle null sink works in blocks of 2 s, which would delay the first sound after silence. A
            # loopback with 10 ms keeps it awake.
            "load-module module-null-sink sink_name=drain rate=48000 channels=1\n"
            f"load-module module-loopback source={sink}.monitor sink=drain latency_msec=10 "
            "source_dont_move=true sink_dont_move=true\n"
            f"set-default-sink {sink}\nset-default-source {sink}.monitor\n"
        )
        with (self._folder / f"{device}.log").open("ab") as out:
            self._daemons[device] = subprocess.Popen(
                ["pulseaudio", "-n", "-F", str(script), "--daemonize=no", "--exit-idle-time=-1",
                 "--use-pid-file=no", "--disallow-exit=no", "--realtime=no", "--high-priority=no",
                 "--log-level=notice"],
                env=os.environ | {"HOME": str(home), "XDG_RUNTIME_DIR": str(home)},
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
            )  # fmt: skip

    def _await(self, device: Device) -> None:
        self._await_socket(device)
        # Half a second was recorded: the clock runs, and the first block of 2 s is over.
        with self.recorded(device, 48_000) as recording:
            recording.wait_bytes(48_000)

    @contextlib.contextmanager
    def injector(self, latency_ms: int = 10) -> Iterator[subprocess.Popen[bytes]]:
        """Yield a process whose stdin is the microphone's sound: 16 kHz mono PCM. On exit it plays all of it.

        A longer `latency_ms` keeps a busy machine from interrupting the sound.
        """
        process = subprocess.Popen(
            ["pacat", f"--server={self.address('mic')}", "--playback", "--device=micbus", "--raw",
             "--rate=16000", "--channels=1", "--format=s16le", f"--latency-msec={latency_ms}"],
            stdin=subprocess.PIPE,
        )  # fmt: skip
        try:
            yield process
        finally:
            try:
                if process.stdin:
                    process.stdin.close()  # fails if the microphone was unplugged
            finally:
                process.wait(60.0)

    @contextlib.asynccontextmanager
    async def quiet_room(self) -> AsyncIterator[None]:
        """Give the microphone the noise of a quiet room: kioskd counts one without any noise as dead."""
        chance = random.Random(1)
        hiss = array.array("h", [chance.randint(-2, 2) for _ in range(HISS_S * 16_000)]).tobytes()
        with self.injector() as microphone:
            assert microphone.stdin
            feeding = asyncio.create_task(asyncio.to_thread(microphone.stdin.write, hiss))
            try:
                yield
            finally:
                microphone.kill()
                await asyncio.wait([feeding])

    def inject(self, pcm: bytes) -> None:
        """Play `pcm` (16 kHz mono) into the microphone; return when all of it was played."""
        with self.injector(latency_ms=500) as process:
            assert process.stdin
            process.stdin.write(pcm)

    @contextlib.contextmanager
    def air(self, volume: float) -> Iterator[None]:
        """Play the speaker's sound, times `volume`, into the microphone."""
        form = ("--raw", "--rate=16000", "--channels=1", "--format=s16le")
        with subprocess.Popen(
            ["parec", f"--server={self.address('spk')}", "--device=spk.monitor", *form, "--latency-msec=10"],
            stdout=subprocess.PIPE,
        ) as ear, subprocess.Popen(
            # pacat's volume is cubic, with 65536 as 1.
            ["pacat", f"--server={self.address('mic')}", "--playback", "--device=micbus", *form,
             "--latency-msec=40", f"--volume={round(65536 * volume ** (1 / 3))}"],
            stdin=ear.stdout,
        ) as mouth:  # fmt: skip
            try:
                yield
            finally:
                ear.kill()
                mouth.kill()

    def mute(self, device: Device, muted: bool) -> None:
        """Mute or unmute a device in its mixer."""
        self._mix(device, "mute", str(int(muted)))

    def amplify(self, device: Device, decibels: float) -> None:
        """Set a device's gain in its mixer."""
        self._mix(device, "volume", f"{decibels}dB")

    def _mix(self, device: Device, what: str, value: str) -> None:
        kind, name = ("source", "micbus.monitor") if device == "mic" else ("sink", "spk")
        subprocess.run(
            ["pactl", f"--server={self.address(device)}", f"set-{kind}-{what}", name, value], check=True
        )

    @contextlib.contextmanager
    def record(self) -> Iterator[Recording]:
        """Record the speaker's sound, 24 kHz mono; the recording runs when this yields."""
        with self.recorded("spk", SPEAKER_HZ) as recording:
            recording.wait_bytes(1)
            yield recording

    @contextlib.contextmanager
    def recorded(self, device: Device, rate_hz: int) -> Iterator[Recording]:
        """Record a device's sound, mono; the recording may not run yet when this yields."""
        process = subprocess.Popen(
            ["parec", f"--server={self.address(device)}", f"--device={_SINK[device]}.monitor", "--raw",
             f"--rate={rate_hz}", "--channels=1", "--format=s16le", "--latency-msec=10"],
            stdout=subprocess.PIPE,
        )  # fmt: skip
        recording = Recording(process, self._patience_s)
        try:
            yield recording
        finally:
            recording.stop()

    def _socket(self, device: Device) -> Path:
        return self._folder / f"{device}.sock"

    def _await_socket(self, device: Device) -> None:
        until = time.monotonic() + self._patience_s
        asked = ["pactl", f"--server={self.address(device)}", "info"]
        while subprocess.run(asked, capture_output=True, check=False).returncode:
            if time.monotonic() > until or self._daemons[device].poll() is not None:
                said = (self._folder / f"{device}.log").read_text(errors="replace")[-2000:]
                raise TimeoutError(f"the virtual sound server ({device}) did not come up: {said}")
            time.sleep(0.05)
