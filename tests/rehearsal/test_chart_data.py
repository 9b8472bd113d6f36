"""What the picture of a rehearsal shows, from notes made by hand."""

from tests.support.rehearsals import a_record

from kioskd.media import pcm
from kioskd.rehearsal import chart_data
from kioskd.rehearsal.chart_data import GREEN, ChartSpan
from kioskd.rehearsal.event_log import EventSource, LoggedEvent
from kioskd.rehearsal.fake_microphone import CapturedTrack


def notes(*entries: tuple[float, EventSource, str, dict[str, object]]) -> list[LoggedEvent]:
    return [LoggedEvent(100 + t, by, what, data) for t, by, what, data in entries]


def test_the_uplink_is_closed_while_the_kiosk_is_muted() -> None:
    record = a_record(
        track=CapturedTrack([bytes(pcm.FRAME_BYTES)], [100.02]),
        notes=notes(
            (1, "daemon", "SetUplink", {"uplink": "send"}),
            (2, "daemon", "SetUplink", {"uplink": "paused"}),
            (4, "daemon", "SetMute", {"muted": True}),
            (4, "daemon", "SetUplink", {"uplink": "preroll"}),
            (7, "daemon", "SetMute", {"muted": False}),
        ),
    )
    drawn = [(round(span.began, 2), span.ended, span.words) for span in chart_data.gates(record)]
    assert drawn == [
        (0.02, 1, "pre-roll"),
        (1, 2, "send"),
        (2, 4, "pause"),
        (4, 7, "closed"),
        (7, 10, "pre-roll"),
    ]


def test_a_microphone_that_never_captured_has_no_uplink() -> None:
    assert list(chart_data.gates(a_record())) == []


def test_every_state_and_every_gate_has_its_colour() -> None:
    states = ("waking", "listening", "thinking", "speaking", "muted", "offline", "closed", "fault", "asleep")
    shown = [
        LoggedEvent(101.0 + number, "kiosk", "shows", {"state": state}) for number, state in enumerate(states)
    ]
    record = a_record(notes=shown)
    assert [span.words for span in chart_data.states(record)] == ["starting", *states]
    assert chart_data.GATE_COLOURS.keys() == chart_data.GATE_WORDS.keys()


def test_a_state_is_drawn_with_the_code_of_what_is_wrong() -> None:
    record = a_record(notes=notes((1, "kiosk", "shows", {"state": "offline", "code": "W1"})))
    assert [span.words for span in chart_data.states(record)] == ["starting", "offline W1"]


def test_a_button_is_held_until_it_is_let_go_or_the_end() -> None:
    record = a_record(
        notes=notes(
            (1, "visitor", "holds the button", {"button": 1}),
            (2, "visitor", "lets the button go", {"button": 1}),
            (8, "visitor", "holds the button", {"button": 1}),
        )
    )
    assert list(chart_data.holds(record)) == [ChartSpan(1, 2, "", GREEN), ChartSpan(8, 10, "", GREEN)]


def test_deeds_are_drawn_with_the_button_they_are_done_to() -> None:
    done = notes(
        (1, "visitor", "presses the button", {"button": 1}),
        (2, "visitor", "holds the button", {"button": 2}),
        (3, "visitor", "commands", {"command": "mute"}),
        (4, "visitor", "pauses", {"seconds": 1.0}),
        (5, "service", "says", {}),
    )
    marks = [chart_data.deed(note, 100.0) for note in done]
    assert [mark and mark.words for mark in marks] == ["press", "hold 2", "kioskd mute", None, None]
