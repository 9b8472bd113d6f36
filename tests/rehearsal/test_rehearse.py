"""Rehearsals from end to end: the whole daemon, the real SDK, TLS on loopback, recordings of a voice."""

import asyncio
import json
from pathlib import Path

import pytest
from pydantic import SecretStr

from kioskd.adapters.clock import SystemClock
from kioskd.errors import ConfigError, DeviceLost, KioskError
from kioskd.media import pcm
from kioskd.media.mix import FADE_MS
from kioskd.rehearsal import report
from kioskd.rehearsal.alignment import Gate
from kioskd.rehearsal.environment import scripted_environment
from kioskd.rehearsal.run import RehearsalEnding, perform, rehearse
from kioskd.rehearsal.scenario import Scenario, load_scenario
from kioskd.rehearsal.script_player import ScriptPlayer
from kioskd.settings.model import Settings
from kioskd.simulator.tts import SpeechRenderer

SHORT = """
name: a short conversation
settings:
  assistant: {greeting: Say hello.}
  conversation: {wake: [button], idle_s: 3}
  microphone: {echo: hardware, preroll_ms: 300}
  speaker: {volume: 100, cues: false}
visitor:
  - pause_s: 0.5
  - press
  - wait: {for: greeting_heard}
  - say: /usr/share/sounds/alsa/Front_Center.wav
  - interrupt: /usr/share/sounds/alsa/Side_Right.wav
  - wait: {for: reply_heard}
  - wait: {for: asleep}
  - pause_s: 0.3
service:
  replies:
    - {text: "Hello."}
    - {text: "Nobody will hear the end of this sentence, because somebody will speak before it is over."}
    - {text: "I see."}
expect:
  - {what: conversations, is: 1}
  - {what: connections, is: 1}
  - {what: replies_heard, is: 2}
  - {what: replies_interrupted, is: 1}
  - {what: uplink_lost_ms, is: 0}
  - {what: uplink_duplicated_ms, is: 0}
  - {what: uplink_reordered_ms, is: 0}
  - {what: uplink_unasked_ms, is: 0}
  - {what: uplink_foreign_ms, is: 0}
  - {what: first_word_lost_ms, is: 0}
  - {what: wake_to_uplink_ms, at_most: 3000}
  - {what: barge_in_to_silence_ms, at_most: 1500}
longest_s: 50
"""


def scenario_of(folder: Path, text: str) -> Scenario:
    path = folder / "scenario.yaml"
    path.write_text(text)
    return load_scenario(path)


async def test_a_conversation_goes_as_expected_and_every_sample_is_accounted_for(tmp_path: Path) -> None:
    scenario = scenario_of(tmp_path, SHORT)
    lines: list[str] = []

    rehearsed = await rehearse(Settings(), scenario, tmp_path / "out", tell=lines.append)

    summary, record = rehearsed.summary, rehearsed.record
    assert summary.met, [expectation.text for expectation in summary.expectations if not expectation.met]

    # Uplink: the service received the microphone's track from the pre-roll to the sleep, without a hole.
    (received,) = record.received
    first = record.gates[0].at_frame - 300 // pcm.FRAME_MS
    (asleep,) = [change.at_frame for change in record.gates if change.gate is Gate.PREROLL]
    track = b"".join(record.track.frames[first:asleep])
    assert track.startswith(bytes(received))
    # Only frames on their way at the moment of falling asleep may be missing.
    assert len(track) - len(received) <= 2 * pcm.FRAME_BYTES

    # Downlink: the heard sound is the sent sound, sample by sample, without flushed parts; the rest is
    # silence.
    voice = SpeechRenderer(scenario.service.voice)
    await voice.prepare(scenario.service.replies)
    hello, cut_short, i_see = (voice.sound_of(reply) for reply in scenario.service.replies)
    heard = bytes(record.heard.sound)
    first_end = heard.index(hello) + len(hello)
    last_start = heard.index(i_see, first_end)
    assert not any(heard[: heard.index(hello)])
    assert not any(heard[last_start + len(i_see) :])
    between = heard[first_end:last_start]
    cut_start = between.index(cut_short[: pcm.byte_count(0.7, pcm.DOWNLINK_HZ)])
    assert not any(between[:cut_start])
    kept = len(between[cut_start:].rstrip(b"\0"))
    fade = pcm.byte_count(FADE_MS / 1000, pcm.DOWNLINK_HZ)
    untouched = kept - fade - pcm.SAMPLE_BYTES
    assert 0 < kept < len(cut_short)
    assert between[cut_start : cut_start + untouched] == cut_short[:untouched]

    # The report, and the lines during the rehearsal.
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(report.FILES)
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["replies_heard"] == 2
    assert any("speaking: “Hello.”" in line for line in lines)
    assert any("interrupts with “Side Right”" in line for line in lines)


