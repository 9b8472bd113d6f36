"""Announcements of a whole kiosk whose devices are fakes: what is heard, and that nothing is sent."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import pytest
from tests.prompts.test_speech import wav
from tests.support.fakes_live import ScriptedConnection
from tests.support.kiosk import PATIENCE_S, Kiosk, running, silence, soon, voice
from tests.support.parts import changed

from kioskd import app
from kioskd.adapters.clock import SystemClock
from kioskd.app import announcements
from kioskd.core.effects import KioskStatus
from kioskd.core.levels import ANNOUNCEMENT
from kioskd.errors import ConfigError
from kioskd.flow.audio.downlink import REVERBERATION_S
from kioskd.flow.audio.speaker_pause import PAUSE_AFTER_S
from kioskd.media import pcm
from kioskd.media.wav import decoded
from kioskd.ports import GenerationEnded, ReplyAudio, RequestHandler, TurnComplete
from kioskd.settings.model import Settings
from kioskd.tools import program

PAUSE_S = 1.5
PERSON = Path("/usr/share/sounds/alsa/Front_Center.wav")
SOUND = wav()[44:]
"""Half a second, as the speaker plays it at full volume."""

BASE: Mapping[str, Any] = {"speaker": {"volume": 100, "cues": ()}, "announcements": {"volume": 100}}


class Commands:
    """A control server that a test calls directly; a `ports.ControlServer`."""

    def __init__(self) -> None:
        self._handle: RequestHandler | None = None

    def claim(self) -> None:
        """Do nothing."""

    async def serve(self, handle: RequestHandler) -> NoReturn:
        self._handle = handle
        while True:
            await asyncio.Event().wait()

    async def ask(self, do: str, recording: bytes = b"", **arguments: object) -> Any:
        assert self._handle is not None
        answers: list[Mapping[str, object]] = []

        async def answer(message: Mapping[str, object]) -> None:
            answers.append(message)

        await self._handle({"do": do, **arguments}, recording, answer, privileged=False)
        (only,) = answers
        return only


class Announcing(Kiosk):
    """A kiosk with a control server and a wall clock."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, watchdog_s=None)
        self.commands = Commands()
        self.begin = datetime(2026, 12, 1, 17, 44, 50)  # noqa: DTZ001 - local time
        self._began_s = self.clock.now()

    def wall(self) -> datetime:
        return self.begin + timedelta(seconds=self.clock.now() - self._began_s)

    def parts(self) -> app.Parts:
        return changed(super().parts(), control=self.commands, wall=self.wall)

    async def say(self, **arguments: object) -> Any:
        """Announce `SOUND`."""
        return await soon(self.commands.ask("say", wav(), text="", **arguments))

    async def comes_true(self, holds: Callable[[], object]) -> None:
        """Wait for the work of threads until `holds()` is true."""
        async with asyncio.timeout(PATIENCE_S):
            while not holds():
                await asyncio.to_thread(int)
                await self.settle()

    async def has_planned(self) -> None:
        """Wait until the schedule is in force."""
        async with asyncio.timeout(PATIENCE_S):
            while (await self.commands.ask("status"))["announcements"] is None:
                await asyncio.to_thread(int)

    async def announces(self) -> None:
        await self.until(lambda: self.state.prompt == ANNOUNCEMENT)

    async def hear_announcement(self) -> bytes:
        """Wait until an announcement begins, and return the sound of the next 0.6 s."""
        await self.announces()
        return await self.hear(0.6)

    async def is_over(self) -> None:
        """Let the announcement end, and its echo."""
        await self.hear_announcement()
        await self.clock.advance(self.speaker.latency_s + REVERBERATION_S)
        await self.until(lambda: self.state.prompt is None)


@asynccontextmanager
async def kiosk(**changes: object) -> AsyncIterator[Announcing]:
    made = Announcing(Settings.model_validate({**BASE, **changes}))
    async with running(made.serve()):
        await made.start()
        yield made


def spoken(recording: Path) -> bytes:
    with recording.open("rb") as file:
        return decoded(file, pcm.UPLINK_HZ)


def heard_whole(heard: bytes) -> bool:
    return SOUND in heard


async def reply(it: Announcing, connection: ScriptedConnection, seconds: float) -> None:
    connection.say(ReplyAudio(voice(seconds, pcm.DOWNLINK_HZ)), GenerationEnded(), TurnComplete())
    await it.shows(KioskStatus.SPEAKING)


