"""Interruptions by voice without the daemon: a room, the canceller and the detector by themselves.

This is much faster than a conversation with the daemon. There is no service that hears or interrupts.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from tests.room.acoustics import Acoustics
from tests.room.devices import FRAME_S, Room
from tests.room.sounds import kiosk_sentences, levelled, people, to_pcm

from kioskd.media.barge_in import BargeInDetector, BargeInVerdict
from kioskd.media.echo import EchoCanceller

KIOSK_DB: Final = -20.0
VISITOR_DB: Final = -26.0
PAUSE_S: Final = 0.8
LEARNT_S: Final = 5.0
NOTICED_WITHIN_S: Final = 1.5
TAIL_S: Final = 0.3


class Kiosk:
    """Says one sentence after the other, and is silent during a visitor's turn; a `ports.Source`."""

    def __init__(self, mode: str, acoustics: Acoustics, pause_s: float = PAUSE_S) -> None:
        """Start to speak. `mode`: cancel, or hardware (the room's coupling is the rest of the echo).

        `pause_s`: seconds between two sentences.
        """
        self.room = Room(acoustics)
        self.told: list[BargeInVerdict] = []
        self.now = 0.0
        self._echo = (
            EchoCanceller(noise_suppression=True, gain_control=False, delay_s=acoustics.delay_s)
            if mode == "cancel"
            else None
        )
        self._detector = BargeInDetector(self._echo)
        self._replies = [to_pcm(levelled(said, KIOSK_DB)) for said in kiosk_sentences()]
        self._pause_s = pause_s
        self._saying = b""
        self._silent_until = 0.0
        self._own_voice_until = 0.0
        self.room.speaker.lend(self)
        self.room.microphone.lend(self._accept)

    def pull(self, byte_count: int) -> bytes:
        """Return the next piece of the reply, or silence."""
        sound, self._saying = self._saying[:byte_count], self._saying[byte_count:]
        sound += bytes(byte_count - len(sound))
        if self._echo is not None:
            self._echo.played(sound)
        return sound

    def step(self) -> BargeInVerdict | None:
        """Let 20 ms pass; return the detector's result."""
        if self._saying:
            self._silent_until = self.now + self._pause_s
            self._own_voice_until = self.now + TAIL_S
        elif self.now >= self._silent_until and not self.room.visitor_speaks:
            self._saying = self._replies[0]
            self._replies.append(self._replies.pop(0))
        before = len(self.told)
        self.room.step()
        self.now += FRAME_S
        return self.told[-1] if len(self.told) > before else None

    def pause(self, seconds: float) -> None:
        """Let time pass."""
        for _ in range(round(seconds / FRAME_S)):
            self.step()

    def converse(self, sentences: int) -> None:
        """Let time pass until this number of sentences is over."""
        for _ in range(sentences):
            while not self.speaks:
                self.step()
            while self.speaks:
                self.step()
        self.pause(TAIL_S)

    def reopen(self, delay_s: float) -> None:
        """Open the speaker again between two sentences, with another delay."""
        self.room.reopen(delay_s)
        if self._echo is not None:
            self._echo.delay_s = delay_s
            self._echo.relearn()

    @property
    def half_duplex(self) -> bool:
        """Whether the canceller does not let a visitor interrupt."""
        return self._echo is not None and self._echo.learning

    @property
    def speaks(self) -> bool:
        """Whether a sentence goes on for a while."""
        return len(self._saying) > 0

    def _accept(self, frame: bytes) -> None:
        cleaned = frame if self._echo is None else self._echo.clean(frame)
        if (told := self._detector.feed(cleaned, self.now < self._own_voice_until)) is not None:
            self.told.append(told)
            if told is BargeInVerdict.SURE:
                self._saying = b""


@dataclass(slots=True)
class Noticed:
    """Return the seconds until each interruption was noticed; None for one that was not."""

    suspected_s: list[float | None] = field(default_factory=list)
    sure_s: list[float | None] = field(default_factory=list)


def interrupted(mode: str, acoustics: Acoustics, times: int) -> Noticed:
    """Have a visitor speak into this number of sentences."""
    kiosk, found = Kiosk(mode, acoustics), Noticed()
    chance = np.random.default_rng(acoustics.seed)
    spoken = people()
    kiosk.pause(LEARNT_S)
    for _ in range(times):
        while not kiosk.speaks:
            kiosk.step()
        kiosk.pause(chance.uniform(0.8, 1.8))
        one = spoken[chance.integers(len(spoken))]
        kiosk.room.say(levelled(one.samples, VISITOR_DB))
        onset = kiosk.now + one.onset_s
        took: dict[BargeInVerdict, float] = {}
        while kiosk.now < onset + NOTICED_WITHIN_S:
            if (told := kiosk.step()) is not None:
                took.setdefault(told, kiosk.now - onset)
        found.suspected_s.append(took.get(BargeInVerdict.SUSPECTED))
        found.sure_s.append(took.get(BargeInVerdict.SURE))
        while kiosk.room.visitor_speaks:
            kiosk.step()
        kiosk.pause(1.0)
    return found
