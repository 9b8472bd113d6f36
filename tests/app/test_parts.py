"""The parts of a kiosk. It runs with very few."""

from tests.support.fakes_devices import ManualClock, MemoryMicrophone, MemoryNotifier, MemorySpeaker
from tests.support.fakes_live import ScriptedLive
from tests.support.kiosk import QUIET, kiosk
from tests.support.parts import parts

from kioskd.adapters.absent import NoControl, NoMetrics, NoNetwork, NoPreferences, NoPrompts, NoResumption
from kioskd.core.effects import KioskStatus
from kioskd.ports import Preferences


def test_a_part_that_is_not_given_exists_and_does_nothing() -> None:
    made = parts(ManualClock(), MemoryMicrophone(), MemorySpeaker(), ScriptedLive(), MemoryNotifier())
    devices, service, stores = made.devices, made.service, made.stores
    assert isinstance(devices.network, NoNetwork)
    assert isinstance(devices.control, NoControl)
    assert isinstance(devices.metrics, NoMetrics)
    assert isinstance(service.prompts, NoPrompts)
    assert isinstance(stores.preferences, NoPreferences)
    assert isinstance(stores.resumption, NoResumption)
    assert isinstance(stores.resumption, NoResumption)
    assert stores.preferences.load() == Preferences()


async def test_a_kiosk_of_the_fewest_parts_holds_a_conversation() -> None:
    async with kiosk(QUIET) as it:
        await it.wake()
        await it.shows(KioskStatus.LISTENING)
        it.button.press()
        await it.shows(KioskStatus.ASLEEP)
