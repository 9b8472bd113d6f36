"""Questions to ALSA itself: to the real library, and to a table of answers about cards made of files."""

import asyncio
import errno
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest
from tests.support.sound_cards import hold, plug
from tests.support.sound_server import MICROPHONE, SPEAKER, SoundServer

from kioskd.adapters.portaudio import alsa
from kioskd.adapters.portaudio.alsa_probe import AlsaProbe
from kioskd.adapters.portaudio.devices import Direction, SoundDevice

NAMES: Final = {0: "bcm2835 Headphones", 1: "USB PnP Sound Device"}
MIC: Final = SoundDevice(3, "USB PnP Sound Device: Audio (hw:1,0)", 1, 0, 48_000)


class Answers:
    """ALSA's answers for some devices, and 0 for all others. Keeps the names that were asked for."""

    def __init__(self, said: Mapping[str, int] | None = None) -> None:
        self.said = said or {}
        self.asked: list[str] = []

    def __call__(self, name: str, _direction: Direction) -> int:
        self.asked.append(name)
        return self.said.get(name, 0)


@pytest.fixture
def sysfs(tmp_path: Path) -> Path:
    plug(tmp_path / "sys", 0, "Headphones", "0p")
    plug(tmp_path / "sys", 1, "Device", "0c", "0p", "3c")
    return tmp_path / "sys"


def probe(sysfs: Path, said: Mapping[str, int] | None = None) -> tuple[AlsaProbe, Answers]:
    answers = Answers(said)
    return AlsaProbe(sysfs, sysfs.parent, answers, lambda number: NAMES[number]), answers


async def test_a_device_can_be_opened_while_it_is_there_and_in_its_own_direction_only(
    sound_server: SoundServer,
) -> None:
    assert AlsaProbe().can_be_opened(MICROPHONE, Direction.IN)
    assert AlsaProbe().can_be_opened(SPEAKER, Direction.OUT)
    assert not AlsaProbe().can_be_opened(MICROPHONE, Direction.OUT)
    assert not AlsaProbe().can_be_opened("nowhere", Direction.IN)
    sound_server.unplug("mic")
    try:
        assert not AlsaProbe().can_be_opened(MICROPHONE, Direction.IN)
    finally:
        await asyncio.to_thread(sound_server.mend)
    assert AlsaProbe().can_be_opened(MICROPHONE, Direction.IN)


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ("default", ["default"]),
        ("usb pnp", ["usb pnp", "hw:1,0", "hw:1,3"]),
        ("USB PnP Sound Device: Audio", ["USB PnP Sound Device: Audio", "hw:1,0", "hw:1,3"]),
        ("hw:CARD=Device,DEV=0", ["hw:1,0"]),
        ("hw:CARD=device,DEV=3", ["hw:1,3"]),
        ("plughw:device", ["hw:1,0", "hw:1,3"]),
        ("plughw:headphones", []),
        ("hw:CARD=Gone", []),
        ("USB PnP Sound Device: Audio (hw:1,0)", []),
        ("hw:1,0", []),
    ],
)
def test_a_device_name_in_the_settings_is_translated_to_alsas_names(
    wanted: str, names: list[str], sysfs: Path
) -> None:
    asking, answers = probe(sysfs, dict.fromkeys(names, errno.ENODEV))
    assert not asking.can_be_opened(wanted, Direction.IN)
    assert answers.asked == names


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (errno.EBUSY, r"^another program is using it; `sudo fuser -v /dev/snd/pcmC1D0c` names it"),
        (errno.EACCES, r"may not open /dev/snd/pcmC1D0c; run `sudo usermod -aG audio "),
        (errno.EPERM, r"may not open /dev/snd/pcmC1D0c; .*DeviceAllow=char-alsa"),
        (errno.ENODEV, r"^it was unplugged just now, or is not ready yet; plug it in$"),
        (errno.EIO, r"^Input/output error; unplug it"),
    ],
)
def test_each_reason_why_a_card_does_not_open_has_its_own_message(said: int, words: str, sysfs: Path) -> None:
    asking, _ = probe(sysfs, {"hw:1,0": said})
    (sysfs.parent / "dev/snd").mkdir(parents=True)
    (sysfs.parent / "dev/snd/pcmC1D0c").touch()
    assert re.search(words, asking.why_closed(MIC, Direction.IN) or "")


def test_a_card_that_opens_gives_no_reason(sysfs: Path) -> None:
    assert probe(sysfs)[0].why_closed(MIC, Direction.IN) is None


def test_the_program_that_uses_a_card_is_named_if_proc_shows_it(sysfs: Path) -> None:
    hold(sysfs.parent, 1, "0c", 4242, "arecord")
    asking, _ = probe(sysfs, {"hw:1,0": errno.EBUSY})
    assert asking.why_closed(MIC, Direction.IN) == (
        "arecord (process 4242) is using it; end that program, and keep it from starting again"
    )


