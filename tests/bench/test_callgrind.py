"""Counts of callgrind are summed up by part, each instruction once."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from tests.bench import slow_motion
from tests.bench.callgrind import by_file, by_part

DUMP = """\
# callgrind format
version: 1
events: Ir
summary: 1111

ob=(1) /usr/bin/python3.11
fl=(1) ???
fn=(1) main
0 100
+3 10
cob=(2) /lib/libc.so.6
cfn=(2) malloc
calls=7 0
* 700
* 1

ob=(2)
fn=(2)
12 400
-4 200

ob=(3) /tmp/slow_clock.so
fn=(3) poll
0 300

ob=(1)
fn=(4) eval
0 100

totals: 1111
"""


def test_each_instruction_counts_for_the_file_that_has_it() -> None:
    assert by_file(DUMP.splitlines(keepends=True)) == {
        "/usr/bin/python3.11": 211, "/lib/libc.so.6": 600, "/tmp/slow_clock.so": 300,
    }  # fmt: skip


def test_the_slow_clock_is_not_counted() -> None:
    files = by_file(DUMP.splitlines(keepends=True))
    assert by_part(files) == {"Python": 211, "C library": 600}


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("/usr/lib/x86_64-linux-gnu/libportaudio.so.2.0.0", "sound"),
        ("/usr/lib/python3/dist-packages/pyaudio/_portaudio.cpython-311-x86_64-linux-gnu.so", "sound"),
        ("/usr/lib/x86_64-linux-gnu/alsa-lib/libasound_module_pcm_pulse.so", "sound"),
        ("/usr/lib/x86_64-linux-gnu/libssl.so.3", "TLS"),
        ("/usr/lib/python3.11/lib-dynload/_ssl.cpython-311-x86_64-linux-gnu.so", "TLS"),
        ("/home/kiosk/.venv/lib/python3.11/site-packages/websockets/speedups.so", "Python"),
        ("/usr/lib/x86_64-linux-gnu/libc.so.6", "C library"),
        ("/usr/lib/x86_64-linux-gnu/libopenblas.so.0", "rest"),
    ],
)
def test_each_library_belongs_to_a_part(path: str, part: str) -> None:
    assert by_part(Counter({path: 5})) == {part: 5}


def test_the_sum_of_a_real_dump_is_callgrinds_own(tmp_path: Path) -> None:
    if lacking := slow_motion.missing():
        pytest.skip(lacking)
    dump = tmp_path / "counts"
    subprocess.run(
        [
            "valgrind",
            "-q",
            "--tool=callgrind",
            f"--callgrind-out-file={dump}",
            sys.executable,
            "-S",
            "-c",
            "",
        ],
        check=True,
    )
    lines = dump.read_text().splitlines(keepends=True)
    assert f"totals: {by_file(lines).total()}\n" == lines[-1]
