"""Computes the numbers of a rehearsal's summary from its record. Pure."""

import math
import statistics
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from kioskd.media import pcm
from kioskd.rehearsal import sound_detection
from kioskd.rehearsal.alignment import Alignment, align
from kioskd.rehearsal.capture import RehearsalRecord, Span
from kioskd.rehearsal.event_log import LoggedEvent
from kioskd.rehearsal.fake_microphone import FRAME_SAMPLES
from kioskd.rehearsal.summary import Summary

SLACK_S: Final = 0.1
"""Longest time in seconds between a sound and its log entry, which passes through the daemon's mailbox."""

SILENCE_S: Final = 2.0
"""Silence in seconds after which the visitor has finished; the longest pause within a sentence is 1.5 s."""


def measure(record: RehearsalRecord) -> Summary:
    """Return the summary with all numbers and no expectations."""
    uplink = align(
        record.track.frames, record.gates, record.received, record.preroll_frames, record.after_frames
    )
    received = {index for index in uplink.arrivals if index is not None}
    sending = tuple(record.spans("SetUplink", "uplink", "send"))
    spoken = [(onset, end + SILENCE_S) for onset, end in record.spoken()]
    by_themselves = [shot for shot in record.shots if shot.by_itself]
    chimes = sound_detection.chimes(record.notes, record.heard)
    began = record.find("kiosk", "reply began")
    return Summary(
        name=record.name,
        duration_s=round(record.end - record.start, 3),
        conversations=len(record.find("kiosk", "wakes")),
        turns=sum(1 for note in began if not note.data["greeting"]),
        greetings=len(record.find("daemon", "Greet")),
        replies_heard=len(record.find("kiosk", "reply heard")),
        replies_interrupted=len(record.find("kiosk", "reply silenced")),
        **_connections(record.notes),
        sessions=len(record.received),
        uplink_sent_ms=uplink.sent_ms,
        uplink_lost_ms=uplink.lost_ms,
        uplink_duplicated_ms=uplink.duplicated_ms,
        uplink_reordered_ms=uplink.reordered_ms,
        uplink_unasked_ms=uplink.unasked_ms,
        uplink_foreign_ms=uplink.foreign_ms,
        uplink_gap_ms=_ms(record.arrivals.longest_gap_s(sending)),
        uplink_late_ms=_ms(_latest_s(record, uplink, sending)),
        uplink_unheld_ms=_unheld_ms(record, received),
        own_voice_sent_ms=_own_voice_ms(record, received, chimes),
        muted_captured_ms=_muted_ms(record),
        speech_began=len(record.find("service", "speech_began")),
        speech_ended=len(record.find("service", "speech_ended")),
        **_with_median("speech_lost_ms", _speech_lost_ms(record, received)),
        stream_ends=len(record.find("service", "audio_stream_end")),
        pictures=len(record.shots),
        pictures_in_silence=sum(not _within(shot.at, spoken) for shot in by_themselves),
        pictures_congested=sum(_within(shot.at, record.slow) for shot in by_themselves),
        pictures_seen=sum(shot.seen for shot in record.shots),
        pictures_same_turn=sum(shot.same_turn for shot in record.shots),
        picture_px=max((shot.px for shot in record.shots if shot.px), default=None),
        tools_at_once=tools_at_once(record.notes),
        **record.called,
        reply_gap_ms=_ms(max(reply_gaps_s(record.notes), default=None)),
        prompts=tuple(code for _, _, code in sound_detection.prompts(record.notes, record.heard, record.end)),
        announcements=len(list(sound_detection.announcements(record.notes, record.heard, record.end))),
        cues=tuple(str(note.data["cue"]) for note in chimes),
        **_with_median("first_word_lost_ms", uplink.first_word_lost_ms),
        **_with_median("wake_to_uplink_ms", _wake_to_uplink_ms(record)),
        **_with_median("end_of_speech_to_sound_ms", _speech_to_sound_ms(record)),
        **_with_median(
            "barge_in_to_silence_ms",
            _to_silence_ms(record, [onset for onset, _ in record.spoken("interrupt")]),
        ),
        **_with_median("caption_off_ms", _caption_off_ms(record)),
        **_with_median("press_to_silence_ms", _to_silence_ms(record, _touches(record))),
        stop_ms=round(record.stopped_in_s * 1000, 1),
        latest_ms=round(max(record.track.late_s, record.heard.late_s) * 1000, 1),
        exit_code=record.exit_code,
        trouble=record.trouble,
        expectations=(),
    )


