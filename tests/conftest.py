"""What more than one folder of tests needs."""

import functools
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest
from tests.support import patience
from tests.support import sound_server as virtual

ROOT: Final = Path(__file__).parents[1]

# A plain user's PATH leaves these out on Debian; the tests' tools (nft, tc, mosquitto) are there all the same.
os.environ["PATH"] += ":/usr/local/sbin:/usr/sbin:/sbin"

MEASURED: Final = ("tests/bench/", "tests/link/test_soak.py")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Mark what needs true time, and what needs the machine for itself: whatever measures, losses included."""
    for item in items:
        path = item.path.relative_to(ROOT).as_posix()
        if path.startswith(MEASURED):
            item.add_marker(pytest.mark.measured)
        elif "sound_server" in _text(item.path):
            item.add_marker(pytest.mark.sound)


@functools.cache
def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> Iterator[None]:
    """Undo what a test that runs a command in this process does to the logs: the next one wants to read them."""
    loggers = [logging.getLogger(name) for name in (None, "kioskd")]
    before = [(each.level, each.propagate, each.handlers[:], each.filters[:]) for each in loggers]
    yield
    for each, (level, propagate, handlers, filters) in zip(loggers, before, strict=True):
        each.setLevel(level)
        each.propagate, each.handlers, each.filters = propagate, handlers, filters


@pytest.fixture(scope="session", autouse=patience.FACTOR != 1)
def _patience() -> Iterator[None]:
    """Give everything more time, where this machine needs it."""
    with pytest.MonkeyPatch.context() as patch:
        patience.stretch(patch)
        yield


@pytest.fixture(scope="session")
def sound_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[virtual.SoundServer]:
    """A virtual microphone and speaker that ALSA finds as its default devices."""
    if lacking := virtual.missing():
        pytest.skip(lacking)
    with (
        virtual.SoundServer(tmp_path_factory.mktemp("sound")) as server,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in server.environ.items():
            patch.setitem(os.environ, name, value)
        yield server
