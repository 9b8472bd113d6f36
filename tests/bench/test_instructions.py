"""Counts are put beside the floors', and become an estimate for each Pi."""

import json
from collections import Counter

import pytest
from tests.bench import instructions, slow_motion
from tests.bench.client import KINDS
from tests.bench.devices import DEVICES, Device
from tests.bench.instructions import STATES, CountPlan, Work
from tests.support import sound_server
from tests.support.slow import left_out

WORK = Work(
    Counter({"Python": 2_000_000_000, "sound": 400_000_000}),
    Counter({"event loop": 30_000, "threaded-ml": 90_000}),
)
LESS = Work(Counter({"Python": 1_000_000_000, "sound": 200_000_000}), Counter({"event loop": 15_000}))


@pytest.mark.parametrize("device", DEVICES, ids=lambda device: device.name)
def test_an_estimate_grows_with_instructions_and_with_wake_ups(device: Device) -> None:
    least, most = device.seconds(1e9, (10_000, 10_000))
    assert 0 < least < most
    assert device.seconds(2e9, (10_000, 10_000)) > (least, most)
    assert device.seconds(1e9, (10_000, 10_000), starting=True)[1] < most
    assert device.seconds(1e9, (20_000, 20_000)) > (least, most)


def test_a_newer_pi_needs_less_time() -> None:
    spans = [WORK.seconds(device) for device in DEVICES]
    assert spans == sorted(spans, reverse=True)
    assert [most for _, most in spans] == sorted((most for _, most in spans), reverse=True)


def test_the_thread_of_pulseaudio_is_in_the_upper_end_only() -> None:
    alone = Work(WORK.instructions, Counter({"event loop": 30_000}))
    for device in DEVICES:
        assert WORK.seconds(device)[0] == alone.seconds(device)[0]
        assert WORK.seconds(device)[1] > alone.seconds(device)[1]


def test_the_report_has_counts_parts_and_estimates() -> None:
    found = {kind: dict.fromkeys(STATES, WORK if kind == "kioskd" else LESS) for kind in KINDS}
    report = instructions.report(found)
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in report.block.splitlines()]
    assert ["millions of instructions, a minute asleep", "2400", "1200", "1200", "2.00x"] in cells
    assert ["wake-ups, a minute asleep", "30000", "15000", "15000", "2.00x"] in cells
    assert ["a minute asleep", "2000", "400"] in cells
    assert "floor 20: a minute asleep" in [row[0] for row in cells if row]
    json.dumps(report.values)


@pytest.mark.timeout(900)
def test_a_floor_is_counted_in_each_state() -> None:
    if lacking := sound_server.missing() or slow_motion.missing() or left_out("two minutes"):
        pytest.skip(lacking)
    plan = CountPlan(slowness=20, window_s=0.5, settle_s=0.5, kinds=("floor 20",))
    states = instructions.count(plan, lambda _: None)["floor 20"]
    assert set(states) == set(STATES)
    for work in states.values():
        assert work.instructions["Python"] > 0
        assert work.instructions["sound"] > 0
        assert work.wake_ups["event loop"] > 0
    assert states["silent"].instructions["TLS"] > 0
    assert states["asleep"].instructions["TLS"] == 0
    assert states["asleep"].instructions.total() < states["silent"].instructions.total()
    assert states["silent"].instructions.total() < states["reply"].instructions.total()