def test_a_device_that_this_process_has_open_is_reported_as_kioskds(sysfs: Path) -> None:
    hold(sysfs.parent, 1, "0c", os.getpid(), "kioskd")
    asking, _ = probe(sysfs, {"hw:1,0": errno.EBUSY})
    assert asking.why_closed(MIC, Direction.IN) == "kioskd itself has it open; restart kioskd"


def test_a_busy_card_outside_the_list_is_not_reported_as_missing(sysfs: Path) -> None:
    asking, _ = probe(sysfs, {"hw:1,0": errno.EBUSY})
    why = asking.why_unlisted("hw:CARD=Device,DEV=0", Direction.IN)
    assert why is not None
    assert why.startswith("another program is using it")


def test_a_card_without_a_device_file_is_reported(sysfs: Path) -> None:
    asking, _ = probe(sysfs, {"hw:1,0": errno.ENOENT})
    why = asking.why_closed(MIC, Direction.IN)
    assert why is not None
    assert why.startswith("the kernel has the card, but /dev/snd/pcmC1D0c is missing; start udev")


def test_a_card_that_only_plays_is_not_a_microphone(sysfs: Path) -> None:
    why = probe(sysfs)[0].why_unlisted("hw:CARD=Headphones", Direction.IN)
    assert why == "'hw:CARD=Headphones' is not a microphone; set microphone.device to another card"


def test_the_default_has_the_reason_of_the_cards_when_none_of_them_opens(sysfs: Path) -> None:
    asking, _ = probe(sysfs, {"hw:1,0": errno.EACCES, "hw:1,3": errno.EACCES})
    assert "may not open /dev/snd/pcmC1D0c" in (asking.why_unlisted("default", Direction.IN) or "")
    assert probe(sysfs)[0].why_unlisted("default", Direction.IN) is None


def test_a_machine_without_a_card_is_reported(tmp_path: Path) -> None:
    asking, _ = probe(tmp_path / "sys")
    assert asking.why_unlisted("hw:CARD=Mic", Direction.IN) == "this machine has no sound card; plug one in"
    assert asking.why_unlisted("no-card-at-all", Direction.IN) is None


def test_without_alsa_no_device_can_be_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alsa, "library", lambda: None)
    assert not AlsaProbe().can_be_opened("default", Direction.IN)
    assert AlsaProbe().why_closed(MIC, Direction.IN) is None


async def test_the_way_to_a_sound_server_leads_to_no_card(sound_server: SoundServer) -> None:
    assert alsa.playback_route(SPEAKER)[0] is None
    with pytest.raises(OSError, match="No such file"):
        alsa.playback_route("nowhere")


def routed(sysfs: Path, card: int | None, pcm_id: str = "") -> AlsaProbe:
    return AlsaProbe(
        sysfs, sysfs.parent, card_name=lambda number: NAMES[number], playback_route=lambda _: (card, pcm_id)
    )


DEFAULT_SPEAKER: Final = SoundDevice(0, "default", 2, 2, 48_000)


def test_the_output_of_a_card_is_found_without_asking_alsa_for_its_way(sysfs: Path) -> None:
    output = routed(sysfs, None).output(SoundDevice(1, "bcm2835 Headphones: - (hw:0,0)", 0, 2, 48_000))
    assert output is not None
    assert (output.card is not None and output.card[0], output.needs_signal) == (0, False)
    usb = routed(sysfs, None).output(SoundDevice(1, "USB PnP Sound Device: Audio (hw:1,0)", 0, 2, 48_000))
    assert usb is not None
    assert usb.needs_signal


def test_the_output_of_another_device_is_the_card_behind_it(sysfs: Path) -> None:
    usb = routed(sysfs, 1).output(DEFAULT_SPEAKER)
    assert usb is not None
    assert (usb.card is not None and usb.card[0], usb.needs_signal) == (1, True)
    screen = routed(sysfs, 0, "HDMI 0").output(DEFAULT_SPEAKER)
    assert screen is not None
    assert screen.needs_signal
    server = routed(sysfs, None).output(DEFAULT_SPEAKER)
    assert server is not None
    assert (server.card, server.needs_signal) == (None, False)


def test_an_output_whose_way_or_card_is_unknown_is_unknown(sysfs: Path) -> None:
    def busy(_name: str) -> tuple[int | None, str]:
        raise OSError(errno.EBUSY, "busy")

    assert AlsaProbe(sysfs, playback_route=busy).output(DEFAULT_SPEAKER) is None
    assert AlsaProbe(sysfs, card_name=str, playback_route=lambda _: (7, "")).output(DEFAULT_SPEAKER) is None


def test_an_output_is_there_until_its_card_is_unplugged_or_replaced(sysfs: Path) -> None:
    asking = routed(sysfs, 0)
    output = asking.output(DEFAULT_SPEAKER)
    assert output is not None
    assert asking.is_there(output)
    plug(sysfs, 0, "Headphones", "0p")
    assert not asking.is_there(output), "it is another card of the same name"
    server = routed(sysfs, None).output(DEFAULT_SPEAKER)
    assert server is not None
    assert asking.is_there(server)
