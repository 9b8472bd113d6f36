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
    CallsChanged,
    EndRequested,
    EventKind,
    Pressed,
    ReplyBegan,
    ReplyInterrupted,
    ReplyPlayed,
    ReplySilenced,
    ReplySounded,
    Restored,
    SleepRequested,
    SnapshotRequested,
    Started,
    TalkBegan,
    TalkEnded,
    TextSubmitted,
    Timer,
    TurnEnded,
    VoiceBegan,
    VoiceEnded,
    VoiceSuspected,
    Woken,
)
from kioskd.core.policy import Policy, UplinkMode


class TurnPhase(enum.Enum):
    """Where the conversation stands."""

    ASLEEP = 0
    LISTENING = 1
    THINKING = 2
    """The visitor has finished; the model has not begun."""
    SPEAKING = 3
    """A reply has begun and has not been heard to its end."""
    REVERBERATING = 4
    """Half duplex only: the reply is over, the room still rings, the uplink stays shut; `voice`: the visitor has
    begun to talk with the button, and is heard from the phase's end on.
    """


@dataclass(frozen=True, slots=True)
class Turn:
    """The conversation's own state."""

    phase: TurnPhase = TurnPhase.ASLEEP
    conversation: int = 0
    """Its number; rises at each wake."""
    reply: int = 0
    """The newest reply that began; older ones are history."""
    woken_by_person: bool = False
    """A person has woken the kiosk, not its own clock."""
    voice: bool = False
    """The visitor is speaking."""
    suspected: bool = False
    """The visitor may be speaking into the reply."""
    spoke: bool = False
    """The visitor has said or typed something in this conversation."""
    asked: bool = False
    """What was typed waits for the connection."""
    answered: bool = False
    """The model has answered the visitor, and was not cut short; a greeting is no answer."""
    calls: int = 0
    """Calls of the model that are being worked on."""
    blocking: int = 0
    """... of those, that hold the model up."""
    gated: bool = False
    """New input is kept waiting for one of them, which it would void."""
    greeted: bool = False
    """The greeting was asked for, or is no longer wanted; asleep: it was, and nobody has said anything since."""
    overtime: bool = False
    """The conversation has lasted long enough: it ends with the reply that is sounding."""
    leaving: bool = False
    """The model has taken leave, and the visitor has said nothing since."""

    @property
    def awake(self) -> bool:
        """Whether a conversation is going on."""
        return self.phase is not TurnPhase.ASLEEP

    @property
    def quiet(self) -> bool:
        """Whether nobody would notice a second's absence: nothing said, nothing awaited, nothing sounding."""
        return self.phase is TurnPhase.LISTENING and not self.voice and not self.calls

    @property
    def farewell(self) -> bool:
        """Whether it ends with the reply that is sounding or to come: leave is taken, and nothing is left to be done."""
        return self.leaving and not self.calls

    @property
    def sounding(self) -> bool:
        """Whether a reply can be heard, or the room still rings of it."""
        return self.phase in (TurnPhase.SPEAKING, TurnPhase.REVERBERATING)


TurnStep = tuple[Turn, tuple[Flush, ...]]
# `Any`: the table guarantees that a cell gets the event its row is named for.
TurnCell = Callable[[Turn, Any, Policy], TurnStep]


def ignore(turn: Turn, _event: object, _policy: Policy) -> TurnStep:
    """Nothing follows."""
    return turn, ()


BY_PERSON: Final = (Pressed, Woken, TalkBegan, TextSubmitted, SnapshotRequested)
"""The events by which a person wakes the kiosk."""


def wake(turn: Turn, event: object, _policy: Policy) -> TurnStep:
    """A conversation begins; everything of the one before is forgotten. The kiosk's own clock greets no empty room."""
    woken_by_person = isinstance(event, BY_PERSON)
    greeted = turn.greeted and not woken_by_person
    number = turn.conversation + 1
    return Turn(
        TurnPhase.LISTENING, number, reply=turn.reply, woken_by_person=woken_by_person, greeted=greeted
    ), ()


