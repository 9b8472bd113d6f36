"""Measures of the visitor's sound at the service, from handmade events and sound."""

from typing import Any

import numpy as np
import pytest
from tests.support.fakes_devices import ManualClock
from tests.support.rehearsals import a_record

from kioskd.media import pcm
from kioskd.rehearsal.alignment import Gate, GateChange
from kioskd.rehearsal.capture import Arrivals, RehearsalRecord
from kioskd.rehearsal.event_log import EventSource, LoggedEvent
from kioskd.rehearsal.fake_microphone import FRAME_SAMPLES, CapturedTrack, Utterance
from kioskd.rehearsal.fake_speaker import PlayedSound
from kioskd.rehearsal.measures import measure

START = 100.0
COUNT = 500
"""Return ten seconds of frames, all different."""


def note(t: float, by: EventSource, what: str, **data: object) -> LoggedEvent:
    return LoggedEvent(START + t, by, what, data)


def frame(number: int) -> bytes:
    return number.to_bytes(4, "big") * (pcm.FRAME_BYTES // 4)


def ten_seconds(*received: range, notes: tuple[LoggedEvent, ...] = (), **changes: Any) -> RehearsalRecord:
    """Return a record with an open gate from the first frame on, and the given received frames."""
    track = CapturedTrack()
    for number in range(COUNT):
        track.add(frame(number), START + (number + 1) * pcm.FRAME_S)
    sound = b"".join(frame(number) for numbers in received for number in numbers)
    given: dict[str, Any] = {
        "track": track,
        "gates": [GateChange(0, Gate.SEND)],
        "received": [sound],
        "notes": notes,
        "preroll_frames": 0,
    }
    return a_record(**{**given, **changes})


def test_an_effect_lasts_until_the_next_effect_of_its_kind_or_the_end() -> None:
    notes = [
        note(1, "daemon", "SetUplink", uplink="send"),
        note(2, "daemon", "SetUplink", uplink="send"),
        note(3, "daemon", "SetUplink", uplink="hold"),
        note(8, "daemon", "SetUplink", uplink="send"),
    ]
    assert list(a_record(notes=notes).spans("SetUplink", "uplink", "send")) == [(101, 103), (108, 110)]


def test_sound_captured_while_no_button_was_held_is_counted() -> None:
    notes = (
        note(2, "visitor", "holds the button", button=1),
        note(4, "visitor", "lets the button go", button=1),
        note(8, "visitor", "holds the button", button=1),
    )
    held = ten_seconds(range(70, 212), range(400, 500), notes=notes, preroll_frames=30, after_frames=12)
    assert measure(held).uplink_unheld_ms == 0
    beside = ten_seconds(range(100, 300), notes=notes, after_frames=0)
    assert measure(beside).uplink_unheld_ms == pytest.approx(2000 - 100, abs=pcm.FRAME_MS)
    assert measure(ten_seconds(range(100))).uplink_unheld_ms is None


def test_sound_captured_while_the_kiosk_was_audible_is_its_own_voice() -> None:
    heard = PlayedSound()
    for number in range(1000):
        loud = 200 <= number < 300
        heard.add(np.full(240, 5000 if loud else 0, "<i2").tobytes(), START + number * pcm.PERIOD_S)
    assert measure(ten_seconds(range(100), heard=heard)).own_voice_sent_ms == 0
    assert measure(ten_seconds(range(125), heard=heard)).own_voice_sent_ms == 500


def test_sound_captured_before_a_late_pull_is_not_the_kiosks_voice() -> None:
    heard = PlayedSound()
    for number in range(1000):
        loud, due = 200 <= number < 300, START + number * pcm.PERIOD_S
        # The machine was busy for 60 ms, so the first six loud periods were pulled late.
        late = START + 206 * pcm.PERIOD_S if 200 <= number < 206 else due
        heard.add(np.full(240, 5000 if loud else 0, "<i2").tobytes(), due, pulled_at=late)
    assert measure(ten_seconds(range(103), heard=heard)).own_voice_sent_ms == 0
    assert measure(ten_seconds(range(104), heard=heard)).own_voice_sent_ms == 20


def test_a_muted_microphone_must_not_capture() -> None:
    notes = (note(2, "daemon", "SetMute", muted=True), note(5, "daemon", "SetMute", muted=False))
    assert measure(ten_seconds(notes=notes)).muted_captured_ms == pytest.approx(2900, abs=pcm.FRAME_MS)
    assert measure(ten_seconds()).muted_captured_ms is None
    closed = ten_seconds(notes=(note(9.95, "daemon", "SetMute", muted=True),))
    assert measure(closed).muted_captured_ms == 0


def test_speech_that_did_not_arrive_is_counted_for_each_utterance() -> None:
    whole = Utterance(0, 10 * FRAME_SAMPLES, 20 * FRAME_SAMPLES - 1)
    clipped = Utterance(0, 95 * FRAME_SAMPLES, 105 * FRAME_SAMPLES - 1)
    record = ten_seconds(range(100), utterances=[("say", whole), ("say", clipped)])
    assert measure(record).speech_lost_ms_all == (0.0, 100.0)


class Growing:
    """A count of received bytes that the test sets."""

    def __init__(self) -> None:
        self.clock = ManualClock(START)
        self.frames = 0
        self.arrivals = Arrivals(self.clock, lambda: self.frames * pcm.FRAME_BYTES)

    async def until(self, t: float, frames: int) -> None:
        await self.clock.advance(START + t - self.clock.now())
        self.frames = frames
        self.arrivals.poll()


async def test_the_way_of_a_frame_ends_with_its_arrival_at_the_service() -> None:
    service = Growing()
    await service.until(1.0, 40)
    await service.until(1.0, 40)
    await service.until(1.3, 60)
    record = ten_seconds(
        range(60), notes=(note(0, "daemon", "SetUplink", uplink="send"),), arrivals=service.arrivals
    )
    assert service.arrivals.time_of(39) == pytest.approx(101.0)
    assert service.arrivals.time_of(40) == pytest.approx(101.3)
    assert service.arrivals.time_of(60) is None
    # The first frame was captured at 20 ms, and arrived with the first message.
    assert measure(record).uplink_late_ms == pytest.approx(980, abs=1)


async def test_a_gap_is_a_pause_between_two_arrivals_while_the_gate_sends() -> None:
    service = Growing()
    for t, frames in ((1.0, 1), (1.02, 2), (1.4, 3), (5.0, 4), (5.1, 5)):
        await service.until(t, frames)
    notes = (
        note(0, "daemon", "SetUplink", uplink="send"),
        note(2, "daemon", "SetUplink", uplink="paused"),
        note(4.9, "daemon", "SetUplink", uplink="send"),
    )
    record = ten_seconds(range(5), notes=notes, arrivals=service.arrivals)
    assert measure(record).uplink_gap_ms == pytest.approx(380, abs=1)
    assert measure(ten_seconds()).uplink_gap_ms is None
