"""Walks through the core: thousands of events, likely and unlikely, each step checked against what must always hold."""

import dataclasses
from itertools import product
from typing import Final

from hypothesis import strategies as st
from tests.support.core import HANDLE, Shell, every_event, of_type

from kioskd.core import link as links
from kioskd.core import turn as turns
from kioskd.core.effects import Dial, Effect, Flush, Greet, Uplink
from kioskd.core.events import (
    Device,
    DeviceCame,
    DeviceGone,
    Event,
    GoingAway,
    HandleIssued,
    Heartbeat,
    Lost,
    Pressed,
    Refused,
    ReplyBegan,
    ReplyInterrupted,
    ReplyPlayed,
    ReplySounded,
    Started,
    Timer,
    TimerFired,
    TurnEnded,
    Up,
    VoiceBegan,
    VoiceEnded,
)
from kioskd.core.machine import State, levels, step
from kioskd.core.policy import Policy

POLICIES: Final = tuple(
    Policy(half_duplex=half_duplex, greeting=greeting, always_on=always_on)
    for half_duplex, greeting, always_on in product((True, False), repeat=3)
)


@dataclasses.dataclass(frozen=True)
class Likely:
    """Something that may well happen next, by its place in the list of all such."""

    place: int
    chance: float
    """The jitter of a loss."""

    def event(self, walk: "Walk") -> Event:
        """Return the event for where `walk` stands."""
        events = walk.likely(self.chance)
        return events[self.place % len(events)]


@dataclasses.dataclass(frozen=True)
class Wild:
    """Any event at all, perhaps of another connection or about another reply."""

    place: int
    epoch: int
    """Added to the epoch that counts."""
    reply: int
    """Added to the newest reply."""
    session_lost: bool = False

    def event(self, walk: "Walk") -> Event:
        """Return the event for where `walk` stands."""
        events = every_event(walk.state.link.epoch + self.epoch)
        event = events[self.place % len(events)]
        match event:
            case ReplyBegan() | ReplyInterrupted() | ReplySounded() | ReplyPlayed():
                return dataclasses.replace(event, reply=max(1, walk.state.turn.reply + self.reply))
            case Lost():
                return dataclasses.replace(event, session_lost=self.session_lost)
        return event


Move = Likely | Wild

_places: Final = st.integers(0, 63)
moves: Final[st.SearchStrategy[Move]] = st.one_of(
    st.builds(Likely, place=_places, chance=st.sampled_from((0.0, 0.5, 0.999))),
    st.builds(Likely, place=_places, chance=st.just(0.5)),
    st.builds(
        Wild,
        place=_places,
        epoch=st.sampled_from((0, 0, 0, -1, 1)),
        reply=st.sampled_from((0, 1, -1, 2)),
        session_lost=st.booleans(),
    ),
)


class Walk:
    """A core, the shell that performs its effects, and the laws that both keep."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.state = State()
        self.shell = Shell(policy)
        self.seen = 0
        """The newest reply that the core was told of."""
        self.greeted: set[int] = set()
        """The conversations in which the greeting was asked for."""

    def likely(self, chance: float) -> list[Event]:
        """Return what may well happen next; never empty, and the same for the same state."""
        turn, link = self.state.turn, self.state.link
        events: list[Event] = [TimerFired(timer) for timer in Timer if timer in self.shell.timers]
        if not self.state.started:
            events.append(Started())
        if not turn.awake:
            events.append(Pressed())
        elif turn.voice:
            events.append(VoiceEnded())
        else:
            events.append(VoiceBegan())
        if link.phase is links.Phase.DIALING:
            up = Up(link.epoch, resumed=link.handle is not None)
            void = link.handle is not None
            events += [up, up, up, Lost(link.epoch, chance, session_lost=void), Refused(link.epoch)]
        if link.open:
            events += [
                ReplyBegan(link.epoch, turn.reply + 1),
                TurnEnded(link.epoch),
                Lost(link.epoch, chance),
            ]
            events += [HandleIssued(link.epoch, HANDLE), GoingAway(link.epoch, left_s=100.0 * chance)]
        if turn.phase is turns.Phase.SPEAKING:
            events += [ReplySounded(turn.reply), ReplyPlayed(turn.reply), Pressed()]
            if link.open:
                events.append(ReplyInterrupted(link.epoch, turn.reply))
        events += [
            DeviceCame(device) if device in self.state.missing else DeviceGone(device) for device in Device
        ]
        return [*events, Heartbeat(1)]

    def take(self, event: Event) -> tuple[Effect, ...]:
        """Let `event` happen, check every law, and return the effects."""
        before = self.state
        welcome = getattr(event, "epoch", before.link.epoch) == before.link.epoch
        if welcome:
            self.seen = max(self.seen, getattr(event, "reply", 0))
        fired = event.timer if isinstance(event, TimerFired) and event.timer in self.shell.timers else None
        if fired:
            del self.shell.timers[fired]

        self.state, effects = step(before, event, self.policy)
        assert (self.state, effects) == step(before, event, self.policy), "not the same answer twice"
        if not welcome:
            assert (self.state, effects) == (before, ()), "another connection got through the door"

        self.shell.perform(effects, self.seen)
        assert self.shell.agrees_with(self.state), f"{self.shell} is not {levels(self.state, self.policy)}"
        # Without an exception: no running timer, having fired, is wanted again by the state that it leads to.
        assert fired not in self.shell.timers, f"{fired} fires for ever"
        self._check_passage(before, effects)
        self._check_state()
        return effects

    def _check_passage(self, before: State, effects: tuple[Effect, ...]) -> None:
        state = self.state
        dials = [effect.epoch for effect in of_type(Dial, effects)]
        assert state.link.epoch == before.link.epoch + len(dials), (
            "an epoch without a dial, or a dial without one"
        )
        assert len(dials) <= 1, "two connections at a time"
        woke = state.turn.awake and not before.turn.awake
        assert state.turn.conversation == before.turn.conversation + woke, "miscounted the conversations"
        if before.turn.awake and not state.turn.awake and before.turn.phase is turns.Phase.SPEAKING:
            sounded_out = not of_type(Flush, effects) and before.turn.overtime
            assert sounded_out or of_type(Flush, effects), "asleep, and still talking"
        if of_type(Greet, effects):
            assert state.link.open, "greeted through no connection"
            assert not state.turn.spoke, "greeted in mid-sentence"
            assert state.turn.conversation not in self.greeted, "greeted twice"
            self.greeted.add(state.turn.conversation)
        assert HANDLE.get_secret_value() not in f"{state}{state!r}{effects!r}", "a handle can be read"

    def _check_state(self) -> None:
        turn, link = self.state.turn, self.state.link
        wanted = levels(self.state, self.policy)
        assert turn.awake == (link.phase is not links.Phase.DOWN), f"{turn.phase} with the link {link.phase}"
        assert turn.awake or link.handle is None, "asleep, and remembering"
        assert not (link.phase is links.Phase.DRAINING and turn.quiet), "missed a quiet moment"
        assert wanted.uplink is not Uplink.SEND or link.open, "sends to nobody"
        if self.policy.half_duplex and turn.phase in (turns.Phase.SPEAKING, turns.Phase.RINGING):
            assert wanted.uplink is Uplink.SHUT, "hears itself"
        if turn.awake:
            assert {Timer.LONGEST, Timer.GRACE} & wanted.timers.keys(), (
                f"nothing ends this conversation: {turn}"
            )
        assert all(seconds >= 0.0 for seconds in wanted.timers.values()), "a timer in the past"
