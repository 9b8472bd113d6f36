"""Compares what the microphone captured with what the service received, frame by frame.

Every frame of a rehearsal's microphone differs from every other one (see `visitor`), so a received frame names the
moment it was captured at. Counting is therefore exact: no correlation, no tolerance.
"""

import bisect
import enum
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kioskd.media import pcm


class Gate(enum.Enum):
    """What the daemon means to do with a microphone frame."""

    PREROLL = enum.auto()
    """Asleep: the last ones are kept for the wake."""
    HOLD = enum.auto()
    """Kept until there is a connection."""
    SEND = enum.auto()
    """Sent."""
    SHUT = enum.auto()
    """Dropped on purpose: the kiosk would hear itself."""


@dataclass(frozen=True, slots=True)
class GateChange:
    """From the frame with index `at_frame` on, the gate was `gate`."""

    at_frame: int
    gate: Gate


@dataclass(frozen=True, slots=True)
class Alignment:
    """How the uplink fared, in milliseconds of sound."""

    sent_ms: int = 0
    """Received by the service, each frame counted once."""
    lost_ms: int = 0
    """Meant to be sent, captured between a conversation's first and last received frame, and never received."""
    duplicated_ms: int = 0
    """Received again."""
    reordered_ms: int = 0
    """Received at another place than captured: the fewest frames that would have to be moved."""
    unasked_ms: int = 0
    """Received although the gate was shut or nobody had woken the kiosk."""
    foreign_ms: int = 0
    """Received, but never captured."""
    first_word_lost_ms: tuple[int, ...] = ()
    """For each conversation of which anything was received: what was meant to be sent before its first frame."""
    lost_frames: tuple[int, ...] = ()
    """The indices of the lost frames."""
    duplicated_frames: tuple[int, ...] = ()
    """The indices of the frames received again, once for each time."""


def conversations(gates: Sequence[GateChange], frame_count: int, preroll_frames: int) -> list[list[int]]:
    """Return the indices of the frames that were meant to be sent, for each conversation.

    A conversation lasts from the gate's leaving PREROLL to its return. The last `preroll_frames` captured before
    belong to it (fewer where the gate had not been at PREROLL for that long).
    """
    found: list[list[int]] = []
    asleep_from: int | None = 0
    for change, following in itertools.pairwise([*gates, GateChange(frame_count, Gate.PREROLL)]):
        if change.gate is Gate.PREROLL:
            if asleep_from is None:
                asleep_from = change.at_frame
            continue
        if asleep_from is not None:
            found.append(list(range(max(asleep_from, change.at_frame - preroll_frames), change.at_frame)))
            asleep_from = None
        if change.gate is not Gate.SHUT:
            found[-1].extend(range(change.at_frame, following.at_frame))
    return found


def align(
    captured: Sequence[bytes],
    gates: Sequence[GateChange],
    received: Iterable[bytes | bytearray],
    preroll_frames: int,
) -> Alignment:
    """Return what became of each captured frame.

    `captured`: the microphone's frames in order. `gates`: what held before the first change is PREROLL. `received`:
    for each session, in the order in which they began, the sound of all its connections, end to end.

    Frames that are not unique (a real microphone's digital silence) are taken to be in order.
    """
    indices, foreign = _identify(captured, received)
    seen: dict[int, int] = {}
    for index in indices:
        seen[index] = seen.get(index, 0) + 1
    wanted = conversations(gates, len(captured), preroll_frames)
    asked = {index for conversation in wanted for index in conversation}
    lost: list[int] = []
    first_word_lost: list[int] = []
    for conversation in wanted:
        got = [index for index in conversation if index in seen]
        if not got:
            continue
        lost += [index for index in conversation if got[0] < index < got[-1] and index not in seen]
        first_word_lost.append(sum(1 for index in conversation if index < got[0]) * pcm.FRAME_MS)
    arrivals = list(dict.fromkeys(indices))
    return Alignment(
        sent_ms=len(seen) * pcm.FRAME_MS,
        lost_ms=len(lost) * pcm.FRAME_MS,
        duplicated_ms=(len(indices) - len(seen)) * pcm.FRAME_MS,
        reordered_ms=(len(arrivals) - _longest_rise(arrivals)) * pcm.FRAME_MS,
        unasked_ms=sum(1 for index in seen if index not in asked) * pcm.FRAME_MS,
        foreign_ms=foreign * pcm.FRAME_MS,
        first_word_lost_ms=tuple(first_word_lost),
        lost_frames=tuple(lost),
        duplicated_frames=tuple(sorted(index for index, times in seen.items() for _ in range(times - 1))),
    )


def _identify(captured: Sequence[bytes], received: Iterable[bytes | bytearray]) -> tuple[list[int], int]:
    """Return the index of each received frame that was captured, and how many were not."""
    places: dict[bytes, list[int]] = {}
    for index, frame in enumerate(captured):
        places.setdefault(frame, []).append(index)
    indices: list[int] = []
    used: set[int] = set()
    foreign = 0
    last = -1
    for session in received:
        for at in range(0, len(session), pcm.FRAME_BYTES):
            candidates = places.get(bytes(session[at : at + pcm.FRAME_BYTES]))
            if candidates is None:
                foreign += 1
                continue
            # The next one not yet received; the first one, where the frame comes again or belatedly.
            later = bisect.bisect_right(candidates, last)
            index = candidates[later] if later < len(candidates) else candidates[0]
            if index in used and len(candidates) > 1:
                index = next((i for i in candidates if i not in used), index)
            if index not in used:
                last = index
            used.add(index)
            indices.append(index)
    return indices, foreign


def _longest_rise(values: Sequence[int]) -> int:
    """Return the length of the longest rising subsequence (patience sorting)."""
    tops: list[int] = []
    for value in values:
        at = bisect.bisect_left(tops, value)
        tops[at : at + 1] = [value]
    return len(tops)
