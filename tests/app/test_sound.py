"""Making of the sound's path from the settings."""

import pytest
from tests.support.kiosk import QUIET, Kiosk

from kioskd.adapters.absent import NoPreferences
from kioskd.app.sound import sound, word_detectors
from kioskd.flow.storage.disk_writer import DiskWriter
from kioskd.flow.storage.preferences import PreferenceKeeper
from kioskd.settings.model import Settings


def test_a_wake_word_is_loaded_only_if_it_wakes_the_kiosk() -> None:
    assert word_detectors(Settings()) == []
    woken = Settings.model_validate({"conversation": {"wake": ("wakeword",), "wakeword": "hey_jarvis"}})
    [detector] = word_detectors(woken)
    assert not detector.ready


@pytest.mark.parametrize("volume", [20, 90])
async def test_the_speaker_starts_with_the_stored_volume(volume: int) -> None:
    it = Kiosk(QUIET, watchdog_s=None)
    writer = DiskWriter(it.clock, lambda _event: None)
    keeper = PreferenceKeeper(NoPreferences(), writer, volume=volume)
    made = sound(it.settings, it.parts(), lambda _event: None, keeper, on_sent=lambda _frame: None)
    assert (made.volume.percent, made.downlink.playout.volume) == (volume, volume)
    assert made.volume.set_volume(101) == 100
    assert keeper.volume == 100
