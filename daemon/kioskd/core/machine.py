"""Joins the two state machines: an event in, effects out.

    step(state, event, policy) -> state, effects

There are two kinds of effect. *Levels* are conditions that should hold now: `levels(state, policy)` computes
them, and `step` emits the difference, so no effect is forgotten or doubled. *Pulses* happen once. A cell of a
table causes `Flush`; a change of the connection causes `Dial`, `HangUp` and `Greet`. News for a person causes
`Chime` and `Prompt`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from kioskd.core import link as links
from kioskd.core import turn as turns
from kioskd.core.effects import (
    Announce,
    AskConfirmation,
    Chime,
    Confirm,
    Cue,
    Dial,
    Effect,
    Flush,
    Greet,
    HangUp,
    KioskStatus,
    Prompt,
    ShowStatus,
    StopPrompt,
    TakeSnapshot,
)
from kioskd.core.events import (
    AnnouncementDue,
    Armed,
    Closing,
    ConfirmationRequested,
    ConnectionLost,
    Device,
    DeviceCame,
    DeviceGone,
    EndNear,
    Event,
    MicrophoneSilent,
    MuteRequested,
    PresenceChanged,
    Pressed,
    PromptOver,
    ReplyBegan,
    ReplySilenced,
    ReplyStarved,
    Restored,
    ScanRejected,
    SettingsRefused,
    SleepRequested,
    SnapshotRequested,
    Started,
    StorageFailed,
    TalkBegan,
    Timer,
    TimerFired,
    VoiceBegan,
    WakeCause,
    Woken,
)
from kioskd.core.levels import (
    ANNOUNCEMENT,
    QUESTION,
    TROUBLED,
    Levels,
    State,
    difference,
    idle,
    lasting,
    levels,
    may_announce,
    shuts,
    warned,
)
from kioskd.core.link_state import Link, LinkPhase, LinkTrouble, dial
from kioskd.core.policy import Policy
from kioskd.core.rollover import roll_over
from kioskd.core.troubles import OUTAGES, TOLD, broken
from kioskd.core.turn import Turn
from kioskd.errors import Code

__all__ = ["Levels", "State", "effects_of_policy", "levels", "step"]

HUSHING: Final = (*turns.BY_PERSON, ReplySilenced, SleepRequested, MuteRequested, ReplyBegan)
"""Events that stop a spoken prompt."""

BREAKING_OFF: Final = (Pressed, Woken, TalkBegan, SnapshotRequested, ReplySilenced)
"""Events that stop an announcement: a person near the kiosk wants something else."""

CHIMING: Final = (Pressed, Woken, TalkBegan, SnapshotRequested)
"""Events that wake the kiosk with a chime: the visitor is near, and may not see the lamp."""

STAYING: Final = (Woken, SnapshotRequested)
"""Events that prove a person's presence to a kiosk that listens already: its idle time starts again."""


