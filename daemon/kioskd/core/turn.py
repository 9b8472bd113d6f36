"""The state machine of the conversation, as the visitor lives it: it knows nothing of connections.

The law of this file: `TABLE` has a cell for every phase and every kind of event, and nothing else changes a
`Turn`. A cell is a function `(turn, event, policy) -> (turn, pulses)`. IGNORE marks a pair that was
considered and has no effect.
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
    ModelPrompted,
    MoreTimeRequested,
    Pressed,
    ProfileChosen,
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
    WakeCause,
    Woken,
)
from kioskd.core.policy import DEFAULT_PROFILE, Policy, UplinkMode


class TurnPhase(enum.Enum):
    """Phase of the conversation."""

    ASLEEP = 0
    LISTENING = 1
    THINKING = 2
    """The visitor has finished, and the model has not begun."""
    SPEAKING = 3
    """A reply has begun, and has not been heard to its end."""
    REVERBERATING = 4
    """Half duplex only: the reply is over, the room's echo fades, and the uplink stays shut. With `voice` the
    visitor already holds the talk button, and is heard after this phase."""


@dataclass(frozen=True, slots=True)
class Turn:
    """State of the conversation."""

    phase: TurnPhase = TurnPhase.ASLEEP
    conversation: int = 0
    """Number of the conversation; it rises at each wake."""
    reply: int = 0
    """Number of the newest reply; older replies are history."""
    woken_by_person: bool = False
    """A person has woken the kiosk, not its own timer."""
    voice: bool = False
    """The visitor is speaking."""
    suspected: bool = False
    """The visitor may be speaking into the reply."""
    spoke: bool = False
    """The visitor has said or typed something in this conversation."""
    asked: bool = False
    """A typed question waits for the connection."""
    answered: bool = False
    """The model has answered the visitor and was not cut short; a greeting is no answer."""
    calls: int = 0
    """Calls of the model in progress."""
    blocking: int = 0
    """Calls in `calls` that block the model."""
    gated: bool = False
    """New input is held back, because it would void a blocking call."""
    greeted: bool = False
    """The greeting was requested, or is no longer wanted. While asleep: the greeting was requested, and no
    visitor has said anything since."""
    greets: bool = False
    """The call that woke the kiosk brings a greeting of its own."""
    overtime: bool = False
    """The conversation has reached `longest_s`, and ends with the reply that is playing."""
    leaving: bool = False
    """The model has taken leave, and the visitor has said nothing since."""
    profile: str = DEFAULT_PROFILE
    """Name of the visitor's profile in this conversation."""
    warned: bool = False
    """The end by `longest_s` is near."""
    idle_warned: bool = False
    """The end by silence is near; the silence goes on."""
    extended: int = 0
    """How often the visitor has got more time in this conversation."""
    stretch: float = 1.0
    """Factor of the times of the present end by `longest_s`. It is fixed at the wake and at an extension, so
    that another profile gives no time away."""

    @property
    def awake(self) -> bool:
        """Whether a conversation is going on."""
        return self.phase is not TurnPhase.ASLEEP

    @property
    def attended(self) -> bool:
        """Whether a person has taken part in this conversation."""
        return self.awake and (self.woken_by_person or self.spoke)

    @property
    def quiet(self) -> bool:
        """Whether a second's absence would go unnoticed: no speech, no expected reply, no call, no sound."""
        return self.phase is TurnPhase.LISTENING and not self.voice and not self.calls

    @property
    def farewell(self) -> bool:
        """Whether the present or next reply is the last: the model took leave, and no call is left."""
        return self.leaving and not self.calls

    @property
    def sounding(self) -> bool:
        """Whether a reply can be heard, or its echo in the room has not faded yet."""
        return self.phase in (TurnPhase.SPEAKING, TurnPhase.REVERBERATING)


