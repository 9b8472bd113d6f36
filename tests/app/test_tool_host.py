"""The tools of a kiosk: their rules and their state across reloads."""

import asyncio

from tests.support.fakes_devices import ManualClock

from kioskd import app
from kioskd.settings.model import Settings
from kioskd.simulator import Reply, ServiceScript, Simulator
from kioskd.tools.contract import Declaration


async def test_the_findings_about_a_rejected_tool_outlive_a_reload() -> None:
    offered = [Declaration(name, "Does it.", {"type": "object"}) for name in ("tell_time", "open_door")]
    script = ServiceScript(replies=(Reply(silent=True),), refused_functions=("open_door",))
    async with asyncio.timeout(60), Simulator(script) as simulator:
        service = {"endpoint": simulator.endpoint, "ca_file": str(simulator.ca_file)}
        settings, tools = (
            Settings.model_validate({"service": service}),
            app.ToolSet(Settings(), {}, ManualClock()),
        )
        dials = []
        for _ in range(3):  # as at the start and at each reload
            async with app.live(settings, simulator.key, lambda: offered, tools.trial).connect(None):
                dials.append(len(simulator.connections))
    assert dials[1:] == [dials[0] + 1, dials[0] + 2]
    assert [one["name"] for one in tools.left_out] == ["open_door"]


def test_after_a_reload_the_new_model_decides_whether_it_waits_for_tools() -> None:
    tools = app.ToolSet(Settings(), {}, ManualClock())
    slow = Declaration("open_door", "Opens it.", {"type": "object"}, blocking=True)
    assert tools.functions.blocks(slow)
    tools.use_settings(Settings.model_validate({"service": {"model": "gemini-3.8-live"}}))
    assert tools.functions.blocks(slow)
    assert not tools.functions.blocks(Declaration("note", "Notes.", {"type": "object"}, blocking=False))
