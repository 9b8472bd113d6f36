"""The check that a running daemon writes next to nothing to the disk."""

import pytest
from tests.doctor.planting import Kiosk, finding_of

from kioskd.doctor.finding import Verdict


def running(kiosk: Kiosk, *, written: int, seconds: float) -> None:
    """Plant a daemon that has run for `seconds`, and has written `written` bytes."""
    kiosk.process(77, "python", "/opt/kioskd/current/bin/kioskd", "run")
    kiosk.file("/proc/77/io", f"rchar: 9\nwrite_bytes: {written}\ncancelled_write_bytes: 0\n")
    started = round((100_000 - seconds) * 100)
    kiosk.file("/proc/77/stat", f"77 (kioskd) S {' '.join(['0'] * 18)} {started} 0 0\n")


@pytest.mark.parametrize(
    ("written", "verdict"), [(0, Verdict.OK), (600_000, Verdict.OK), (60_000_000, Verdict.FAULT)]
)
async def test_writing_is_judged_by_the_daemons_whole_life(
    kiosk: Kiosk, written: int, verdict: Verdict
) -> None:
    running(kiosk, written=written, seconds=600)
    found = finding_of(await kiosk.examined(), "wear")
    assert found.verdict is verdict
    assert found.figures["bytes_a_minute"] == written / 10


async def test_prompts_that_are_made_at_the_first_start_are_no_wear(kiosk: Kiosk) -> None:
    running(kiosk, written=3_000_000, seconds=90)
    assert finding_of(await kiosk.examined(), "wear").fault == "writes-much"
    kiosk.file("/var/cache/kioskd/prompts/a.prompt", "p" * 2_990_000)
    assert finding_of(await kiosk.examined(), "wear").verdict is Verdict.OK


async def test_a_daemon_that_has_just_started_is_not_judged(kiosk: Kiosk) -> None:
    running(kiosk, written=60_000_000, seconds=20)
    assert finding_of(await kiosk.examined(), "wear").verdict is Verdict.SKIPPED


async def test_a_minute_of_writing_is_measured_where_it_is_asked_for(kiosk: Kiosk) -> None:
    running(kiosk, written=10_000_000, seconds=600)
    kiosk.wear = True
    clock = kiosk.clock
    began = clock.now()

    def write() -> None:
        running(kiosk, written=10_200_000, seconds=600)

    clock.call_later(30.0, write)
    found = finding_of(await kiosk.examined(), "wear")
    assert clock.now() - began >= 60
    assert (found.fault, found.figures["bytes_a_minute"]) == ("writes-much", 200_000)