TurnStep = tuple[Turn, tuple[Flush, ...]]
# `Any`: the table gives each cell the kind of event that names the row.
TurnCell = Callable[[Turn, Any, Policy], TurnStep]


def ignore(turn: Turn, _event: object, _policy: Policy) -> TurnStep:
    """Keep the state."""
    return turn, ()


BY_PERSON: Final = (Pressed, Woken, TalkBegan, TextSubmitted, SnapshotRequested)
"""Events by which a person wakes the kiosk."""


def wake(turn: Turn, event: object, policy: Policy) -> TurnStep:
    """Begin a conversation, and forget the one before. A timer's wake repeats no unanswered greeting."""
    woken_by_person = isinstance(event, BY_PERSON)
    greeted = turn.greeted and not woken_by_person
    profile = (isinstance(event, Pressed | Woken) and event.profile) or DEFAULT_PROFILE
    return Turn(
        TurnPhase.LISTENING,
        turn.conversation + 1,
        reply=turn.reply,
        woken_by_person=woken_by_person,
        greeted=greeted,
        greets=isinstance(event, Woken) and event.greets,
        profile=profile,
        stretch=policy.stretch_of(profile),
    ), ()


def wake_to_talk(turn: Turn, event: TalkBegan, policy: Policy) -> TurnStep:
    """Wake because the visitor holds the talk button, and let them talk."""
    return talk(wake(turn, event, policy)[0], event, policy)


def wake_to_answer(turn: Turn, event: TextSubmitted, policy: Policy) -> TurnStep:
    """Wake for a typed question, which the model gets as soon as the connection is up."""
    return replace(wake(turn, event, policy)[0], spoke=True, asked=True), ()


def wake_if_always_on(turn: Turn, event: Started, policy: Policy) -> TurnStep:
    """Wake at the start if the owner wants an always-on kiosk."""
    return wake(turn, event, policy) if policy.always_on else (turn, ())


def go_on(turn: Turn, event: Restored, policy: Policy) -> TurnStep:
    """Go on with the conversation of the killed process; its visitor was greeted then."""
    return Turn(
        TurnPhase.LISTENING,
        conversation=event.conversation,
        reply=turn.reply,
        greeted=True,
        profile=event.profile,
        stretch=policy.stretch_of(event.profile),
    ), ()


def sleep(turn: Turn, _event: object, _policy: Policy) -> TurnStep:
    """End the conversation, and silence the reply that is playing."""
    flush = (Flush(turn.reply),) if turn.phase is TurnPhase.SPEAKING else ()
    greeted = turn.greeted and not turn.spoke
    return Turn(conversation=turn.conversation, reply=turn.reply, greeted=greeted), flush


def silence(turn: Turn, event: object, policy: Policy) -> TurnStep:
    """Stop the reply by the button; the visitor's turn begins as soon as the room is quiet."""
    if turn.overtime:
        return sleep(turn, event, policy)
    cut = replace(turn, suspected=False, answered=False)
    if policy.half_duplex:
        return replace(cut, phase=TurnPhase.REVERBERATING, voice=False), (Flush(turn.reply),)
    return replace(cut, phase=TurnPhase.LISTENING), (Flush(turn.reply),)


def extendable(turn: Turn, policy: Policy) -> bool:
    """Return whether the visitor can have more time now: the end is near, and the owner allows it."""
    return turn.warned and turn.extended < policy.extensions


def extend(turn: Turn, _event: object, policy: Policy) -> TurnStep:
    """Give the visitor more time, if that is possible. A visitor who asks for it is not leaving."""
    if not extendable(turn, policy):
        return turn, ()
    return replace(
        turn,
        extended=turn.extended + 1,
        stretch=policy.stretch_of(turn.profile),
        warned=False,
        idle_warned=False,
        overtime=False,
        leaving=False,
    ), ()


def stay(turn: Turn, _event: object, _policy: Policy) -> TurnStep:
    """Note that the visitor is still there: the silence begins again."""
    return replace(turn, idle_warned=False), ()


