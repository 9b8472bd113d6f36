"""What of the kiosk's own sounds a visitor has heard: chimes, and prompts."""

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
"""How long before the note of its order a chime may have begun: the note is made when the order is carried out."""

LATE_S: Final = 0.6
"""How long after the order it may still be going on: it lasts a quarter of a second."""

SAME_CHIME: Final = 0.5
"""The correlation from which something is a chime, if it is no other one. Beside a voice that begins meanwhile it is 0.6,
and two chimes that share a note reach as much."""

SHORTEST_PROMPT_S: Final = 0.4
"""What is audible for so long is no chime."""


def chimes(notes: Sequence[LoggedEvent], heard: PlayedSound) -> list[LoggedEvent]:
    """Return the orders to sound a chime that were followed by its sound."""
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
    """Yield from when to when the visitor heard which code's prompt."""
    steps = [
        note for note in notes if note.by == "daemon" and note.what in {"Prompt", "PromptOver", "HushPrompt"}
    ]
    for note, following in itertools.zip_longest(steps, steps[1:]):
        until = following.t if following is not None else end
        if note.what == "Prompt" and heard.audible_s(note.t, until) >= SHORTEST_PROMPT_S:
            yield note.t, until, str(note.data["code"])


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
    """Return the highest correlation of what is sought with any stretch of `samples`."""
    if len(samples) < len(sought):
        return 0.0
    size = len(samples) + len(sought)
    spectrum = np.fft.rfft(samples, size) * np.fft.rfft(sought, size).conj()
    products = np.fft.irfft(spectrum, size)[: len(samples) - len(sought) + 1]
    sums = np.concatenate(([0.0], np.cumsum(samples**2)))
    powers = sums[len(sought) :] - sums[: -len(sought)]
    return float((products / (np.linalg.norm(sought) * np.sqrt(np.maximum(powers, 1.0)))).max())


def seconds_of(cue: str) -> float:
    """Return how long a chime lasts."""
    return len(cues.sound(cues.CueSound(cue))) / pcm.byte_count(1, pcm.DOWNLINK_HZ)
