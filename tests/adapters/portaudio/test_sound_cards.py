"""The kernel's sound cards, from a tree of files."""

from pathlib import Path

import pytest
from tests.support.sound_cards import hold, plug, pull

from kioskd.adapters.portaudio.devices import Direction
from kioskd.adapters.portaudio.sound_cards import Card, Holder, Output, Pcm, card, cards, holder, makers, pcms


def test_cards_and_their_devices_are_listed(tmp_path: Path) -> None:
    plug(tmp_path, 1, "Spk", "0p")
    plug(tmp_path, 0, "Mic", "0c", "1p")
    assert {number: card.id for number, card in cards(tmp_path).items()} == {0: "Mic", 1: "Spk"}
    assert pcms(tmp_path) == [Pcm(0, 0, Direction.IN), Pcm(0, 1, Direction.OUT), Pcm(1, 0, Direction.OUT)]
    assert pcms(tmp_path)[0].node == "/dev/snd/pcmC0D0c"


def test_a_card_that_was_plugged_in_again_is_a_different_card(tmp_path: Path) -> None:
    plug(tmp_path, 0, "Mic")
    before = cards(tmp_path)
    assert cards(tmp_path) == before
    plug(tmp_path, 0, "Mic")
    assert cards(tmp_path) != before


def test_a_card_that_is_being_unplugged_is_not_listed(tmp_path: Path) -> None:
    plug(tmp_path, 0, "Mic")
    (tmp_path / "card0" / "id").unlink()
    assert cards(tmp_path) == {}


def test_a_machine_without_sound_has_no_cards(tmp_path: Path) -> None:
    pull(tmp_path, 0)
    assert cards(tmp_path / "none") == {}
    assert pcms(tmp_path / "none") == []


def test_the_holder_of_a_device_is_the_process_of_the_thread_that_opened_it(tmp_path: Path) -> None:
    hold(tmp_path, 0, "0c", 901, "arecord")
    (tmp_path / "proc/901/status").write_text("Name: arecord\nTgid:\t900\n")
    (tmp_path / "proc/900").mkdir()
    (tmp_path / "proc/900/comm").write_text("arecord\n")
    assert holder(Pcm(0, 0, Direction.IN), tmp_path) == Holder("arecord", 900)
    assert holder(Pcm(0, 0, Direction.OUT), tmp_path) is None


def test_without_proc_the_holder_is_unknown(tmp_path: Path) -> None:
    assert holder(Pcm(0, 0, Direction.IN), tmp_path) is None


def test_one_card_is_found_by_its_number(tmp_path: Path) -> None:
    plug(tmp_path, 1, "Spk")
    assert card(1, tmp_path) == cards(tmp_path)[1]
    assert card(0, tmp_path) is None


def test_a_card_is_made_by_a_bus_and_a_driver(tmp_path: Path) -> None:
    plug(tmp_path, 0, "Mic")
    assert makers(0, tmp_path) == ("", "")
    for link, target in (("subsystem", "bus/usb"), ("driver", "drivers/snd-usb-audio")):
        (tmp_path / target).mkdir(parents=True)
        (tmp_path / "card0/device").mkdir(exist_ok=True)
        (tmp_path / "card0/device" / link).symlink_to(tmp_path / target)
    assert makers(0, tmp_path) == ("usb", "snd-usb-audio")


@pytest.mark.parametrize(
    ("names", "needs"),
    [
        ("vc4-hdmi-0: MAI PCM i2s-hifi-0 (hw:0,0) vc4hdmi0 platform vc4_hdmi", True),
        ("bcm2835 HDMI 1: - (hw:0,0) platform bcm2835_audio", True),
        ("HDA Intel PCH: HDMI 0 (hw:0,3) hdaudio snd_hda_codec_hdmi", True),
        ("snd_rpi_hifiberry_digi: S/PDIF (hw:1,0) platform snd-rpi-hifiberry-digi", True),
        ("UACDemoV1.0: USB Audio (hw:2,0) usb snd-usb-audio", True),
        ("default UACDemoV10 usb snd-usb-audio", True),
        ("bluealsa", True),
        ("bcm2835 Headphones: - (hw:0,0) platform bcm2835_audio", False),
        ("snd_rpi_hifiberry_dac: HifiBerry DAC HiFi pcm5102a-hifi-0 (hw:1,0) platform", False),
        ("Loopback: PCM (hw:0,0) Loopback platform snd_aloop", False),
        ("default", False),
        ("pulse", False),
    ],
)
def test_outputs_with_electronics_of_their_own_need_a_signal(names: str, needs: bool) -> None:
    assert Output(None, names).needs_signal is needs
    assert Output((0, Card("a", 1)), names).needs_signal is needs
