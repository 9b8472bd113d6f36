"""Joins the two machines: what happened in, what to do out.

    step(state, event, policy) -> state, effects

Two kinds of effect. *Levels* are what should hold now: `levels(state, policy)` says it, and `step` emits the difference
between before and after, so nothing can be forgotten or done twice. *Pulses* happen once, because a transition said so
(`Flush`), because the connection changed (`Dial`, `HangUp`, `Greet`), or because a person is to be told (`Chime`, `Prompt`).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from kioskd.core import link as links
from kioskd.core import turn as turns
from kioskd.core.effects import (
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
    Armed,
    Closing,
    ConfirmationRequested,
    ConnectionLost,
    Device,
    DeviceCame,
    DeviceGone,
    Event,
    MicrophoneSilent,
    MuteRequested,
    Pressed,
    PromptOver,
    ReplyBegan,
    ReplySilenced,
    ReplyStarved,
    Restored,
    SettingsRefused,
    SleepRequested,
    SnapshotRequested,
    Started,
    StorageFailed,
    TalkBegan,
    Timer,
    TimerFired,
    WakeCause,
    Woken,
)
from kioskd.core.levels import QUESTION, TROUBLED, Levels, State, difference, lasting, levels
from kioskd.core.link_state import Link, LinkPhase, LinkTrouble, dial
from kioskd.core.policy import Policy
from kioskd.core.rollover import roll_over
from kioskd.core.troubles import OUTAGES, TOLD, broken
from kioskd.core.turn import Turn
from kioskd.errors import Code

__all__ = ["Levels", "State", "effects_of_policy", "levels", "step"]

HUSHING: Final = (*turns.BY_PERSON, ReplySilenced, SleepRequested, MuteRequested, ReplyBegan)
"""What a prompt that is being told gives way to."""

ALLOWING: Final = (Pressed(), TalkBegan(), Woken(WakeCause.BUTTON))
"""What answers a tool that waits for the button: pressing it, whatever the press would do otherwise. It does nothing else
for as long as the tool waits, even where it comes too soon for an answer.
"""

CHIMING: Final = (Pressed, Woken, TalkBegan, SnapshotRequested)
"""Ways to wake that are answered with a chime: the visitor is there, and may not see the lamp."""

STAYING: Final = (Woken, SnapshotRequested)
"""What shows that somebody is there, where it changes nothing else: a kiosk that listens does so for its whole time again."""


def step(state: State, event: Event, policy: Policy) -> tuple[State, tuple[Effect, ...]]:
    """Return the state after `event` and what to do, in order.

    An event of an older connection (another epoch) is dropped here, at the door.
    """
    if getattr(event, "epoch", state.link.epoch) != state.link.epoch:
        return state, ()
    if state.confirming and event in ALLOWING:
        return state, (Confirm(getattr(event, "down_s", None)),)
    noted = _note(state, event)
    refusal = _refusal(noted, event)
    turn, link, pulses = (state.turn, state.link, ()) if refusal else _machines(state, event, policy)

    # The joint rules: asleep is hung up, awake is reached for, refused or muted is asleep, draining ends in a quiet moment.
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
    greet = came_up and policy.greeting and not turn.greeted
    if greet:
        # Nobody is greeted in mid-sentence, and nobody twice: a later fresh session finds `greeted` set.
        greet = turn.phase is turns.TurnPhase.LISTENING and not turn.spoke
        turn = replace(turn, greeted=True, phase=turns.TurnPhase.THINKING if greet else turn.phase)
    if came_up and turn.asked:
        turn = replace(turn, asked=False, phase=turn.phase if turn.voice else turns.TurnPhase.THINKING)

    effects: list[Effect] = [*pulses, *_reach(state.link, link)]
    if greet:
        effects.append(Greet())
    if isinstance(event, SnapshotRequested) and turn.awake:
        effects.append(TakeSnapshot())
    # After a reply the turn itself waits for the room.
    after = replace(noted, turn=turn, link=link, ringing=noted.ringing and not turn.sounding)
    return _tell_people(state, after, effects, policy, event=event, refusal=refusal)


def effects_of_policy(state: State, old: Policy, new: Policy) -> tuple[Effect, ...]:
    """Return what to do when `new` replaces `old` in mid-life: what should hold may be something else now."""
    return tuple(difference(levels(state, old), levels(state, new)))


def _machines(state: State, event: Event, policy: Policy) -> tuple[Turn, Link, tuple[Flush, ...]]:
    """Let both tables have the event."""
    kind = event.timer if isinstance(event, TimerFired) else type(event)
    turn, link = state.turn, state.link
    pulses: tuple[Flush, ...] = ()
    if kind in turns.TABLE:
        turn, pulses = turns.TABLE[kind][turn.phase.value](turn, event, policy)
    if kind in links.TABLE:
        link = links.TABLE[kind][link.phase.value](link, event, policy)
    return turn, link, pulses


def _note(state: State, event: Event) -> State:
    """Return the state with what is known of the kiosk itself."""
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
        case Closing(code, opens):
            changed = {"closed": code, "opens": opens}
        case StorageFailed(why, where):
            changed = {"unkept": f"{where}: {why}" if where else why}
        case SettingsRefused(why, since):
            changed = {"refused": f"{why} (since {since})" if since else why}
        case Armed(what):
            changed = {"armed": what}
        case ConfirmationRequested(wanted, name):
            changed = {"confirming": wanted, "asking": name if wanted else ""}
        case PromptOver():
            changed = {"prompt": None}
        case TimerFired(Timer.TAIL):
            changed = {"ringing": False}
    return replace(state, **changed) if changed else state


def _missing(
    before: Mapping[Device, tuple[str, ...]], event: DeviceGone | DeviceCame
) -> Mapping[Device, tuple[str, ...]]:
    """Return the names of the devices that are away after `event`."""
    device, names = event.device, before.get(event.device, ())
    if isinstance(event, DeviceGone):
        return {**before, device: tuple(dict.fromkeys((*names, event.name)))}
    names = tuple(each for each in names if event.name and each != event.name)
    others = {each: theirs for each, theirs in before.items() if each is not device}
    return {**others, device: names} if names else others


def _refusal(state: State, event: Event) -> Code | Cue | None:
    """Return what a visitor is told who cannot wake this kiosk now; None where the event may pass."""
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
    """Add what is heard and seen: prompts, chimes, and the levels' difference."""
    tell = _prompt(before, after, event, refusal, policy)
    told = list(effects)
    asks = (
        isinstance(event, ConfirmationRequested) and event.aloud and after.turn.awake and not after.turn.voice
    )
    if before.prompt and (tell or asks or _hushes(before, event, refusal)):
        after = replace(after, prompt=None, ringing=policy.half_duplex and not after.turn.sounding)
        told.append(StopPrompt())
    if (cue := _cue(before, after, event, refusal)) is not None:
        told.append(Chime(cue))
    if after.turn.conversation != before.turn.conversation:
        after = replace(after, told=frozenset())
    if tell is not None:
        after = replace(after, prompt=tell, told=after.told | {tell})
        told.append(Prompt(tell))
    elif asks:
        after = replace(after, prompt=QUESTION)
        told.append(AskConfirmation())
    anew = (Timer.IDLE,) if isinstance(event, STAYING) else ()
    told.extend(difference(levels(before, policy), levels(after, policy), anew=anew))
    return after, tuple(told)


