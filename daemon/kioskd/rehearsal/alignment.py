"""Compares the frames that the microphone captured with the frames that the service received.

Each frame of a rehearsal's microphone differs from all others (see `fake_microphone`). So each received frame
tells when it was captured, and counts are exact. Only a frame from which the daemon removed a chime is found
by its likeness.
"""

import bisect
import enum
import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from kioskd.media import pcm

MOST_TAKEN: Final = 0.4
"""Largest share of a frame's power that the removal of a chime may take. It takes a twentieth from noise.

Two different frames of noise differ by their whole power.
"""


class Gate(enum.Enum):
    """The daemon's plan for a microphone frame."""

    PREROLL = enum.auto()
    """The kiosk is asleep; the last frames are kept for the wake."""
    PAUSED = enum.auto()
    """The visitor neither speaks nor holds the talk button; the last frames are kept until then."""
    HOLD = enum.auto()
    """Frames are kept until there is a connection."""
    SEND = enum.auto()
    """Frames are sent."""
    SHUT = enum.auto()
    """Frames are dropped: the kiosk would hear itself."""


@dataclass(frozen=True, slots=True)
class GateChange:
    """A change of the gate to `gate`, from the frame with index `at_frame` on."""

    at_frame: int
    gate: Gate


@dataclass(frozen=True, slots=True)
class Alignment:
    """Comparison of captured and received sound, in milliseconds."""

    sent_ms: int = 0
    """Received sound, each frame counted once."""
    lost_ms: int = 0
    """Sound to be sent that never arrived, between a conversation's first and last received frame."""
    duplicated_ms: int = 0
    """Sound that was received again."""
    reordered_ms: int = 0
    """Sound that was received in the wrong order: the fewest frames whose moving would restore it."""
    unasked_ms: int = 0
    """Sound that was received although the gate was shut or the kiosk asleep."""
    foreign_ms: int = 0
    """Sound that was received, but never captured."""
    first_word_lost_ms: tuple[int, ...] = ()
    """For each conversation that was received: the sound to be sent before its first received frame."""
    lost_frames: tuple[int, ...] = ()
    """Indices of the lost frames."""
    duplicated_frames: tuple[int, ...] = ()
    """Indices of the frames that were received again, once for each time."""
    arrivals: tuple[int | None, ...] = field(default=(), compare=False, repr=False)
    """Index of each received frame, in order of arrival; None for a foreign frame."""


def conversations(
    gates: Sequence[GateChange], frame_count: int, preroll_frames: int, after_frames: int = 0
) -> list[list[int]]:
    """Return the indices of the frames to be sent, for each conversation.

    A conversation lasts while the gate is not PREROLL. These frames belong to it, too: the last
    `preroll_frames` before it (fewer if PREROLL was shorter), those before the end of a pause, and the first
    `after_frames` of a pause.
    """
    found: list[list[int]] = []
    before, asleep, margin_from = Gate.PREROLL, True, 0
    for change, following in itertools.pairwise([*gates, GateChange(frame_count, Gate.PREROLL)]):
        at, end = change.at_frame, following.at_frame
        if asleep and change.gate is not Gate.PREROLL:
            found.append([])
        asleep = change.gate is Gate.PREROLL
        match change.gate:
            case Gate.PREROLL:
                margin_from = at
            case Gate.SHUT:
                margin_from = end
            case Gate.PAUSED if before in (Gate.HOLD, Gate.SEND):
                margin_from = min(at + after_frames, end)
                found[-1].extend(range(at, margin_from))
            case Gate.HOLD | Gate.SEND:
                found[-1].extend(range(max(margin_from, at - preroll_frames), end))
                margin_from = end
        before = change.gate
    return found


