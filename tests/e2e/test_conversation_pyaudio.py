"""The demo's conversation over PyAudio: real capture and playback, the real SDK, and a human voice."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import numpy as np
import pytest
from tests.support.kiosk import running
from tests.support.likeness import place_s, understood
from tests.support.sound_server import SPEAKER_HZ, Recording, SoundServer

from kioskd.media import pcm
from kioskd.rehearsal import run
from kioskd.rehearsal.fake_microphone import NOISE_LSB, SpeechRecording, load_speeches
from kioskd.rehearsal.fake_speaker import AUDIBLE
from kioskd.rehearsal.scenario import load_scenario
from kioskd.settings.model import Settings
from kioskd.simulator.tts import SpeechRenderer

DEMO: Final = Path(run.__file__).parent / "demo.yaml"
BY_THE_SCRIPT_ALONE: Final = frozenset({"end_of_speech_to_sound_ms", "barge_in_to_silence_ms"})
"""Measures that a rehearsal has only with its own fake speaker. Here the monitor of the sound card has
them."""
SILENT_WITHIN_S: Final = 3.0
"""Seconds from the order to speak to the reply's last sound at the monitor. It includes starting a player."""


class Person:
    """Speaks when the rehearsal asks for it."""

    def __init__(self, sound: SoundServer, speeches: Iterable[SpeechRecording]) -> None:
        self.wished_to_interrupt = 0.0
        """Time of each utterance, in seconds of the monotonic clock."""
        self._sound = sound
        self._speeches = {speech.name: speech.sound for speech in speeches}
        self._asked: asyncio.Queue[str] = asyncio.Queue()

    def tell(self, line: str) -> None:
        """Read a line of the rehearsal's output."""
        if "please: " in line:
            self._asked.put_nowait(line)

    async def speak(self) -> None:
        """Obey the rehearsal until cancelled."""
        while True:
            asked = await self._asked.get()
            if "interrupt" in asked:
                self.wished_to_interrupt = time.monotonic()
            name = asked.partition("“")[2].partition("”")[0]
            await asyncio.to_thread(self._sound.inject, self._speeches[name])


@asynccontextmanager
async def room(sound: SoundServer) -> AsyncIterator[None]:
    """Have the microphone hear a quiet room with real noise: no two frames are alike."""
    noise = np.random.default_rng(7).integers(
        -NOISE_LSB, NOISE_LSB, 120 * pcm.UPLINK_HZ, np.int16, endpoint=True
    )
    first, rest = np.split(noise, [3 * pcm.UPLINK_HZ])
    with suppress(BrokenPipeError), sound.injector(latency_ms=500) as air:
        assert air.stdin
        # More than the pipe and the player hold, so that it is playing when all of it is written.
        await asyncio.to_thread(air.stdin.write, first.tobytes())
        breathing = asyncio.create_task(asyncio.to_thread(air.stdin.write, rest.tobytes()))
        try:
            yield
        finally:
            air.kill()
            await asyncio.wait([breathing])
            breathing.result()


def arrived_at(recording: Recording, byte: int) -> float:
    """Return the monotonic second at which a byte of the recording had arrived."""
    counted = 0
    for moment, count in recording.arrived:
        counted += count
        if counted > byte:
            return moment
    raise AssertionError(f"byte {byte} is behind the recording's end")


def last_sound(recording: bytes, *, before_s: float) -> int:
    """Return the last audible sample before a second of the recording."""
    samples = np.frombuffer(recording[: len(recording) & ~1], "<i2")
    return int(
        np.flatnonzero(np.abs(samples[: round(before_s * SPEAKER_HZ)].astype(np.int32)) >= AUDIBLE)[-1]
    )


@pytest.mark.timeout(600)
async def test_the_demos_conversation_meets_its_expectations_with_real_sound_devices(
    tmp_path: Path, sound_server: SoundServer
) -> None:
    demo = load_scenario(DEMO)
    demo = demo.model_copy(
        update={"expect": tuple(wish for wish in demo.expect if wish.what not in BY_THE_SCRIPT_ALONE)}
    )
    person = Person(sound_server, load_speeches(demo.recordings).values())

    with sound_server.record() as recording:
        async with room(sound_server), running(person.speak()):
            rehearsed = await run.rehearse(
                Settings(), demo, tmp_path / "out", real_devices=True, tell=person.tell
            )
    monitored = bytes(recording.pcm)

    # As the demo expects: three replies heard, one silenced, one connection, and the whole uplink.
    summary, record = rehearsed.summary, rehearsed.record
    assert summary.met, [wish.text for wish in summary.expectations if not wish.met]
    assert (summary.sessions, summary.greetings) == (1, 1)
    assert record.find("kiosk", "shows")[-1].data["state"] == "asleep"
    [received] = record.received
    chimed = pcm.byte_count(2.0, pcm.UPLINK_HZ)  # whose pitches are removed from the captured sound
    assert bytes(received[chimed:]) in b"".join(record.track.frames), (
        "the uplink is one piece of what was captured"
    )

    # At the monitor: all replies of the model, in order.
    voice = SpeechRenderer(demo.service.voice)
    await voice.prepare(demo.service.replies)
    greeting, answer, story, correction = (voice.sound_of(reply) for reply in demo.service.replies)
    for words in (greeting, answer, correction):
        assert understood(words, monitored, SPEAKER_HZ) > 0.95
    opening = story[: pcm.byte_count(0.7, SPEAKER_HZ)]
    begins = [place_s(words, monitored, SPEAKER_HZ) for words in (greeting, answer, opening, correction)]
    assert begins == sorted(begins)

    # The story goes on up to the barge-in. Then there is silence until the visitor has been understood.
    end = last_sound(monitored, before_s=begins[3])
    told_s = end / SPEAKER_HZ - begins[2]
    assert told_s < pcm.duration_s(len(story), SPEAKER_HZ) / 2
    told = story[: pcm.byte_count(told_s - 0.05, SPEAKER_HZ)]
    assert understood(told, monitored, SPEAKER_HZ) > 0.9
    took_s = arrived_at(recording, end * pcm.SAMPLE_BYTES) - person.wished_to_interrupt
    assert 0 < took_s < SILENT_WITHIN_S
