"""A daemon writes no speech, key or handle anywhere while a visitor talks to it."""

import asyncio
import base64
import json
import stat
import wave
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from tests.support.daemon_process import PATIENCE_S, DaemonProcess, always_on, daemon_process, surroundings
from tests.support.kiosk import silence, voice
from tests.support.likeness import murmur
from tests.support.sound_server import SoundServer
from tests.support.until import until

from kioskd.adapters.storage.resumption_file import NAME as HANDLE_FILE
from kioskd.core.effects import KioskStatus
from kioskd.flow.reporting.journal import STATUS
from kioskd.media import pcm
from kioskd.simulator import Reply, ServiceScript, Simulator

HEARD: Final = "Where does the zebra live tonight?"
SAID: Final = "Behind the third aquarium."
GREETING: Final = "Greet the visitor like a sailor."
INSTRUCTIONS: Final = "You guide visitors through an aquarium without fish."
UNIT: Final = Path(__file__).parents[2] / "systemd" / "kioskd.service"

WINDOW_BYTES: Final = 32
"""Bytes of 16 samples of speech. No other bytes are the same by chance."""


class Visit:
    """A daemon with all its folders, and the speech of both sides."""

    def __init__(self, folder: Path, service: Simulator) -> None:
        self.folder = folder
        self.service = service
        self.handles: set[str] = set()
        self.reply = murmur(0.6, pcm.DOWNLINK_HZ)
        self.leaks: dict[str, list[str]] = {}

    @property
    def written(self) -> dict[str, bytes]:
        """Return all files but those of the test itself."""
        return {
            str(path.relative_to(self.folder)): path.read_bytes()
            for path in self.folder.rglob("*")
            if path.is_file() and path.name not in ("kioskd.yaml", "reply.wav")
        }

    def note_handle(self) -> None:
        path = self.folder / "run" / HANDLE_FILE
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        self.handles.add(json.loads(path.read_text())["handle"])

    def secrets(self) -> Iterator[tuple[str, bytes]]:
        """Yield each secret that must not be written, by its kind."""
        for words in (HEARD, SAID, GREETING, INSTRUCTIONS):
            yield "words", words.encode()
            yield "words", words.split(maxsplit=2)[2].encode()
        for handle in self.handles:
            yield "handle", handle.encode()
        yield "key", self.service.key.get_secret_value().encode()
        [session] = self.service.sessions
        for sound in (bytes(session.audio), self.reply):
            for window in windows(sound):
                yield "sound", window
                for shift in range(3):  # at each possible place within the base64
                    yield "sound as base64", base64.b64encode(window[shift : shift + 24])
                yield "sound as text", repr(window)[2:-1].encode()
                yield "sound as hex", window.hex().encode()

    def found(self) -> dict[str, set[str]]:
        """Return the files that hold a secret, with its kind."""
        written = self.written
        kinds: dict[str, set[str]] = {}
        for kind, secret in self.secrets():
            for name, data in written.items():
                if secret in data:
                    kinds.setdefault(name, set()).add(kind)
        return kinds