async def test_a_wait_in_vain_fails_the_rehearsal_and_names_the_step(tmp_path: Path) -> None:
    scenario = scenario_of(
        tmp_path, "name: x\nvisitor: [{pause_s: 0.1}, {wait: {for: speaking, at_most_s: 0.2}}]"
    )
    summary = (await rehearse(Settings(), scenario, tmp_path / "out")).summary
    assert not summary.met
    assert summary.exit_code == 0
    assert summary.trouble is not None
    assert "step 2 of visitor: waited 0.2 s in vain for speaking: the kiosk shows asleep" in summary.trouble
    assert (tmp_path / "out" / "timeline.png").exists()


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("press: 3", "step 1 of visitor: there is no button 3; use one of 1, or add it to controls.buttons"),
        (
            "command: look",
            "step 1 of visitor: look: the kiosk refuses: the kiosk has no camera; set camera.source",
        ),
    ],
)
async def test_a_step_that_cannot_be_done_fails_the_rehearsal(tmp_path: Path, step: str, words: str) -> None:
    scenario = scenario_of(tmp_path, f"name: x\nvisitor: [{{{step}}}]")
    summary = (await rehearse(Settings(), scenario, tmp_path / "out")).summary
    assert summary.exit_code == 0
    assert summary.trouble is not None
    assert words in summary.trouble


async def test_a_rehearsal_ends_when_its_time_is_over(tmp_path: Path) -> None:
    scenario = scenario_of(tmp_path, "name: x\nvisitor: [{pause_s: 60}]\nlongest_s: 1")
    summary = (await rehearse(Settings(), scenario, tmp_path / "out")).summary
    assert not summary.met
    assert summary.trouble == "the script did not end within longest_s (1 s)"


async def test_a_cancelled_rehearsal_leaves_its_report(tmp_path: Path) -> None:
    scenario = scenario_of(tmp_path, "name: x\nvisitor: [press, {pause_s: 60}]")
    going_on = asyncio.Event()
    rehearsing = asyncio.get_running_loop().create_task(
        rehearse(Settings(), scenario, tmp_path / "out", tell=lambda _line: going_on.set())
    )
    async with asyncio.timeout(60):
        await going_on.wait()
    rehearsing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await rehearsing
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["trouble"] == "interrupted"


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [(DeviceLost("microphone: gone; plug it in"), 69), (ConfigError("speaker.device: none; name one"), 78)],
)
async def test_an_error_that_ends_the_daemon_is_in_the_summary(
    tmp_path: Path, error: KioskError, exit_code: int
) -> None:
    async def daemon() -> None:
        raise error

    scenario = scenario_of(tmp_path, "name: x\nvisitor: [{pause_s: 60}]")
    environment = scripted_environment(Settings(), SecretStr("none"), tmp_path)
    ending = RehearsalEnding()
    await perform(scenario, daemon(), ScriptPlayer(environment, {}), SystemClock(), ending)
    assert (ending.exit_code, ending.trouble) == (exit_code, str(error))


async def test_a_bug_of_the_daemon_is_not_hidden(tmp_path: Path) -> None:
    async def daemon() -> None:
        raise ZeroDivisionError("a bug")

    scenario = scenario_of(tmp_path, "name: x\nvisitor: [{pause_s: 60}]")
    environment = scripted_environment(Settings(), SecretStr("none"), tmp_path)
    ending = RehearsalEnding()
    with pytest.raises(ExceptionGroup):
        await perform(scenario, daemon(), ScriptPlayer(environment, {}), SystemClock(), ending)
    assert ending.exit_code == 70
