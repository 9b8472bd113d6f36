"""What more than one folder of tests needs."""

import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest
from tests.support import sound_server as virtual

HERE: Final = Path(__file__).parent

TOGETHER: Final = {
    "bench": "sound",
    "box": "box",
    "link": "link",
    "room": "sound",
    "soak": "soak",
}
"""Folders whose tests would disturb each other: run one after the other, in one process."""


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Say which tests belong together where several processes share the work; tests of sound devices do, wherever."""
    for item in items:
        fixtures: Sequence[str] = getattr(item, "fixturenames", ())
        folder = item.path.relative_to(HERE).parts[0]
        group = "sound" if "sound_server" in fixtures else TOGETHER.get(folder, str(item.path))
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> Iterator[None]:
    """Undo what a test that runs a command in this process does to the logs: the next one wants to read them."""
    loggers = [logging.getLogger(name) for name in (None, "kioskd")]
    before = [(each.level, each.propagate, each.handlers[:], each.filters[:]) for each in loggers]
    yield
    for each, (level, propagate, handlers, filters) in zip(loggers, before, strict=True):
        each.setLevel(level)
        each.propagate, each.handlers, each.filters = propagate, handlers, filters


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