@pytest.mark.parametrize("echo", ["half_duplex", "hardware"])
async def test_an_announcement_before_during_and_after_a_conversation_is_heard_and_never_sent(
    echo: str,
) -> None:
    async with kiosk(microphone={"echo": echo}) as it:
        await it.say()
        assert heard_whole(await it.hear_announcement())
        await it.clock.advance(1.0)
        await it.until(lambda: it.state.prompt is None)

        connection = await it.wake()
        await it.say()
        await it.clock.advance(PAUSE_S)
        await it.announces()
        sent = len(connection.audio)
        it.microphone.say(voice(0.5))  # the room gives the announcement back
        assert heard_whole(await it.hear_announcement())
        assert len(connection.audio) == sent
        await it.clock.advance(1.0)
        await it.until(lambda: it.state.prompt is None)
        words = voice(0.3)
        it.microphone.say(words)
        heard = await soon(connection.heard(sum(map(len, connection.audio)) + len(words)))
        assert heard.endswith(words), "the visitor is heard again, and from the beginning"

        await it.say()
        it.button.press()
        await it.until(lambda: not it.state.turn.awake)
        await it.clock.advance(PAUSE_S)
        assert heard_whole(await it.hear_announcement())


async def test_an_announcement_waits_for_the_end_of_a_reply_and_an_urgent_one_sounds_over_it() -> None:
    async with kiosk() as it:
        connection = await it.wake()
        await reply(it, connection, 3.0)
        await it.say()
        assert not heard_whole(await it.hear(0.5))
        await it.say(now=True)
        await it.announces()
        loud = await it.hear(0.5)
        assert loud != bytes(len(loud))
        assert it.state.turn.phase.name == "SPEAKING", "the reply goes on below"
        await it.hear(3.0)
        await it.clock.advance(REVERBERATION_S + 0.3)
        await it.until(lambda: it.state.turn.quiet and it.state.prompt is None)
        await it.clock.advance(PAUSE_S)
        assert heard_whole(await it.hear_announcement())


async def test_the_kiosks_own_announcement_does_not_wake_it() -> None:
    person = silence(1.0) + spoken(PERSON) + silence(0.5)
    async with kiosk(conversation={"wake": ("voice",)}) as it:
        await it.say()
        await it.announces()
        it.microphone.say(person)
        await it.is_over()
        assert not it.state.turn.awake
        await it.clock.advance(1.0)
        it.microphone.say(person)
        await it.until(lambda: it.state.turn.awake)


async def test_a_speaker_that_pauses_and_a_muted_kiosk_announce_all_the_same() -> None:
    async with kiosk() as it:
        await soon(it.commands.ask("mute"))
        await it.clock.advance(PAUSE_AFTER_S)
        await it.say()
        assert heard_whole(await it.hear_announcement())
        assert it.state.muted


async def test_the_client_learns_that_its_announcement_was_heard() -> None:
    async with kiosk() as it:
        number = (await it.say())["number"]
        async with asyncio.TaskGroup() as group:
            end = group.create_task(it.commands.ask("said", number=number))
            await it.is_over()
        assert end.result() == {"ok": True}


async def test_a_press_stops_an_announcement_and_wakes_the_kiosk() -> None:
    async with kiosk() as it:
        number = (await it.say())["number"]
        await it.announces()
        await it.hear(0.1)
        it.button.press()
        await it.until(lambda: it.state.turn.awake)
        assert not any((await it.hear(0.5))[pcm.byte_count(0.01, pcm.DOWNLINK_HZ) :])
        assert "a person stopped it" in (await it.commands.ask("said", number=number))["why"]


async def test_a_schedule_speaks_at_its_time(tmp_path: Path) -> None:
    (tmp_path / "bell.wav").write_bytes(wav())
    schedule = ({"at": "17:45", "file": tmp_path / "bell.wav", "say": "We close."},)
    async with kiosk(announcements={"volume": 100, "schedule": schedule}) as it:
        await it.has_planned()
        await it.clock.advance(9.0)
        status = (await it.commands.ask("status"))["announcements"]
        assert status == {"waiting": 0, "next": "2026-12-01 17:45", "planned": 1}
        await it.clock.advance(1.0)
        assert heard_whole(await it.hear_announcement())


async def test_a_scheduled_recording_that_was_lost_costs_a_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "bell.wav"
    file.write_bytes(wav())
    async with kiosk(announcements={"schedule": ({"at": "17:45", "file": file},)}) as it:
        await it.has_planned()
        file.unlink()
        await it.clock.advance(10.0)
        await it.comes_true(
            lambda: "announcement left out: source=schedule at=17:45 is not there" in caplog.text
        )


async def test_an_announcement_for_later_comes_at_its_time_once() -> None:
    async with kiosk() as it:
        assert (await it.say(at="17:45"))["at"] == "2026-12-01 17:45"
        await it.clock.advance(10.0)
        assert heard_whole(await it.hear_announcement())
        assert (await it.commands.ask("status"))["announcements"]["planned"] == 0


async def test_few_announcements_can_be_planned() -> None:
    async with kiosk() as it:
        for _ in range(announcements.MOST_LATER):
            assert (await it.say(at="20:00"))["ok"]
        assert "put this one into announcements.schedule" in (await it.say(at="20:00"))["why"]


