"""Whose turn it is: the conversation as the visitor lives it, knowing nothing of connections.

The law of this file: `TABLE` has a cell for every phase and every kind of event, and nothing else changes a `Turn`.
A cell is a function `(turn, event, policy) -> (turn, pulses)`; IGNORE says that the pair was thought of and means nothing.
"""

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from kioskd.core.effects import Flush
from kioskd.core.events import (
    Pressed,
    ReplyBegan,
    ReplyInterrupted,
    ReplyPlayed,
    ReplySounded,
    Restored,
    Started,
    Timer,
    TurnEnded,
    VoiceBegan,
    VoiceEnded,
)
from kioskd.core.policy import Policy


class Phase(enum.Enum):
    """Where the conversation stands."""

    ASLEEP = 0
    LISTENING = 1
    THINKING = 2
    """The visitor has finished; the model has not begun."""
    SPEAKING = 3
    """A reply has begun and has not been heard to its end."""
    RINGING = 4
    """Half duplex only: the reply is over, the room still rings, the uplink stays shut."""


@dataclass(frozen=True, slots=True)
class Turn:
    """The conversation's own state."""

    phase: Phase = Phase.ASLEEP
    conversation: int = 0
    """Its number; rises at each wake."""
    reply: int = 0
    """The newest reply that began; older ones are history."""
    voice: bool = False
    """The visitor is speaking."""
    spoke: bool = False
    """The visitor has spoken in this conversation."""
    greeted: bool = False
    """The greeting was asked for, or is no longer wanted."""
    overtime: bool = False
    """The conversation has lasted long enough: it ends with the reply that is sounding."""

    @property
    def awake(self) -> bool:
        """Whether a conversation is going on."""
        return self.phase is not Phase.ASLEEP

    @property
    def quiet(self) -> bool:
        """Whether nobody would notice a second's absence: nothing said, nothing awaited, nothing sounding."""
        return self.phase is Phase.LISTENING and not self.voice


Result = tuple[Turn, tuple[Flush, ...]]
# `Any`: the table guarantees that a cell gets the event its row is named for.
Cell = Callable[[Turn, Any, Policy], Result]


def ignore(turn: Turn, _event: object, _policy: Policy) -> Result:
    """Nothing follows."""
    return turn, ()


def wake(turn: Turn, _event: object, _policy: Policy) -> Result:
    """A conversation begins; everything of the one before is forgotten."""
    return Turn(Phase.LISTENING, conversation=turn.conversation + 1, reply=turn.reply), ()


def wake_if_always_on(turn: Turn, event: Started, policy: Policy) -> Result:
    """An always-on kiosk needs no button."""
    return wake(turn, event, policy) if policy.always_on else (turn, ())


def go_on(turn: Turn, event: Restored, _policy: Policy) -> Result:
    """The conversation goes on where another process left it; its visitor was greeted then."""
    return Turn(Phase.LISTENING, conversation=event.conversation, reply=turn.reply, greeted=True), ()


def sleep(turn: Turn, _event: object, _policy: Policy) -> Result:
    """The conversation ends; what still sounds is silenced."""
    flush = (Flush(turn.reply),) if turn.phase is Phase.SPEAKING else ()
    return Turn(conversation=turn.conversation, reply=turn.reply), flush


def silence(turn: Turn, event: object, policy: Policy) -> Result:
    """The button stops the reply, and the visitor has the word as soon as the room is quiet."""
    if turn.overtime:
        return sleep(turn, event, policy)
    if policy.half_duplex:
        return replace(turn, phase=Phase.RINGING, voice=False), (Flush(turn.reply),)
    return replace(turn, phase=Phase.LISTENING), (Flush(turn.reply),)


def listen(turn: Turn, _event: object, _policy: Policy) -> Result:
    """The visitor has the word."""
    return replace(turn, phase=Phase.LISTENING), ()


def hear_voice(turn: Turn, _event: VoiceBegan, _policy: Policy) -> Result:
    """The visitor speaks; whatever was awaited, it is their word now."""
    return replace(turn, phase=Phase.LISTENING, voice=True, spoke=True), ()


def hear_voice_in_reply(turn: Turn, _event: VoiceBegan, policy: Policy) -> Result:
    """The visitor speaks into the reply, which goes on until the service says so. In half duplex nobody can."""
    return (turn if policy.half_duplex else replace(turn, voice=True, spoke=True)), ()