def step(state: State, event: Event, policy: Policy) -> tuple[State, tuple[Effect, ...]]:
    """Return the state after `event`, and the effects in order.

    An event of an older connection (another epoch) is dropped here.
    """
    if getattr(event, "epoch", state.link.epoch) != state.link.epoch:
        return state, ()
    if state.confirming and _allows(event):
        return state, (Confirm(getattr(event, "down_s", None)),)
    noted = _note(state, event)
    refusal = _refusal(noted, event)
    passes = not (refusal or _only_breaks_off(state, event))
    turn, link, pulses = _machines(state, event, policy) if passes else (state.turn, state.link, ())

    # Rules that join both machines: hang up when asleep, dial when awake, roll over in a quiet moment when
    # draining. And sleep when refused, muted or closed.
    if state.turn.awake and turn.awake and (link.phase is LinkPhase.DOWN or noted.muted or noted.closed):
        turn, more = turns.sleep(turn, event, policy)
        pulses += more
    if not turn.awake:
        link = _while_asleep(state, event, link)
    elif link.phase is LinkPhase.DOWN:
        link = dial(link)
    elif link.leaving and turn.quiet:
        link = roll_over(link)

    came_up = link.phase is LinkPhase.UP and state.link.phase is LinkPhase.DIALING
    greet = came_up and (policy.greeting or turn.greets) and not turn.greeted
    if greet:
        # Greet once, and not while the visitor speaks: a later fresh session finds `greeted` set.
        greet = turn.phase is turns.TurnPhase.LISTENING and not turn.spoke
        turn = replace(turn, greeted=True, phase=turns.TurnPhase.THINKING if greet else turn.phase)
    if came_up and turn.asked:
        turn = replace(turn, asked=False, phase=turn.phase if turn.voice else turns.TurnPhase.THINKING)

    effects: list[Effect] = [*pulses, *_reach(state.link, link, turn.profile)]
    if greet:
        effects.append(Greet())
    if isinstance(event, SnapshotRequested) and turn.awake:
        effects.append(TakeSnapshot())
    # After a reply in half duplex the turn itself waits for the room's echo to fade.
    after = replace(
        noted,
        turn=turn,
        link=link,
        ringing=noted.ringing and not (policy.half_duplex and turn.sounding),
        near=noted.near and turn.awake,
    )
    if after.away and (not turn.awake or turn.conversation != state.turn.conversation):
        after = replace(after, away=False)
    if turn.idle_warned and not idle(after):  # the silence is over
        after = replace(after, turn=replace(turn, idle_warned=False))
    return _tell_people(state, after, effects, policy, event=event, refusal=refusal)


def _allows(event: Event) -> bool:
    """Return whether `event` answers a tool that waits for the button.

    While the tool waits, a press does nothing else, even if it comes too soon to count as an answer.
    """
    return isinstance(event, Pressed | TalkBegan) or (
        isinstance(event, Woken) and event.cause is WakeCause.BUTTON
    )


def effects_of_policy(state: State, old: Policy, new: Policy) -> tuple[Effect, ...]:
    """Return the effects of replacing the policy `old` by `new`: other levels may hold under it."""
    return tuple(difference(levels(state, old), levels(state, new)))


def _machines(state: State, event: Event, policy: Policy) -> tuple[Turn, Link, tuple[Flush, ...]]:
    """Apply the event to both tables."""
    kind = event.timer if isinstance(event, TimerFired) else type(event)
    turn, link = state.turn, state.link
    pulses: tuple[Flush, ...] = ()
    if kind in turns.TABLE:
        turn, pulses = turns.TABLE[kind][turn.phase.value](turn, event, policy)
    if kind in links.TABLE:
        link = links.TABLE[kind][link.phase.value](link, event, policy)
    return turn, link, pulses


def _note(state: State, event: Event) -> State:
    """Return the state with the event's facts about the kiosk itself."""
    changed: dict[str, Any] = {}
    match event:
        case Started():
            changed = {"started": True}
        case ReplyStarved(reply):
            changed = {"starved": reply}
        case DeviceGone() | DeviceCame():
            changed = {"missing": _missing(state.missing, event)}
        case MicrophoneSilent(deaf):
            changed = {"deaf": deaf}
        case MuteRequested(muted):
            changed = {"muted": not state.muted if muted is None else muted, "armed": ""}
        case Closing() | EndNear() | StorageFailed() | SettingsRefused():
            changed = _of_owner(event)
        case Armed(what):
            changed = {"armed": what}
        case ConfirmationRequested(wanted, name):
            changed = {"confirming": wanted, "asking": name if wanted else ""}
        case PromptOver():
            changed = {"prompt": None}
        case TimerFired(Timer.TAIL):
            changed = {"ringing": False}
    changed |= _seen(state, event)
    return replace(state, **changed) if changed else state


def _seen(state: State, event: Event) -> Mapping[str, bool]:
    """Return whether the visitor has left, if the event changes it."""
    if isinstance(event, PresenceChanged):
        return {"away": state.turn.awake and not event.present}
    return {"away": False} if state.away and isinstance(event, (VoiceBegan, *turns.BY_PERSON)) else {}


def _of_owner(event: Closing | EndNear | StorageFailed | SettingsRefused) -> dict[str, Any]:
    """Return what changes with the owner's limits, disk or settings file."""
    match event:
        case Closing(code, opens):
            return {"closed": code, "opens": opens}
        case EndNear(near):
            return {"near": near}
        case StorageFailed(why, where):
            return {"unkept": f"{where}: {why}" if where else why}
        case SettingsRefused(why, since):
            return {"refused": f"{why} (since {since})" if since else why}


