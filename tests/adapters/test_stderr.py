import logging
import os
import threading
from pathlib import Path

import pytest

from kioskd.adapters.stderr import captured


@pytest.fixture(autouse=True)
def _debug(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)


def test_a_page_of_chatter_becomes_one_debug_line(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with captured("sound"):
        os.write(2, b"ALSA lib: one\nALSA lib: two\nno jack")
    os.write(2, b"after\n")
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.DEBUG, "sound: a library wrote to stderr: lines=3 last='no jack'")
    ]
    assert capfd.readouterr().err == "after\n"


def test_silence_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with captured("sound"):
        pass
    assert caplog.records == []


def test_it_may_be_nested(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    with captured("outer"):
        with captured("inner"):
            os.write(2, b"one\n")
        os.write(2, b"two\n")
    os.write(2, b"after\n")
    assert [record.getMessage() for record in caplog.records] == [
        "outer: a library wrote to stderr: lines=2 last='two'"
    ]
    assert capfd.readouterr().err == "after\n"


def test_an_error_passes_and_stderr_is_back(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ArithmeticError), captured("sound"):
        raise ArithmeticError
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"


def test_two_threads_take_turns(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    def chatter(name: str) -> None:
        for _ in range(50):
            with captured(name):
                os.write(2, name.encode())

    threads = [threading.Thread(target=chatter, args=(name,)) for name in ("left", "right")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    os.write(2, b"after\n")
    said = sorted(record.getMessage() for record in caplog.records)
    assert said == [
        f"{name}: a library wrote to stderr: lines=1 last='{name}'"
        for name in ("left", "right")
        for _ in range(50)
    ]
    assert capfd.readouterr().err == "after\n"


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_descriptors_do_not_leak() -> None:
    before = open_descriptors()
    for _ in range(10):
        with captured("sound"):
            os.write(2, b"one\n")
    assert open_descriptors() == before
