"""Walks through the core: thousands of events, likely and unlikely, each step checked against what must always hold."""

import dataclasses
from collections.abc import Iterator
from itertools import count, product
from typing import Final

from hypothesis import strategies as st
from pydantic import SecretStr
from tests.support.core import Shell, every_event, of_type

from kioskd.core import turn as turns
from kioskd.core.effects import (
    AskConfirmation,
    Dial,
    Effect,
    Flush,
    Greet,
    HangUp,
    KioskStatus,
    Prompt,
    UplinkGate,
)
from kioskd.core.events import (
    CallsChanged,
    Closing,
    ConfirmationRequested,
    ConnectionLost,
    ConnectionUp,
    Device,
    DeviceCame,
    DeviceGone,
    Event,
    GoingAway,
    HandleIssued,
    Heartbeat,
    MicrophoneSilent,
    MuteRequested,
    NetworkChanged,
    Pressed,
    PromptOver,
    ReplyBegan,
    ReplyInterrupted,
    ReplyPlayed,
    ReplySounded,
    ReplyStarved,
    Restored,
    SettingsChanged,
    SettingsRefused,
    SnapshotRequested,
    Started,
    StorageFailed,
    TalkBegan,
    TalkEnded,
    TextSubmitted,
    Timer,
    TimerFired,
    TurnEnded,
    VoiceBegan,
    VoiceEnded,
    VoiceSuspected,
    WakeCause,
    Woken,
)
from kioskd.core.link_state import LinkPhase
from kioskd.core.machine import State, effects_of_policy, levels, step
from kioskd.core.policy import CameraMode, Policy, UplinkMode
from kioskd.core.troubles import broken, troubles
from kioskd.errors import Code, Remedy

POLICIES: Final = (
    *(
        Policy(half_duplex=half_duplex, greeting=greeting, always_on=always_on)
        for half_duplex, greeting, always_on in product((True, False), repeat=3)
    ),
    *(
        Policy(
            half_duplex=half_duplex,
            barge_in=not half_duplex,
            uplink_mode=talk,
            camera=camera,
            follow_up_s=0.0,
        )
        for half_duplex, talk, camera in product(
            (True, False), UplinkMode, (CameraMode.CONVERSATION, CameraMode.SPEECH)
        )
    ),
)

REFUSALS: Final = (Remedy.SETTINGS, Remedy.STOP)
PASSING: Final = tuple(remedy for remedy in Remedy if remedy not in REFUSALS)
"""The remedies of an ending that the conversation survives."""


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

    def event(self, walk: "Walk") -> Event:
        """Return the event for where `walk` stands."""
        events = every_event(walk.state.link.epoch + self.epoch)
        event = events[self.place % len(events)]
        match event:
            case ReplyBegan() | ReplyInterrupted() | ReplySounded() | ReplyPlayed():
                return dataclasses.replace(event, reply=max(1, walk.state.turn.reply + self.reply))
            case Restored():
                return walk.restored()
            case PromptOver() if walk.state.prompt is None:
                return Heartbeat(1)  # nobody says that what was not begun is over
            case HandleIssued():
                return dataclasses.replace(event, handle=walk.new_handle())
            case TimerFired(Timer.PROBE) if Timer.PROBE not in walk.shell.timers:
                return Heartbeat(1)  # the engine's door lets no cancelled timer through
        return event


Move = Likely | Wild

_places: Final = st.integers(0, 127)
moves: Final[st.SearchStrategy[Move]] = st.one_of(
    st.builds(Likely, place=_places, chance=st.sampled_from((0.0, 0.5, 0.999))),
    st.builds(Likely, place=_places, chance=st.just(0.5)),
    st.builds(
        Wild,
        place=_places,
        epoch=st.sampled_from((0, 0, 0, -1, 1)),
        reply=st.sampled_from((0, 1, -1, 2)),
    ),
)

SECRET: Final = "sesame"


