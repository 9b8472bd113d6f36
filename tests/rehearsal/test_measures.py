"""The numbers of a rehearsal, from handmade events and sound."""

import dataclasses

import numpy as np
import pytest
from tests.support.fakes_devices import ManualClock
from tests.support.rehearsals import a_record

from kioskd.media import pcm
from kioskd.rehearsal.capture import RehearsalRecord
from kioskd.rehearsal.event_log import EventLog, EventSource, LoggedEvent
from kioskd.rehearsal.fake_microphone import CapturedTrack, Utterance
from kioskd.rehearsal.fake_speaker import PlayedSound
from kioskd.rehearsal.measures import measure

START = 100.0


def notes(*entries: tuple[float, EventSource, str, dict[str, object]]) -> list[LoggedEvent]:
    return [LoggedEvent(START + t, by, what, data) for t, by, what, data in entries]


def heard(*sounding: tuple[float, float]) -> PlayedSound:
    """Return ten seconds of the kiosk's sound, loud in the given spans."""
    result = PlayedSound()
    for number in range(1000):
        t = number * pcm.PERIOD_S
        loud = any(began - 1e-6 <= t < ended - 1e-6 for began, ended in sounding)
        result.add(np.full(240, 5000 if loud else 0, "<i2").tobytes(), START + t)
    return result


def track() -> CapturedTrack:
    """Return ten seconds of the visitor's sound, whose content does not matter."""
    result = CapturedTrack()
    for number in range(500):
        result.add(number.to_bytes(4, "big") * (pcm.FRAME_BYTES // 4), START + (number + 1) * pcm.FRAME_S)
    return result


def utterance(began_s: float, ended_s: float) -> Utterance:
    return Utterance(*(round(t * pcm.UPLINK_HZ) for t in (began_s, began_s, ended_s)))


def began(
    t: float, reply: int, *, greeting: bool = False
) -> tuple[float, EventSource, str, dict[str, object]]:
    return t, "kiosk", "reply began", {"reply": reply, "greeting": greeting}


def ended(t: float, what: str, reply: int) -> tuple[float, EventSource, str, dict[str, object]]:
    return t, "kiosk", f"reply {what}", {"reply": reply, "greeting": False}


def two_turns() -> RehearsalRecord:
    """Return a record of a greeting, an answer that is interrupted, and the answer to the interruption."""
    return a_record(
        notes=notes(
            (0.5, "visitor", "presses the button", {}),
            (0.51, "kiosk", "wakes", {"conversation": 1}),
            (0.6, "daemon", "Up", {"epoch": 1, "resumed": False}),
            (0.61, "daemon", "Greet", {}),
            (0.65, "service", "audio", {}),
            began(1.005, 1, greeting=True),
            ended(2.0, "heard", 1),
            began(4.004, 2),
            ended(5.62, "silenced", 2),
            began(7.104, 3),
            ended(8.0, "heard", 3),
        ),
        track=track(),
        heard=heard((1, 2), (4, 5.61), (7.1, 8)),
        utterances=[("say", utterance(2.5, 3.5)), ("interrupt", utterance(5.4, 6.4))],
    )


def test_turns_and_replies_are_counted() -> None:
    summary = measure(two_turns())
    assert (summary.conversations, summary.greetings, summary.turns) == (1, 1, 2)
    assert (summary.replies_heard, summary.replies_interrupted) == (2, 1)


def test_a_wake_counts_from_the_press() -> None:
    assert measure(two_turns()).wake_to_uplink_ms == 150


def test_the_wait_lasts_from_the_visitors_last_sample_to_the_replys_first_sample() -> None:
    summary = measure(two_turns())
    assert summary.end_of_speech_to_sound_ms_all == pytest.approx((500, 700), abs=0.2)
    assert summary.end_of_speech_to_sound_ms == pytest.approx(600, abs=0.2)


@pytest.mark.parametrize(("words", "off_ms"), [(4, 0), (7, 1400), (1, 1100), (3, 100)])
def test_a_caption_is_off_by_the_time_between_its_last_word_and_the_silence(words: int, off_ms: int) -> None:
    record = two_turns()
    more = notes(
        (3.9, "service", "reply_began", {"words": 10, "lasts_s": 5.0}),
        (5.63, "kiosk", "caption cut", {"words": words}),
    )
    found = measure(dataclasses.replace(record, notes=[*record.notes, *more]))
    assert found.caption_off_ms == pytest.approx(off_ms, abs=10)


def test_a_barge_in_lasts_until_the_last_sample_of_the_silenced_reply() -> None:
    assert measure(two_turns()).barge_in_to_silence_ms_all == pytest.approx((210,), abs=0.2)
    assert measure(two_turns()).press_to_silence_ms is None


def test_a_press_during_a_reply_is_measured_to_the_replys_last_sample() -> None:
    record = a_record(
        notes=notes(began(1.0, 1), (2.0, "visitor", "presses the button", {}), ended(2.03, "silenced", 1)),
        heard=heard((1, 2.02)),
    )
    assert measure(record).press_to_silence_ms == pytest.approx(20, abs=0.2)


def test_an_utterance_without_an_answer_is_not_measured() -> None:
    record = a_record(
        notes=notes(began(6.0, 1)),
        track=track(),
        heard=heard((6, 7)),
        utterances=[("say", utterance(1, 2)), ("say", utterance(4, 5))],
    )
    assert measure(record).end_of_speech_to_sound_ms_all == pytest.approx((1000,), abs=0.2)


def test_rollovers_and_unplanned_redials_are_counted_separately() -> None:
    def up(t: float, *, resumed: bool) -> tuple[float, EventSource, str, dict[str, object]]:
        return t, "daemon", "Up", {"epoch": 1, "resumed": resumed}

    summary = measure(
        a_record(
            notes=notes(
                (0, "kiosk", "wakes", {"conversation": 1}),
                up(1, resumed=False),
                (2, "daemon", "GoingAway", {"left_s": 10.0}),
                up(3, resumed=True),
                (3.75, "daemon", "Lost", {"remedy": "resume"}),
                up(4, resumed=True),  # lost without a warning
                (4.5, "daemon", "Dial", {"epoch": 4}),
                up(5, resumed=True),  # left because it was old
                (5.5, "daemon", "GoingAway", {"left_s": 10.0}),
                up(6, resumed=False),  # announced, but the session could not be resumed
                (7, "kiosk", "wakes", {"conversation": 2}),
                up(8, resumed=False),
            )
        )
    )
    assert (summary.connections, summary.rollovers, summary.redials) == (6, 2, 2)
    assert summary.link_gap_ms_all == (250.0, 500.0)


def test_a_measure_that_did_not_occur_is_null() -> None:
    summary = measure(a_record())
    assert summary.wake_to_uplink_ms is summary.first_word_lost_ms is summary.barge_in_to_silence_ms is None
    assert summary.end_of_speech_to_sound_ms_all == ()
    assert summary.duration_s == 10


def test_sound_of_the_fixture_is_at_the_given_times() -> None:
    sound = heard((1, 2))
    assert len(sound.sound) == 1000 * pcm.PERIOD_BYTES
    assert sound.first_audible(START, START + 10) == pytest.approx(START + 1)


async def test_waiting_for_an_event_ends_with_the_event() -> None:
    event_log = EventLog(ManualClock())
    event_log.listen(lambda note: seen.append(note.what))
    seen: list[str] = []
    event_log.add("daemon", "Started")
    await event_log.until(lambda: bool(event_log.notes))
    assert seen == ["Started"]
    assert event_log.notes[0].line(999.5) == '{"t": 0.5, "by": "daemon", "what": "Started"}'
