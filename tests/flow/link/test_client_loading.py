"""When the service's client library is loaded."""

import asyncio

import pytest
from tests.support.fakes_devices import ManualClock
from tests.support.fakes_live import ScriptedLive
from tests.support.kiosk import running, soon

from kioskd.core.events import Started
from kioskd.core.machine import State
from kioskd.errors import ConfigError
from kioskd.flow.link.client_loading import ClientLoading


class HeldLive(ScriptedLive):
    """A service whose client library takes until `let`."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.let = asyncio.Event(), asyncio.Event()

    async def warm_up(self) -> None:
        self.begun.set()
        await self.let.wait()
        await super().warm_up()


async def test_a_kiosk_that_sleeps_first_is_ready_before_the_library_is_loaded() -> None:
    live, clock = HeldLive(), ManualClock()
    loading = ClientLoading(live, at_once=False)
    assert not loading.ready
    async with running(loading.run()):
        await clock.advance(0)
        assert live.checked
        assert loading.ready
        assert not live.begun.is_set()

        loading.observe(0.0, Started(), State(), State(), ())
        await soon(live.begun.wait())


async def test_a_kiosk_that_dials_at_the_start_is_ready_when_the_library_is_loaded() -> None:
    live = HeldLive()
    loading = ClientLoading(live, at_once=True)
    run = asyncio.create_task(loading.run())
    await soon(live.begun.wait())
    assert not loading.ready
    live.let.set()
    await run
    assert loading.ready


@pytest.mark.parametrize("at_once", [True, False])
async def test_unusable_settings_of_the_service_are_found_before_the_kiosk_is_ready(at_once: bool) -> None:
    class Misconfigured(ScriptedLive):
        async def check(self) -> None:
            raise ConfigError("service.ca_file: not there")

    loading = ClientLoading(Misconfigured(), at_once=at_once)
    with pytest.raises(ConfigError, match="ca_file"):
        await soon(loading.run())
    assert not loading.ready