def _with_median(name: str, values: Iterable[float]) -> dict[str, Any]:
    rounded = tuple(round(value, 1) for value in values)
    return {name: round(statistics.median(rounded), 1) if rounded else None, f"{name}_all": rounded}


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)


def _within(moment: float, spans: Iterable[Span]) -> bool:
    return any(began <= moment <= ended for began, ended in spans)


# The link.


def _connections(notes: Sequence[LoggedEvent]) -> dict[str, Any]:
    """Return counts of connections, rollovers and redials, and the gaps between connections."""
    connections = rollovers = redials = 0
    gaps: list[float] = []
    first, lost, up = True, False, False
    ended: float | None = None
    for note in notes:
        match note.by, note.what:
            case ("kiosk", "wakes") | ("daemon", "HangUp"):
                ended, up = None, False
                first = first or note.what == "wakes"
            case "daemon", "Lost" | "Dial":
                lost = lost or note.what == "Lost"
                if up:
                    ended, up = note.t, False
            case "daemon", "Up":
                connections += 1
                if not first:
                    rolled = not lost and note.data["resumed"] is True
                    rollovers += rolled
                    redials += not rolled
                if ended is not None:
                    gaps.append((note.t - ended) * 1000)
                first, lost, up, ended = False, False, True, None
    counts = {"connections": connections, "rollovers": rollovers, "redials": redials}
    return counts | _with_median("link_gap_ms", gaps)


# The visitor's sound.


def _latest_s(record: RehearsalRecord, uplink: Alignment, sending: Sequence[Span]) -> float | None:
    """Return the longest time from capture to arrival of a frame that could be sent at once."""
    firsts: dict[int, int] = {}
    for number, index in enumerate(uplink.arrivals):
        if index is not None:
            firsts.setdefault(index, number)
    times = ((record.track.taken_at[index], record.arrivals.time_of(at)) for index, at in firsts.items())
    return max(
        (at - taken for taken, at in times if at is not None and _within(taken, sending)), default=None
    )


def _frames_ms(record: RehearsalRecord, frames: Iterable[int], spans: Sequence[Span]) -> int:
    """Return the duration of those `frames` whose middle was captured within one of `spans`."""
    middles = (record.track.taken_at[index] - pcm.FRAME_S / 2 for index in frames)
    return sum(_within(middle, spans) for middle in middles) * pcm.FRAME_MS


def _unheld_ms(record: RehearsalRecord, received: set[int]) -> int | None:
    """Return received sound that was captured while no button was held; None if the script holds none.

    The pre-roll before a hold, and the sound that is still sent after the release, belong to the hold.
    """
    before, after = record.preroll_frames * pcm.FRAME_S + SLACK_S, record.after_frames * pcm.FRAME_S + SLACK_S
    held = [(began - before, ended + after) for began, ended in record.holds()]
    return len(received) * pcm.FRAME_MS - _frames_ms(record, received, held) if held else None


def _own_voice_ms(record: RehearsalRecord, received: set[int], chimes: Sequence[LoggedEvent]) -> int:
    """Return received sound that was captured while the kiosk was audible; its chimes do not count.

    A busy machine pulls sound late. Only the time after the pull counts: before it, the kiosk was silent.
    """
    chiming = [
        (note.t, note.t + sound_detection.seconds_of(str(note.data["cue"])) + SLACK_S) for note in chimes
    ]
    joined: list[Span] = []
    for began, ended in sorted(record.heard.spans_since_pulled()):
        if _within(began, chiming):
            continue
        if joined and began - joined[-1][1] < pcm.FRAME_S / 2:
            joined[-1] = joined[-1][0], ended
        else:
            joined.append((began, ended))
    return _frames_ms(record, received, joined)


def _muted_ms(record: RehearsalRecord) -> int | None:
    """Return sound that the microphone captured while the kiosk was muted; None if it never was."""
    muted = [(began + SLACK_S, ended) for began, ended in record.spans("SetMute", "muted", True)]
    return _frames_ms(record, range(len(record.track.frames)), muted) if muted else None