def align(
    captured: Sequence[bytes],
    gates: Sequence[GateChange],
    received: Iterable[bytes | bytearray],
    preroll_frames: int,
    after_frames: int = 0,
) -> Alignment:
    """Compare captured with received frames.

    Frames that are not unique (digital silence of a real microphone) are taken to be in order.

    Args:
        captured: the microphone's frames in order.
        gates: changes of the gate, which is PREROLL before the first one.
        received: the sound of each session, in order of their begin: that of all its connections, end to end.
        preroll_frames: frames that are kept for the wake or the end of a pause.
        after_frames: frames that are still sent when a pause begins.
    """
    arrivals = _identify(captured, received)
    indices = [index for index in arrivals if index is not None]
    seen = Counter(indices)
    wanted = conversations(gates, len(captured), preroll_frames, after_frames)
    asked = {index for conversation in wanted for index in conversation}
    lost: list[int] = []
    first_word_lost: list[int] = []
    for conversation in wanted:
        got = [index for index in conversation if index in seen]
        if not got:
            continue
        lost += [index for index in conversation if got[0] < index < got[-1] and index not in seen]
        first_word_lost.append(sum(1 for index in conversation if index < got[0]) * pcm.FRAME_MS)
    firsts = list(dict.fromkeys(indices))
    return Alignment(
        sent_ms=len(seen) * pcm.FRAME_MS,
        lost_ms=len(lost) * pcm.FRAME_MS,
        duplicated_ms=(len(indices) - len(seen)) * pcm.FRAME_MS,
        reordered_ms=(len(firsts) - _longest_rise(firsts)) * pcm.FRAME_MS,
        unasked_ms=sum(1 for index in seen if index not in asked) * pcm.FRAME_MS,
        foreign_ms=(len(arrivals) - len(indices)) * pcm.FRAME_MS,
        first_word_lost_ms=tuple(first_word_lost),
        lost_frames=tuple(lost),
        duplicated_frames=tuple(sorted((seen - Counter(set(seen))).elements())),
        arrivals=tuple(arrivals),
    )


def _identify(captured: Sequence[bytes], received: Iterable[bytes | bytearray]) -> list[int | None]:
    """Return the index of each received frame; None for a frame that was not captured."""
    places: dict[bytes, list[int]] = {}
    for index, frame in enumerate(captured):
        places.setdefault(frame, []).append(index)
    indices: list[int | None] = []
    used: set[int] = set()
    last = -1
    likeness = _Likeness(captured)
    for session in received:
        for at in range(0, len(session), pcm.FRAME_BYTES):
            frame = bytes(session[at : at + pcm.FRAME_BYTES])
            candidates = places.get(frame) or likeness.find(frame)
            if not candidates:
                indices.append(None)
                continue
            # The next one not yet received; the first one if the frame comes again or late.
            later = bisect.bisect_right(candidates, last)
            index = candidates[later] if later < len(candidates) else candidates[0]
            if index in used and len(candidates) > 1:
                index = next((i for i in candidates if i not in used), index)
            if index not in used:
                last = index
            used.add(index)
            indices.append(index)
    return indices


class _Likeness:
    """Finds the captured frame from which the daemon removed a chime."""

    def __init__(self, captured: Sequence[bytes]) -> None:
        whole = [frame.ljust(pcm.FRAME_BYTES, b"\0")[: pcm.FRAME_BYTES] for frame in captured]
        samples = np.frombuffer(b"".join(whole), "<i2").astype(np.float32)
        self._frames = samples.reshape(len(whole), pcm.FRAME_BYTES // pcm.SAMPLE_BYTES)
        self._powers = (self._frames**2).sum(axis=1) + 1

    def find(self, frame: bytes) -> list[int]:
        """Return the index of the captured frame in a list, which is empty if there is none."""
        if not len(self._frames) or len(frame) != pcm.FRAME_BYTES:
            return []
        samples = np.frombuffer(frame, "<i2").astype(np.float32)
        taken = (self._powers + samples @ samples - 2 * (self._frames @ samples)) / self._powers
        best = int(taken.argmin())
        return [best] if taken[best] <= MOST_TAKEN else []


def _longest_rise(values: Sequence[int]) -> int:
    """Return the length of the longest rising subsequence (patience sorting)."""
    tops: list[int] = []
    for value in values:
        at = bisect.bisect_left(tops, value)
        tops[at : at + 1] = [value]
    return len(tops)
