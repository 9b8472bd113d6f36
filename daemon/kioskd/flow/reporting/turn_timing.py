"""Steps of the core -> where the time of each turn went, and how its reply ended: for the journal and the figures alike."""

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
"""How a reply ended; by anything else with its conversation."""


@dataclass(frozen=True, slots=True)
class TurnTimes:
    """What a turn took, in seconds; None: not known, or there was no such thing."""

    spoke: float | None
    """The visitor spoke."""
    first_byte: float | None
    """From their last word until the reply began to arrive."""
    waited: float | None
    """From their last word until the reply began to sound."""
    reply: float | None
    """The reply sounded."""
    ended: str
    """How it ended: heard, interrupted, silenced, stalled (its end was not told), asleep; or unanswered."""


@dataclass(slots=True)
class _Words:
    """What the visitor says."""

    began: float
    held: bool
    """With a button held: that tells its end, too, and the voice does not."""
    ended: float | None = None


class TurnTiming:
    """Keeps the times of the turn that is going on."""

    def __init__(self) -> None:
        self._words: _Words | None = None
        """The visitor's newest."""
        self._asked: _Words | None = None
        """Those that the reply answers."""
        self._reply_began: float | None = None
        self._sounded: float | None = None

    def observe(self, now: float, event: Event, before: State, after: State) -> TurnTimes | None:
        """Be told of one step; return the times of the turn that ended with it, if one did."""
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
                # It may be told when the reply has begun: by then the pause was not long enough to be sure of.
                words.ended = now - late_s
            case ReplyBegan() if after.turn.phase is TurnPhase.SPEAKING and not speaking:
                self._asked, self._reply_began, self._sounded = words, now, None
            case ReplySounded() if speaking and self._sounded is None:
                self._sounded = now

    def _end(self, now: float, event: Event, after: State) -> TurnTimes:
        asked = self._asked
        last_word = asked.ended if asked is not None else None
        first_byte = _between(last_word, self._reply_began)
        if asked is None or first_byte is None:  # nobody asked for it, or it came into what they say
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
        if not after.turn.voice:  # who interrupts has begun the next turn already
            self._words = None
        return times


def _between(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None or end < start else end - start
