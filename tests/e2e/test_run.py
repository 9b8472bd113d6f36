"""`kioskd run` as systemd starts it: PyAudio over a virtual sound card, the real SDK to the simulator."""

import asyncio
import re
import socket
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import numpy as np
import pytest
from tests.support.daemon_process import (
    PATIENCE_S,
    DaemonProcess,
    always_on,
    daemon_process,
    surroundings,
)
from tests.support.kiosk import silence
from tests.support.likeness import THROUGH_THE_AIR, carried, murmur, understood
from tests.support.sound_server import SoundServer

from kioskd.core.effects import KioskStatus
from kioskd.flow.reporting.journal import STATUS
from kioskd.media import pcm
from kioskd.media.resample import Resampler
from kioskd.simulator import FaultAction, Reply, ServiceScript, Simulator

QUESTION: Final = Path("/usr/share/sounds/alsa/Front_Center.wav")
LEAVING_S: Final = 5.0
"""Seconds that the unit's TimeoutStopSec allows."""


def question() -> bytes:
    """Return a person's voice, at the microphone's rate."""
    if not QUESTION.exists():
        pytest.skip(f"no recorded voice at {QUESTION}: apt install alsa-utils")
    with wave.open(str(QUESTION), "rb") as file:
        resampler = Resampler(file.getframerate(), pcm.UPLINK_HZ, channels=file.getnchannels())
        return resampler.process(file.readframes(file.getnframes()))


def write_wav(path: Path, sound: bytes) -> Path:
    """Write the model's reply to a file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(pcm.SAMPLE_BYTES)
        file.setframerate(pcm.DOWNLINK_HZ)
        file.writeframes(sound)
    return path


@asynccontextmanager
async def talking_kiosk(
    folder: Path, sound: SoundServer, reply: bytes
) -> AsyncIterator[tuple[DaemonProcess, Simulator]]:
    """Run a daemon that is listening, and a service that will answer with `reply`."""
    script = ServiceScript(
        replies=(Reply(wav=write_wav(folder / "reply.wav", reply)),), think_s=0.2, silence_ms=900
    )
    async with Simulator(script) as service:
        settings = always_on(service.endpoint, service.ca_file)
        surrounding = surroundings(sound, service)
        async with sound.quiet_room(), daemon_process(folder, settings, surrounding) as daemon:
            await daemon.shows(STATUS[KioskStatus.LISTENING])
            yield daemon, service


async def happens(service: Simulator, kind: str, daemon: DaemonProcess, nth: int = 1) -> None:
    """Wait until the service has seen this event this often."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            await service.wait_for(kind, nth)
    except TimeoutError:
        raise AssertionError(f"no {kind}; journal:\n{daemon.journal}") from None


async def test_a_visitor_is_heard_and_answered_and_the_daemon_leaves_cleanly(
    tmp_path: Path, sound_server: SoundServer
) -> None:
    words, reply = question(), murmur(1.5, pcm.DOWNLINK_HZ)
    async with talking_kiosk(tmp_path, sound_server, reply) as (daemon, service):
        assert daemon.told.index("READY=1") > daemon.told.index(f"STATUS={STATUS[KioskStatus.STARTING]}")
        with sound_server.record() as recording:
            await asyncio.to_thread(sound_server.inject, silence(0.5) + words + silence(1.0))
            await happens(service, "reply_sent", daemon)
            await daemon.shows(STATUS[KioskStatus.SPEAKING])
            await daemon.tells("WATCHDOG=1")
            so_far = len(recording.pcm)
            await asyncio.to_thread(recording.wait_bytes, so_far + pcm.byte_count(2.5, pcm.DOWNLINK_HZ))
            heard = bytes(recording.pcm)

        assert carried(reply, heard, pcm.DOWNLINK_HZ) >= THROUGH_THE_AIR
        [session] = service.sessions
        assert understood(words, bytes(session.audio), pcm.UPLINK_HZ) > 0.9
        [turn] = session.turns
        assert turn.kind == "speech"

        code, took = await daemon.leave()
        daemon.take_notice()
        assert daemon.told[-1] == "STOPPING=1"
        journal = daemon.journal

    assert code == 0
    assert took < LEAVING_S
    assert re.search(r"turn 1: .*the answer lasted [\d.]+ s and was heard to its end", journal)
    assert "stopped" in journal
    assert service.key.get_secret_value() not in journal
    assert service.connections[0].close_received == 1000, "hung up with a proper close"


