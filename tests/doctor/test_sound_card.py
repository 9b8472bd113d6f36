"""The checks of microphone, speaker and echo with PyAudio on the virtual sound card, in real time."""

import contextlib
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import numpy as np
import pytest
from tests.doctor.planting import faults
from tests.support.sound_server import SoundServer

from kioskd.doctor.checks import CHECKS, examine
from kioskd.doctor.context import CheckContext
from kioskd.doctor.finding import Finding, Verdict
from kioskd.doctor.machine import Machine
from kioskd.media import pcm
from kioskd.settings.model import Settings

SOUND: Final = [check for check in CHECKS if check.name in ("microphone", "speaker", "echo")]


@contextlib.contextmanager
def hiss(sound: SoundServer, level: float) -> Iterator[None]:
    """Play noise to the microphone until the block ends, for a minute at most."""
    noise = np.random.default_rng(1).normal(0, level, 60 * pcm.UPLINK_HZ)
    data = np.clip(np.rint(noise), -32768, 32767).astype("<i2").tobytes()
    with sound.injector(latency_ms=500) as process, ThreadPoolExecutor(1) as feeder:
        assert process.stdin
        feeding = feeder.submit(process.stdin.write, data)
        try:
            yield
        finally:
            process.kill()
            with contextlib.suppress(BrokenPipeError):
                feeding.result()


async def examined(**sections: dict[str, object]) -> list[Finding]:
    """Return the findings; check again if a busy machine has torn the sound of the virtual card."""
    findings = await examined_once(**sections)
    for _ in range(2):
        if any((fault or "").endswith("-rate") for _, fault in faults(findings)):
            findings = await examined_once(**sections)
    return findings


async def examined_once(**sections: dict[str, object]) -> list[Finding]:
    settings = Settings.model_validate({"speaker": {"volume": 90}, **sections})
    # On an empty machine no other daemon holds the card.
    with tempfile.TemporaryDirectory() as root:
        return await examine(CheckContext(settings, machine=Machine(Path(root))), checks=SOUND)


async def test_a_microphone_without_any_sound_is_a_fault(sound_server: SoundServer) -> None:
    sound_server.mend()
    findings = await examined()
    assert faults(findings) == [("microphone", "microphone-silent")]
    assert [one.verdict for one in findings if one.check == "speaker"] == [Verdict.OK]


async def test_a_device_name_that_no_card_has_is_reported_with_the_names_here(
    sound_server: SoundServer,
) -> None:
    findings = await examined(microphone={"device": "gooseneck"}, speaker={"device": "horn"})
    assert faults(findings) == [("microphone", "microphone-missing"), ("speaker", "speaker-missing")]
    assert "kioskmic" in findings[0].said
    assert "horn" in findings[1].said


async def test_a_speaker_that_the_microphone_hears_is_measured(sound_server: SoundServer) -> None:
    with hiss(sound_server, 30.0), sound_server.air(0.25):
        findings = await examined()
        for _ in range(2):
            findings = await examined() if faults(findings) else findings  # as above
    assert faults(findings) == []
    [microphone, speaker, echo] = findings
    assert microphone.figures["pace"] == pytest.approx(1.0, abs=0.04)
    assert speaker.verdict is Verdict.OK
    assert echo.figures["return_db"] == pytest.approx(-12, abs=2.5)
    # Two sound servers with a pipe in between.
    assert 30 < float(echo.figures["delay_ms"]) < 500
    assert echo.figures["recommended"] == "cancel"


async def test_a_speaker_that_the_microphone_does_not_hear_is_a_fault(sound_server: SoundServer) -> None:
    with hiss(sound_server, 30.0):
        findings = await examined()
    assert faults(findings) == [("echo", "speaker-not-heard")]


async def test_an_overdriven_microphone_is_a_fault(sound_server: SoundServer) -> None:
    with hiss(sound_server, 20_000.0):
        findings = await examined()
    assert faults(findings) == [("microphone", "microphone-clipped")]
