"""Detects that the visitor speaks into the reply: at first suspected, so that the reply can be ducked, and a
little later sure.

    cancel:    the canceller's evidence ─┐
    hardware:  the card's own signal ────┴─► newest frames ─► suspected ─► sure, or cleared

A card that cancels echo does not tell how well it does. So this module measures the residue of the kiosk's
own voice: its loudest power, which fades by `RESIDUE_FADES_DB`. Only a clearly louder voice is a visitor. A
card adapts in the first half second of each reply. That time only teaches the residue, and interrupts
nothing.

The constants were fitted on two speakers: Debian's alsa-utils recordings, and three readings of LibriVox.
The replies were of espeak-ng's voice en.
"""

import collections
import enum
from typing import Final, Protocol

import numpy as np
import webrtcvad

from kioskd.media import pcm
from kioskd.media.echo import STRUCK, VISITOR_MODE

WINDOW: Final = 4
"""Frames (80 ms) in which signs of a visitor are counted."""

SURE: Final = 3
"""Signs within `WINDOW` that make the detector sure. With 2 it is sure 20 ms sooner, and half of all loud
knocks interrupt. With 3, a quarter of them do."""

CLEARED: Final = 10
"""Frames (200 ms) without a sign that clear a suspicion."""

AGAIN: Final = 30
"""Frames (600 ms) without a sign after which the next sign is a new interruption."""

PROTECTED: Final = 25
"""Frames (500 ms) at the beginning of a reply in which a card may still adapt."""

ABOVE_RESIDUE: Final = 4.0
"""Ratio of a visitor's power to the residue of the kiosk's own voice, at least: 6 dB."""

RESIDUE_FADES_DB: Final = 0.04
"""Fall of the known residue per frame: 2 dB a second."""

RESIDUE_RISES_DB: Final = 1.0

_SILENT: Final = 100.0
"""Power of the softest residue: -70 dBFS."""
_FADES: Final = 10 ** (-RESIDUE_FADES_DB / 10)
_RISES: Final = 10 ** (RESIDUE_RISES_DB / 10)


class BargeInVerdict(enum.Enum):
    """Change of the detector's state."""

    SUSPECTED = "suspected"
    """The visitor may be speaking: lower the reply."""
    CLEARED = "cleared"
    """The suspicion was wrong."""
    SURE = "sure"
    """The visitor is speaking: stop the reply."""


class Canceller(Protocol):
    """The part of `echo.EchoCanceller` that the detector uses."""

    @property
    def visitor(self) -> bool:
        """Whether the newest frame held another person's voice besides the kiosk's own."""


class BargeInDetector:
    """Detector for one microphone, whichever device or library cancels its echo."""

    def __init__(self, canceller: Canceller | None = None) -> None:
        """Start without a suspicion. Without a `canceller` the device itself cancels the echo."""
        self._canceller = canceller
        self._card = _Card()
        self._signs: collections.deque[bool] = collections.deque(maxlen=WINDOW)
        self._state = BargeInVerdict.CLEARED
        self._silent_for = 0

    def reset(self) -> None:
        """Forget the signs and the suspicion; keep what is known of a card."""
        self._card.pause()
        self._signs.clear()
        self._state = BargeInVerdict.CLEARED
        self._silent_for = 0

    def feed(self, frame: bytes, own_voice: bool = True) -> BargeInVerdict | None:
        """Take the next frame, cleaned by `EchoCanceller.clean` if there is a canceller; return the change,
        if any.

        SUSPECTED comes first, then SURE or CLEARED. After SURE nothing is returned until the reply is over,
        or until `AGAIN` frames held no sign.

        Args:
            frame: `pcm.FRAME_BYTES`, 16 kHz.
            own_voice: whether a reply sounds: without one, nothing can be interrupted, and the frame costs
                nothing. If the frames between two replies are not fed, call `reset` there.
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
    """Detector of a visitor in the signal of a device that cancels the echo itself."""

    def __init__(self) -> None:
        self._vad = webrtcvad.Vad(VISITOR_MODE)
        self._recent: collections.deque[float] = collections.deque(maxlen=3)
        self._residue = _SILENT
        self._spoken_for = 0

    def pause(self) -> None:
        """Note that no reply sounds."""
        self._spoken_for = 0

    def feed(self, frame: bytes, own_voice: bool, *, learns: bool) -> bool:
        if not own_voice:
            # Nothing can be interrupted, and the frame does not change what is known of the card.
            self.pause()
            return False
        voice = self._vad.is_speech(frame, pcm.UPLINK_HZ)
        power = float(np.mean(np.square(np.frombuffer(frame, "<i2").astype(np.float32))))
        self._recent.append(power)
        self._spoken_for += 1
        louder = power > ABOVE_RESIDUE * self._residue
        protected = self._spoken_for <= PROTECTED
        if learns:
            most = power if protected else _RISES * self._residue
            self._residue = max(_SILENT, _FADES * self._residue, min(power, most))
        return voice and louder and not protected and power >= STRUCK * max(self._recent)
