"""The kernel's sound cards, from a tree of files."""

from pathlib import Path

from tests.support.sound_cards import hold, plug, pull

from kioskd.adapters.portaudio.devices import Direction
from kioskd.adapters.portaudio.sound_cards import Holder, Pcm, cards, holder, pcms


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
