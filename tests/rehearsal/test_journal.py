"""The daemon's log lines that a rehearsal keeps, and the logging that it leaves unchanged."""

import logging
from collections.abc import Iterator

import pytest

from kioskd.rehearsal.capture import kept_journal

log = logging.getLogger("kioskd.flow.somewhere")
ours = logging.getLogger("kioskd")


@pytest.fixture(autouse=True)
def _as_the_command_sets_it() -> Iterator[None]:
    level = ours.level
    ours.setLevel(logging.WARNING)
    yield
    ours.setLevel(level)


def test_lines_from_info_up_are_kept_and_logged_as_usual(
    caplog: pytest.LogCaptureFixture,
) -> None:
    lines: list[str] = []
    with kept_journal(lines):
        log.debug("nobody asked")
        log.info("link up: epoch=%d", 1)
        log.warning("link lost: epoch=%d", 1)
    assert lines == ["link up: epoch=1", "link lost: epoch=1"]
    assert [record.getMessage() for record in caplog.records] == ["link lost: epoch=1"]


def test_logging_is_restored_afterwards(caplog: pytest.LogCaptureFixture) -> None:
    lines: list[str] = []
    with pytest.raises(ZeroDivisionError), kept_journal(lines):
        raise ZeroDivisionError
    log.info("not written")
    log.warning("written")
    assert lines == []
    assert (ours.level, ours.propagate, ours.handlers) == (logging.WARNING, True, [])
    assert [record.getMessage() for record in caplog.records] == ["written"]
