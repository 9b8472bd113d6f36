"""The captions' page in a real browser: what it shows, for whom it can be read, and that it comes back.

Chromium takes a second to start, so all of it is one test. The pictures are in KIOSKD_PICTURES, if set.
"""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
from tests.support.chromium import CHROMIUM, Tab, axe_source, chromium
from tests.support.slow import left_out
from tests.support.until import until

from kioskd.adapters.captions.page_server import CaptionPage
from kioskd.adapters.clock import SystemClock
from kioskd.core.effects import KioskStatus
from kioskd.flow.captions.caption_board import MOST_LINES, Caption, CaptionBoard
from kioskd.flow.captions.labels import labels

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.skipif(left_out("half a minute") is not None, reason=left_out("half a minute") or ""),
]


def status(
    language: str, state: KioskStatus, *, words: str = "", left_s: int | None = None
) -> dict[str, Any]:
    said = labels(language)
    return {
        "state": str(state),
        "label": said.states[state],
        "code": "W1" if words else "",
        "words": words,
        "ends_in_s": left_s,
        "language": said.language,
        "labels": said.others,
    }


LINES_OF_A_DAY = 24 * 60 * 6

ENGLISH = (
    Caption("visitor", "Where do I find the dinosaurs, and is there a lift?", "en-GB", final=True),
    Caption("kiosk", "The dinosaurs are on the second floor. The lift is behind the", "en-GB", True, True),
    Caption("visitor", "And the café?", "fr-FR", final=True),
    Caption("kiosk", "Le café est à côté de", "fr-FR"),
)
ARABIC = (
    Caption("visitor", "أين أجد الديناصورات؟ وهل يوجد مصعد؟", "ar-EG", final=True),
    Caption("kiosk", "الديناصورات في الطابق الثاني، والمصعد خلف", "ar-EG"),
)


async def shots(tab: Tab, source: str, name: str) -> None:
    """Check the page in all sizes and schemes, and store pictures."""
    folder = os.environ.get("KIOSKD_PICTURES")
    for width, height in ((1280, 800), (480, 320)):
        for scheme in ("light", "dark"):
            await tab.look(width, height, scheme=scheme)
            await tab.evaluate("scrollTo(0, 0); words.scrollTop = words.scrollHeight; 1")
            await tab.until("document.getAnimations().length === 0")
            assert await tab.violations(source) == []
            whole = "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
            assert await tab.evaluate(whole) == [width, height], "only the words scroll"
            if folder:
                picture = await tab.picture()
                await asyncio.to_thread(
                    (Path(folder) / f"{name}-{width}x{height}-{scheme}.png").write_bytes, picture
                )


async def say_lines(tab: Tab, board: CaptionBoard, count: int) -> None:
    """Show `count` lines, a screen at a time, so that the page gets each of them."""
    for first in range(0, count, MOST_LINES):
        number = 0
        for each in range(first, first + MOST_LINES):
            number = board.add(Caption("visitor", f"{each} " + "Where is the lift? " * 4, final=True))
        await tab.until(f"lines.has({number})")


async def test_the_page_in_a_browser(tmp_path: Path) -> None:
    source = axe_source()
    board = CaptionBoard(SystemClock(), status("en", KioskStatus.SPEAKING, left_s=75))
    page = CaptionPage(0, SystemClock())
    serving = asyncio.create_task(page.show(board.follow))
    await until(lambda: page.port != 0)
    try:
        async with chromium(tmp_path) as tab:
            await tab.open(f"http://127.0.0.1:{page.port}/")
            await tab.until("state.textContent === 'Speaking'")
            for line in ENGLISH:
                board.add(line)
            await tab.until("lines.size === 4")
            assert await tab.evaluate("document.querySelector('#left-time').textContent") == "1:15"
            assert "behind the …" in await tab.evaluate("document.querySelector('#lines').textContent")
            assert await tab.evaluate("document.querySelectorAll('#spoken p').length") == 3
            await shots(tab, source, "english")

            board.change(4, Caption("kiosk", "Le café est à côté de la caisse.", "fr-FR", final=True))
            await tab.until("document.querySelector('#spoken').textContent.includes('la caisse.')")

            await tab.look(1280, 800, motion="reduce")
            board.add(Caption("visitor", "Merci."))
            await tab.until("lines.size === 5")
            assert await tab.evaluate("document.getAnimations().length") == 0

            board.clear()
            await tab.until("lines.size === 0 && document.querySelector('#spoken').textContent === ''")

            board.show(status("ar", KioskStatus.LISTENING, left_s=9))
            for line in ARABIC:
                board.add(line)
            await tab.until("lines.size === 2")
            assert await tab.evaluate("document.documentElement.dir") == "rtl"
            await shots(tab, source, "arabic")

            board.clear()
            fault = "I cannot reach the internet. Please tell the staff, code W 1."
            board.show(status("en", KioskStatus.OFFLINE, words=fault))
            await tab.until("fault.textContent.endsWith('W 1.')")
            await shots(tab, source, "fault")

            # A day of text leaves the page's memory flat.
            board.show(status("en", KioskStatus.LISTENING))
            await say_lines(tab, board, 500)
            before = await tab.memory()
            await say_lines(tab, board, LINES_OF_A_DAY)
            assert await tab.memory() - before < 500_000
            assert await tab.evaluate("document.querySelectorAll('li, #spoken p').length") <= MOST_LINES + 3
            board.clear()

            # The daemon restarts: the old words go at once, and the new ones come by themselves.
            board.add(Caption("visitor", "Before."))
            await tab.until("lines.size === 1")
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
            await tab.until("lines.size === 0 && state.textContent === 'Captions are connecting'")
            assert await tab.violations(source) == []
            board = CaptionBoard(SystemClock(), status("en", KioskStatus.LISTENING))
            board.add(Caption("visitor", "After."))
            page = CaptionPage(page.port, SystemClock())
            serving = asyncio.create_task(page.show(board.follow))
            await tab.until("document.querySelector('#lines').textContent.includes('After.')")
            await tab.until("state.textContent === 'Listening'")
            odd = [each for each in tab.complaints if "ERR_" not in each]
            assert odd == []
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