def call_again(turn: Turn, event: Woken, policy: Policy) -> TurnStep:
    """Note that the visitor is still there, and which profile they choose. A button also gives more time."""
    if event.cause is WakeCause.BUTTON:
        turn, _ = extend(turn, event, policy)
    return replace(turn, idle_warned=False, profile=event.profile or turn.profile), ()


def take_profile(turn: Turn, event: ProfileChosen, _policy: Policy) -> TurnStep:
    """Follow another profile for the rest of this conversation."""
    return replace(turn, profile=event.profile), ()


def press_end(turn: Turn, event: Pressed, policy: Policy) -> TurnStep:
    """End the conversation by the button. After a warning, give the visitor more time instead."""
    if extendable(turn, policy):
        return extend(turn, event, policy)
    return stay(turn, event, policy) if turn.idle_warned and policy.extensions else sleep(turn, event, policy)


def press_silence(turn: Turn, event: Pressed, policy: Policy) -> TurnStep:
    """Stop the reply by the button. After a warning, give the visitor more time instead."""
    return (extend if extendable(turn, policy) else silence)(turn, event, policy)


def press_listen(turn: Turn, event: Pressed, policy: Policy) -> TurnStep:
    """Listen before the room is quiet. After a warning, give the visitor more time instead."""
    return (extend if extendable(turn, policy) else listen)(turn, event, policy)


def warn(turn: Turn, _event: object, _policy: Policy) -> TurnStep:
    """Note that the end by `longest_s` is near."""
    return replace(turn, warned=True), ()


def warn_idle(turn: Turn, _event: object, _policy: Policy) -> TurnStep:
    """Note that the end by silence is near."""
    return replace(turn, idle_warned=True), ()


def listen(turn: Turn, _event: object, _policy: Policy) -> TurnStep:
    """Give the turn to the visitor."""
    return replace(turn, phase=TurnPhase.LISTENING), ()


def talk(turn: Turn, _event: object, _policy: Policy) -> TurnStep:
    """Give the turn to the visitor, who is speaking already, whatever was expected."""
    return replace(
        turn, phase=TurnPhase.LISTENING, voice=True, spoke=True, suspected=False, leaving=False
    ), ()


def talk_over(turn: Turn, event: object, policy: Policy) -> TurnStep:
    """Let the visitor end the reply by voice or by the talk button.

    In half duplex the visitor is heard as soon as the room is quiet.
    """
    if turn.overtime:
        return sleep(turn, event, policy)
    flush = (Flush(turn.reply),) if turn.phase is TurnPhase.SPEAKING else ()
    phase = TurnPhase.REVERBERATING if policy.half_duplex else TurnPhase.LISTENING
    return replace(talk(turn, event, policy)[0], phase=phase, answered=False), flush


def release(turn: Turn, _event: TalkEnded, _policy: Policy) -> TurnStep:
    """End the visitor's turn, because the talk button was released."""
    return (replace(turn, phase=TurnPhase.THINKING, voice=False) if turn.voice else turn), ()


def hear_voice(turn: Turn, event: VoiceBegan, policy: Policy) -> TurnStep:
    """Give the turn to the visitor who speaks; with a talk button only the button does that."""
    return (turn, ()) if policy.uplink_mode is UplinkMode.HELD else talk(turn, event, policy)


def hear_voice_in_reply(turn: Turn, event: VoiceBegan, policy: Policy) -> TurnStep:
    """Note that the visitor speaks into the reply, which half duplex cannot hear.

    With local barge-in the reply ends at once. Without it, the reply goes on until the service interrupts it.
    """
    if policy.half_duplex or policy.uplink_mode is UplinkMode.HELD:
        return turn, ()
    if policy.barge_in:
        return talk_over(turn, event, policy)
    return replace(turn, voice=True, spoke=True, leaving=False), ()