def wake_to_talk(turn: Turn, event: TalkBegan, policy: Policy) -> TurnStep:
    """Hold to talk needs no other waking."""
    return talk(wake(turn, event, policy)[0], event, policy)


def wake_to_answer(turn: Turn, event: TextSubmitted, policy: Policy) -> TurnStep:
    """What was typed is said to the model as soon as it can be reached."""
    return replace(wake(turn, event, policy)[0], spoke=True, asked=True), ()


def wake_if_always_on(turn: Turn, event: Started, policy: Policy) -> TurnStep:
    """An always-on kiosk needs no button."""
    return wake(turn, event, policy) if policy.always_on else (turn, ())


def go_on(turn: Turn, event: Restored, _policy: Policy) -> TurnStep:
    """The conversation goes on where another process left it; its visitor was greeted then."""
    return Turn(TurnPhase.LISTENING, conversation=event.conversation, reply=turn.reply, greeted=True), ()


def sleep(turn: Turn, _event: object, _policy: Policy) -> TurnStep:
    """The conversation ends; what still sounds is silenced."""
    flush = (Flush(turn.reply),) if turn.phase is TurnPhase.SPEAKING else ()
    greeted = turn.greeted and not turn.spoke
    return Turn(conversation=turn.conversation, reply=turn.reply, greeted=greeted), flush


def silence(turn: Turn, event: object, policy: Policy) -> TurnStep:
    """The button stops the reply, and the visitor has the word as soon as the room is quiet."""
    if turn.overtime:
        return sleep(turn, event, policy)
    cut = replace(turn, suspected=False, answered=False)
    if policy.half_duplex:
        return replace(cut, phase=TurnPhase.REVERBERATING, voice=False), (Flush(turn.reply),)
    return replace(cut, phase=TurnPhase.LISTENING), (Flush(turn.reply),)


def listen(turn: Turn, _event: object, _policy: Policy) -> TurnStep:
    """The visitor has the word."""
    return replace(turn, phase=TurnPhase.LISTENING), ()


def talk(turn: Turn, _event: object, _policy: Policy) -> TurnStep:
    """The visitor has the word, and uses it; whatever was awaited."""
    return replace(
        turn, phase=TurnPhase.LISTENING, voice=True, spoke=True, suspected=False, leaving=False
    ), ()


def talk_over(turn: Turn, event: object, policy: Policy) -> TurnStep:
    """The visitor's word ends the reply, and every way to say so is as good as the other; in half duplex it is heard
    as soon as the room is quiet.
    """
    if turn.overtime:
        return sleep(turn, event, policy)
    flush = (Flush(turn.reply),) if turn.phase is TurnPhase.SPEAKING else ()
    phase = TurnPhase.REVERBERATING if policy.half_duplex else TurnPhase.LISTENING
    return replace(talk(turn, event, policy)[0], phase=phase, answered=False), flush


def release(turn: Turn, _event: TalkEnded, _policy: Policy) -> TurnStep:
    """The visitor has let the talk button go: it is the model's turn."""
    return (replace(turn, phase=TurnPhase.THINKING, voice=False) if turn.voice else turn), ()


def hear_voice(turn: Turn, event: VoiceBegan, policy: Policy) -> TurnStep:
    """The visitor speaks; whatever was awaited, it is their word now. Who holds a button to talk does it with that."""
    return (turn, ()) if policy.uplink_mode is UplinkMode.HELD else talk(turn, event, policy)


def hear_voice_in_reply(turn: Turn, event: VoiceBegan, policy: Policy) -> TurnStep:
    """The visitor speaks into the reply: it ends where we hear that ourselves, and goes on until the service says so
    where we do not. In half duplex nobody can.
    """
    if policy.half_duplex or policy.uplink_mode is UplinkMode.HELD:
        return turn, ()
    if policy.barge_in:
        return talk_over(turn, event, policy)
    return replace(turn, voice=True, spoke=True, leaving=False), ()