async def test_stopping_while_the_kiosk_speaks(tmp_path: Path, sound_server: SoundServer) -> None:
    async with talking_kiosk(tmp_path, sound_server, murmur(20.0, pcm.DOWNLINK_HZ)) as (daemon, _service):
        await asyncio.to_thread(sound_server.inject, silence(0.3) + question() + silence(1.0))
        await daemon.shows(STATUS[KioskStatus.SPEAKING])

        assert_left_in_time(await daemon.leave(), daemon)


async def test_stopping_while_the_service_has_frozen(tmp_path: Path, sound_server: SoundServer) -> None:
    async with talking_kiosk(tmp_path, sound_server, murmur(1.0, pcm.DOWNLINK_HZ)) as (daemon, service):
        service.inject(FaultAction(do="freeze"))
        await happens(service, "fault", daemon)

        assert_left_in_time(await daemon.leave(), daemon)


async def test_stopping_while_the_service_reads_nothing(tmp_path: Path, sound_server: SoundServer) -> None:
    async with talking_kiosk(tmp_path, sound_server, murmur(1.0, pcm.DOWNLINK_HZ)) as (daemon, service):
        service.inject(FaultAction(do="stop_reading"))
        await happens(service, "fault", daemon)
        noise = np.random.default_rng(3).normal(0, 3000, 30 * pcm.UPLINK_HZ).astype("<i2").tobytes()
        with sound_server.injector() as microphone:
            assert microphone.stdin
            feeding = asyncio.create_task(asyncio.to_thread(microphone.stdin.write, noise))
            try:
                await piled_up(int(service.endpoint.rpartition(":")[2]))
                assert_left_in_time(await daemon.leave(), daemon)
            finally:
                microphone.kill()
                await asyncio.wait([feeding])


async def piled_up(port: int) -> None:
    """Wait until more than a second of sound waits for the peer at `port`, which reads nothing."""
    async with asyncio.timeout(PATIENCE_S):
        while unsent(port) < 64 * 1024:  # noqa: ASYNC110 - the kernel tells nobody: it must be asked
            await asyncio.sleep(0.1)


