"""Wake-ups are counted by thread, as the kernel counts them."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from tests.bench.wake_ups import LOOP, OWN_THREADS, SOUND, Waits, WakeUpMeter, between, threads

POLLER = """
import os, select, sys, threading
def read():
    poll = select.poll()
    poll.register(os.pipe()[0], select.POLLIN)
    print("polling", flush=True)
    poll.poll()
threading.Thread(target=read, daemon=True).start()
sys.stdin.readline()
"""
SLEEPER = """
import sys, threading, time
def tick():
    for _ in range(20):
        threading.Event().wait(0.01)
    print("done", flush=True)
    threading.Event().wait()
sys.stdin.readline()
threading.Thread(target=tick, daemon=True).start()
sys.stdin.readline()
"""


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", SLEEPER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.kill()


def test_a_thread_that_waits_for_a_lock_is_pythons(sleeper: subprocess.Popen[str]) -> None:
    assert sleeper.stdin
    assert sleeper.stdout
    meter = WakeUpMeter()
    meter.take(sleeper.pid)
    sleeper.stdin.write("\n")
    sleeper.stdin.flush()
    assert sleeper.stdout.readline() == "done\n"
    woken = meter.take(sleeper.pid)
    assert woken[OWN_THREADS] >= 20
    assert set(woken) == {LOOP, OWN_THREADS}


def test_a_thread_that_waits_for_a_file_is_portaudios() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", POLLER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "polling\n"
        assert {waits.name for waits in threads(process.pid).values()} == {LOOP, SOUND}
        process.kill()


def test_this_process_has_one_main_thread() -> None:
    found = threads(os.getpid())
    assert [number for number, waits in found.items() if waits.name == LOOP] == [os.getpid()]


def test_a_new_thread_counts_from_its_beginning() -> None:
    before = {1: Waits(LOOP, 100)}
    after = {1: Waits(LOOP, 130), 2: Waits("alsa", 7), 3: Waits("alsa", 2)}
    assert between(before, after) == {LOOP: 30, "alsa": 9}
