import asyncio
import io
import os
import shutil
import wave
from pathlib import Path

import pytest

from kioskd.adapters.espeak import Espeak, RenderingFailed

real = pytest.mark.skipif(
    shutil.which("espeak-ng") is None, reason="espeak-ng is missing; run `apt install espeak-ng`"
)


def program(tmp_path: Path, script: str) -> str:
    path = tmp_path / "renderer"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def seconds(wav: bytes) -> float:
    with wave.open(io.BytesIO(wav)) as read:
        return len(read.readframes(read.getnframes())) / (2.0 * float(read.getframerate()))


@real
async def test_a_sentence_is_spoken() -> None:
    wav = await Espeak().render("I cannot reach the internet.", "en-US")
    assert 1.0 < seconds(wav) < 4.0


@real
async def test_a_text_that_looks_like_an_option_is_spoken_too() -> None:
    assert seconds(await Espeak().render("--version", "en")) > 0.3


@real
async def test_an_unknown_region_falls_back_to_the_language() -> None:
    assert await Espeak().render("Guten Tag", "de-LI") == await Espeak().render("Guten Tag", "de")


@real
async def test_mandarin_is_spoken_without_english_numbers_for_its_tones() -> None:
    espeak = Espeak()
    assert await espeak.render("服务", "zh-CN") == await espeak.render("服务", "cmn-latn-pinyin")


@real
async def test_letters_beyond_ascii_change_the_sound() -> None:
    espeak = Espeak()
    assert await espeak.render("für", "de") != await espeak.render("fur", "de")


@real
async def test_an_unknown_language_is_reported() -> None:
    with pytest.raises(RenderingFailed, match=r"exit=1 .*voice does not exist.*--voices"):
        await Espeak().render("hello", "xx")


@real
async def test_the_version_is_the_same_each_time_and_names_no_path() -> None:
    version = await Espeak().version()
    assert version == await Espeak().version()
    assert "eSpeak" in version
    assert "/" not in version


async def test_a_missing_program_is_reported_with_its_remedy() -> None:
    with pytest.raises(
        RenderingFailed, match="no-such-espeak: it is not installed; run `apt install espeak-ng`"
    ):
        await Espeak("no-such-espeak").version()


async def test_a_program_that_cannot_be_started_is_reported(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_text("no program")
    with pytest.raises(RenderingFailed, match=r"cannot be started \(Permission denied\)"):
        await Espeak(str(broken)).version()


async def test_a_program_that_hangs_is_killed_at_the_deadline(tmp_path: Path) -> None:
    hangs = program(tmp_path, f"echo $$ > {tmp_path}/pid; exec sleep 100")
    async with asyncio.timeout(60):
        with pytest.raises(RenderingFailed, match=r"took longer than 0\.3 s"):
            await Espeak(hangs, deadline_s=0.3).render("hello", "en")
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


@pytest.mark.parametrize("then", ["wait", "exit 0"])
async def test_a_program_whose_child_keeps_the_pipes_open_is_killed_with_it(
    tmp_path: Path, then: str
) -> None:
    os.mkfifo(tmp_path / "alive")
    hangs = program(tmp_path, f"sleep 100 3> {tmp_path}/alive & {then}")
    async with asyncio.timeout(60):
        async with asyncio.TaskGroup() as group:
            child_ended = group.create_task(asyncio.to_thread((tmp_path / "alive").read_bytes))
            with pytest.raises(RenderingFailed, match=r"took longer than 0\.5 s"):
                await Espeak(hangs, deadline_s=0.5).render("hello", "en")
    assert child_ended.result() == b""


async def test_a_cancelled_rendering_leaves_no_process(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "begun")
    hangs = program(tmp_path, f"echo $$ > {tmp_path}/begun; exec sleep 100")
    async with asyncio.timeout(60):
        async with asyncio.TaskGroup() as group:
            rendering = group.create_task(Espeak(hangs).render("hello", "en"))
            pid = int(await asyncio.to_thread((tmp_path / "begun").read_text))
            rendering.cancel()
    assert rendering.cancelled()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_program_that_makes_no_sound_is_reported(tmp_path: Path) -> None:
    with pytest.raises(RenderingFailed, match="made no sound"):
        await Espeak(program(tmp_path, "cat > /dev/null")).render("hello", "en")


async def test_a_failing_program_is_reported_with_its_last_message(tmp_path: Path) -> None:
    fails = program(tmp_path, "echo first >&2; echo no data >&2; exit 3")
    with pytest.raises(RenderingFailed, match=r"failed: exit=3 no data; choose"):
        await Espeak(fails).render("hello", "en")


async def test_the_program_gets_nothing_of_the_daemons_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "not for others")
    told = await Espeak(program(tmp_path, "env")).version()
    assert "GEMINI" not in told
    assert "PATH=" in told
