"""What the service sends of replies -> the speaker and the core: where each begins, where it ends, and how."""

from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, Final

from kioskd.core import events
from kioskd.core.events import Event
from kioskd.flow.audio.downlink import Downlink
from kioskd.flow.link.transcript import Transcript
from kioskd.flow.link.turn_endings import ReadAloud, Reader, TurnEndings
from kioskd.ports import (
    Clock,
    GenerationEnded,
    Interrupted,
    Message,
    ReplyAudio,
    ReplyText,
    SpokenText,
    TurnComplete,
)

VOID_S: Final = 2.0
"""How long sound is dropped after an interruption when the service does not end the turn, as it should at once."""


class IncomingReply:
    """The replies of one connection after the other. For the loop's thread."""

    def __init__(
        self,
        downlink: Downlink,
        post: Callable[[Event], None],
        clock: Clock,
        *,
        counts: Counter[str],
        transcript: Transcript,
        read_aloud: ReadAloud | None,
    ) -> None:
        """`counts` is told of turns without sound; `transcript` of what came in writing, which `read_aloud` turns into sound."""
        self._downlink = downlink
        self._post = post
        self._clock = clock
        self._transcript = transcript
        self._endings = TurnEndings(counts)
        self._reader = Reader(read_aloud, clock, downlink.add, downlink.end)
        self._reply = 0
        self._open = False
        self._void_until = 0.0
        self._interrupted = False
        self.session_useless = False
        """The session of the connection that is up is to be left behind: its handles are not wanted."""

    def connect(self, *, resumed: bool) -> None:
        """Begin with another connection."""
        self._void_until = 0.0
        self._interrupted = self.session_useless = False
        self._endings.connect(resumed=resumed)

    def run(self) -> Coroutine[Any, Any, object]:
        """Read aloud what comes in writing, until cancelled."""
        return self._reader.run()

    def take(self, message: Message, epoch: int) -> bool:
        """Take a message that is about replies; False for any other."""
        match message:
            case ReplyAudio(sound):
                self._play(sound, epoch)
            case ReplyText(text):
                self._endings.wrote(text)
            case GenerationEnded():
                self._end_generation(epoch)
            case TurnComplete(rejected):
                self._end_generation(epoch)
                self._endings.end(rejected)
                self._leave_useless(epoch)
                self._void_until = 0.0
                if not self._interrupted:
                    self._post(events.TurnEnded(epoch))
                # The end of what was interrupted is no answer to what interrupted it.
                self._interrupted = False
            case Interrupted():
                # Only a reply that was still coming can have sound on its way that nobody shall hear.
                if self._open:
                    self._void_until = self._clock.now() + VOID_S
                self.end()
                self._endings.interrupted()
                self._interrupted = True
                self._post(events.ReplyInterrupted(epoch, self._reply))
            case _:
                return False
        return True

    def end(self) -> None:
        """End the reply that is coming, if one is: it is over when what came of it was heard."""
        if self._open:
            self._open = False
            self._downlink.end(self._reply)

    def give_up(self, epoch: int) -> None:
        """End a reply of which no end was told. If more of it comes, that is a reply of its own."""
        self.end()
        self._endings.stalled()
        self._leave_useless(epoch)

    def _play(self, sound: bytes, epoch: int) -> None:
        if self._void_until and self._clock.now() < self._void_until:
            return
        began, self._open = not self._open, True
        if began:
            self._endings.sounded()
            self._interrupted = False  # the end that is owed is this reply's, even if the other's never came
            self._reply += 1
        self._downlink.add(self._reply, sound)
        if began:
            self._post(events.ReplyBegan(epoch, self._reply))

    def _end_generation(self, epoch: int) -> None:
        """End the reply; have one that came in writing heard all the same."""
        self.end()
        self._endings.heard_out()
        if text := self._endings.take_written():
            self._transcript.add(SpokenText(by_visitor=False, text=text))
            self._reply += 1
            self._reader.read(self._reply, text)
            self._post(events.ReplyBegan(epoch, self._reply))

    def _leave_useless(self, epoch: int) -> None:
        """Give up a session that gives no sound. What was said is told to the fresh one, unless that was useless, too."""
        if self._endings.useless:
            self.session_useless = True
            if self._endings.useless_sessions > 1:
                self._transcript.forget()
            self._post(events.SessionUseless(epoch))