async def test_quiet_hours_of_announcements_are_their_own() -> None:
    quiet = {"volume": 100, "quiet_hours": ("17:00-18:00",)}
    async with kiosk(announcements=quiet) as it:
        assert "quiet hours" in (await it.say())["why"]
        assert "17:30 lies in the quiet hours" in (await it.say(at="17:30"))["why"]
        assert (await it.say(at="18:00"))["ok"]
        assert (await it.say(now=True))["ok"]
        assert heard_whole(await it.hear_announcement())
    async with kiosk(limits={"quiet_hours": ("17:00-18:00",)}, announcements={"volume": 100}) as it:
        await it.shows(KioskStatus.CLOSED)
        await it.say()
        assert heard_whole(await it.hear_announcement())


async def test_an_unset_clock_plans_nothing() -> None:
    class Unset:
        """A clock that no time server has set; a `ports.TimeEvidence`."""

        def synchronised(self) -> bool:
            return False

        def boot(self) -> tuple[str, float]:
            return "boot", 0.0

    class WithoutTime(Announcing):
        """A kiosk with such a clock."""

        def parts(self) -> app.Parts:
            return changed(super().parts(), time=Unset())

    it = WithoutTime(Settings())
    async with running(it.serve()):
        await it.start()
        assert "no time server has set" in (await it.say(at="20:00"))["why"]


async def test_a_recording_that_does_not_fit_is_refused() -> None:
    async with kiosk() as it:
        answer = await soon(it.commands.ask("say", b"no wave", text=""))
        assert answer["ok"] is False
        assert "save it as 16-bit PCM WAV" in answer["why"]
        answer = await soon(it.commands.ask("say", wav(), text="a" * 501))
        assert "at most 500 characters" in answer["why"]
        assert (await it.commands.ask("status"))["announcements"]["waiting"] == 0


def test_a_bad_recording_of_the_schedule_is_a_fault_of_the_start(tmp_path: Path) -> None:
    (tmp_path / "bell.wav").write_bytes(b"no wave")
    settings = Settings.model_validate(
        {"announcements": {"schedule": ({"at": "12:00", "file": tmp_path / "bell.wav"},)}}
    )
    with pytest.raises(ConfigError, match=r"announcements.schedule: .*bell.wav cannot be read"):
        announcements.recordings(settings)


async def test_a_voice_program_speaks_in_the_kiosks_language(tmp_path: Path) -> None:
    sound, seen = tmp_path / "voice.wav", tmp_path / "seen"
    sound.write_bytes(wav())
    script = tmp_path / "voice"
    script.write_text(f'#!/bin/sh\ncat > {seen}; echo "$KIOSKD_LANGUAGE" >> {seen}; cat {sound}\n')
    script.chmod(0o755)
    own = {"argv": (str(script),), "sandbox": False}
    async with kiosk(assistant={"language": "fr-FR"}, announcements={"volume": 100, "voice": own}) as it:
        assert (await soon(it.commands.ask("say", text="Bonsoir.")))["ok"]
        assert heard_whole(await it.hear_announcement())
    assert seen.read_text() == "Bonsoir.\nfr-FR\n"


@pytest.mark.skipif(program.missing() is not None, reason=f"no sandbox here: {program.missing()}")
async def test_a_voice_program_in_its_sandbox_reads_what_it_names_and_not_the_key(tmp_path: Path) -> None:
    sound, key = tmp_path / "voice.wav", tmp_path / "key"
    sound.write_bytes(wav())
    key.write_text("AIza-not-a-real-key-0123456789abcdefghij")
    script = tmp_path / "voice"
    script.write_text(f'#!/bin/sh\ncat {key} && exit 3\ncat "$1"\n')
    script.chmod(0o755)
    settings = Settings.model_validate(
        {"service": {"key_file": key}, "announcements": {"voice": {"argv": (str(script), str(sound))}}}
    )
    made = announcements.voice_program(settings, SystemClock())
    assert made is not None
    assert await made.render("Hello.", "en-GB") == wav()


def test_a_kiosk_without_announcements_imports_nothing_of_them() -> None:
    heavy = ("kioskd.flow.announcements", "kioskd.prompts.announcement_voice", "kioskd.prompts.voice_program")
    code = (
        f"import sys, kioskd.app.kiosk\nprint([name for name in sys.modules if name.startswith({heavy!r})])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=240
    )
    assert ran.stdout == "[]\n"


async def test_a_kiosk_without_a_schedule_has_no_task_and_no_part_for_it() -> None:
    async with kiosk() as it:
        connection = await it.wake()
        await reply(it, connection, 0.1)
        it.microphone.say(silence(0.1))
        assert (await it.commands.ask("status"))["announcements"] is None
        assert "announcements" not in {task.get_name() for task in asyncio.all_tasks()}
