"""Questions about the visitor's sound on its way to the service, answered from the record of a rehearsal. Pure."""

from collections.abc import Iterable, Sequence
from typing import Final

from kioskd.media import pcm
from kioskd.rehearsal import sound_detection
from kioskd.rehearsal.alignment import Alignment
from kioskd.rehearsal.event_log import LoggedEvent
from kioskd.rehearsal.fake_microphone import FRAME_S, FRAME_SAMPLES, CapturedTrack, Utterance
from kioskd.rehearsal.pictures import SILENCE_S, within
from kioskd.rehearsal.record import RehearsalRecord, spans

SLACK_S: Final = 0.1
"""How far a note may be from the sound it speaks of: it takes the way through the daemon's mailbox."""


def latest_s(record: RehearsalRecord, uplink: Alignment) -> float | None:
    """Return the longest way of a frame that was captured while it could be sent at once."""
    sending = tuple(spans(record, "SetUplink", "uplink", "send"))
    taken_at = record.track.taken_at
    ways = []
    arrived: set[int] = set()
    for number, index in enumerate(uplink.arrivals):
        if index is None or index in arrived:
            continue
        arrived.add(index)
        there = record.arrivals.time_of(number)
        if there is not None and within(taken_at[index], sending):
            ways.append(there - taken_at[index])
    return max(ways, default=None)


def _received(uplink: Alignment) -> set[int]:
    return {index for index in uplink.arrivals if index is not None}


def _frames_ms(
    record: RehearsalRecord, frames: Iterable[int], times: Iterable[tuple[float, float]], *, inside: bool
) -> int:
    """Return how much of `frames` was captured inside of some times, or outside: by the middle of each frame."""
    found = tuple(times)
    taken_at = record.track.taken_at
    return sum(within(taken_at[index] - FRAME_S / 2, found) is inside for index in frames) * pcm.FRAME_MS


def unheld_ms(record: RehearsalRecord, uplink: Alignment) -> int | None:
    """Return what arrived of what was captured when no button was held; None where no script holds one.

    What the pre-roll has kept from before, and what is sent when the button is let go, belongs to the hold.
    """
    holds = [note.t for note in record.find("visitor", "holds the button")]
    if not holds:
        return None
    before, after = record.preroll_frames * FRAME_S + SLACK_S, record.after_frames * FRAME_S + SLACK_S
    releases = [note.t for note in record.find("visitor", "lets the button go")]
    held = [
        (hold - before, min((t for t in releases if t >= hold), default=record.end) + after) for hold in holds
    ]
    return _frames_ms(record, _received(uplink), held, inside=False)


def own_voice_ms(record: RehearsalRecord, uplink: Alignment, chimes: Sequence[LoggedEvent]) -> int:
    """Return what arrived of what was captured while the kiosk could be heard; its chimes do not count.

    A busy machine pulls sound after it was due. Only the time after the pull counts: before it, the kiosk was silent.
    """
    chiming = [
        (note.t, note.t + sound_detection.seconds_of(str(note.data["cue"])) + SLACK_S) for note in chimes
    ]
    audible = sorted(span for span in record.heard.spans_since_pulled() if not within(span[0], chiming))
    return _frames_ms(record, _received(uplink), _joined(audible), inside=True)


def _joined(times: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return times that follow on one another as one; in order of time before and after."""
    found: list[tuple[float, float]] = []
    for began, ended in times:
        if found and began - found[-1][1] < FRAME_S / 2:
            found[-1] = found[-1][0], ended
        else:
            found.append((began, ended))
    return found


def muted_ms(record: RehearsalRecord) -> int | None:
    """Return what the microphone captured while the kiosk was muted; None where it never was."""
    muted = [(began + SLACK_S, ended) for began, ended in spans(record, "SetMute", "muted", True)]
    return _frames_ms(record, range(len(record.track.frames)), muted, inside=True) if muted else None


def spoken(record: RehearsalRecord) -> list[tuple[float, float]]:
    """Return when the visitor spoke, or had just spoken."""
    return [
        (record.track.time_of(utterance.onset), record.track.time_of(utterance.end) + SILENCE_S)
        for _, utterance in record.utterances
        if captured(record.track, utterance)
    ]


def speech_lost(record: RehearsalRecord, uplink: Alignment) -> Iterable[float]:
    """Yield for each utterance the milliseconds of it that did not arrive."""
    received = _received(uplink)
    for _, utterance in record.utterances:
        frames = range(utterance.onset // FRAME_SAMPLES, utterance.end // FRAME_SAMPLES + 1)
        yield sum(index not in received for index in frames) * pcm.FRAME_MS


def captured(track: CapturedTrack, utterance: Utterance) -> bool:
    """Return whether all of an utterance was captured before the end."""
    return utterance.end < len(track.frames) * len(track.frames[0]) // 2 if track.frames else False
