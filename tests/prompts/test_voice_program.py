"""A voice program of the owner: its input, its limits, and its faults."""

import sys
from pathlib import Path

import pytest
from tests.prompts.test_speech import wav

from kioskd.adapters.clock import SystemClock
from kioskd.adapters.espeak import RenderingFailed
from kioskd.prompts.voice_program import VoiceProgram
from kioskd.tools.program import Program


def program(script: str, *, deadline_s: float = 20.0) -> VoiceProgram:
    argv = [sys.executable, "-I", "-c", f"import os, sys, time; {script}"]
    return VoiceProgram(Program(argv, Path("/"), {}), SystemClock(), deadline_s=deadline_s)


async def test_the_program_gets_text_and_language_and_its_sound_comes_back(tmp_path: Path) -> None:
    (tmp_path / "voice.wav").write_bytes(wav())
    seen = tmp_path / "seen"
    script = (
        f"open({str(seen)!r}, 'w').write(repr((sys.stdin.read(), os.environ['KIOSKD_LANGUAGE'], sys.argv)));"
        f"sys.stdout.buffer.write(open({str(tmp_path / 'voice.wav')!r}, 'rb').read())"
    )
    assert await program(script).render("Grüß Gott.", "de-AT") == wav()
    assert seen.read_text() == repr(("Grüß Gott.\n", "de-AT", ["-c"]))


async def test_the_program_gets_nothing_of_the_daemons_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "secret")
    seen = tmp_path / "seen"
    script = f"open({str(seen)!r}, 'w').write(repr(sorted(os.environ))); print('RIFF')"
    await program(script).render("Hello.", "en")
    assert set(eval(seen.read_text())) - {"LC_CTYPE"} == {"KIOSKD_LANGUAGE", "LANG", "PATH"}


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("sys.exit(3)", "ended with code 3"),
        ("print('Hello.')", "printed no WAV"),
        ("time.sleep(60)", "took longer than 0.5 s"),
        ("sys.stdout.buffer.write(bytes(13_000_000))", "printed more than 12 MB"),
    ],
)
async def test_a_program_that_fails_is_named_with_its_fault(script: str, why: str) -> None:
    deadline_s = 0.5 if "sleep" in script else 20.0
    with pytest.raises(RenderingFailed, match=f"announcements.voice: {sys.executable} {why}"):
        await program(script, deadline_s=deadline_s).render("Secret words.", "en")


async def test_a_missing_program_is_named() -> None:
    missing = VoiceProgram(Program(["/none/voice"], Path("/"), {}), SystemClock())
    with pytest.raises(RenderingFailed, match="/none/voice cannot be started: No such file"):
        await missing.render("Hello.", "en")
