"""Hears that the visitor speaks into the reply: suspected at once, so that the reply can be ducked; sure a little later.

    cancel:    the canceller's evidence ─┐
    hardware:  the card's own signal ────┴─► newest frames ─► suspected ─► sure, or cleared

A card that cancels echo says nothing of how well it does. So what is left of the own voice is measured (its loudest, which
fades by `RESIDUE_FADES_DB`), and only what is clearly louder is a visitor; the first half second of each reply, in which
such cards find their bearings, teaches and interrupts nothing.
"""

import collections
import enum
from typing import Final, Protocol

import numpy as np
import webrtcvad

from kioskd.media import pcm
from kioskd.media.echo import STRUCK, VISITOR_MODE

WINDOW: Final = 4
"""Frames (80 ms) that are looked at."""

SURE: Final = 3
"""Frames among them that make it sure. With 2 it comes 20 ms sooner, and half of all loud knocks do it; with 3, a
quarter."""

CLEARED: Final = 10
"""Frames (200 ms) without a sign after which it was nothing."""

AGAIN: Final = 30
"""Frames (600 ms) without a sign after which the next is another interruption."""

PROTECTED: Final = 25
"""Frames (500 ms) at the beginning of a reply that a card may need to find its bearings."""

ABOVE_RESIDUE: Final = 4.0
"""By how much more power than what a card leaves of the own voice a visitor has: 6 dB."""

RESIDUE_FADES_DB: Final = 0.04
"""... which is forgotten by so much a frame (2 dB a second), and rises by no more than `RESIDUE_RISES_DB`: three frames of
a visitor are no residue."""

RESIDUE_RISES_DB: Final = 1.0

_SILENT: Final = 100.0
"""The power of the softest residue: -70 dBFS."""
_FADES: Final = 10 ** (-RESIDUE_FADES_DB / 10)
_RISES: Final = 10 ** (RESIDUE_RISES_DB / 10)


class BargeInVerdict(enum.Enum):
    """What changed."""

    SUSPECTED = "suspected"
    """Maybe somebody speaks: talk more softly."""
    CLEARED = "cleared"
    """It was nothing."""
    SURE = "sure"
    """Somebody speaks: be silent."""


class Canceller(Protocol):
    """What is asked of an echo canceller; `echo.EchoCanceller` has it."""

    @property
    def visitor(self) -> bool:
        """Whether the newest frame held somebody else's voice together with the own one."""


class BargeInDetector:
    """One microphone, whichever way its echo is taken out."""

    def __init__(self, canceller: Canceller | None = None) -> None:
        """Start with nobody there. Without a `canceller` the device itself takes out the echo."""
        self._canceller = canceller
        self._card = _Card()
        self._signs: collections.deque[bool] = collections.deque(maxlen=WINDOW)
        self._state = BargeInVerdict.CLEARED
        self._silent_for = 0

    def reset(self) -> None:
        """Forget what was heard: nobody is suspected. What is known of a card stays."""
        self._card.pause()
        self._signs.clear()
        self._state = BargeInVerdict.CLEARED
        self._silent_for = 0

    def feed(self, frame: bytes, own_voice: bool = True) -> BargeInVerdict | None:
        """Take the next frame, after `EchoCanceller.clean` where there is one; return what changed with it.

        SUSPECTED comes first, then SURE or CLEARED. Once sure, it
        says nothing more until the reply is over, or nobody has spoken for `AGAIN` frames.

        Args:
            frame: `pcm.FRAME_BYTES`, 16 kHz.
            own_voice: whether a reply sounds: without one, nothing can be interrupted. Where frames without one are not
                given at all, a `reset` belongs between two replies.
        """
        if self._canceller is not None:
            sign = self._canceller.visitor
        else:
            sign = self._card.feed(frame, own_voice, learns=self._state is not BargeInVerdict.SURE)
        if not own_voice:
            was, self._state = self._state, BargeInVerdict.CLEARED
            self._signs.clear()
            return BargeInVerdict.CLEARED if was is BargeInVerdict.SUSPECTED else None
        self._signs.append(sign)
        self._silent_for = 0 if sign else self._silent_for + 1
        match self._state:
            case BargeInVerdict.SURE:
                if self._silent_for >= AGAIN:
                    self._state = BargeInVerdict.CLEARED
                return None
            case BargeInVerdict.SUSPECTED if sum(self._signs) >= SURE:
                return self._become(BargeInVerdict.SURE)
            case BargeInVerdict.SUSPECTED if self._silent_for >= CLEARED:
                return self._become(BargeInVerdict.CLEARED)
            case BargeInVerdict.CLEARED if sign:
                return self._become(BargeInVerdict.SUSPECTED)
            case _:
                return None

    def _become(self, state: BargeInVerdict) -> BargeInVerdict:
        self._state = state
        return state


class _Card:
    """A visitor in the signal of a device that takes out the echo itself."""

    def __init__(self) -> None:
        self._vad = webrtcvad.Vad(VISITOR_MODE)
        self._recent: collections.deque[float] = collections.deque(maxlen=3)
        self._residue = _SILENT
        self._spoken_for = 0

    def pause(self) -> None:
        """Know that no reply sounds."""
        self._spoken_for = 0

    def feed(self, frame: bytes, own_voice: bool, *, learns: bool) -> bool:
        voice = self._vad.is_speech(frame, pcm.UPLINK_HZ)
        power = float(np.mean(np.square(np.frombuffer(frame, "<i2").astype(np.float32))))
        self._recent.append(power)
        if not own_voice:
            self.pause()
            return False
        self._spoken_for += 1
        louder = power > ABOVE_RESIDUE * self._residue
        protected = self._spoken_for <= PROTECTED
        if learns:
            most = power if protected else _RISES * self._residue
            self._residue = max(_SILENT, _FADES * self._residue, min(power, most))
        return voice and louder and not protected and power >= STRUCK * max(self._recent)