def suspect(turn: Turn, event: VoiceSuspected, policy: Policy) -> TurnStep:
    """The reply is quiet while it is found out whether the visitor speaks into it."""
    heard = policy.barge_in and not policy.half_duplex and policy.uplink_mode is not UplinkMode.HELD
    return replace(turn, suspected=event.suspected and heard), ()


def think_of_typed(turn: Turn, _event: TextSubmitted, _policy: Policy) -> TurnStep:
    """The visitor has typed a question; it is the model's turn."""
    return replace(turn, phase=TurnPhase.THINKING, voice=False, spoke=True, leaving=False), ()


def note_typed(turn: Turn, _event: TextSubmitted, _policy: Policy) -> TurnStep:
    """The visitor has typed into the reply; the service decides what becomes of it, as with a voice."""
    return replace(turn, spoke=True, leaving=False), ()


def count_calls(turn: Turn, event: CallsChanged, _policy: Policy) -> TurnStep:
    """The model has something done, or gets its answer."""
    gated = event.blocking > turn.blocking or (turn.gated and event.blocking > 0)
    return replace(turn, calls=event.pending, blocking=event.blocking, gated=gated), ()


def open_gate(turn: Turn, _event: object, _policy: Policy) -> TurnStep:
    """The visitor has waited long enough for a tool."""
    return replace(turn, gated=False), ()


def take_leave(turn: Turn, _event: EndRequested, _policy: Policy) -> TurnStep:
    """The model wants to end the conversation; what it has to say is heard, and what it has begun is done."""
    return replace(turn, leaving=True), ()


def think(turn: Turn, _event: VoiceEnded, policy: Policy) -> TurnStep:
    """The visitor has finished; it is the model's turn."""
    if policy.uplink_mode is UplinkMode.HELD:
        return turn, ()
    return replace(turn, phase=TurnPhase.THINKING, voice=False), ()


def end_voice(turn: Turn, _event: VoiceEnded | TalkEnded, _policy: Policy) -> TurnStep:
    """The visitor has finished saying something into the reply, or its ringing, which goes on."""
    return replace(turn, voice=False), ()


def speak(turn: Turn, event: ReplyBegan, policy: Policy) -> TurnStep:
    """A reply begins, or the next one follows on it. In half duplex it drowns the visitor's voice; who holds a button
    to talk keeps the word.
    """
    if turn.voice and policy.uplink_mode is UplinkMode.HELD:
        return silence_stray(turn, event, policy)
    voice = turn.voice and not policy.half_duplex
    return (
        replace(
            turn,
            phase=TurnPhase.SPEAKING,
            reply=event.reply,
            voice=voice,
            suspected=False,
            asked=False,
            answered=turn.answered or turn.spoke,
        ),
        (),
    )


def silence_stray(turn: Turn, event: ReplyBegan, _policy: Policy) -> TurnStep:
    """A reply crossed our hanging up, or the visitor's next word: nobody shall hear it."""
    return replace(turn, reply=event.reply), (Flush(event.reply),)


def yield_word(turn: Turn, event: ReplyInterrupted, policy: Policy) -> TurnStep:
    """The service heard the visitor speak into the reply.

    Our own detector may not have noticed yet, or the visitor may have finished already: either way something is going
    on that should not be disturbed, so it counts as the model's turn until a voice is heard.
    """
    if event.reply != turn.reply:
        return turn, (Flush(event.reply),)
    if policy.half_duplex or turn.overtime:
        return silence(turn, event, policy)
    phase = TurnPhase.LISTENING if turn.voice else TurnPhase.THINKING
    after = replace(turn, phase=phase, suspected=False, leaving=False, answered=False)
    return after, (Flush(event.reply),)