def think(turn: Turn, _event: VoiceEnded, _policy: Policy) -> Result:
    """The visitor has finished; it is the model's turn."""
    return replace(turn, phase=Phase.THINKING, voice=False), ()


def end_voice(turn: Turn, _event: VoiceEnded, _policy: Policy) -> Result:
    """The visitor has finished saying something into the reply, and the reply goes on."""
    return replace(turn, voice=False), ()


def speak(turn: Turn, event: ReplyBegan, policy: Policy) -> Result:
    """A reply begins, or the next one follows on it. In half duplex it drowns the visitor's voice."""
    voice = turn.voice and not policy.half_duplex
    return replace(turn, phase=Phase.SPEAKING, reply=event.reply, voice=voice), ()


def silence_stray(turn: Turn, event: ReplyBegan, _policy: Policy) -> Result:
    """A reply crossed our hanging up: nobody shall hear it."""
    return replace(turn, reply=event.reply), (Flush(event.reply),)


def yield_word(turn: Turn, event: ReplyInterrupted, policy: Policy) -> Result:
    """The service heard the visitor speak into the reply.

    Our own detector may not have noticed yet, or the visitor may have finished already: either way something is going
    on that should not be disturbed, so it counts as the model's turn until a voice is heard.
    """
    if event.reply != turn.reply:
        return turn, (Flush(event.reply),)
    if policy.half_duplex or turn.overtime:
        return silence(turn, event, policy)
    return replace(turn, phase=Phase.LISTENING if turn.voice else Phase.THINKING), (Flush(event.reply),)


def finish_reply(turn: Turn, event: ReplyPlayed, policy: Policy) -> Result:
    """The newest reply was heard to its end."""
    if event.reply != turn.reply:
        return turn, ()
    if turn.overtime:
        return sleep(replace(turn, phase=Phase.LISTENING), event, policy)
    if policy.half_duplex:
        return replace(turn, phase=Phase.RINGING, voice=False), ()
    return replace(turn, phase=Phase.LISTENING), ()


def let_finish(turn: Turn, _event: object, _policy: Policy) -> Result:
    """Time is up, but nobody is cut short in mid-word."""
    return replace(turn, overtime=True), ()


IGNORE: Final[Cell] = ignore

Kind = type | Timer

# fmt: off
TABLE: Final[Mapping[Kind, tuple[Cell, Cell, Cell, Cell, Cell]]] = {
    #                  ASLEEP             LISTENING    THINKING     SPEAKING             RINGING
    Restored:         (go_on,             IGNORE,      IGNORE,      IGNORE,              IGNORE),
    Started:          (wake_if_always_on, IGNORE,      IGNORE,      IGNORE,              IGNORE),
    Pressed:          (wake,              sleep,       sleep,       silence,             listen),
    VoiceBegan:       (IGNORE,            hear_voice,  hear_voice,  hear_voice_in_reply, IGNORE),
    VoiceEnded:       (IGNORE,            think,       IGNORE,      end_voice,           IGNORE),
    ReplyBegan:       (silence_stray,     speak,       speak,       speak,               speak),
    ReplyInterrupted: (IGNORE,            IGNORE,      IGNORE,      yield_word,          IGNORE),
    ReplySounded:     (IGNORE,            IGNORE,      IGNORE,      IGNORE,              IGNORE),
    ReplyPlayed:      (IGNORE,            IGNORE,      IGNORE,      finish_reply,        IGNORE),
    TurnEnded:        (IGNORE,            IGNORE,      listen,      IGNORE,              IGNORE),
    Timer.IDLE:       (IGNORE,            sleep,       IGNORE,      IGNORE,              IGNORE),
    Timer.THINK:      (IGNORE,            IGNORE,      listen,      IGNORE,              IGNORE),
    Timer.TAIL:       (IGNORE,            IGNORE,      IGNORE,      IGNORE,              listen),
    Timer.LONGEST:    (IGNORE,            sleep,       sleep,       let_finish,          sleep),
    Timer.GRACE:      (IGNORE,            IGNORE,      IGNORE,      sleep,               IGNORE),
    Timer.AGAIN:      (wake,              IGNORE,      IGNORE,      IGNORE,              IGNORE),
}
# fmt: on
