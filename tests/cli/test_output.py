"""Every command ends with its own exit code, also if its output cannot be written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kioskd.cli import Exit


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "opened-later"


def in_shell(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, timeout=240, check=False)


@pytest.mark.parametrize("arguments", ["schema", "--help", "--version"])
def test_a_reader_that_ends_early_is_no_bug(arguments: str) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "kioskd", arguments],
            stdout=write_end,
            stderr=subprocess.PIPE,
            text=True,
            timeout=240,
            check=False,
        )
    finally:
        os.close(write_end)
    assert (done.returncode, done.stderr) == (Exit.PIPE_CLOSED, "")


@pytest.mark.parametrize("arguments", ["schema", "--help", "--version", "check --help", "tools list --help"])
def test_a_full_disk_is_no_bug(arguments: str) -> None:
    command = [sys.executable, "-m", "kioskd", *arguments.split()]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=240, check=False
        )
    assert (done.returncode, done.stderr) == (
        Exit.UNAVAILABLE,
        "kioskd: cannot write: No space left on device; free some space, and try again\n",
    )


@pytest.mark.parametrize("closed", [">&-", "<&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(
    ("arguments", "code"), [("schema", 0), ("--help", 0), ("--version", 0), ("dance", 2), ("status", 69)]
)
def test_a_closed_stream_changes_no_exit_code(arguments: str, code: int, closed: str) -> None:
    done = in_shell(f"exec {sys.executable} -m kioskd {arguments} {closed}")
    assert done.returncode == code
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("arguments", "code"), [("--version", 0), ("dance", 2), ("status", 69)])
def test_errors_that_cannot_be_printed_change_no_exit_code(arguments: str, code: int) -> None:
    assert in_shell(f"exec {sys.executable} -m kioskd {arguments} 2>/dev/full").returncode == code


def test_output_of_a_closed_stream_lands_in_no_file(file: Path) -> None:
    script = f"output.open_missing(); f = open({str(file)!r}, 'w'); print('x')"
    opens = f"import sys; from kioskd.cli import output; {script}"
    done = in_shell(f'exec {sys.executable} -c "{opens}" >&-')
    assert (done.returncode, file.read_text()) == (0, "")