def finish_reply(turn: Turn, event: object, policy: Policy) -> TurnStep:
    """The newest reply was heard to its end, or no end of it comes."""
    if getattr(event, "reply", turn.reply) != turn.reply:
        return turn, ()
    if turn.overtime or turn.farewell:
        return sleep(replace(turn, phase=TurnPhase.LISTENING), event, policy)
    if policy.half_duplex:
        return replace(turn, phase=TurnPhase.REVERBERATING, voice=False), ()
    return replace(turn, phase=TurnPhase.LISTENING, suspected=False), ()


def let_finish(turn: Turn, _event: object, _policy: Policy) -> TurnStep:
    """Time is up, but nobody is cut short in mid-word."""
    return replace(turn, overtime=True), ()


IGNORE: Final[TurnCell] = ignore


# fmt: off
TABLE: Final[Mapping[EventKind, tuple[TurnCell, TurnCell, TurnCell, TurnCell, TurnCell]]] = {
    #                  ASLEEP             LISTENING       THINKING        SPEAKING             REVERBERATING
    Restored:         (go_on,             IGNORE,         IGNORE,         IGNORE,              IGNORE),
    Started:          (wake_if_always_on, IGNORE,         IGNORE,         IGNORE,              IGNORE),
    Pressed:          (wake,              sleep,          sleep,          silence,             listen),
    Woken:            (wake,              IGNORE,         IGNORE,         IGNORE,              IGNORE),
    SleepRequested:       (IGNORE,            sleep,          sleep,          sleep,               sleep),
    ReplySilenced:           (IGNORE,            IGNORE,         IGNORE,         silence,             IGNORE),
    TalkBegan:        (wake_to_talk,      talk,           talk,           talk_over,           talk_over),
    TalkEnded:        (IGNORE,            release,        IGNORE,         end_voice,           end_voice),
    SnapshotRequested:        (wake,              IGNORE,         IGNORE,         IGNORE,              IGNORE),
    TextSubmitted:            (wake_to_answer,    think_of_typed, think_of_typed, note_typed,          note_typed),
    VoiceBegan:       (IGNORE,            hear_voice,     hear_voice,     hear_voice_in_reply, IGNORE),
    VoiceEnded:       (IGNORE,            think,          IGNORE,         end_voice,           IGNORE),
    VoiceSuspected:   (IGNORE,            IGNORE,         IGNORE,         suspect,             IGNORE),
    ReplyBegan:       (silence_stray,     speak,          speak,          speak,               speak),
    ReplyInterrupted: (IGNORE,            IGNORE,         IGNORE,         yield_word,          IGNORE),
    ReplySounded:     (IGNORE,            IGNORE,         IGNORE,         IGNORE,              IGNORE),
    ReplyPlayed:      (IGNORE,            IGNORE,         IGNORE,         finish_reply,        IGNORE),
    TurnEnded:        (IGNORE,            IGNORE,         listen,         IGNORE,              IGNORE),
    CallsChanged:     (IGNORE,            count_calls,    count_calls,    count_calls,         count_calls),
    EndRequested:        (IGNORE,            take_leave,     take_leave,     take_leave,          take_leave),
    Timer.IDLE:       (IGNORE,            sleep,          IGNORE,         IGNORE,              IGNORE),
    Timer.THINK:      (IGNORE,            IGNORE,         listen,         IGNORE,              IGNORE),
    Timer.STALLED:    (IGNORE,            IGNORE,         IGNORE,         finish_reply,        IGNORE),
    Timer.TAIL:       (IGNORE,            IGNORE,         IGNORE,         IGNORE,              listen),
    Timer.GATE:       (IGNORE,            open_gate,      open_gate,      open_gate,           open_gate),
    Timer.LONGEST:    (IGNORE,            sleep,          sleep,          let_finish,          sleep),
    Timer.GRACE:      (IGNORE,            sleep,          sleep,          sleep,               IGNORE),
    Timer.AGAIN:      (wake,              IGNORE,         IGNORE,         IGNORE,              IGNORE),
}
# fmt: on