def _missing(
    before: Mapping[Device, tuple[str, ...]], event: DeviceGone | DeviceCame
) -> Mapping[Device, tuple[str, ...]]:
    """Return the names of the devices that are missing after `event`."""
    device, names = event.device, before.get(event.device, ())
    if isinstance(event, DeviceGone):
        return {**before, device: tuple(dict.fromkeys((*names, event.name)))}
    names = tuple(each for each in names if event.name and each != event.name)
    others = {each: theirs for each, theirs in before.items() if each is not device}
    return {**others, device: names} if names else others


def _only_breaks_off(state: State, event: Event) -> bool:
    """Return whether a press stops an announcement and does nothing else: the conversation goes on."""
    announcing = state.prompt == ANNOUNCEMENT and state.turn.awake and not state.turn.sounding
    return announcing and isinstance(event, Pressed)


def _refusal(state: State, event: Event) -> Code | Cue | None:
    """Return the reason why a visitor cannot wake this kiosk now; None: the event may pass."""
    by_itself = isinstance(event, Started | Restored) or event == TimerFired(Timer.AGAIN)
    if state.turn.awake or not (by_itself or isinstance(event, turns.BY_PERSON)):
        return None
    if state.muted:
        return Cue.MUTE
    return broken(state) or state.closed


def _tell_people(
    before: State,
    after: State,
    effects: Iterable[Effect],
    policy: Policy,
    *,
    event: Event | None = None,
    refusal: Code | Cue | None = None,
) -> tuple[State, tuple[Effect, ...]]:
    """Add what people hear and see: prompts, chimes, and the difference of the levels."""
    tell = _prompt(before, after, event, refusal, policy)
    told = list(effects)
    asks = (
        isinstance(event, ConfirmationRequested) and event.aloud and after.turn.awake and not after.turn.voice
    )
    if before.prompt and (tell or asks or _hushes(before, event, refusal)):
        faded_by_turn = policy.half_duplex and after.turn.sounding
        after = replace(after, prompt=None, ringing=shuts(before.prompt, policy) and not faded_by_turn)
        told.append(StopPrompt())
    if (cue := _cue(before, after, event, refusal) or _cue_of_scan(after, event)) is not None:
        told.append(Chime(cue))
    if after.turn.conversation != before.turn.conversation:
        after = replace(after, told=frozenset())
    if tell is not None:
        after = replace(after, prompt=tell, told=after.told | {tell})
        told.append(Prompt(tell))
    elif asks:
        after = replace(after, prompt=QUESTION)
        told.append(AskConfirmation())
    elif isinstance(event, AnnouncementDue) and may_announce(after):
        after = replace(after, prompt=ANNOUNCEMENT)
        told.append(Announce())
    told.extend(difference(levels(before, policy), levels(after, policy), anew=_anew(before, after, event)))
    return after, tuple(told)


def _called(event: Event | None) -> bool:
    """Return whether a person has called the kiosk. One who walks past a sensor has not."""
    passes = isinstance(event, Woken) and event.cause is WakeCause.PRESENCE
    return isinstance(event, turns.BY_PERSON) and not passes


def _anew(before: State, after: State, event: Event | None) -> frozenset[Timer]:
    """Return the timers that start again from zero, because the visitor is there or has got more time."""
    anew: frozenset[Timer] = frozenset()
    if isinstance(event, STAYING) or (before.turn.idle_warned and not after.turn.idle_warned):
        anew |= {Timer.IDLE, Timer.IDLE_WARN}
    if after.turn.extended > before.turn.extended:
        anew |= {Timer.IDLE, Timer.IDLE_WARN, Timer.LONGEST, Timer.WARN}
    return anew