def _hushes(before: State, event: Event | None, refusal: Code | Cue | None) -> bool:
    """Return whether a prompt ends with `event`: somebody has something to say, or nothing of it can be heard any more."""
    match event:
        case DeviceGone(Device.SPEAKER):
            return True
        case ConfirmationRequested(wanted=False):
            return before.prompt == QUESTION
        case ReplyBegan():  # it waits until the question was heard
            return before.prompt != QUESTION
        case _:
            return isinstance(event, HUSHING) and not refusal


def _prompt(
    before: State, after: State, event: Event | None, refusal: Code | Cue | None, policy: Policy
) -> Code | None:
    """Return what the visitor has to be told in words now, once in a conversation."""
    if isinstance(refusal, Code):
        # Who talks near a closed kiosk need not be talking to it.
        again = event == Woken(WakeCause.VOICE) and refusal in before.told
        code: Code | None = refusal if isinstance(event, turns.BY_PERSON) and not again else None
    else:
        show = levels(after, policy).show
        # Why the service is away may be another thing at each try; that it is away is told once.
        code = _worth_telling(before, show)
        told = after.told & OUTAGES if show.shown is KioskStatus.OFFLINE else after.told & {code}
        # Who is talking is told when they have finished; at once where nothing of theirs can be heard.
        waits = after.turn.voice and not broken(after)
        # A moment without the service is not worth the words: they would last longer, and half duplex hears nothing.
        waits |= show.shown is KioskStatus.OFFLINE and not lasting(after.link)
        if told or waits or not _somebody(before, after):
            code = None
    return code if code in TOLD else None


def _worth_telling(before: State, show: ShowStatus) -> Code | None:
    """Return what keeps a visitor from being served; who has been served is asked to pass on what the disk says."""
    if show.shown in TROUBLED:
        return show.code
    served = before.turn.awake and show.shown is KioskStatus.ASLEEP
    return Code.STORAGE if served and any(each.code is Code.STORAGE for each in show.troubles) else None


def _somebody(before: State, after: State) -> bool:
    """Return whether there is a person in the conversation that goes on, or has just ended."""
    return any(turn.awake and (turn.woken_by_person or turn.spoke) for turn in (before.turn, after.turn))


def _cue(before: State, after: State, event: Event | None, refusal: Code | Cue | None) -> Cue | None:
    if after.muted is not before.muted:
        return Cue.MUTE if after.muted else Cue.UNMUTE
    if isinstance(refusal, Cue):
        return refusal if isinstance(event, turns.BY_PERSON) else None
    if after.turn.awake and not before.turn.awake:
        return Cue.WAKE if isinstance(event, CHIMING) else None
    if before.turn.awake and not after.turn.awake and _somebody(before, after):
        return Cue.ERROR if after.link.trouble is LinkTrouble.REFUSED else Cue.END
    return None


def _while_asleep(state: State, event: Event, link: Link) -> Link:
    """Return the link of a kiosk that sleeps: hung up, but for a probe, which is over when it has its answer."""
    if state.turn.awake or link.open:
        return links.hang_up(link)
    if isinstance(event, ConnectionLost) and link.phase is not LinkPhase.DOWN:
        return replace(links.hang_up(link), epoch=state.link.epoch)
    return link


def _reach(before: Link, after: Link) -> Iterator[Effect]:
    if after.epoch != before.epoch:
        yield Dial(after.epoch, after.handle, recall=after.reached_service and after.handle is None)
    elif before.phase is not LinkPhase.DOWN and after.phase is LinkPhase.DOWN:
        yield HangUp()
