"""ALSA asked without PortAudio."""

import asyncio
from pathlib import Path

import pytest
from tests.support.sound_server import MICROPHONE, SPEAKER, SoundServer

from kioskd.adapters import portaudio_probe
from kioskd.adapters.portaudio_devices import Direction
from kioskd.adapters.portaudio_probe import can_be_opened
from kioskd.adapters.stderr import captured

CARDS = """\
 0 [Headphones     ]: bcm2835_headpho - bcm2835 Headphones
                      bcm2835 Headphones
 1 [Device         ]: USB-Audio - USB PnP Sound Device
                      C-Media Electronics Inc. USB PnP Sound Device at usb-3f980000.usb-1.2, full speed
"""


async def test_a_device_can_be_opened_while_it_is_there_and_only_its_own_way(
    sound_server: SoundServer,
) -> None:
    def asked(name: str, direction: Direction) -> bool:
        with captured("sound"):
            return can_be_opened(name, direction)

    assert asked(MICROPHONE, Direction.IN)
    assert asked(SPEAKER, Direction.OUT)
    assert not asked(MICROPHONE, Direction.OUT)
    assert not asked("nowhere", Direction.IN)
    sound_server.unplug("mic")
    try:
        assert not asked(MICROPHONE, Direction.IN)
    finally:
        await asyncio.to_thread(sound_server.mend)
    assert asked(MICROPHONE, Direction.IN)


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ("default", ["default"]),
        ("usb pnp", ["usb pnp", "hw:1"]),
        ("USB PnP Sound Device: Audio", ["USB PnP Sound Device: Audio", "hw:1"]),
        ("hw:CARD=Device,DEV=0", ["hw:1,0"]),
        ("hw:CARD=device,DEV=3", ["hw:1,3"]),
        ("plughw:headphones", ["hw:0,0"]),
        ("hw:CARD=Gone", []),
        ("USB PnP Sound Device: Audio (hw:1,0)", []),
        ("hw:1,0", []),
    ],
)
def test_a_name_of_ours_is_one_of_alsas(wanted: str, names: list[str], tmp_path: Path) -> None:
    (tmp_path / "cards").write_text(CARDS)
    assert portaudio_probe._alsa_names(wanted, tmp_path) == names


def test_where_there_is_no_alsa_nothing_can_be_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portaudio_probe, "_ALSA", "libnowhere.so")
    assert not can_be_opened("default", Direction.IN)
