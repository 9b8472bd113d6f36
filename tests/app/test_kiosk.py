"""The whole daemon: the function for every effect of the core, and the changes by a reload."""

from typing import get_args

from tests.support.fakes_live import ScriptedLive
from tests.support.kiosk import QUIET, Kiosk, running

from kioskd.app.kiosk import Kiosk as Daemon
from kioskd.app.kiosk import NewSettings
from kioskd.core.effects import Effect
from kioskd.flow.runtime.reload import Reload
from kioskd.settings.sound import SpeakerSettings


async def test_each_effect_of_the_core_has_a_function() -> None:
    it = Kiosk(QUIET, watchdog_s=None)
    daemon = Daemon(it.settings, it.parts(), [])
    assert set(daemon.performers()) == set(get_args(Effect))


async def test_a_reload_sets_the_volume_and_is_reported_to_the_service_manager() -> None:
    it = Kiosk(QUIET, watchdog_s=None)
    louder = QUIET.model_copy(update={"speaker": SpeakerSettings(cues=(), volume=30)})
    reload = Reload(lambda: NewSettings(louder, ScriptedLive()))
    daemon = Daemon(it.settings, it.parts(), [it.observe])
    async with running(daemon.run(reload)):
        await it.start()
        await reload.now()
        assert daemon.sound.volume.percent == 30
        assert it.notifier.told[-1] == "ready"
