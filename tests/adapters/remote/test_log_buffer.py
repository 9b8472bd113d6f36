"""The last lines of the journal, for `kioskd watch`."""

import logging
from collections.abc import Iterator

import pytest

from kioskd.adapters.remote.log_buffer import LINE_CHARS, LINES, LogBuffer

log = logging.getLogger("kioskd.test_recent")


@pytest.fixture
def recent() -> Iterator[LogBuffer]:
    handler = LogBuffer()
    logger = logging.getLogger("kioskd.test_recent")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)


def test_a_reader_gets_each_line_once(recent: LogBuffer) -> None:
    log.info("link up: epoch=%d", 1)
    log.warning("link lost: epoch=%d", 1)
    lines, newest = recent.since(0)
    assert [(line["level"], line["text"]) for line in lines] == [
        ("info", "link up: epoch=1"),
        ("warning", "link lost: epoch=1"),
    ]
    assert recent.since(newest) == ([], newest)
    log.info("link up: epoch=%d", 2)
    assert [line["text"] for line in recent.since(newest)[0]] == ["link up: epoch=2"]


def test_only_the_newest_lines_from_info_up_are_kept(recent: LogBuffer) -> None:
    for number in range(3 * LINES):
        log.info("line %d %s", number, "x" * 1000)
        log.debug("nothing")
    lines, newest = recent.since(0)
    assert newest == 3 * LINES
    assert len(lines) == LINES
    assert lines[-1]["text"].startswith(f"line {3 * LINES - 1} ")
    assert max(len(line["text"]) for line in lines) == LINE_CHARS


def test_a_broken_line_ends_nothing(recent: LogBuffer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    log.propagate = False  # pytest's own handler raises
    try:
        log.info("%d", "not a number")
    finally:
        log.propagate = True
    assert recent.since(0) == ([], 0)
