"""The service's replies: their sound goes to the speaker, and their beginning and end to the core."""

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
"""The most seconds after an interruption in which sound is dropped. The end of the turn ends this sooner."""


class IncomingReply:
    """The replies of all connections in turn. For the event loop's thread."""

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
        """`counts` counts turns without sound. `transcript` gets written replies, `read_aloud` says them."""
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
        """Whether the present session gives no sound. It is left, so its resumption handles are ignored."""

    @property
    def newest(self) -> int:
        """The number of the newest reply; 0 before the first one."""
        return self._reply

    def connect(self, *, resumed: bool) -> None:
        self._void_until = 0.0
        self._interrupted = self.session_useless = False
        self._endings.connect(resumed=resumed)

    def run(self) -> Coroutine[Any, Any, object]:
        """Read written replies aloud, until cancelled."""
        return self._reader.run()

    def take(self, message: Message, epoch: int) -> bool:
        """Take a message about replies. Return False for any other message."""
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
                # The end of the interrupted turn is not the answer to the interruption.
                self._interrupted = False
            case Interrupted():
                # Only a reply that was still arriving can have unwanted sound on its way.
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
        """End the reply that is arriving, if any. It is over when its sound has been heard."""
        if self._open:
            self._open = False
            self._downlink.end(self._reply)

    def give_up(self, epoch: int) -> None:
        """End a reply whose end did not arrive. If more sound of it arrives, that counts as another reply."""
        self.end()
        self._endings.stalled()
        self._leave_useless(epoch)

    def _play(self, sound: bytes, epoch: int) -> None:
        if self._void_until and self._clock.now() < self._void_until:
            return
        began, self._open = not self._open, True
        if began:
            self._endings.sounded()
            self._interrupted = False  # the next end is this reply's, even if the interrupted one had none
            self._reply += 1
        self._downlink.add(self._reply, sound)
        if began:
            self._post(events.ReplyBegan(epoch, self._reply))

    def _end_generation(self, epoch: int) -> None:
        """End the reply. If it came in writing, have it read aloud."""
        self.end()
        self._endings.heard_out()
        if text := self._endings.take_written():
            self._transcript.add(SpokenText(by_visitor=False, text=text))
            self._reply += 1
            self._reader.read(self._reply, text)
            self._post(events.ReplyBegan(epoch, self._reply))

    def _leave_useless(self, epoch: int) -> None:
        """Leave a session without sound. If it is the second in a row, the next one gets no transcript."""
        if self._endings.useless:
            self.session_useless = True
            if self._endings.useless_sessions > 1:
                self._transcript.forget()
            self._post(events.SessionUseless(epoch))
