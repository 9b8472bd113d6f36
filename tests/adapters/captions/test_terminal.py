"""Captions on a terminal: a pseudo terminal stands for the console."""

import asyncio
import fcntl
import os
import pty
import struct
import termios
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.support.fakes_devices import ManualClock
from tests.support.kiosk import running

from kioskd.adapters.captions.terminal import FIRST_RETRY_S, REDRAW_S, CaptionTerminal
from kioskd.adapters.captions.terminal_layout import END, harmless, screen, width, wrapped
from kioskd.core.effects import KioskStatus
from kioskd.flow.captions.caption_board import Caption, CaptionBoard
from kioskd.flow.captions.labels import labels


def status(*, words: str = "", left_s: int | None = None) -> Mapping[str, Any]:
    said = labels("en")
    return {
        "label": said.states[KioskStatus.LISTENING],
        "code": "W1" if words else "",
        "words": words,
        "ends_in_s": left_s,
        "labels": said.others,
    }


class Console:
    """A pseudo terminal of 20 columns and 6 rows."""

    def __init__(self) -> None:
        self.ours, theirs = pty.openpty()
        self.path = Path(os.ttyname(theirs))
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("4H", 6, 20, 0, 0))
        self._theirs = theirs
        os.set_blocking(self.ours, False)

    async def shown(self, until: str) -> str:
        """Return what is written, up to and with the text `until`."""
        found = ""
        async with asyncio.timeout(30):
            while until not in found:
                try:
                    found += os.read(self.ours, 65_536).decode()
                except BlockingIOError:
                    await asyncio.sleep(0.002)
        return found

    def close(self) -> None:
        for each in (self.ours, self._theirs):
            os.close(each)


@asynccontextmanager
async def console() -> AsyncIterator[tuple[Console, CaptionBoard, ManualClock]]:
    made, clock = Console(), ManualClock()
    board = CaptionBoard(clock, status())
    async with running(CaptionTerminal(made.path, clock).show(board.follow)):
        yield made, board, clock
    assert END in await made.shown(END)
    made.close()


async def test_the_newest_lines_fit_and_the_screen_is_empty_in_the_end() -> None:
    async with console() as (it, board, clock):
        assert "Listening" in await it.shown("\x1b[J")
        board.add(Caption("visitor", "Where is the lift?"))
        board.add(Caption("kiosk", "It is behind the stairs, on the left.", final=True, cut=True))
        await clock.advance(REDRAW_S)
        text = await it.shown("…")
        assert "the stairs, on the" in text
        board.clear()
        await clock.advance(REDRAW_S)
        assert "lift" not in await it.shown("\x1b[J")


async def test_a_missing_terminal_costs_one_line_and_is_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock, made = ManualClock(), Console()
    path = tmp_path / "tty1"
    board = CaptionBoard(clock, status())
    async with running(CaptionTerminal(path, clock).show(board.follow)):
        await clock.advance(FIRST_RETRY_S * 10)
        path.symlink_to(made.path)
        await clock.advance(FIRST_RETRY_S * 10)
        assert "Listening" in await made.shown("Listening")
        assert len(caplog.messages) == 1
    made.close()


async def test_a_file_is_no_terminal(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock, path = ManualClock(), tmp_path / "notes"
    path.write_text("mine")
    async with running(CaptionTerminal(path, clock).show(CaptionBoard(clock, status()).follow)):
        await clock.advance(1)
    assert "captions cannot be shown" in caplog.text
    assert path.read_text() == "mine"


def test_a_screen_has_the_state_the_fault_the_time_and_the_newest_lines() -> None:
    lines = [
        {"who": "visitor", "text": f"Question {number}", "cut": False, "final": True} for number in range(9)
    ]
    drawn = screen(lines, status(words="No internet, code W 1.", left_s=75), 30, 8)
    assert "Time left: 1:15" in drawn
    assert "No internet, code W 1." in drawn
    assert "Question 8" in drawn
    assert "Question 2" not in drawn
    assert drawn.count("\r\n") <= 7


@pytest.mark.parametrize(
    ("text", "columns"),
    [("abc", 3), ("東京", 4), ("e\u0301", 1), ("👩\u200d👧", 4), ("ยินดี", 3), ("مرحبا", 5)],
)
def test_the_width_counts_wide_and_combining_characters(text: str, columns: int) -> None:
    assert width(text) == columns


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("one two three", ["one two", "three"]),
        ("abcdefghijkl", ["abcdefgh", "ijkl"]),
        ("東京へようこそ", ["東京へよ", "うこそ"]),
        ("", []),
        ("a abcdefghi", ["a", "abcdefgh", "i"]),
    ],
)
def test_a_line_is_broken_at_spaces_where_there_are_some(text: str, lines: list[str]) -> None:
    assert list(wrapped(text, 8)) == lines


def test_no_text_steers_the_terminal() -> None:
    assert harmless("a\x1b[31mb\x9b2J\u202ec\ud800") == "a[31mb2Jc"
