"""Timing of turns from the steps of the core: where the time went, and how the reply ended."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from kioskd.core.events import (
    Event,
    Pressed,
    ReplyBegan,
    ReplyInterrupted,
    ReplyPlayed,
    ReplySilenced,
    ReplySounded,
    TalkBegan,
    TalkEnded,
    Timer,
    TimerFired,
    VoiceBegan,
    VoiceEnded,
)
from kioskd.core.levels import State
from kioskd.core.turn import TurnPhase

_ENDINGS: Final[Mapping[type, str]] = {
    ReplyPlayed: "heard",
    ReplyInterrupted: "interrupted",
    VoiceBegan: "interrupted",
    TalkBegan: "interrupted",
    Pressed: "silenced",
    ReplySilenced: "silenced",
}
"""How each event ends a reply. After any other event the conversation has ended, or the reply stalled."""


@dataclass(frozen=True, slots=True)
class TurnTimes:
    """Times of one turn, in seconds. None: not known, or it did not happen."""

    spoke: float | None
    """How long the visitor spoke."""
    first_byte: float | None
    """From the visitor's last word until the reply began to arrive."""
    waited: float | None
    """From the visitor's last word until the first sound of the reply."""
    reply: float | None
    """How long the reply sounded."""
    ended: str
    """heard, interrupted, silenced, stalled (the reply stopped without an end), asleep, or unanswered."""


@dataclass(slots=True)
class _Words:
    """Times of one utterance of the visitor."""

    began: float
    held: bool
    """Whether the visitor holds a talk button. Its release then ends the utterance, not the voice."""
    ended: float | None = None


class TurnTiming:
    """Measures the turn that is going on."""

    def __init__(self) -> None:
        self._words: _Words | None = None
        """The visitor's newest utterance."""
        self._asked: _Words | None = None
        """The utterance that the reply answers."""
        self._reply_began: float | None = None
        self._sounded: float | None = None

    def observe(self, now: float, event: Event, before: State, after: State) -> TurnTimes | None:
        """Note one step. Return the times of the turn that ended with it, or None."""
        if after.turn.awake and not before.turn.awake:
            self._words = None
        self._note(now, event, before, after)
        if before.turn.phase is TurnPhase.SPEAKING and after.turn.phase is not TurnPhase.SPEAKING:
            return self._end(now, event, after)
        if event == TimerFired(Timer.THINK) and before.turn.phase is TurnPhase.THINKING:
            words, self._words = self._words, None
            spoke = None if words is None else _between(words.began, words.ended)
            return TurnTimes(spoke, None, None, None, "unanswered")
        return None

    def _note(self, now: float, event: Event, before: State, after: State) -> None:
        words = self._words
        speaking = before.turn.phase is TurnPhase.SPEAKING
        match event:
            case VoiceBegan() | TalkBegan() if after.turn.voice and not before.turn.voice:
                self._words = _Words(now, held=isinstance(event, TalkBegan))
            case TalkEnded() if words is not None and words.held:
                words.ended = now
            case VoiceEnded(late_s) if words is not None and not words.held:
                # The event may come after the reply began, because the pause was too short to be sure before.
                words.ended = now - late_s
            case ReplyBegan() if after.turn.phase is TurnPhase.SPEAKING and not speaking:
                self._asked, self._reply_began, self._sounded = words, now, None
            case ReplySounded() if speaking and self._sounded is None:
                self._sounded = now

    def _end(self, now: float, event: Event, after: State) -> TurnTimes:
        asked = self._asked
        last_word = asked.ended if asked is not None else None
        first_byte = _between(last_word, self._reply_began)
        if asked is None or first_byte is None:  # the reply had no question, or came while the visitor spoke
            began = last_word = None
        else:
            began = asked.began
        times = TurnTimes(
            spoke=_between(began, last_word),
            first_byte=first_byte,
            waited=_between(last_word, self._sounded),
            reply=_between(self._sounded, now),
            ended=_ENDINGS.get(
                type(event), "stalled" if isinstance(event, TimerFired) and after.turn.awake else "asleep"
            ),
        )
        if not after.turn.voice:  # a visitor who interrupts has already begun the next turn
            self._words = None
        return times


def _between(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None or end < start else end - start
