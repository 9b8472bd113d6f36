"""Messages of C libraries, and the reports of a crash."""

import ctypes
import logging
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Final

import pytest

from kioskd.adapters.portaudio.stderr import FILE, SIZE, captured

LIBC: Final = ctypes.CDLL(None)


@pytest.fixture(autouse=True)
def _debug(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)


def prints(text: str) -> None:
    """Print as a C library does."""
    LIBC.fputs(text.encode(), ctypes.c_void_p.in_dll(LIBC, "stderr"))


def ended(script: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a script in a process like the daemon's, and return its result."""
    begin = (
        "import ctypes, logging, os; from pathlib import Path; from kioskd.adapters.portaudio import stderr\n"
        "libc = ctypes.CDLL(None); logging.basicConfig(format='log: %(message)s')\n"
        "def prints(text): libc.fputs(text, ctypes.c_void_p.in_dll(libc, 'stderr'))\n"
    )
    return subprocess.run(
        [sys.executable, "-c", begin + script],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environ,
    )


def test_a_page_of_messages_becomes_one_debug_line(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with captured("sound") as lines:
        prints("ALSA lib: one\nALSA lib: two\nno jack")
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.DEBUG, "sound: a library wrote to stderr: lines=3 last='no jack'")
    ]
    assert lines == ["ALSA lib: one", "ALSA lib: two", "no jack"]
    assert capfd.readouterr().err == ""


def test_messages_of_a_librarys_own_thread_are_caught_too(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with captured("sound"):
        pass
    prints("Expression 'alsa_snd_pcm_avail_update' failed\n" * 3)
    assert capfd.readouterr().err == ""
    with captured("sound"):
        pass
    assert [record.args[1] for record in caplog.records if isinstance(record.args, tuple)] == [3]


def test_descriptor_2_is_never_redirected(capfd: pytest.CaptureFixture[str]) -> None:
    with captured("sound"):
        os.write(2, b"a crash\n")
    assert capfd.readouterr().err == "a crash\n"


def test_endless_messages_of_a_library_fill_nothing(tmp_path: Path) -> None:
    keep = f"stderr.keep(Path({str(tmp_path)!r}))\n"
    done = ended(keep + "for _ in range(5000): prints(b'Expression failed ' * 50 + b'\\n')\nos._exit(0)")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / FILE).stat().st_size == SIZE
    assert "Expression failed" in ended(keep).stderr


def test_messages_after_a_flood_are_caught_again() -> None:
    with captured("flood"):
        for _ in range(2000):
            prints("x" * 100 + "\n")
    with captured("after") as lines:
        prints("heard\n")
    assert lines == ["heard"]


def test_a_block_without_messages_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with captured("sound"):
        pass
    assert caplog.records == []


def test_captures_may_be_nested(caplog: pytest.LogCaptureFixture) -> None:
    with captured("outer"):
        with captured("inner") as lines:
            prints("one\n")
        prints("two\n")
    assert lines == ["one"]
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == ["inner", "outer"]


def test_messages_are_logged_although_the_block_raises(caplog: pytest.LogCaptureFixture) -> None:
    def fails() -> None:
        prints("last words\n")
        raise ArithmeticError

    with pytest.raises(ArithmeticError), captured("sound"):
        fails()
    assert "last='last words'" in caplog.text


def test_two_threads_take_turns(caplog: pytest.LogCaptureFixture) -> None:
    def chatter(name: str) -> None:
        for _ in range(50):
            with captured(name):
                prints(name)

    threads = [threading.Thread(target=chatter, args=(name,)) for name in ("left", "right")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    said = sorted(record.getMessage() for record in caplog.records)
    assert said == [
        f"{name}: a library wrote to stderr: lines=1 last='{name}'"
        for name in ("left", "right")
        for _ in range(50)
    ]


def test_descriptors_do_not_leak() -> None:
    with captured("sound"):
        before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(10):
        with captured("sound"):
            prints("one\n")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_an_abort_in_a_library_shows_its_place(tmp_path: Path) -> None:
    done = ended(
        f"stderr.keep(Path({str(tmp_path)!r}))\nwith stderr.captured('sound'):\n"
        " os.dup2(os.open('/dev/null', 1), 2); os.abort()"
    )
    assert done.returncode == -signal.SIGABRT
    assert "Fatal Python error: Aborted" in done.stderr
    assert 'File "<string>"' in done.stderr


def test_the_next_process_logs_the_assertion_that_ended_the_last(tmp_path: Path) -> None:
    keep = f"stderr.keep(Path({str(tmp_path)!r}))\n"
    ended(
        keep
        + "with stderr.captured('sound'):\n prints(b'pa.c:1454: Assertion `n > 0` failed.\\n'); os.abort()"
    )
    after = ended(keep).stderr
    assert (
        after == "log: the previous kioskd process crashed; the last message of a library was: "
        "'pa.c:1454: Assertion `n > 0` failed.'\n"
    )
    assert ended(keep).stderr == "", "it is logged once"


def test_a_process_that_ended_well_leaves_no_messages(tmp_path: Path) -> None:
    keep = f"stderr.keep(Path({str(tmp_path)!r}))\n"
    ended(keep + "prints(b'no jack\\n')")
    assert not any((tmp_path / FILE).read_bytes())
    assert ended(keep).stderr == ""


def test_a_folder_that_cannot_hold_the_file_is_logged_and_costs_nothing(tmp_path: Path) -> None:
    (tmp_path / FILE).symlink_to("/etc/passwd")
    assert (
        "messages of sound libraries are not recorded"
        in ended(f"stderr.keep(Path({str(tmp_path)!r}))").stderr
    )


def test_a_process_without_stderr_starts() -> None:
    assert ended("os.close(2); stderr.keep(None)").returncode == 0