def _hushes(before: State, event: Event | None, refusal: Code | Cue | None) -> bool:
    """Return whether `event` stops the spoken prompt: a person says something, or the speaker is gone."""
    match event:
        case DeviceGone(Device.SPEAKER):
            return True
        case _ if before.prompt == ANNOUNCEMENT:
            return isinstance(event, BREAKING_OFF)
        case ConfirmationRequested(wanted=False):
            return before.prompt == QUESTION
        case ReplyBegan():  # a reply does not stop the question; it waits until the question was heard
            return before.prompt != QUESTION
        case _:
            return isinstance(event, HUSHING) and not refusal


def _prompt(
    before: State, after: State, event: Event | None, refusal: Code | Cue | None, policy: Policy
) -> Code | None:
    """Return the code that the visitor must be told now, at most once in a conversation."""
    if isinstance(refusal, Code):
        # A person who talks near a closed kiosk may not be talking to it, so tell the reason once.
        again = event == Woken(WakeCause.VOICE) and refusal in before.told
        code: Code | None = refusal if _called(event) and not again else None
    else:
        show = levels(after, policy).show
        # The cause of an outage may change at each try, but the visitor is told of the outage only once.
        code = _worth_telling(before, show)
        told = after.told & OUTAGES if show.shown is KioskStatus.OFFLINE else after.told & {code}
        # Do not interrupt a visitor who is speaking, unless the kiosk cannot hear them anyway.
        waits = after.turn.voice and not broken(after)
        # A short outage is not worth a prompt: the prompt would last longer, and half duplex hears nothing
        # meanwhile.
        waits |= show.shown is KioskStatus.OFFLINE and not lasting(after.link)
        if told or waits or not _somebody(before, after):
            code = None
    return code if code in TOLD else None


def _worth_telling(before: State, show: ShowStatus) -> Code | None:
    """Return the code that keeps the kiosk from serving a visitor.

    After a served conversation, return a full or read-only disk's code: the visitor can pass it on to the
    staff.
    """
    if show.shown in TROUBLED:
        return show.code
    served = before.turn.awake and show.shown is KioskStatus.ASLEEP
    return Code.STORAGE if served and any(each.code is Code.STORAGE for each in show.troubles) else None


def _somebody(before: State, after: State) -> bool:
    """Return whether a person took part in the conversation that goes on, or has just ended."""
    return any(turn.awake and (turn.woken_by_person or turn.spoke) for turn in (before.turn, after.turn))


def _cue(before: State, after: State, event: Event | None, refusal: Code | Cue | None) -> Cue | None:
    if after.muted is not before.muted:
        return Cue.MUTE if after.muted else Cue.UNMUTE
    if isinstance(refusal, Cue):
        return refusal if _called(event) else None
    if after.turn.awake and not before.turn.awake:
        return Cue.WAKE if isinstance(event, CHIMING) else None
    if before.turn.awake and not after.turn.awake and _somebody(before, after):
        return Cue.ERROR if after.link.trouble is LinkTrouble.REFUSED else Cue.END
    return _warning_cue(before, after, event)


def _warning_cue(before: State, after: State, event: Event | None) -> Cue | None:
    """Return the chime of a warning, or that of a press which put the end off."""
    if warned(after) is warned(before):
        return None
    if warned(after):
        return Cue.WARN
    return Cue.WAKE if isinstance(event, Pressed | Woken) else None


def _cue_of_scan(after: State, event: Event | None) -> Cue | None:
    """Return the answer to a person who has chosen a subject, or has shown a code that is none."""
    if isinstance(event, ScanRejected):
        return Cue.ERROR
    return Cue.WAKE if after.turn.awake and isinstance(event, Woken) and event.about else None


def _while_asleep(state: State, event: Event, link: Link) -> Link:
    """Return the link of a kiosk that sleeps: hung up, except for a probe that has no answer yet."""
    if state.turn.awake or link.open:
        return links.hang_up(link)
    if isinstance(event, ConnectionLost) and link.phase is not LinkPhase.DOWN:
        return replace(links.hang_up(link), epoch=state.link.epoch)
    return link


def _reach(before: Link, after: Link, profile: str) -> Iterator[Effect]:
    if after.epoch != before.epoch:
        recall = after.reached_service and after.handle is None
        yield Dial(after.epoch, after.handle, recall, profile)
    elif before.phase is not LinkPhase.DOWN and after.phase is LinkPhase.DOWN:
        yield HangUp()
