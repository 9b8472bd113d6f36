"""Records of conversations, if the owner wants them. Without that setting no `ConversationRecorder` is made.

The recorder gets the connection's own data: what left the device, and what came back. Nothing is recorded
while the kiosk sleeps. Threads write the records (see `RecordStore`), so that no task waits for a disk.
"""

import asyncio
import datetime
from collections.abc import Callable
from typing import Final, NoReturn, Protocol

from kioskd import sanitize
from kioskd.core.effects import Effect
from kioskd.core.events import Event
from kioskd.core.machine import State
from kioskd.media import pcm
from kioskd.ports import Clock, Message, ReplyAudio, ReplyText, SpokenText, TurnComplete

PIECE_S: Final = 1.0
"""The seconds of sound in one piece for the store."""

MOST_CHARS: Final = 2000
"""The most characters of a speaker's line. A longer line is written in parts."""


class RecordStore(Protocol):
    """The place of one kind of records. Its methods return at once, and raise nothing, except `close`."""

    def announce(self) -> None:
        """Log the place of the records, and how long they are kept."""

    def write(self, name: str, text: str) -> None:
        """Add `text` to the record of this name."""

    def sound(self, name: str, rate_hz: int, at_s: float, sound: bytes) -> None:
        """Add PCM to the record of this name, at the earliest `at_s` seconds after its beginning."""

    def finish(self) -> None:
        """Complete the records of a conversation that is over."""

    def close(self) -> None:
        """Write the rest within 1.5 s. This blocks. Nothing more is written afterwards."""


class _Track:
    """One side's sound, collected until there is enough for the store."""

    def __init__(self, side: str, rate_hz: int) -> None:
        self._side = side
        self._rate_hz = rate_hz
        self._sound = bytearray()
        self._at_s = 0.0

    def add(self, record_store: RecordStore, name: str, at_s: float, sound: bytes) -> None:
        if not self._sound:
            self._at_s = at_s
        self._sound += sound
        if pcm.duration_s(len(self._sound), self._rate_hz) >= PIECE_S:
            self.hand_over(record_store, name)

    def hand_over(self, record_store: RecordStore, name: str) -> None:
        if self._sound:
            record_store.sound(f"{name}-{self._side}", self._rate_hz, self._at_s, bytes(self._sound))
            self._sound.clear()


class ConversationRecorder:
    """Records the words and sound of conversations. The engine tells it when they begin and end."""

    def __init__(
        self,
        clock: Clock,
        wall: Callable[[], datetime.datetime],
        *,
        words: RecordStore | None = None,
        sounds: RecordStore | None = None,
    ) -> None:
        """`wall` returns the local time, which is used in the records' names."""
        self._clock = clock
        self._wall = wall
        self._words = words
        self._sounds = sounds
        self._name: str | None = None
        """The name of the records of the present conversation; None while asleep."""
        self._began = 0.0
        self._speaker = ""
        self._line: list[str] = []
        self._visitor = _Track("visitor", pcm.UPLINK_HZ)
        self._kiosk = _Track("kiosk", pcm.DOWNLINK_HZ)

    @property
    def kept(self) -> str:
        """The kinds of records that are kept, in words; empty if none."""
        kept = {"transcripts": self._words, "recordings": self._sounds}
        return " and ".join(what for what, store in kept.items() if store is not None)

    async def run(self) -> NoReturn:
        """Log the kinds of records, and wait. When cancelled, write the rest, in at most 1.5 s a store."""
        stores = [store for store in (self._words, self._sounds) if store is not None]
        for store in stores:
            store.announce()
        try:
            await asyncio.Event().wait()
        finally:
            self.finish()
            for store in stores:
                await asyncio.to_thread(store.close)
        raise AssertionError("an event that is never set")

    def observe(
        self, now: float, _event: Event, before: State, after: State, _effects: tuple[Effect, ...]
    ) -> None:
        """Note one step; see `engine.Observer`."""
        if before.turn.awake and not after.turn.awake:
            self.finish()
        if after.turn.awake and not before.turn.awake:
            self._began = now
            self._name = f"{self._wall():%Y%m%dT%H%M%S}-{after.turn.conversation:04d}"

    def received(self, message: Message) -> None:
        match message:
            case SpokenText(by_visitor, text):
                self._say("visitor" if by_visitor else "kiosk", text)
            case ReplyText(text):
                self._say("kiosk", text)
            case ReplyAudio(sound):
                self._hear(self._kiosk, sound)
            case TurnComplete():
                self._end_line()

    def sent(self, frame: bytes) -> None:
        self._hear(self._visitor, frame)

    def wrote(self, text: str) -> None:
        """Record a text that was sent to the service: a typed question, or an instruction from the kiosk."""
        self._end_line()
        self._say("typed", text)
        self._end_line()

    def _hear(self, track: _Track, sound: bytes) -> None:
        if self._sounds is not None and self._name is not None:
            track.add(self._sounds, self._name, self._clock.now() - self._began, sound)

    def _say(self, speaker: str, text: str) -> None:
        if self._words is None or self._name is None:
            return
        if speaker != self._speaker or sum(map(len, self._line)) > MOST_CHARS:
            self._end_line()
        self._speaker = speaker
        self._line.append(text[:MOST_CHARS])

    def _end_line(self) -> None:
        # Surrogates that arrived in two pieces are joined by now.
        text = sanitize.printable(sanitize.text(" ".join("".join(self._line).split())))
        self._line.clear()
        if text and self._words is not None and self._name is not None:
            self._words.write(self._name, f"{self._wall():%H:%M:%S} {self._speaker}: {text}\n")

    def finish(self) -> None:
        """Hand over the rest of the conversation: it is over, or the daemon ends."""
        self._end_line()
        if self._name is not None and self._sounds is not None:
            for track in (self._visitor, self._kiosk):
                track.hand_over(self._sounds, self._name)
        self._name = None
        for record_store in (self._words, self._sounds):
            if record_store is not None:
                record_store.finish()
