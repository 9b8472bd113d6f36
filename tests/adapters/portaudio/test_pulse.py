"""libpulse on the virtual sound server, as ALSA's plugin uses it behind PortAudio."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from tests.support.sound_server import SoundServer

from kioskd.adapters.portaudio.pulse import share_no_memory

READ_ONE_FRAME: Final = """
import pyaudio
from kioskd.adapters.portaudio.library import library
with library.exclusive() as audio:
    stream = audio.open(16_000, 1, pyaudio.paInt16, input=True, frames_per_buffer=320)
    stream.read(1)
    input("reading\\n")
    stream.close()
"""
"""Script that always leaves part of the server's sound in ALSA's plugin; a daemon does that by chance."""


def test_a_microphone_closes_although_its_server_died_within_a_block(
    sound_server: SoundServer, tmp_path: Path
) -> None:
    (tmp_path / "client.conf").write_text("enable-shm = yes\n")
    with subprocess.Popen(
        [sys.executable, "-c", READ_ONE_FRAME], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PULSE_CLIENTCONFIG": str(tmp_path / "client.conf")},
    ) as listening:  # fmt: skip
        assert listening.stdout
        try:
            assert listening.stdout.readline() == "reading\n"
            sound_server.unplug("mic")
            listening.communicate("\n", timeout=20)
            assert listening.returncode == 0
        finally:
            listening.kill()
            sound_server.mend()


@pytest.mark.parametrize(
    "place", [".pulse/client.conf", ".config/pulse/client.conf", "named.conf", "set/client.conf"]
)
@pytest.mark.parametrize("beside", [False, True], ids=["the file", "the folder beside it"])
def test_the_owners_settings_remain_in_force(
    sound_server: SoundServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, beside: bool
) -> None:
    first = tmp_path / place
    first.parent.mkdir(parents=True, exist_ok=True)
    first.touch()
    said = first
    if beside:
        said = first.with_name(f"{first.name}.d") / "server.conf"
        said.parent.mkdir()
    said.write_text(f"default-server = {sound_server.address('mic')}\n")
    monkeypatch.chdir(tmp_path)
    environ = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "LC_ALL": "C"}
    if place == "named.conf":
        environ["PULSE_CLIENTCONFIG"] = place
    elif place == "set/client.conf":
        environ["PULSE_CONFIG_PATH"] = str(first.parent)

    share_no_memory(environ)

    about = subprocess.run(["pactl", "info"], env=environ, capture_output=True, text=True, check=True).stdout
    assert sound_server.address("mic") in about


def test_an_unreadable_file_is_left_out(tmp_path: Path) -> None:
    beside = tmp_path / "client.conf.d"
    beside.mkdir()
    (tmp_path / "client.conf").touch()
    (beside / "gone.conf").symlink_to("nowhere")
    environ = {"PULSE_CONFIG_PATH": str(tmp_path)}
    share_no_memory(environ)
    named = environ["PULSE_CLIENTCONFIG"]
    assert Path(named).read_text().splitlines() == [f".include {tmp_path / 'client.conf'}", "enable-shm = no"]
    share_no_memory(environ)
    assert environ["PULSE_CLIENTCONFIG"] == named, "the variable is set once"
