"""A rehearsal with PortAudio's devices and a person, who is played by a sound server."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.support.sound_server import SoundServer

from kioskd.media import pcm
from kioskd.rehearsal.default_scenarios import guided
from kioskd.rehearsal.fake_microphone import load_speeches
from kioskd.rehearsal.run import rehearse
from kioskd.rehearsal.scenario import load_scenario
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


async def test_a_person_gets_requests_and_is_heard(tmp_path: Path, sound_server: SoundServer) -> None:
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


# Without a scenario a person is guided through a conversation


def asked_of(**sections: Any) -> list[str]:
    """Return the requests to a person in front of a kiosk with these settings, in order."""
    steps = guided(Settings.model_validate(sections)).visitor
    return [step.please or f"kioskd {step.command}" for step in steps if step.please or step.command]


BUTTON = {"button": {"source": "gpio:pi/17"}}
TWO = {"buttons": ({"source": "gpio:pi/4", "does": "mute"}, {"source": "gpio:pi/17"})}
HELD = {"button": {"source": "gpio:pi/17", "does": "hold"}}


@pytest.mark.parametrize(
    ("sections", "first"),
    [
        ({}, "kioskd wake"),
        ({"controls": BUTTON}, "press the button now"),
        ({"controls": TWO}, "press the button gpio:pi/17 now"),
        ({"controls": HELD}, "press the button and hold it, say something, and release it"),
        ({"conversation": {"wake": ("voice",)}}, "say something now, as a voice wakes the kiosk"),
        ({"conversation": {"wake": ("wakeword",)}}, "say “okay nabu” now, to wake the kiosk"),
        ({"conversation": {"wake": ("start",)}}, "say something now, for example a short question"),
    ],
)
def test_a_person_is_first_asked_to_wake_the_kiosk(sections: dict[str, Any], first: str) -> None:
    assert asked_of(**sections)[0] == first


def test_a_person_is_greeted_if_the_owner_set_a_greeting() -> None:
    assert "listen: it greets you" not in asked_of()
    assert asked_of(assistant={"greeting": "Say hello."})[1] == "listen: it greets you"


def test_with_a_person_the_owners_microphone_settings_stay() -> None:
    assert "microphone" not in guided(Settings()).settings.model_fields_set
    assert "interruptions" not in guided(Settings()).settings.conversation.model_fields_set


async def test_a_person_who_follows_the_requests_meets_all_expectations(
    tmp_path: Path, sound_server: SoundServer
) -> None:
    own = Settings()
    speech = load_speeches([QUESTION])[QUESTION]
    told: list[str] = []
    asked: asyncio.Queue[None] = asyncio.Queue()

    def tell(line: str) -> None:
        told.append(line.strip())
        if line.strip().startswith(">>> say something"):
            asked.put_nowait(None)

    async def person() -> None:
        for _ in range(2):
            await asked.get()
            await asyncio.to_thread(sound_server.inject, speech.sound)

    async with asyncio.timeout(120), sound_server.quiet_room(), asyncio.TaskGroup() as group:
        group.create_task(person())
        rehearsed = await rehearse(own, guided(own), tmp_path / "out", real_devices=True, tell=tell)

    summary = rehearsed.summary
    assert summary.met, [expectation.text for expectation in summary.expectations if not expectation.met]
    assert [line for line in told if line.startswith(">>>")] == [
        ">>> say something now, for example a short question",
        ">>> listen …",
        ">>> say something else now, for example a short question",
        ">>> listen …",
        ">>> that was all, thank you: the conversation ends now",
    ]
