"""A reload takes good settings over unnoticed. It names the faults of bad ones, and changes nothing."""

import asyncio
import json
import socket
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest
from tests.support.daemon_process import (
    COMMAND,
    PATIENCE_S,
    DaemonProcess,
    always_on,
    daemon_process,
    surroundings,
)
from tests.support.likeness import THROUGH_THE_AIR, carried, murmur
from tests.support.sound_server import SoundServer

from kioskd.core.effects import KioskStatus
from kioskd.errors import Code
from kioskd.flow.reporting.journal import STATUS, WRONG
from kioskd.media import pcm
from kioskd.simulator import Reply, ServiceScript, Simulator
from kioskd.simulator.records import SessionRecord

GREETING: Final = "Greet the visitor."
REPLY_S: Final = 2.0


class Kiosk:
    """A daemon in conversation, and its owner."""

    def __init__(self, config: Path, daemon: DaemonProcess, service: Simulator) -> None:
        self.config = config
        self.daemon = daemon
        self.service = service
        self._settings: dict[str, Any] = json.loads(config.read_text())

    def edit(self, **sections: dict[str, Any]) -> None:
        """Change some settings in the file."""
        for name, changes in sections.items():
            self._settings[name] = self._settings.get(name, {}) | changes
        self.config.write_text(json.dumps(self._settings))

    def reload(self) -> None:
        """Reload as `systemctl reload kioskd` does."""
        self.daemon.reload()

    async def says(self, words: str) -> str:
        """Wait until the journal has these words; return their line."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    lines = [line for line in self.daemon.journal.splitlines(keepends=True) if words in line]
                    if lines and lines[-1].endswith("\n"):
                        break
                    await asyncio.sleep(0.02)  # a file does not notify when it grows
        except TimeoutError:
            raise AssertionError(f"no {words!r} in the journal:\n{self.daemon.journal}") from None
        [line] = lines
        return line.rstrip()

    async def connected(self, nth: int) -> SessionRecord:
        """Wait for this number of connections of one session; return the session."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self.service.wait_for("setup_complete", nth)
        except TimeoutError:
            raise AssertionError(f"not connected; journal:\n{self.daemon.journal}") from None
        assert [connection.resumed for connection in self.service.connections] == [False] + [True] * (nth - 1)
        [session] = self.service.sessions
        return session


@asynccontextmanager
async def kiosk(folder: Path, sound: SoundServer) -> AsyncIterator[Kiosk]:
    """Run a kiosk that begins a long greeting."""
    wav = folder / "reply.wav"
    write_wav(wav, murmur(REPLY_S, pcm.DOWNLINK_HZ))
    async with Simulator(ServiceScript(replies=(Reply(wav=wav),))) as service:
        settings = always_on(service.endpoint, service.ca_file, assistant={"greeting": GREETING})
        surrounding = surroundings(sound, service)
        async with sound.quiet_room(), daemon_process(folder, settings, surrounding) as daemon:
            await daemon.shows(STATUS[KioskStatus.SPEAKING])
            daemon.told.clear()
            yield Kiosk(folder / "kioskd.yaml", daemon, service)


def write_wav(path: Path, sound: bytes) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(pcm.SAMPLE_BYTES)
        file.setframerate(pcm.DOWNLINK_HZ)
        file.writeframes(sound)


def voice_of(session: SessionRecord, nth: int) -> object:
    generation = session.setups[nth - 1].generation_config
    assert generation
    assert generation.speech_config
    return generation.speech_config.model_dump()


async def test_new_settings_are_taken_over_in_the_same_session_and_in_a_quiet_moment(
    tmp_path: Path, sound_server: SoundServer
) -> None:
    with sound_server.record() as recording:
        async with kiosk(tmp_path, sound_server) as it:
            it.edit(
                assistant={"instructions": "Speak in verse.", "voice": "Puck", "greeting": "Say hello anew."}
            )
            it.reload()  # while the kiosk speaks
            await it.says("settings reloaded")
            session = await it.connected(2)
            assert f"STATUS={STATUS[KioskStatus.LISTENING]}" in it.daemon.told, (
                "it waited until the reply was heard"
            )

            assert "Speak in verse." in session.setups[1].model_dump_json()
            assert "Speak in verse." not in session.setups[0].model_dump_json()
            assert "Kore" in str(voice_of(session, 1))
            assert "Puck" in str(voice_of(session, 2))
            await it.service.wait_for("audio", 2)
            assert session.texts == [GREETING], "the visitor was greeted already"
            assert "warn" not in it.daemon.journal
        heard = bytes(recording.pcm)
    assert carried(murmur(REPLY_S, pcm.DOWNLINK_HZ), heard, pcm.DOWNLINK_HZ) >= THROUGH_THE_AIR


