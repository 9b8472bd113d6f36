"""Turns the record of a rehearsal into the numbers of its summary. Pure."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from kioskd.rehearsal import sound_detection
from kioskd.rehearsal.alignment import align
from kioskd.rehearsal.calls import at_once, reply_gaps_s
from kioskd.rehearsal.event_log import LoggedEvent
from kioskd.rehearsal.pictures import within
from kioskd.rehearsal.record import RehearsalRecord, spans
from kioskd.rehearsal.summary import Summary, median
from kioskd.rehearsal.visitor_audio import (
    SLACK_S,
    captured,
    latest_s,
    muted_ms,
    own_voice_ms,
    speech_lost,
    spoken,
    unheld_ms,
)


def measure(record: RehearsalRecord) -> Summary:
    """Return all numbers; nothing is expected of them yet."""
    uplink = align(
        record.track.frames, record.gates, record.received, record.preroll_frames, record.after_frames
    )
    by_themselves = [shot for shot in record.shots if shot.by_itself]
    chimes = sound_detection.chimes(record.notes, record.heard)
    greetings = len(record.find("daemon", "Greet"))
    began = record.find("kiosk", "reply began")
    connections, rollovers, redials = _connections(record.notes)
    return Summary(
        name=record.name,
        duration_s=round(record.end - record.start, 3),
        conversations=len(record.find("kiosk", "wakes")),
        turns=sum(1 for note in began if not note.data["greeting"]),
        greetings=greetings,
        replies_heard=len(record.find("kiosk", "reply heard")),
        replies_interrupted=len(record.find("kiosk", "reply silenced")),
        connections=connections,
        rollovers=rollovers,
        redials=redials,
        sessions=len(record.received),
        **_with_median("link_gap_ms", _gaps(record.notes)),
        uplink_sent_ms=uplink.sent_ms,
        uplink_lost_ms=uplink.lost_ms,
        uplink_duplicated_ms=uplink.duplicated_ms,
        uplink_reordered_ms=uplink.reordered_ms,
        uplink_unasked_ms=uplink.unasked_ms,
        uplink_foreign_ms=uplink.foreign_ms,
        uplink_gap_ms=_ms(record.arrivals.longest_gap_s(spans(record, "SetUplink", "uplink", "send"))),
        uplink_late_ms=_ms(latest_s(record, uplink)),
        uplink_unheld_ms=unheld_ms(record, uplink),
        own_voice_sent_ms=own_voice_ms(record, uplink, chimes),
        muted_captured_ms=muted_ms(record),
        speech_began=len(record.find("service", "speech_began")),
        speech_ended=len(record.find("service", "speech_ended")),
        **_with_median("speech_lost_ms", speech_lost(record, uplink)),
        stream_ends=len(record.find("service", "audio_stream_end")),
        pictures=len(record.shots),
        pictures_in_silence=sum(not within(shot.at, spoken(record)) for shot in by_themselves),
        pictures_congested=sum(within(shot.at, record.slow) for shot in by_themselves),
        pictures_seen=sum(shot.seen for shot in record.shots),
        pictures_same_turn=sum(shot.same_turn for shot in record.shots),
        picture_px=max((shot.px for shot in record.shots if shot.px), default=None),
        tool_calls=record.called.made,
        tools_at_once=at_once(record.notes),
        tools_answered=record.called.answered,
        tools_cancelled=record.called.cancelled,
        tool_faults=record.called.faults,
        reply_gap_ms=_ms(max(reply_gaps_s(record.notes), default=None)),
        prompts=tuple(code for _, _, code in sound_detection.prompts(record.notes, record.heard, record.end)),
        cues=tuple(str(note.data["cue"]) for note in chimes),
        **_with_median("first_word_lost_ms", uplink.first_word_lost_ms),
        **_with_median("wake_to_uplink_ms", _wake_to_uplink(record)),
        **_with_median("end_of_speech_to_sound_ms", _speech_to_sound(record)),
        **_with_median("barge_in_to_silence_ms", _to_silence(record, _onsets(record))),
        **_with_median("press_to_silence_ms", _to_silence(record, _presses(record))),
        stop_ms=round(record.stopped_in_s * 1000, 1),
        latest_ms=round(max(record.track.late_s, record.heard.late_s) * 1000, 1),
        exit_code=record.exit_code,
        trouble=record.trouble,
        expectations=(),
    )


def _with_median(name: str, values: Iterable[float]) -> dict[str, Any]:
    rounded = tuple(round(value, 1) for value in values)
    return {name: median(rounded), f"{name}_all": rounded}


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)


def _connections(notes: Sequence[LoggedEvent]) -> tuple[int, int, int]:
    """Return how many connections came up, how many of them were rollovers, and how many unplanned."""
    connections = rollovers = redials = 0
    first, lost = True, False
    for note in notes:
        match note.by, note.what:
            case "kiosk", "wakes":
                first = True
            case "daemon", "Lost":
                lost = True
            case "daemon", "Up":
                connections += 1
                if not first:
                    rolled = not lost and note.data["resumed"] is True
                    rollovers += rolled
                    redials += not rolled
                first = lost = False
    return connections, rollovers, redials


def _gaps(notes: Sequence[LoggedEvent]) -> Iterable[float]:
    """Yield for each connection but a conversation's first the milliseconds for which there was none before it."""
    ended: float | None = None
    up = False
    for note in notes:
        match note.by, note.what:
            case ("kiosk", "wakes") | ("daemon", "HangUp"):
                ended, up = None, False
            case "daemon", "Lost" | "Dial" if up:
                ended, up = note.t, False
            case "daemon", "Up":
                if ended is not None:
                    yield (note.t - ended) * 1000
                ended, up = None, True