def suspect(turn: Turn, event: VoiceSuspected, policy: Policy) -> TurnStep:
    """Lower the reply's loudness while it is unclear whether the visitor speaks into it."""
    heard = policy.barge_in and not policy.half_duplex and policy.uplink_mode is not UplinkMode.HELD
    return replace(turn, suspected=event.suspected and heard), ()


def think_of_typed(turn: Turn, _event: object, _policy: Policy) -> TurnStep:
    """Give the turn to the model, because the visitor has typed a question."""
    return replace(turn, phase=TurnPhase.THINKING, voice=False, spoke=True, leaving=False), ()


def note_typed(turn: Turn, _event: object, _policy: Policy) -> TurnStep:
    """Note that the visitor has typed into the reply; the service decides whether the reply goes on."""
    return replace(turn, spoke=True, leaving=False), ()


def count_calls(turn: Turn, event: CallsChanged, _policy: Policy) -> TurnStep:
    """Note how many of the model's calls are in progress; hold back new input while one blocks the model."""
    gated = event.blocking > turn.blocking or (turn.gated and event.blocking > 0)
    return replace(turn, calls=event.pending, blocking=event.blocking, gated=gated), ()


def open_gate(turn: Turn, _event: object, _policy: Policy) -> TurnStep:
    """Stop holding back new input: the tool has taken too long."""
    return replace(turn, gated=False), ()


def take_leave(turn: Turn, _event: EndRequested, _policy: Policy) -> TurnStep:
    """Note that the model ends the conversation, after its farewell was heard and its calls are done."""
    return replace(turn, leaving=True), ()


def think(turn: Turn, _event: VoiceEnded, policy: Policy) -> TurnStep:
    """Give the turn to the model, because the visitor has finished."""
    if policy.uplink_mode is UplinkMode.HELD:
        return turn, ()
    return replace(turn, phase=TurnPhase.THINKING, voice=False), ()


def end_voice(turn: Turn, _event: VoiceEnded | TalkEnded, _policy: Policy) -> TurnStep:
    """Note that the visitor has finished speaking into the reply, or into its echo, and let that go on."""
    return replace(turn, voice=False), ()


