"""The captions of a rehearsal: the log has their lengths, and no words."""

from tests.support.fakes_devices import ManualClock
from tests.support.kiosk import running

from kioskd.flow.captions.caption_board import Caption, CaptionBoard
from kioskd.rehearsal.caption_notes import NotedCaptions
from kioskd.rehearsal.event_log import EventLog


async def test_each_final_line_is_noted_once_by_its_length() -> None:
    clock = ManualClock()
    log, board = EventLog(clock), CaptionBoard(clock, {})
    async with running(NotedCaptions(log).show(board.follow)):
        board.add(Caption("visitor", "Where is it?", final=True))
        number = board.add(Caption("kiosk", "Over"))
        await clock.advance(0)
        board.change(number, Caption("kiosk", "Over there", final=True, cut=True))
        await clock.advance(0)
        board.clear()
        await clock.advance(0)
    assert [(note.what, dict(note.data)) for note in log.notes] == [
        ("caption", {"who": "visitor", "words": 3}),
        ("caption cut", {"who": "kiosk", "words": 2}),
    ]