def windows(sound: bytes) -> Iterator[bytes]:
    """Yield about fifty pieces of the audible part."""
    samples = np.frombuffer(sound, "<i2")
    loud = [
        at
        for at in range(0, len(sound) - WINDOW_BYTES, WINDOW_BYTES)
        if np.ptp(samples[at // 2 : (at + WINDOW_BYTES) // 2]) > 1000
    ]
    assert len(loud) > 50, "nothing was said"
    for at in loud[:: len(loud) // 50]:
        yield sound[at : at + WINDOW_BYTES]


@asynccontextmanager
async def visit(
    folder: Path, sound: SoundServer, **sections: Any
) -> AsyncIterator[tuple[Visit, DaemonProcess]]:
    """Run a daemon at the level debug. It greets, answers a question, and goes on listening."""
    reply = murmur(0.6, pcm.DOWNLINK_HZ)
    write_reply(folder / "reply.wav", reply)
    script = ServiceScript(
        replies=(Reply(wav=folder / "reply.wav"), Reply(text=SAID, heard=HEARD)), think_s=0.2, silence_ms=500
    )
    folders = {}
    for variable, name in (("STATE", "state"), ("RUNTIME", "run"), ("CACHE", "cache")):
        (folder / name).mkdir(mode=0o700)
        folders[f"{variable}_DIRECTORY"] = str(folder / name)
    async with Simulator(script) as service:
        settings = always_on(
            service.endpoint,
            service.ca_file,
            **{
                "assistant": {"greeting": GREETING, "instructions": INSTRUCTIONS},
                "limits": {"minutes_per_day": 60},
                **sections,
            },
        )
        environ = surroundings(sound, service) | folders | {"KIOSKD_LOG": "debug"}
        async with daemon_process(folder, settings, environ) as daemon:
            it = Visit(folder, service)
            await daemon.shows(STATUS[KioskStatus.SPEAKING])
            await daemon.shows(STATUS[KioskStatus.LISTENING])
            await asyncio.to_thread(sound.inject, silence(0.8) + voice(1.0) + silence(1.5))
            async with asyncio.timeout(PATIENCE_S):
                await service.wait_for("reply_sent", 2)
            await until(lambda: "turn 2:" in daemon.journal, at_most_s=PATIENCE_S)
            it.note_handle()
            yield it, daemon


def write_reply(path: Path, sound: bytes) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(pcm.SAMPLE_BYTES)
        file.setframerate(pcm.DOWNLINK_HZ)
        file.writeframes(sound)


async def test_nothing_of_a_conversation_is_written_anywhere(
    tmp_path: Path, sound_server: SoundServer
) -> None:
    async with visit(tmp_path, sound_server) as (it, daemon):
        # The resumption handle is in memory (the runtime directory) for as long as the conversation lasts.
        assert it.found() == {f"run/{HANDLE_FILE}": {"handle"}}
        code, _ = await daemon.leave()
        assert code == 0
    # A daemon that is stopped leaves it for the next one, which has two minutes.
    assert it.found().keys() <= {f"run/{HANDLE_FILE}"}
    assert "= VoiceBegan" in it.written["journal"].decode(), "this is the level debug"
    assert json.loads(it.written["state/budget.json"])["seconds"] > 0
    assert "LimitCORE=0" in UNIT.read_text().splitlines()


async def test_records_are_stored_in_the_owners_folder_and_nowhere_else(
    tmp_path: Path, sound_server: SoundServer
) -> None:
    privacy = {
        name: {"folder": str(tmp_path / name), "keep_days": 1, "most_mb": 10}
        for name in ("transcripts", "recordings")
    }
    async with visit(tmp_path, sound_server, privacy=privacy) as (it, daemon):
        assert any("stored: transcripts and recordings" in said for said in daemon.told)
        assert "recordings are stored: folder=" in daemon.journal
        await daemon.leave()

    found = it.found()
    found.pop(f"run/{HANDLE_FILE}", None)
    places = {name.partition("/")[0]: kinds for name, kinds in found.items()}
    assert places == {"transcripts": {"words"}, "recordings": {"sound"}}
    for name in ("transcripts", "recordings"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o700
        assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / name).iterdir()} == {0o600}

    [text] = (tmp_path / "transcripts").glob("*.txt")
    spoken = [line.split(" ", 1)[1] for line in text.read_text().splitlines()]
    assert spoken == [f"typed: {GREETING}", f"visitor: {HEARD}", f"kiosk: {SAID}"]
    [visitor] = (tmp_path / "recordings").glob("*-visitor.wav")
    [session] = it.service.sessions
    with wave.open(str(visitor)) as file:
        assert bytes(session.audio)[: pcm.UPLINK_HZ] in file.readframes(file.getnframes())


@pytest.mark.parametrize("where", ["journal", "state/budget.json"])
async def test_the_search_itself_finds_a_secret(
    tmp_path: Path, sound_server: SoundServer, where: str
) -> None:
    async with visit(tmp_path, sound_server) as (it, daemon):
        await daemon.leave()
        [session] = it.service.sessions
        planted = next(windows(bytes(session.audio)))
        with (tmp_path / where).open("ab") as file:
            file.write(b"x" + base64.b64encode(b"?" + planted))
            file.write(HEARD.encode() + it.service.key.get_secret_value().encode())
    assert it.found()[where] == {"sound as base64", "words", "key"}
