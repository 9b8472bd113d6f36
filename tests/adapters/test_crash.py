"""The place where a process hung, logged by the next process in one line."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from kioskd.adapters import crash

HANGS = """
import os, pathlib, signal, sys, threading
from kioskd.adapters import crash
crash.keep(pathlib.Path(sys.argv[1]))
for number in range(12):
    threading.Thread(target=threading.Event().wait, daemon=True).start()
def hang():
    print("hangs", flush=True)
    signal.pause()
hang()
"""

NEXT = """
import logging, pathlib, sys
from kioskd.adapters import crash
logging.basicConfig(format="%(message)s")
crash.keep(pathlib.Path(sys.argv[1]))
"""

DUMP = """\
Fatal Python error: Aborted

Thread 0x00007f71e6ffd6c0 (most recent call first):
  File "/usr/lib/python3.11/threading.py", line 320 in wait
  File "/opt/kioskd/0.1.0-1/lib/python3.11/site-packages/kioskd/logs.py", line 200 in _write
  File "/usr/lib/python3.11/threading.py", line 1002 in _bootstrap

Current thread 0x00007f71eebf9b80 (most recent call first):
  File "/usr/lib/python3.11/ssl.py", line 1166 in read
  File "/opt/kioskd/0.1.0-1/lib/python3.11/site-packages/kioskd/flow/runtime/engine.py", line 58 in _step
  File "/usr/lib/python3.11/asyncio/runners.py", line 118 in run
  File "/opt/kioskd/current/bin/kioskd", line 8 in <module>

Extension modules: numpy.core._multiarray_umath (total: 1)
"""


def ends(folder: Path, number: signal.Signals = signal.SIGABRT) -> str:
    """Let a process hang, end it as the watchdog does, and return its output."""
    with subprocess.Popen(
        [sys.executable, "-c", HANGS, folder], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "hangs\n"
        process.send_signal(number)
        printed = process.stdout.read()
    assert process.returncode == -number
    return printed


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def heard(folder: Path) -> list[str]:
    """Run the next process, and return its log."""
    done = subprocess.run([sys.executable, "-c", NEXT, folder], capture_output=True, text=True, check=True)
    return done.stderr.splitlines()


def test_a_hang_is_logged_by_the_next_process_in_one_line(folder: Path) -> None:
    assert ends(folder) == ""
    [line] = heard(folder)
    assert line.startswith("the previous kioskd process crashed (Aborted) in hang (<string>:")
    assert "; other threads (12) in wait (threading.py:" in line
    assert line.endswith(f"; full report: {folder / crash.LAST}")
    assert "\n" not in line
    assert (folder / crash.LAST).read_text().count("Thread 0x") == 12


def test_a_crash_is_logged_once(folder: Path) -> None:
    ends(folder, signal.SIGSEGV)
    assert "crashed (Segmentation fault)" in heard(folder)[0]
    assert heard(folder) == []


def test_only_the_owner_may_read_the_files(folder: Path) -> None:
    ends(folder)
    heard(folder)
    for name in (crash.NAME, crash.LAST):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600


def test_a_link_in_place_of_the_file_is_not_followed(folder: Path) -> None:
    (folder / "victim").write_text("")
    (folder / crash.NAME).symlink_to(folder / "victim")
    assert "crashes cannot be recorded" in heard(folder)[0]


def test_the_line_has_kioskds_calls_and_no_path_of_the_machine() -> None:
    assert crash.summary(DUMP) == (
        "crashed (Aborted) in read (ssl.py:1166) < _step (kioskd/flow/runtime/engine.py:58); "
        "other threads (1) in wait (threading.py:320)"
    )


@pytest.mark.parametrize(
    "dump", ["", "x", "Fatal Python error: A\n", "Thread 0x1\n  <no Python frame>\n", "\0" * 99]
)
def test_other_content_of_the_file_does_no_harm(dump: str) -> None:
    assert crash.summary(dump).startswith("crashed")


def test_without_a_runtime_directory_nothing_changes() -> None:
    before = os.listdir()  # noqa: PTH208
    crash.keep(None)
    assert os.listdir() == before  # noqa: PTH208
