"""The picture of a rehearsal, from handmade events."""

from tests.support.rehearsals import a_record

from kioskd.media import pcm
from kioskd.rehearsal import chart
from kioskd.rehearsal.alignment import Gate
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
    drawn = [(round(span.began, 2), span.ended, span.words) for span in chart.gates(record)]
    assert drawn == [
        (100.02, 101, "pre-roll"),
        (101, 102, "send"),
        (102, 104, "pause"),
        (104, 107, "closed"),
        (107, 110, "pre-roll"),
    ]


def test_a_microphone_that_never_captured_has_no_uplink() -> None:
    assert list(chart.gates(a_record())) == []


def test_every_state_and_every_gate_has_its_colour() -> None:
    states = ("waking", "listening", "thinking", "speaking", "muted", "offline", "closed", "fault", "asleep")
    shown = [
        LoggedEvent(101.0 + number, "kiosk", "shows", {"state": state}) for number, state in enumerate(states)
    ]
    record = a_record(notes=shown)
    assert [span.words for span in chart.states(record)] == ["starting", *states]
    assert chart.GATES.keys() == set(Gate)


def test_a_state_is_drawn_with_the_code_of_its_fault() -> None:
    record = a_record(notes=notes((1, "kiosk", "shows", {"state": "offline", "code": "W1"})))
    assert [span.words for span in chart.states(record)] == ["starting", "offline W1"]


def test_a_button_is_held_until_its_release_or_the_end() -> None:
    record = a_record(
        notes=notes(
            (1, "visitor", "holds the button", {"button": 1}),
            (2, "visitor", "lets the button go", {"button": 1}),
            (8, "visitor", "holds the button", {"button": 1}),
        )
    )
    assert list(record.holds()) == [(101, 102), (108, 110)]


def test_actions_are_drawn_with_the_name_of_their_button() -> None:
    done = notes(
        (1, "visitor", "presses the button", {"button": 1}),
        (2, "visitor", "holds the button", {"button": 2}),
        (3, "visitor", "commands", {"command": "mute"}),
        (4, "visitor", "pauses", {"seconds": 1.0}),
        (5, "service", "says", {}),
    )
    marks = [chart.action(note) for note in done]
    assert [mark and mark.words for mark in marks] == ["press", "hold 2", "kioskd mute", None, None]
