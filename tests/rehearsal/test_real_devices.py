"""A rehearsal with PortAudio's devices and a person, whose part a sound server plays."""

import asyncio
from pathlib import Path

from tests.support.sound_server import SoundServer

from kioskd.media import pcm
from kioskd.rehearsal.run import rehearse
from kioskd.rehearsal.scenario import load_scenario
from kioskd.rehearsal.speech import load_speeches
from kioskd.settings.model import Settings

QUESTION = Path("/usr/share/sounds/alsa/Front_Center.wav")
SCENARIO = f"""
name: a person asks
settings:
  conversation: {{wake: [button], idle_s: 3}}
  microphone: {{echo: hardware}}
  speaker: {{cues: false}}
visitor:
  - press
  - wait: {{for: listening}}
  - say: {QUESTION}
  - wait: {{for: reply_heard}}
service: {{replies: [{{text: "I heard you."}}]}}
expect:
  - {{what: replies_heard, is: 1}}
  - {{what: uplink_lost_ms, is: 0}}
  - {{what: uplink_foreign_ms, is: 0}}
longest_s: 45
"""


async def test_a_person_is_told_what_to_do_and_is_heard(tmp_path: Path, sound_server: SoundServer) -> None:
    (tmp_path / "scenario.yaml").write_text(SCENARIO)
    scenario = load_scenario(tmp_path / "scenario.yaml")
    speech = load_speeches([QUESTION])[QUESTION]
    asked = asyncio.Event()

    def tell(line: str) -> None:
        if "please: say “Front Center”" in line:
            asked.set()

    async def person() -> None:
        await asked.wait()
        await asyncio.to_thread(sound_server.inject, speech.sound)

    async with asyncio.TaskGroup() as group:
        group.create_task(person())
        rehearsed = await rehearse(Settings(), scenario, tmp_path / "out", real_devices=True, tell=tell)

    summary, record = rehearsed.summary, rehearsed.record
    assert summary.met, [expectation.text for expectation in summary.expectations if not expectation.met]
    (received,) = record.received
    assert bytes(received) in b"".join(record.track.frames)
    assert record.heard.first_audible(record.start, record.end) is not None
    assert len(record.heard.sound) > pcm.byte_count(2, pcm.DOWNLINK_HZ)