def unsent(port: int) -> int:
    """Return how many bytes the kernel holds for the peer at this loopback port (proc(5), /proc/net/tcp)."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    peer = f"0100007F:{port:04X}"
    return sum(int(row[4].partition(":")[0], 16) for row in rows if row[2] == peer)


async def test_stopping_while_a_dial_is_not_answered(tmp_path: Path, sound_server: SoundServer) -> None:
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        settings = always_on(f"https://127.0.0.1:{listener.getsockname()[1]}")
        environ = {**sound_server.environ, "GEMINI_API_KEY": "any"}
        async with daemon_process(tmp_path, settings, environ) as daemon:
            async with asyncio.timeout(PATIENCE_S):
                caller, _ = await loop.sock_accept(listener)
            with caller:
                assert_left_in_time(await daemon.leave(), daemon)


async def test_stopping_before_the_daemon_is_ready(tmp_path: Path, sound_server: SoundServer) -> None:
    environ = {**sound_server.environ, "GEMINI_API_KEY": "any"}
    async with daemon_process(tmp_path, always_on("https://127.0.0.1:1"), environ) as daemon:
        await daemon.shows(STATUS[KioskStatus.STARTING])

        assert_left_in_time(await daemon.leave(), daemon)


async def test_a_service_manager_that_hangs_does_not_delay_a_conversation(
    tmp_path: Path, sound_server: SoundServer
) -> None:
    async with Simulator(ServiceScript(replies=(Reply(silent=True),))) as service:
        settings = always_on(service.endpoint, service.ca_file)
        environ = surroundings(sound_server, service)
        async with daemon_process(tmp_path, settings, environ, heeded=False) as daemon:
            await happens(service, "setup_complete", daemon)

            assert_left_in_time(await daemon.leave(), daemon)


def assert_left_in_time(left: tuple[int, float], daemon: DaemonProcess) -> None:
    code, took = left
    assert code == 0, daemon.journal
    assert took < LEAVING_S, daemon.journal


async def test_a_wrong_configuration_ends_with_its_own_exit_code(tmp_path: Path) -> None:
    async with daemon_process(tmp_path, {"speaker": {"volum": 50}}, {}) as daemon:
        assert await daemon.ended() == 78
        assert "did you mean volume?" in daemon.journal
        await daemon.tells(lambda said: said.startswith("STATUS=") and "did you mean volume?" in said)
        assert "Traceback" not in daemon.journal


async def test_a_missing_key_ends_with_its_own_exit_code(tmp_path: Path) -> None:
    async with daemon_process(tmp_path, always_on("https://127.0.0.1:1"), {}) as daemon:
        assert await daemon.ended() == 78
        assert "GEMINI_API_KEY" in daemon.journal
        await daemon.shows("service key: there is none")
        assert "Traceback" not in daemon.journal


async def test_a_kiosk_without_devices_says_so_and_waits_for_them(tmp_path: Path) -> None:
    asound = tmp_path / "asound.conf"
    asound.write_text('pcm.default { type pulse server "unix:/nonexistent" }\n')
    environ = {"ALSA_CONFIG_PATH": str(asound), "GEMINI_API_KEY": "any"}
    async with daemon_process(tmp_path, always_on("https://127.0.0.1:1"), environ) as daemon:
        await daemon.shows(STATUS[KioskStatus.FAULT])
        await daemon.tells("READY=1")
        daemon.told.clear()
        await daemon.tells("WATCHDOG=1")

        assert "code=D1" in daemon.journal
        assert daemon.journal.count("microphone lost") == 1
        assert_left_in_time(await daemon.leave(), daemon)


async def test_a_bug_ends_the_daemon_with_its_own_exit_code(
    tmp_path: Path, sound_server: SoundServer
) -> None:
    """A library that breaks its contract plays the bug."""
    (tmp_path / "webrtcvad.py").write_text(
        "class Vad:\n"
        "    def __init__(self, mode): pass\n"
        "    def is_speech(self, frame, rate): return 1 / 0\n"
    )  # fmt: skip
    environ = {**sound_server.environ, "GEMINI_API_KEY": "any", "PYTHONPATH": str(tmp_path)}
    async with daemon_process(tmp_path, always_on("https://127.0.0.1:1"), environ) as daemon:
        assert await daemon.ended() == 70
        assert "ZeroDivisionError" in daemon.journal
        await daemon.shows("Ended by a bug")


async def test_an_unplugged_microphone_is_shown_and_causes_no_restart(
    tmp_path: Path, sound_server: SoundServer
) -> None:
    async with talking_kiosk(tmp_path, sound_server, murmur(1.0, pcm.DOWNLINK_HZ)) as (daemon, _service):
        await daemon.tells("WATCHDOG=1")
        sound_server.unplug("mic")
        try:
            await daemon.tells(
                lambda said: said.startswith(f"STATUS={STATUS[KioskStatus.FAULT]}") and "code D1" in said
            )
            for _ in range(3):  # it is fed three times in its deadline
                daemon.told.clear()
                await daemon.tells("WATCHDOG=1")
        finally:
            daemon.told.clear()  # before: the kiosk may report its return before the server does
            await asyncio.to_thread(sound_server.replug, "mic")
        await daemon.shows(STATUS[KioskStatus.LISTENING])
        daemon.told.clear()
        await daemon.tells("WATCHDOG=1")


async def test_a_conversation_goes_on_over_a_broken_connection(
    tmp_path: Path, sound_server: SoundServer
) -> None:
    async with talking_kiosk(tmp_path, sound_server, murmur(1.0, pcm.DOWNLINK_HZ)) as (daemon, service):
        asked = silence(0.3) + question() + silence(1.2)
        await asyncio.to_thread(sound_server.inject, asked)
        await daemon.shows(STATUS[KioskStatus.SPEAKING])
        await happens(service, "turn_complete", daemon)
        daemon.told.clear()
        await daemon.shows(STATUS[KioskStatus.LISTENING])

        service.inject(FaultAction(do="abort"))
        await happens(service, "setup_complete", daemon, nth=2)
        with sound_server.record() as recording:
            await asyncio.to_thread(sound_server.inject, asked)
            await daemon.shows(STATUS[KioskStatus.SPEAKING])
            so_far = len(recording.pcm)
            await asyncio.to_thread(recording.wait_bytes, so_far + pcm.byte_count(1.5, pcm.DOWNLINK_HZ))
            heard = bytes(recording.pcm)

        assert carried(murmur(1.0, pcm.DOWNLINK_HZ), heard, pcm.DOWNLINK_HZ) >= THROUGH_THE_AIR
        assert [connection.resumed for connection in service.connections] == [False, True]
        [session] = service.sessions
        assert [turn.reply for turn in session.turns] == ["spoken", "spoken"]