def _speech_lost_ms(record: RehearsalRecord, received: set[int]) -> Iterator[int]:
    """Yield for each utterance the milliseconds that did not arrive."""
    for _, utterance in record.utterances:
        frames = range(utterance.onset // FRAME_SAMPLES, utterance.end // FRAME_SAMPLES + 1)
        yield sum(index not in received for index in frames) * pcm.FRAME_MS


# The conversation.


def _touches(record: RehearsalRecord) -> list[float]:
    """Return the times at which a button was pressed."""
    return [note.t for note in record.find("visitor", "presses the button", "holds the button")]


def _wake_to_uplink_ms(record: RehearsalRecord) -> Iterator[float]:
    """Yield for each wake the time until the service received the first sound."""
    wakes = [note.t for note in record.find("kiosk", "wakes")]
    touches = _touches(record)
    for wake, end in zip(wakes, [*wakes[1:], math.inf], strict=False):
        # A wake by the button counts from the press itself.
        pressed = [t for t in touches if 0 <= wake - t < 1.0]
        arrived = next((note.t for note in record.find("service", "audio") if wake <= note.t < end), None)
        if arrived is not None:
            yield (arrived - (pressed[-1] if pressed else wake)) * 1000


def _speech_to_sound_ms(record: RehearsalRecord) -> Iterator[float]:
    """Yield for each answered utterance the time from its end to the first sound of the answer."""
    spoken = record.spoken()
    nexts = [*(onset for onset, _ in spoken[1:]), math.inf]
    began = [note.t for note in record.find("kiosk", "reply began")]
    for (_, end), following in zip(spoken, nexts, strict=False):
        answer = next((t for t in began if end <= t < following), None)
        if answer is not None:
            sounded = record.heard.first_audible(max(end, answer - SLACK_S), following)
            if sounded is not None:
                yield (sounded - end) * 1000


def _to_silence_ms(record: RehearsalRecord, moments: Iterable[float]) -> Iterator[float]:
    """Yield for each of `moments` during a reply that was silenced the time until its last sound."""
    for moment in moments:
        began = [note for note in record.find("kiosk", "reply began") if note.t <= moment]
        reply = began[-1].data["reply"] if began else None
        for note in record.find("kiosk", "reply silenced"):
            if note.t > moment and note.data["reply"] == reply:
                last = record.heard.last_audible_between(moment, note.t + SLACK_S)
                yield 0.0 if last is None else (last - moment) * 1000


def _caption_off_ms(record: RehearsalRecord) -> Iterator[float]:
    """Yield for each caption that was cut the time between its last word and the silence.

    The simulator spreads the words of a reply evenly over its sound.
    """
    for note in record.find("kiosk", "caption cut"):
        began = [each.t for each in record.find("kiosk", "reply began") if each.t <= note.t]
        sent = [each.data for each in record.find("service", "reply_began") if began and each.t <= began[-1]]
        if not sent:
            continue
        silent = record.heard.last_audible_between(began[-1], note.t + SLACK_S)
        if silent is not None and sent[-1]["words"]:
            word_s = float(str(sent[-1]["lasts_s"])) / int(str(sent[-1]["words"]))
            heard_s, shown = silent - began[-1], int(str(note.data["words"]))
            yield max(0.0, (shown - 1) * word_s - heard_s, heard_s - shown * word_s) * 1000


def tools_at_once(notes: Sequence[LoggedEvent]) -> int:
    """Return the largest number of function calls that were open at the same time."""
    open_calls: set[object] = set()
    most = 0
    for note in notes:
        match note.by, note.what:
            case "service", "tool_call":
                open_calls.add(note.data["id"])
            case "service", "tool_response" | "tool_call_unanswered":
                open_calls.discard(note.data["id"])
            case "service", "tool_call_cancelled":
                ids = note.data["ids"]
                open_calls.difference_update(ids if isinstance(ids, list) else [])
            case "daemon", "Lost" | "Dial":
                open_calls.clear()  # an id means nothing on the next connection
        most = max(most, len(open_calls))
    return most


def reply_gaps_s(notes: Sequence[LoggedEvent]) -> Iterator[float]:
    """Yield the gaps of each reply heard to its end: the time it took, less the duration of its sound."""
    sent = [(note.t, float(str(note.data["sent_s"]))) for note in notes if note.what == "reply_sent"]
    came: dict[object, float] = {}
    began: dict[object, float] = {}
    for note in notes:
        match note.by, note.what:
            case "daemon", "ReplyBegan":
                came[note.data["reply"]] = note.t
            case "kiosk", "reply began":
                began[note.data["reply"]] = note.t
            case "kiosk", "reply heard" if (reply := note.data["reply"]) in came and reply in began:
                lasts = next((seconds for t, seconds in sent if came[reply] <= t <= note.t), None)
                if lasts is not None:
                    yield max(0.0, note.t - began[reply] - lasts)