class Walk:
    """A core, the shell that performs its effects, and the laws that both keep."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.state = State()
        self.shell = Shell(policy)
        self.seen = 0
        """The newest reply that the core was told of."""
        self.greeted: set[int] = set()
        """The conversations in which the greeting was asked for, or that began in another process."""
        self.reached = False
        """In this conversation the service was reached."""
        self.handle: SecretStr | None = None
        """The newest of this conversation, unless it was refused."""
        self.refused: set[SecretStr] = set()
        """The handles that the service does not know any more."""
        self._handles = count(1)

    def new_handle(self) -> SecretStr:
        """Return one that was never issued before."""
        return SecretStr(f"{SECRET}-{next(self._handles)}")

    def restored(self) -> Restored:
        """Return the news of a conversation that another process began."""
        return Restored(self.state.turn.conversation + 1, self.new_handle())

    def likely(self, chance: float) -> list[Event]:
        """Return what may well happen next; never empty, and the same (but for handles) for the same state."""
        turn, link = self.state.turn, self.state.link
        events: list[Event] = [TimerFired(timer) for timer in Timer if timer in self.shell.timers]
        if not self.state.started:
            events.append(Started())
            if turn.conversation == 0:
                events.append(self.restored())
        if not turn.awake:
            events += [Pressed(), Woken(WakeCause.VOICE), TextSubmitted(), SnapshotRequested(), TalkBegan()]
        elif turn.voice:
            events += [VoiceEnded(), TalkEnded()]
        else:
            events += [VoiceBegan(), TalkBegan(), TextSubmitted()]
        events += self._likely_of_the_kiosk()
        events += self._likely_of_the_link(chance)
        if turn.phase is turns.TurnPhase.SPEAKING:
            events += [ReplySounded(turn.reply), ReplyPlayed(turn.reply), Pressed()]
            if link.open:
                events.append(ReplyInterrupted(link.epoch, turn.reply))
        events += [
            DeviceCame(device) if device in self.state.missing else DeviceGone(device) for device in Device
        ]
        return [*events, NetworkChanged(), SettingsChanged(), Heartbeat(1)]

    def _likely_of_the_kiosk(self) -> Iterator[Event]:
        state = self.state
        aloud = not state.confirming and state.turn.conversation % 4 == 3
        yield ConfirmationRequested(wanted=not state.confirming, name="door", aloud=aloud)
        yield MicrophoneSilent(deaf=not state.deaf)
        yield StorageFailed("" if state.unkept else "No space left on device")
        yield SettingsRefused("" if state.refused else "kioskd.yaml:3:5 speaker.volum: is not a setting")
        if state.prompt is not None:
            yield PromptOver()
        if state.muted:
            yield MuteRequested(muted=False)
        if state.closed:
            yield Closing(None)
        if state.turn.phase is turns.TurnPhase.SPEAKING:
            yield VoiceSuspected(suspected=not state.turn.suspected)
            yield ReplyStarved(state.turn.reply if state.starved is None else None)
        if state.turn.awake:
            yield CallsChanged(state.link.epoch, pending=state.turn.calls + 1, blocking=state.turn.calls % 2)
        if state.turn.calls:
            yield CallsChanged(state.link.epoch, pending=state.turn.calls - 1)

    def hasty(self) -> Event | None:
        """Return what a service does next that announces the end of each connection as it begins; None: nothing."""
        link = self.state.link
        if link.phase is LinkPhase.DIALING:
            return ConnectionUp(link.epoch, resumed=link.handle is not None)
        return GoingAway(link.epoch, left_s=60.0) if link.phase is LinkPhase.UP else None

    def _likely_of_the_link(self, chance: float) -> Iterator[Event]:
        link = self.state.link
        if link.phase is LinkPhase.DIALING:
            yield from [ConnectionUp(link.epoch, resumed=link.handle is not None)] * 5
        if link.open:
            yield ReplyBegan(link.epoch, self.state.turn.reply + 1)
            yield TurnEnded(link.epoch)
            yield HandleIssued(link.epoch, self.new_handle())
            yield HandleIssued(link.epoch, self.new_handle())
            yield GoingAway(link.epoch, left_s=100.0 * chance)
            yield GoingAway(link.epoch, left_s=300.0)
        if link.open or link.phase is LinkPhase.DIALING:
            for remedy in (Remedy.RESUME, *PASSING, Remedy.SETTINGS):
                yield ConnectionLost(link.epoch, remedy, chance)
            yield ConnectionLost(link.epoch, Remedy.RESUME, chance, retry_after_s=7.0)
            if link.handle is not None:
                yield ConnectionLost(link.epoch, Remedy.FRESH, chance)

    def use_policy(self, policy: Policy) -> None:
        """Let the owner's settings mean another policy from here on."""
        effects = effects_of_policy(self.state, self.policy, policy)
        self.policy = self.shell.policy = policy
        self.shell.perform(effects, self.seen)
        assert self.shell.agrees_with(self.state), f"{self.shell} is not {levels(self.state, self.policy)}"
        self._check_state()

    def take(self, event: Event) -> tuple[Effect, ...]:
        """Let `event` happen, check every law, and return the effects."""
        before = self.state
        welcome = getattr(event, "epoch", before.link.epoch) == before.link.epoch
        if welcome:
            self.seen = max(self.seen, getattr(event, "reply", 0) or 0)
        fired = event.timer if isinstance(event, TimerFired) and event.timer in self.shell.timers else None
        if fired:
            del self.shell.timers[fired]
        if isinstance(event, PromptOver):
            self.shell.prompt = None

        self.state, effects = step(before, event, self.policy)
        assert (self.state, effects) == step(before, event, self.policy), "not the same answer twice"
        if not welcome:
            assert (self.state, effects) == (before, ()), "another connection got through the door"

        self.shell.perform(effects, self.seen)
        assert self.shell.agrees_with(self.state), f"{self.shell} is not {levels(self.state, self.policy)}"
        # Without an exception: no running timer, having fired, is wanted again by the state that it leads to.
        assert fired not in self.shell.timers, f"{fired} fires for ever"
        if welcome:
            self._remember(before, event)
        self._check_passage(before, effects)
        self._check_session(before, event, effects)
        self._check_state()
        return effects

    def _remember(self, before: State, event: Event) -> None:
        """Note what the core has been told of the session, by rules of our own."""
        phase = before.link.phase
        over = before.turn.awake and not self.state.turn.awake
        match event:
            case Restored(conversation, handle) if not before.turn.awake and self.state.turn.awake:
                self.greeted.add(conversation)
                if phase is LinkPhase.DOWN:
                    self.reached, self.handle = True, handle
            case ConnectionUp() if phase is LinkPhase.DIALING:
                self.reached = before.turn.awake
            case HandleIssued(handle=handle) if before.link.open:
                self.handle = handle
            case ConnectionLost(remedy=Remedy.FRESH) if before.link.open or phase is LinkPhase.DIALING:
                if self.handle is not None:
                    self.refused.add(self.handle)
                self.handle = None
        if over:
            self.reached, self.handle = False, None

    def _check_passage(self, before: State, effects: tuple[Effect, ...]) -> None:
        state = self.state
        dials = [effect.epoch for effect in of_type(Dial, effects)]
        assert state.link.epoch == before.link.epoch + len(dials), (
            "an epoch without a dial, or a dial without one"
        )
        assert len(dials) <= 1, "two connections at a time"
        woke = state.turn.awake and not before.turn.awake
        assert state.turn.conversation == before.turn.conversation + woke, "miscounted the conversations"
        if before.turn.awake and not state.turn.awake and before.turn.phase is turns.TurnPhase.SPEAKING:
            ending = before.turn.overtime or before.turn.farewell
            sounded_out = not of_type(Flush, effects) and ending
            assert sounded_out or of_type(Flush, effects), "asleep, and still talking"
        if self.policy.uplink_mode is UplinkMode.HELD and before.turn.voice and state.turn.voice:
            begins = (
                state.turn.phase is turns.TurnPhase.SPEAKING
                and before.turn.phase is not turns.TurnPhase.SPEAKING
            )
            assert not begins, "talks over who holds the button"
        if Prompt(Code.STORAGE) in effects:
            over = before.turn.awake and not state.turn.awake
            assert over, "a visitor who is served is told of the disk, or nobody is"
            assert before.turn.woken_by_person or before.turn.spoke, "an empty room is told of the disk"
        if of_type(AskConfirmation, effects):
            assert state.turn.awake, "asks an empty room"
            assert not state.turn.voice, "asks over the visitor"
        if of_type(Prompt, effects):
            assert not state.turn.voice or broken(state), "talks over the visitor"
        if of_type(Greet, effects):
            assert state.link.open, "greeted through no connection"
            assert not state.turn.spoke, "greeted in mid-sentence"
            assert state.turn.conversation not in self.greeted, "greeted twice"
            self.greeted.add(state.turn.conversation)
        assert SECRET not in f"{state}{state!r}{effects!r}", "a handle can be read"

    def _check_session(self, before: State, event: Event, effects: tuple[Effect, ...]) -> None:
        state = self.state
        for dial in of_type(Dial, effects):
            assert dial.handle not in self.refused, "a refused handle is tried again"
            assert dial.handle in (None, self.handle), "resumes with an old handle, or another conversation's"
            assert dial.recall == (self.reached and dial.handle is None), (
                f"wrong about what to recall: {dial}"
            )
            assert state.turn.awake or before.link.troubled, "dials for nobody"
        if isinstance(event, ConnectionLost) and event.epoch == before.link.epoch and before.turn.awake:
            refusal = event.remedy in REFUSALS or (event.remedy is Remedy.CREDENTIALS and before.link.renewed)
            reached_for = before.link.open or before.link.phase is LinkPhase.DIALING
            assert state.turn.awake != (refusal and reached_for), (
                f"{event.remedy} and awake is wrong: {state}"
            )
        if state.link.phase is LinkPhase.DOWN and before.link.phase is not LinkPhase.DOWN:
            assert of_type(HangUp, effects), "let go of the connection without hanging up"

    def _check_state(self) -> None:
        turn, link = self.state.turn, self.state.link
        wanted = levels(self.state, self.policy)
        if turn.awake:
            assert link.phase is not LinkPhase.DOWN, "awake, and nobody reached for"
            assert {Timer.LONGEST, Timer.GRACE} & wanted.timers.keys(), (
                f"nothing ends this conversation: {turn}"
            )
        else:
            probe = link.phase is LinkPhase.DIALING and link.troubled
            assert probe or link.phase is LinkPhase.DOWN, f"asleep with the link {link.phase}"
            trace = (link.handle, link.tries, link.rollovers_in_a_row, link.renewed, link.reached_service)
            assert trace == (None, 0, 0, False, False), f"asleep, and remembering: {link}"
            assert wanted.resumption is None, "asleep, and keeping"
            if link.troubled:
                assert probe or {Timer.PROBE, Timer.AGAIN} & wanted.timers.keys(), "in trouble for ever"
        if turn.awake and link.handle is not None:
            assert wanted.resumption is not None, "killed now, it could not go on"
        assert not (link.leaving and turn.quiet), "missed a quiet moment"
        assert link.phase is not LinkPhase.WAITING or link.retry_s > 0.0, "waits for nothing"
        assert wanted.uplink is not UplinkGate.SEND or link.open, "sends to nobody"
        if self.policy.half_duplex and turn.phase in (
            turns.TurnPhase.SPEAKING,
            turns.TurnPhase.REVERBERATING,
        ):
            assert wanted.uplink is UplinkGate.SHUT, "hears itself"
        if self.policy.half_duplex and (self.state.prompt or self.state.ringing):
            assert wanted.uplink is UplinkGate.SHUT, "hears its own prompt"
        assert not (turn.awake and self.state.muted), "awake, and muted"
        assert wanted.show.troubles == troubles(self.state, self.policy), f"hides a trouble: {wanted.show}"
        if wanted.shown in (KioskStatus.FAULT, KioskStatus.CLOSED, KioskStatus.OFFLINE):
            assert wanted.show.code is not None, f"does not say why: {wanted.show}"
        assert not (wanted.camera and not turn.awake), "watches nobody"
        assert not (wanted.duck and turn.phase is not turns.TurnPhase.SPEAKING), "ducks nothing"
        if self.policy.uplink_mode is UplinkMode.HELD and not turn.voice:
            assert wanted.uplink not in (UplinkGate.SEND, UplinkGate.HOLD), (
                "listens to who does not hold the button"
            )
        assert all(seconds >= 0.0 for seconds in wanted.timers.values()), "a timer in the past"
