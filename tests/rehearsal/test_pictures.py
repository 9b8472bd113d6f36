"""Counts of pictures, from the simulator's records."""

import dataclasses

from tests.support.rehearsals import a_record

from kioskd.media import pcm
from kioskd.rehearsal.capture import CATCH_UP_S, ServicePicture, service_pictures, slow_spans
from kioskd.rehearsal.event_log import LoggedEvent
from kioskd.rehearsal.fake_microphone import CapturedTrack, Utterance
from kioskd.rehearsal.measures import measure
from kioskd.simulator.records import ReceivedPicture, SessionRecord, VisitorTurn
from kioskd.simulator.script import ScriptedFault

JPEG = bytes(1000)
FRAME = ServicePicture(105.0, 1000, 640, by_itself=True, seen=False, same_turn=False)


def test_a_picture_is_of_the_same_turn_if_it_came_after_the_question_and_was_seen_in_the_answer() -> None:
    session = SessionRecord("session", "gemini-3.8-live", "developer")
    session.turns += [VisitorTurn("speech", 10.0, 0), VisitorTurn("answer", 14.0, 0)]
    session.pictures += [
        ReceivedPicture(9.0, "image/jpeg", JPEG, "realtime", (640, 480), turn=0),
        ReceivedPicture(11.0, "image/jpeg", JPEG, "answer", (480, 640), turn=0),
        ReceivedPicture(12.0, "image/jpeg", JPEG, "realtime", None),
        ReceivedPicture(13.0, "image/jpeg", JPEG, "answer", (64, 64), turn=1),
        ReceivedPicture(8.0, "image/jpeg", JPEG, "content", (64, 64), turn=0),
    ]
    found = service_pictures([session])
    assert [shot.at for shot in found] == [8, 9, 11, 12, 13]
    assert [shot.by_itself for shot in found] == [False, True, False, True, False]
    assert [shot.seen for shot in found] == [True, True, True, False, True]
    assert [shot.same_turn for shot in found] == [False, False, True, False, True]
    assert [shot.px for shot in found] == [64, 640, 640, None, 64]


def test_a_slow_span_lasts_as_scripted_and_until_the_backlog_is_read() -> None:
    notes = [
        LoggedEvent(101.0, "service", "fault", {"do": "read_slowly"}),
        LoggedEvent(105.0, "service", "fault", {"do": "close"}),
        LoggedEvent(108.0, "service", "fault", {"do": "read_slowly"}),
    ]
    faults = [
        ScriptedFault(on="picture", do="read_slowly", lasts_s=4),
        ScriptedFault(on="speech", do="close"),
        ScriptedFault(on="speech", do="read_slowly"),
    ]
    assert list(slow_spans(notes, faults, 110.0)) == [(101, 105 + CATCH_UP_S), (108, 110)]


def test_only_unrequested_pictures_count_as_in_silence_or_congested() -> None:
    track = CapturedTrack()
    for number in range(500):
        track.add(bytes(640), 100 + (number + 1) * pcm.FRAME_S)
    asked = dataclasses.replace(FRAME, by_itself=False, seen=True, same_turn=True, px=512)
    record = a_record(
        track=track,
        utterances=[("say", Utterance(0, 5 * 16_000, 6 * 16_000))],
        shots=[
            dataclasses.replace(shot, at=at) for shot in (FRAME, asked) for at in (103.0, 105.5, 107.9, 108.1)
        ],
        slow=((107.0, 108.0),),
    )
    summary = measure(record)
    assert (summary.pictures, summary.pictures_in_silence, summary.pictures_congested) == (8, 2, 1)
    assert (summary.pictures_seen, summary.pictures_same_turn, summary.picture_px) == (4, 4, 640)


def test_without_pictures_there_is_no_size() -> None:
    assert measure(a_record()).picture_px is None
