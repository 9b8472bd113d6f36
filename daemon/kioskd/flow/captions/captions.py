"""Captions: from the messages of the service, and from the sound that is heard, to the lines on a screen.

The words are in memory only, in no log, and gone when the kiosk falls asleep.
"""

import unicodedata
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final, NoReturn, Protocol

from kioskd import sanitize
from kioskd.core.effects import Effect, Flush, KioskStatus, Prompt, ShowStatus
from kioskd.core.events import Event, ReplyPlayed
from kioskd.core.machine import State
from kioskd.errors import Code
from kioskd.flow.captions.caption_board import Caption, CaptionBoard
from kioskd.flow.captions.labels import labels
from kioskd.flow.captions.reply_track import ReplyTrack
from kioskd.ports import (
    Cancellable,
    Clock,
    GenerationEnded,
    Interrupted,
    Message,
    ReplyAudio,
    ReplyText,
    SendLine,
    SpokenText,
    TurnComplete,
)

TICK_S: Final = 0.05
"""The seconds between two looks at the speaker while words wait to be heard."""

COUNT_S: Final = 1.0
"""The seconds between two looks at the time that is left."""

MOST_TRACKS: Final = 8
"""The most replies that wait to be heard. The core lets far fewer wait."""

MOST_VISITOR_CHARS: Final = 2000

STAYS_S: Final = 30.0
"""The seconds for which an announcement stays on the screen of a sleeping kiosk."""

