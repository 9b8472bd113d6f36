"""Finds the kiosk's own sounds, chimes and prompts, in the sound that a visitor heard."""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from kioskd.media import cues, pcm
from kioskd.rehearsal.event_log import LoggedEvent
from kioskd.rehearsal.fake_speaker import PlayedSound

EARLY_S: Final = 0.1
"""Seconds by which a chime may precede the log entry of its order, which is written last."""

LATE_S: Final = 0.6
"""Longest time in seconds from the order to the end of the chime, which lasts a quarter of a second."""

SAME_CHIME: Final = 0.5
"""Least correlation of a sound with a chime; the chime with the highest one counts.

Together with a voice that begins, it is 0.6. Two chimes that share a note reach as much with each other.
"""

SHORTEST_PROMPT_S: Final = 0.4
"""Least audible duration of a prompt, in seconds; a chime is shorter."""


def chimes(notes: Sequence[LoggedEvent], heard: PlayedSound) -> list[LoggedEvent]:
    """Return the log entries of ordered chimes that were heard."""
    orders = [note for note in notes if note.by == "daemon" and note.what == "Chime"]
    ends = [note.t - EARLY_S for note in orders[1:]] + [math.inf]
    return [
        note
        for note, end in zip(orders, ends, strict=False)
        if _chime_between(heard, note.t - EARLY_S, min(note.t + LATE_S, end))
        is cues.CueSound(note.data["cue"])
    ]


def prompts(
    notes: Sequence[LoggedEvent], heard: PlayedSound, end: float
) -> Iterator[tuple[float, float, str]]:
    """Yield start, end and code of each prompt that the visitor heard."""
    for note, until, _ in _spoken(notes, end):
        if note.what == "Prompt" and heard.audible_s(note.t, until) >= SHORTEST_PROMPT_S:
            yield note.t, until, str(note.data["code"])


def announcements(
    notes: Sequence[LoggedEvent], heard: PlayedSound, end: float
) -> Iterator[tuple[float, float]]:
    """Yield start and end of each announcement that was heard to its end."""
    for note, until, ended in _spoken(notes, end):
        audible = heard.audible_s(note.t, until) >= SHORTEST_PROMPT_S
        if note.what == "Announce" and ended == "PromptOver" and audible:
            yield note.t, until


def _spoken(notes: Sequence[LoggedEvent], end: float) -> Iterator[tuple[LoggedEvent, float, str]]:
    """Yield the order of each prompt and announcement, the time of its end, and the event that ended it."""
    words = {"Prompt", "Announce", "PromptOver", "HushPrompt"}
    steps = [note for note in notes if note.by == "daemon" and note.what in words]
    for note, following in itertools.zip_longest(steps, steps[1:]):
        yield note, *((end, "") if following is None else (following.t, following.what))


def _chime_between(heard: PlayedSound, after: float, before: float) -> cues.CueSound | None:
    """Return the chime that sounds between two moments, if any."""
    samples = heard.samples(after, before - after).astype(np.float64)
    found = {
        cue: _likeness(samples, np.frombuffer(cues.sound(cue), "<i2").astype(np.float64))
        for cue in cues.CueSound
    }
    best = max(found, key=lambda cue: found[cue])
    return best if found[best] >= SAME_CHIME else None


def _likeness(samples: npt.NDArray[np.float64], sought: npt.NDArray[np.float64]) -> float:
    """Return the highest correlation of `sought` with any part of `samples`."""
    if len(samples) < len(sought):
        return 0.0
    size = len(samples) + len(sought)
    spectrum = np.fft.rfft(samples, size) * np.fft.rfft(sought, size).conj()
    products = np.fft.irfft(spectrum, size)[: len(samples) - len(sought) + 1]
    sums = np.concatenate(([0.0], np.cumsum(samples**2)))
    powers = sums[len(sought) :] - sums[: -len(sought)]
    return float((products / (np.linalg.norm(sought) * np.sqrt(np.maximum(powers, 1.0)))).max())


def seconds_of(cue: str) -> float:
    """Return the duration of a chime in seconds."""
    return len(cues.sound(cues.CueSound(cue))) / pcm.byte_count(1, pcm.DOWNLINK_HZ)
