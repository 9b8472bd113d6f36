"""The check of announcements: a voice that works, one that does not, and none."""

from pathlib import Path

import pytest
from tests.prompts.test_speech import wav

from kioskd.doctor.announcements import announcements
from kioskd.doctor.context import CheckContext
from kioskd.doctor.finding import Verdict
from kioskd.settings.model import Settings


def context(**section: object) -> CheckContext:
    return CheckContext(Settings.model_validate({"announcements": section}))


def script(folder: Path, text: str) -> dict[str, object]:
    """Return the settings of a voice program."""
    program = folder / "voice"
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)
    return {"argv": (str(program),), "sandbox": False}


async def test_without_announcements_nothing_is_checked() -> None:
    (found,) = await announcements(context())
    assert found.verdict is Verdict.SKIPPED


async def test_espeak_speaks_each_language_of_the_schedule() -> None:
    schedule = ({"at": "12:00", "say": "Hello.", "language": "de-DE"}, {"at": "13:00", "say": "Hello."})
    (found,) = await announcements(context(schedule=schedule))
    assert found.verdict is Verdict.OK
    assert found.said == "planned 2 times of the day; espeak-ng speaks de-DE, en-US"


async def test_a_language_that_no_voice_knows_is_a_fault() -> None:
    (found,) = await announcements(context(schedule=({"at": "12:00", "say": "Hi.", "language": "qq-QQ"},)))
    assert found.fault == "announcement-unspoken"
    assert found.remedy


async def test_recordings_need_no_voice(tmp_path: Path) -> None:
    (found,) = await announcements(context(schedule=({"at": "12:00", "file": tmp_path / "bell.wav"},)))
    assert found.said == "planned 1 times of the day; recordings only"


async def test_a_voice_program_that_speaks_is_in_order(tmp_path: Path) -> None:
    (tmp_path / "voice.wav").write_bytes(wav())
    remark, found = await announcements(context(voice=script(tmp_path, f"cat {tmp_path}/voice.wav")))
    assert (remark.verdict, found.verdict) == (Verdict.NOTE, Verdict.OK)
    assert "can read the key" in remark.said
    assert found.said.endswith("the voice program speaks en-US")


@pytest.mark.parametrize(("text", "why"), [("exit 3", "ended with code 3"), ("echo hello", "printed no WAV")])
async def test_a_voice_program_that_fails_is_a_fault(tmp_path: Path, text: str, why: str) -> None:
    _, found = await announcements(context(voice=script(tmp_path, text)))
    assert found.fault == "announcement-voice-broken"
    assert why in found.said
    assert "espeak-ng speaks" in (found.remedy or "")
