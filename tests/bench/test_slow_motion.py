"""The slow clock slows the time of Python's waits, and agrees between processes."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.bench import slow_motion
from tests.bench.slow_motion import slow_now, slow_world

WAITS = {
    "sleep": "time.sleep(0.05)",
    "lock": "threading.Lock().acquire() and threading.Event().wait(0.05)",
    "loop": "asyncio.run(asyncio.sleep(0.05))",
    "select": "select.select([], [], [], 0.05)",
    "poll": "select.poll().poll(50)",
}
SLOWNESS = 10


@pytest.fixture
def slow(tmp_path: Path) -> None:
    if lacking := slow_motion.missing():
        pytest.skip(lacking)


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize("name", WAITS)
def test_a_wait_takes_longer_and_its_clock_shows_no_difference(name: str, tmp_path: Path) -> None:
    script = (
        "import asyncio, select, threading, time; began, wall = time.monotonic(), time.time(); "
        f"{WAITS[name]}; print(time.monotonic() - began, time.time() - wall)"
    )
    with slow_world(tmp_path, SLOWNESS):
        said = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    shown_s, true_s = map(float, said.stdout.split())
    assert shown_s >= 0.05
    assert true_s >= 0.05 * SLOWNESS
    assert true_s == pytest.approx(shown_s * SLOWNESS, rel=0.05)


@pytest.mark.usefixtures("slow")
def test_processes_agree_on_the_slow_time(tmp_path: Path) -> None:
    before = slow_now(SLOWNESS)
    with slow_world(tmp_path, SLOWNESS):
        said = subprocess.run(
            [sys.executable, "-c", "import time; print(time.monotonic())"],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
    assert before <= float(said.stdout) <= slow_now(SLOWNESS)


@pytest.mark.usefixtures("slow")
def test_later_processes_keep_the_true_time(tmp_path: Path) -> None:
    with slow_world(tmp_path, SLOWNESS):
        pass
    before = time.monotonic()
    said = subprocess.run(
        [sys.executable, "-c", "import time; print(time.monotonic())"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert before <= float(said.stdout) <= time.monotonic()
