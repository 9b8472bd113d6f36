"""What more than one folder of tests needs."""

import functools
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
from tests.support import sound_server as virtual

ROOT: Final = Path(__file__).parents[1]

TOGETHER: Final = frozenset({"bench", "box", "room"})
"""Folders whose tests share what takes long to make: run one after the other, in one process."""

APART: Final = frozenset(
    {f"tests/box/test_{name}.py" for name in ("camera", "debian_12", "doctor", "rebooted")}
)
"""... but for these: each has a machine of its own."""

MEASURED: Final = ("tests/bench/", "tests/room/", "tests/link/test_soak.py")


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


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    """Say which tests belong together where several processes share the work: those of a file, or of such a folder."""
    from xdist.scheduler import LoadScopeScheduling  # noqa: PLC0415 - asked only where it is there

    # Its own groups (loadgroup) are not seen with pytest 9.2: pytest-dev/pytest-xdist#1386.
    class Together(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
        def _split_scope(self, nodeid: str) -> str:
            path = nodeid.partition("::")[0]
            folder = Path(path).parts[1]
            return folder if folder in TOGETHER and path not in APART else path

    return Together(config, log)


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