async def test_bad_settings_are_named_by_their_place_and_the_old_ones_stay(
    tmp_path: Path, sound_server: SoundServer
) -> None:
    async with kiosk(tmp_path, sound_server) as it:
        it.config.write_text("assistant:\n  voice: Puck\nspeaker:\n  volum: 50\n")
        it.reload()
        line = await it.says("settings not reloaded")
        assert f"{it.config}:4:3" in line
        assert "the old ones stay" in line
        assert "volum" in line

        it.edit(assistant={"voice": "Puck"})  # mended
        it.reload()
        session = await it.connected(2)
        assert "Puck" in str(voice_of(session, 2))
        assert it.daemon.journal.count("settings not reloaded") == 1
        assert it.daemon.journal.count(str(it.config)) == 2, "once refused, once a trouble"
        assert it.daemon.journal.count("in order again: code=K2") == 1
        assert "Traceback" not in it.daemon.journal


async def test_a_file_that_is_gone_changes_nothing(tmp_path: Path, sound_server: SoundServer) -> None:
    async with kiosk(tmp_path, sound_server) as it:
        it.config.unlink()
        it.reload()
        assert str(it.config) in await it.says("settings not reloaded")
        await it.daemon.shows(STATUS[KioskStatus.LISTENING])
        assert len(it.service.connections) == 1


async def test_settings_that_need_a_restart_are_named(tmp_path: Path, sound_server: SoundServer) -> None:
    async with kiosk(tmp_path, sound_server) as it:
        it.edit(microphone={"preroll_ms": 900}, speaker={"volume": 40, "device": "kioskspk"})
        it.reload()
        line = await it.says("settings reloaded")
        assert line.endswith("settings reloaded; these need a restart: microphone.preroll_ms, speaker.device")


async def test_visitors_are_answered_before_the_restart_that_settings_need(
    tmp_path: Path, sound_server: SoundServer
) -> None:
    async with kiosk(tmp_path, sound_server) as it:
        it.edit(conversation={"turn_taking": "local"}, assistant={"voice": "Puck"})
        it.reload()
        assert (await it.says("settings reloaded")).endswith(
            "; these need a restart: conversation.turn_taking"
        )
        session = await it.connected(2)
        assert "Puck" in str(voice_of(session, 2))
        first, second = (setup.realtime_input_config for setup in session.setups)
        assert first == second, "who ends a turn is as it was"