def _wake_to_uplink(record: RehearsalRecord) -> Iterable[float]:
    """Yield for each wake the milliseconds until the service received the first sound."""
    wakes = record.find("kiosk", "wakes")
    presses = _by_hand(record)
    ends = [note.t for note in wakes[1:]] + [math.inf]
    for wake, end in zip(wakes, ends, strict=False):
        # A wake by the button counts from the press itself.
        pressed = [note.t for note in presses if 0 <= wake.t - note.t < 1.0]
        arrived = next((note.t for note in record.find("service", "audio") if wake.t <= note.t < end), None)
        if arrived is not None:
            yield (arrived - (pressed[-1] if pressed else wake.t)) * 1000


def _speech_to_sound(record: RehearsalRecord) -> Iterable[float]:
    """Yield for each utterance that was answered the milliseconds from its end to the answer's first sound."""
    spoken = [utterance for _, utterance in record.utterances if captured(record.track, utterance)]
    ends = [record.track.time_of(utterance.end) for utterance in spoken]
    nexts = [record.track.time_of(utterance.onset) for utterance in spoken[1:]] + [math.inf]
    for end, following in zip(ends, nexts, strict=False):
        for note in record.find("kiosk", "reply began"):
            if end <= note.t < following:
                sounded = record.heard.first_audible(max(end, note.t - SLACK_S), following)
                if sounded is not None:
                    yield (sounded - end) * 1000
                break


def _to_silence(record: RehearsalRecord, moments: Iterable[float]) -> Iterable[float]:
    """Yield for each moment in mid-reply the milliseconds until that reply, silenced, was heard last."""
    for moment in moments:
        began = [note for note in record.find("kiosk", "reply began") if note.t <= moment]
        reply = began[-1].data["reply"] if began else None
        for note in record.find("kiosk", "reply silenced"):
            if note.t > moment and note.data["reply"] == reply:
                last = record.heard.last_audible_between(moment, note.t + SLACK_S)
                yield 0.0 if last is None else (last - moment) * 1000


def _onsets(record: RehearsalRecord) -> list[float]:
    return [
        record.track.time_of(utterance.onset)
        for how, utterance in record.utterances
        if how == "interrupt" and captured(record.track, utterance)
    ]


def _presses(record: RehearsalRecord) -> list[float]:
    return [note.t for note in _by_hand(record)]


def _by_hand(record: RehearsalRecord) -> list[LoggedEvent]:
    """Return what was done to buttons, in order."""
    return [
        note
        for note in record.notes
        if note.by == "visitor" and note.what in {"presses the button", "holds the button"}
    ]