def speak(turn: Turn, event: ReplyBegan, policy: Policy) -> TurnStep:
    """Begin a reply, or the next one.

    In half duplex it drowns the visitor's voice. A visitor who holds the talk button keeps the turn.
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
    """Silence a reply that comes after the hang-up, or after the visitor has begun to talk."""
    return replace(turn, reply=event.reply), (Flush(event.reply),)


def yield_word(turn: Turn, event: ReplyInterrupted, policy: Policy) -> TurnStep:
    """End the reply, because the service heard the visitor speak into it.

    The local detector may not have noticed yet, or the visitor may have finished already. Both are no quiet
    moment, so the turn is the model's until a voice is heard.
    """
    if event.reply != turn.reply:
        return turn, (Flush(event.reply),)
    if policy.half_duplex or turn.overtime:
        return silence(turn, event, policy)
    phase = TurnPhase.LISTENING if turn.voice else TurnPhase.THINKING
    after = replace(turn, phase=phase, suspected=False, leaving=False, answered=False)
    return after, (Flush(event.reply),)


def finish_reply(turn: Turn, event: object, policy: Policy) -> TurnStep:
    """End the newest reply, which was heard to its end, or whose end does not come."""
    if getattr(event, "reply", turn.reply) != turn.reply:
        return turn, ()
    if turn.overtime or turn.farewell:
        return sleep(replace(turn, phase=TurnPhase.LISTENING), event, policy)
    if policy.half_duplex:
        return replace(turn, phase=TurnPhase.REVERBERATING, voice=False), ()
    return replace(turn, phase=TurnPhase.LISTENING, suspected=False), ()


def let_finish(turn: Turn, _event: object, _policy: Policy) -> TurnStep:
    """Let the present reply finish, although `longest_s` is over."""
    return replace(turn, overtime=True), ()


IGNORE: Final[TurnCell] = ignore


# fmt: off
TABLE: Final[Mapping[EventKind, tuple[TurnCell, TurnCell, TurnCell, TurnCell, TurnCell]]] = {
    #                   ASLEEP             LISTENING       THINKING        SPEAKING             REVERBERATING
    Restored:          (go_on,             IGNORE,         IGNORE,         IGNORE,              IGNORE),
    Started:           (wake_if_always_on, IGNORE,         IGNORE,         IGNORE,              IGNORE),
    Pressed:           (wake,              press_end,      press_end,      press_silence,       press_listen),
    Woken:             (wake,              call_again,     call_again,     call_again,          call_again),
    MoreTimeRequested: (IGNORE,            extend,         extend,         extend,              extend),
    ProfileChosen:     (IGNORE,            take_profile,   take_profile,   take_profile,        take_profile),
    SleepRequested:    (IGNORE,            sleep,          sleep,          sleep,               sleep),
    ReplySilenced:     (IGNORE,            IGNORE,         IGNORE,         silence,             IGNORE),
    TalkBegan:         (wake_to_talk,      talk,           talk,           talk_over,           talk_over),
    TalkEnded:         (IGNORE,            release,        IGNORE,         end_voice,           end_voice),
    SnapshotRequested: (wake,              stay,           IGNORE,         IGNORE,              IGNORE),
    TextSubmitted:     (wake_to_answer,    think_of_typed, think_of_typed, note_typed,          note_typed),
    ModelPrompted:     (IGNORE,            think_of_typed, think_of_typed, note_typed,          note_typed),
    VoiceBegan:        (IGNORE,            hear_voice,     hear_voice,     hear_voice_in_reply, IGNORE),
    VoiceEnded:        (IGNORE,            think,          IGNORE,         end_voice,           IGNORE),
    VoiceSuspected:    (IGNORE,            IGNORE,         IGNORE,         suspect,             IGNORE),
    ReplyBegan:        (silence_stray,     speak,          speak,          speak,               speak),
    ReplyInterrupted:  (IGNORE,            IGNORE,         IGNORE,         yield_word,          IGNORE),
    ReplySounded:      (IGNORE,            IGNORE,         IGNORE,         IGNORE,              IGNORE),
    ReplyPlayed:       (IGNORE,            IGNORE,         IGNORE,         finish_reply,        IGNORE),
    TurnEnded:         (IGNORE,            IGNORE,         listen,         IGNORE,              IGNORE),
    CallsChanged:      (IGNORE,            count_calls,    count_calls,    count_calls,         count_calls),
    EndRequested:      (IGNORE,            take_leave,     take_leave,     take_leave,          take_leave),
    Timer.IDLE:        (IGNORE,            sleep,          IGNORE,         IGNORE,              IGNORE),
    Timer.IDLE_WARN:   (IGNORE,            warn_idle,      IGNORE,         IGNORE,              IGNORE),
    Timer.THINK:       (IGNORE,            IGNORE,         listen,         IGNORE,              IGNORE),
    Timer.STALLED:     (IGNORE,            IGNORE,         IGNORE,         finish_reply,        IGNORE),
    Timer.TAIL:        (IGNORE,            IGNORE,         IGNORE,         IGNORE,              listen),
    Timer.GATE:        (IGNORE,            open_gate,      open_gate,      open_gate,           open_gate),
    Timer.LONGEST:     (IGNORE,            sleep,          sleep,          let_finish,          sleep),
    Timer.WARN:        (IGNORE,            warn,           warn,           warn,                warn),
    Timer.GRACE:       (IGNORE,            sleep,          sleep,          sleep,               IGNORE),
    Timer.AGAIN:       (wake,              IGNORE,         IGNORE,         IGNORE,              IGNORE),
}
# fmt: on
