"""A program that has given up its rights gets no memory, no files and no time."""

import ctypes
import subprocess
import sys

import pytest


def child(program: str) -> str:
    """Run `program` in a process that has given up its rights, and return its output."""
    ran = subprocess.run(
        [
            sys.executable,
            "-I",
            "-c",
            f"from kioskd.confined import child as w\nw.give_up_rights(320_000_000)\n{program}",
        ],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    return ran.stdout + ran.stderr.strip().rpartition("\n")[2]


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("bytearray(400_000_000)", "MemoryError"),
        ("import subprocess; subprocess.run(['true'])", "Error"),
        ("open('/etc/hostname')", "PermissionError"),
        ("open('/tmp/kioskd-hostile', 'w')", "PermissionError"),
        ("import os; os.listdir('/etc')", "PermissionError"),
        ("w.allow_time(1)\nwhile True: pass", ""),
    ],
)
def test_a_compromised_child_gets_neither_memory_nor_files_nor_time(program: str, said: str) -> None:
    if "open" in program or "listdir" in program:
        require_landlock()
    # Since Python 3.13, printing an error imports modules, which such a child cannot read.
    caught = "except Exception as error: print(type(error).__name__)"
    printed = child(f"try: exec({program!r}); print('done')\n{caught}")
    assert "done" not in printed
    assert said in printed


def require_landlock() -> None:
    """Skip the test if the kernel has no Landlock; the other limits still hold."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(444, None, ctypes.c_size_t(0), 1) < 0:
        pytest.skip("this kernel has no Landlock")