_DIRECTIONS: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that turn the direction of all text behind them."""


class ReplySound(Protocol):
    """The sound of all replies as one stream. `media.playout.Playout` is one."""

    @property
    def bytes_in(self) -> int:
        """The end of the stream."""

    @property
    def bytes_out(self) -> int:
        """The place that is heard now."""

    @property
    def flushed_at(self) -> int:
        """The place that was heard when the last flush was asked for."""


class Captions:
    """The words of both sides, in step with the sound. For the event loop's thread."""

    def __init__(
        self,
        clock: Clock,
        sound: ReplySound,
        *,
        language: str,
        newest_reply: Callable[[], int],
        words: Callable[[Code], str] = lambda _code: "",
        ends_in_s: Callable[[], float | None] = lambda: None,
    ) -> None:
        """Start with an empty screen.

        Args:
            clock: The time.
            sound: The sound of the replies.
            language: The language of the labels until a language is heard.
            newest_reply: Returns the number of the reply that the newest sound belongs to.
            words: Returns the sentence for visitors about a fault; empty if there is none.
            ends_in_s: Returns the seconds until the conversation ends by time; None if that is not known.
        """
        self._clock = clock
        self._sound = sound
        self._first_language = self._language = language
        self._newest_reply = newest_reply
        self._words = words
        self._ends_in_s = ends_in_s
        self._shown = ShowStatus(KioskStatus.STARTING)
        self._awake = False
        self._void: int | None = None
        """The silenced reply that may still arrive."""
        self._visitor: tuple[int, Caption] | None = None
        """The line that the visitor's next words belong to."""
        self._tracks: deque[tuple[ReplyTrack, list[int]]] = deque()
        """The replies that were not heard to their end, each with the number of its line, if it has one."""
        self._alarm: tuple[float, Cancellable] | None = None
        """The next look, and the seconds that it waits."""
        self.board = CaptionBoard(clock, self._status())

    async def follow(self, send: SendLine) -> NoReturn:
        """Pass the captions to `send`, and then each change; see `CaptionBoard.follow`."""
        await self.board.follow(send)

    def announce(self, text: str, language: str) -> None:
        """Show a text that the kiosk speaks by itself. On a sleeping kiosk it stays for half a minute."""
        number = self.board.add(Caption("kiosk", clean(text), language, final=True))
        if not self._awake:
            self._clock.call_later(STAYS_S, lambda: self._remove(number))

    def received(self, message: Message) -> None:
        """Take a message of the service, after its sound has gone to the speaker."""
        if not self._awake:
            return
        match message:
            case SpokenText(by_visitor=True):
                self._say_visitor(message)
            case SpokenText():
                self._say_kiosk(message.text, message.language)
            case ReplyText(text):
                self._say_kiosk(text, "", written=True)
            case ReplyAudio(sound):
                self._hear(len(sound))
            case GenerationEnded():
                self._end_sound()
            case Interrupted():
                if (track := self._open) is not None:
                    track.closed, self._void = True, self._newest_reply()
            case TurnComplete():
                self._end_sound()
                if (track := self._open) is not None:
                    track.closed = True
                self._end_visitor()
                self._void = None
        self._update()

    def _cut(self, reply: int) -> None:
        """End the lines of this reply and all before it at the place where they were silenced."""
        place = self._sound.flushed_at
        for entry in list(self._tracks):
            track, _ = entry
            if 0 < track.reply <= reply:
                heard = track.heard(place)
                if not track.closed:
                    self._void = self._newest_reply()
                self._write(entry, heard, final=True, cut=len(heard) < len(track.text))
                self._tracks.remove(entry)

    def observe(
        self, _now: float, event: Event, before: State, after: State, effects: tuple[Effect, ...]
    ) -> None:
        """Note one step; see `engine.Observer`."""
        self._awake = after.turn.awake
        if before.turn.awake and not self._awake:
            self._forget()
        if isinstance(event, ReplyPlayed):
            self._played(event.reply)
        for effect in effects:
            match effect:
                case ShowStatus():
                    self._shown = effect
                case Flush(reply):
                    self._cut(reply)
                case Prompt(code) if said := self._words(code):
                    self.announce(said, self._first_language)
        self._update()

    @property
    def _open(self) -> ReplyTrack | None:
        """The reply that is arriving."""
        return self._tracks[-1][0] if self._tracks and not self._tracks[-1][0].closed else None

    def _begin(self, start: int) -> ReplyTrack:
        if len(self._tracks) >= MOST_TRACKS:
            entry = self._tracks.popleft()
            self._write(entry, entry[0].text, final=True)
        track = ReplyTrack(start)
        self._tracks.append((track, []))
        return track

    def _say_visitor(self, said: SpokenText) -> None:
        if said.language:
            self._language = said.language
        if self._visitor is None:
            self._visitor = self.board.add(Caption("visitor", "", said.language)), Caption("visitor", "")
        number, line = self._visitor
        text = (line.text + said.text)[-MOST_VISITOR_CHARS:]
        line = Caption("visitor", text, said.language or line.language)
        self._visitor = number, line
        self.board.change(number, Caption("visitor", clean(text), line.language))

    def _end_visitor(self) -> None:
        if self._visitor is not None:
            number, line = self._visitor
            self.board.change(number, Caption("visitor", clean(line.text), line.language, final=True))
            self._visitor = None

    def _say_kiosk(self, text: str, language: str, *, written: bool = False) -> None:
        if self._void is not None:
            return
        track = self._open or self._begin(self._sound.bytes_in)
        if written and (track.reply or (track.text and not track.unread)):
            return  # the reply has sound, and its words come as a transcript
        track.unread = written
        if language:
            track.language = self._language = language
        track.add(text, self._sound.bytes_in)

    def _hear(self, byte_count: int) -> None:
        newest, track = self._newest_reply(), self._open
        if self._void is not None and newest <= self._void:
            return
        self._void = None
        if track is not None and track.unread:
            self._tracks.pop()
            track = None
        elif track is not None and track.reply not in (0, newest):
            track.closed, track = True, None
        if track is None:
            track = self._begin(self._sound.bytes_in - byte_count)
        track.reply, track.end = newest, self._sound.bytes_in

    def _end_sound(self) -> None:
        if (track := self._open) is not None and not track.over:
            track.over = True
            if track.unread:
                track.reply = self._newest_reply()

    def _played(self, reply: int) -> None:
        for entry in list(self._tracks):
            track, _ = entry
            if 0 < track.reply <= reply:
                heard = track.text if track.over else track.heard(track.end)
                self._write(entry, heard, final=True, cut=len(heard) < len(track.text))
                self._tracks.remove(entry)

    def _remove(self, number: int) -> None:
        if not self._awake:
            self.board.remove(number)

    def _forget(self) -> None:
        self._tracks.clear()
        self._visitor = self._void = None
        self._language = self._first_language
        self.board.clear()

    def _tick(self) -> None:
        self._alarm = None
        self._update()

    def _update(self) -> None:
        """Show the words that are heard by now, and the status. Look again while something can change."""
        place = self._sound.bytes_out
        for entry in list(self._tracks):
            track, _ = entry
            if track.unread and track.over:
                if self._sound.bytes_in <= track.end:
                    continue
                track.unread, track.end = False, self._sound.bytes_in
            heard = track.over and place >= track.end
            self._write(entry, track.text if heard else track.heard(place), final=heard and track.closed)
            if heard and track.closed:
                self._tracks.remove(entry)
        self.board.show(self._status())
        if self._tracks:
            self._look_again(TICK_S)
        elif self._awake and self._ends_in_s() is not None:
            self._look_again(COUNT_S)

    def _look_again(self, after_s: float) -> None:
        if self._alarm is not None and self._alarm[0] > after_s:
            self._alarm[1].cancel()
            self._alarm = None
        if self._alarm is None:
            self._alarm = after_s, self._clock.call_later(after_s, self._tick)

    def _write(
        self, entry: tuple[ReplyTrack, list[int]], text: str, *, final: bool, cut: bool = False
    ) -> None:
        track, lines = entry
        caption = Caption("kiosk", clean(text), track.language, final=final, cut=cut)
        if lines:
            self.board.change(lines[0], caption)
        elif caption.text:
            self._end_visitor()
            lines.append(self.board.add(caption))

    def _status(self) -> Mapping[str, object]:
        shown, said = self._shown, labels(self._language)
        left_s = self._ends_in_s() if self._awake else None
        return {
            "state": str(shown.shown),
            "label": said.states[shown.shown],
            "code": str(shown.code) if shown.code is not None else "",
            "words": self._words(shown.code) if shown.code is not None else "",
            "ends_in_s": None if left_s is None else max(0, round(left_s)),
            "language": said.language,
            "labels": said.others,
        }


def clean(text: str) -> str:
    """Return `text` on one line, without half characters, controls, and characters that turn directions."""
    if text and "\ud800" <= text[-1] <= "\udbff":
        text = text[:-1]  # its other half comes with the next piece
    text = " ".join(sanitize.text(text).split())
    if text.isascii() and text.isprintable():
        return text
    return "".join(each for each in text if each not in _DIRECTIONS and unicodedata.category(each) != "Cc")