async def test_figures_are_fetched_at_the_port_that_the_owner_names(
    tmp_path: Path, sound_server: SoundServer
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
    async with Simulator(ServiceScript()) as service:
        settings = always_on(service.endpoint, service.ca_file, metrics={"port": port})
        surrounding = surroundings(sound_server, service)
        async with sound_server.quiet_room(), daemon_process(tmp_path, settings, surrounding) as daemon:
            await daemon.shows(STATUS[KioskStatus.LISTENING])
            async with httpx2.AsyncClient(trust_env=False) as client:
                answer = await client.get(f"http://127.0.0.1:{port}/metrics")
    assert answer.status_code == 200
    assert "kioskd_" in answer.text


async def test_another_model_needs_a_new_session_without_a_second_greeting(
    tmp_path: Path, sound_server: SoundServer
) -> None:
    """A session cannot change its model."""
    other = "gemini-2.5-flash-native-audio-preview-12-2025"
    async with kiosk(tmp_path, sound_server) as it:
        it.edit(service={"model": other})
        it.reload()
        async with asyncio.timeout(PATIENCE_S):
            await it.service.wait_for("setup_complete", 2)
            await it.service.wait_for("audio", 2)
        old, new = it.service.sessions
        assert (old.model, new.model) == ("gemini-3.8-live", other)
        assert (old.texts, new.texts) == ([GREETING], [])
        assert it.daemon.journal.count("link lost") <= 1


# The command `kioskd reload`, which `systemctl reload` runs.

NOT_INSTALLED: Final = "raise ImportError('it is not installed')\n"


async def reload(config: Path) -> tuple[int, str]:
    """Run `kioskd reload` for the daemon with this configuration; return the exit code and the output."""
    command = await asyncio.create_subprocess_exec(
        *(COMMAND, "reload", "--socket", config.with_name("control")),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(PATIENCE_S):
        said, _ = await command.communicate()
    assert command.returncode is not None
    return command.returncode, said.decode()


@asynccontextmanager
async def reachable(folder: Path, sound: SoundServer) -> AsyncIterator[Kiosk]:
    """Run a kiosk with a control socket, on a machine that lacks optional libraries."""
    for name in ("livekit", "pymicro_wakeword"):
        (folder / "lacks" / name).mkdir(parents=True)
        (folder / "lacks" / name / "__init__.py").write_text(NOT_INSTALLED)
    async with Simulator(ServiceScript()) as service:
        surrounding = surroundings(sound, service) | {
            "KIOSKD_SOCKET": str(folder / "control"),
            "PYTHONPATH": str(folder / "lacks"),
        }
        settings = always_on(service.endpoint, service.ca_file)
        async with sound.quiet_room(), daemon_process(folder, settings, surrounding) as daemon:
            await daemon.shows(STATUS[KioskStatus.LISTENING])
            yield Kiosk(folder / "kioskd.yaml", daemon, service)


async def test_the_command_returns_when_the_reload_is_done(tmp_path: Path, sound_server: SoundServer) -> None:
    async with reachable(tmp_path, sound_server) as it:
        it.edit(assistant={"voice": "Puck"}, speaker={"device": "kioskspk"})
        assert await reload(it.config) == (
            0,
            "settings reloaded; these need a restart: speaker.device\n",
        )
        assert "settings reloaded" in it.daemon.journal


@pytest.mark.parametrize(
    ("section", "change", "fault"),
    [
        ("conversation", {"wake": ["wakeword"]}, "conversation.wake: wakeword: the library pymicro-wakeword"),
        ("microphone", {"echo": "cancel"}, "microphone.echo: cancel: the library livekit cannot be loaded"),
        ("speaker", {"volum": 50}, "speaker.volum: is not a setting; did you mean volume?"),
    ],
)
async def test_a_reload_refuses_with_its_place_what_the_next_start_would_refuse(
    section: str, change: dict[str, Any], fault: str, tmp_path: Path, sound_server: SoundServer
) -> None:
    async with reachable(tmp_path, sound_server) as it:
        it.edit(**{section: change})
        code, said = await reload(it.config)
        assert code == 78
        assert said.startswith(f"{it.config}:1:")
        assert fault in said
        assert "the old ones stay in use" in said
        assert fault in await it.says("settings not reloaded")
        await it.daemon.shows(STATUS[KioskStatus.LISTENING])


async def test_status_metrics_and_journal_report_a_refused_file_until_it_is_good_again(
    tmp_path: Path, sound_server: SoundServer
) -> None:
    async with reachable(tmp_path, sound_server) as it:
        good = it.config.read_text()
        it.config.write_text("speaker:\n  volum: 50\n")
        assert (await reload(it.config))[0] == 78
        place = f"{it.config}:2:3 speaker.volum: is not a setting; did you mean volume? (since 20"
        await it.daemon.shows(f"{STATUS[KioskStatus.LISTENING]}; but {WRONG[Code.FILE]}: {place}")
        [trouble] = json.loads(await asked(it.config, "status", "--json"))["troubles"]
        assert trouble["code"] == "K2"
        assert place in trouble["words"]
        assert f"{WRONG[Code.FILE]}: {place}" in await asked(it.config, "status")
        assert 'kioskd_fault{code="K2"} 1.0' in await asked(it.config, "status", "--prometheus")
        assert place in await it.says("code=K2")

        it.daemon.told.clear()
        it.config.write_text(good)  # without a reload
        await it.says("in order again: code=K2")
        assert f"STATUS={STATUS[KioskStatus.LISTENING]}" in it.daemon.told
        assert 'kioskd_fault{code="K2"} 0.0' in await asked(it.config, "status", "--prometheus")


async def asked(config: Path, *words: str) -> str:
    """Return a command's output for the daemon with this configuration."""
    place = str(config.with_name("control"))
    command = await asyncio.create_subprocess_exec(
        *(str(COMMAND), *words, "--socket", place), stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(PATIENCE_S):
        said, _ = await command.communicate()
    return said.decode()


async def test_reload_without_a_daemon_says_so(tmp_path: Path) -> None:
    code, said = await reload(tmp_path / "kioskd.yaml")
    assert (code, "no daemon answers" in said) == (69, True)
