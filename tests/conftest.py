"""Marks, log settings and a sound server for the tests of all folders."""

import functools
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import hypothesis
import pytest
from tests.support import patience
from tests.support import sound_server as virtual

ROOT: Final = Path(__file__).parents[1]

# Debian leaves these folders out of a plain user's PATH. Tools of the tests (nft, tc, mosquitto) are there.
os.environ["PATH"] += ":/usr/local/sbin:/usr/sbin:/sbin"

MEASURED: Final = "tests/bench/"

# Hypothesis fails an example that takes 200 ms, and on a busy machine any example may take that long.
# pytest ends a test that hangs.
hypothesis.settings.register_profile("busy machine", deadline=None)
hypothesis.settings.load_profile("busy machine")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Mark the tests that need true time, and those that measure and need the machine for themselves."""
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
    """Undo the changes to loggers that a command makes when a test runs it in this process."""
    loggers = [logging.getLogger(name) for name in (None, "kioskd")]
    before = [(each.level, each.propagate, each.handlers[:], each.filters[:]) for each in loggers]
    yield
    for each, (level, propagate, handlers, filters) in zip(loggers, before, strict=True):
        each.setLevel(level)
        each.propagate, each.handlers, each.filters = propagate, handlers, filters


@pytest.fixture(scope="session", autouse=patience.FACTOR != 1)
def _patience() -> Iterator[None]:
    """Stretch all deadlines if this machine needs that; see `patience`."""
    with pytest.MonkeyPatch.context() as patch:
        patience.stretch(patch)
        yield


@pytest.fixture(scope="session")
def sound_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[virtual.SoundServer]:
    """Return a virtual microphone and speaker. ALSA finds them as its default devices."""
    if lacking := virtual.missing():
        pytest.skip(lacking)
    with (
        virtual.SoundServer(tmp_path_factory.mktemp("sound")) as server,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in server.environ.items():
            patch.setitem(os.environ, name, value)
        yield server
