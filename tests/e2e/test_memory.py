"""Tests of the memory in which a whole kiosk works."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from tests.e2e.test_run import question, write_wav
from tests.support.daemon_process import always_on, daemon_process, surroundings
from tests.support.kiosk import silence
from tests.support.likeness import murmur
from tests.support.memory_group import memory_group, missing
from tests.support.pictures import encoded, quarters
from tests.support.sound_server import SoundServer
from tests.support.until import until

from kioskd.core.effects import KioskStatus
from kioskd.flow.reporting.journal import STATUS
from kioskd.media import pcm
from kioskd.simulator import Reply, ServiceScript, Simulator

MOST_BYTES: Final = 200 * 2**20
"""Less than half of the memory of a Raspberry Pi Zero 2 W."""

pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))


def test_the_kernel_ends_what_needs_more_memory() -> None:
    greedy = f"import sys; sys.stdin.read(1); len(b'x' * {2 * MOST_BYTES})"
    with (
        memory_group(MOST_BYTES) as group,
        subprocess.Popen([sys.executable, "-c", greedy], stdin=subprocess.PIPE) as process,
    ):
        group.take(process.pid)
        process.communicate(b"x", timeout=60)
        assert process.returncode == -9


async def test_a_conversation_with_pictures_fits_into_200_mb(
    tmp_path: Path, sound_server: SoundServer
) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(3):
        (pictures / f"{number}.jpg").write_bytes(encoded(quarters(1920, 1080)))
    reply = Reply(wav=write_wav(tmp_path / "reply.wav", murmur(1.5, pcm.DOWNLINK_HZ)))
    async with Simulator(ServiceScript(replies=(reply,), think_s=0.2, silence_ms=900)) as service:
        settings = always_on(
            service.endpoint,
            service.ca_file,
            camera={"source": f"folder:{pictures}", "when": "conversation", "min_change": 0},
        )
        with memory_group(MOST_BYTES) as group:
            async with (
                sound_server.quiet_room(),
                daemon_process(tmp_path, settings, surroundings(sound_server, service)) as daemon,
            ):
                group.take(daemon.pid)
                await daemon.shows(STATUS[KioskStatus.LISTENING])
                await asyncio.to_thread(sound_server.inject, silence(0.5) + question() + silence(1.0))
                await daemon.shows(STATUS[KioskStatus.SPEAKING])
                await until(lambda: len(service.sessions[0].pictures) >= 3)
                code, _ = await daemon.leave()
            assert code == 0
            assert group.peak_bytes < MOST_BYTES, "the kernel never had to take memory back"
