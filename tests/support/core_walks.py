"""Walks through the core: thousands of events, with each step checked against fixed rules."""

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
    EndNear,
    Event,
    GoingAway,
    HandleIssued,
    Heartbeat,
    MicrophoneSilent,
    MoreTimeRequested,
    MuteRequested,
    NetworkChanged,
    Pressed,
    ProfileChosen,
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
from kioskd.core.levels import ANNOUNCEMENT
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
    *(
        Policy(
            half_duplex=half_duplex,
            warn_s=60.0,
            idle_warn_s=5.0,
            extensions=2,
            stretch={"slow": 2.5},
        )
        for half_duplex in (True, False)
    ),
)

REFUSALS: Final = (Remedy.SETTINGS, Remedy.STOP)
PASSING: Final = tuple(remedy for remedy in Remedy if remedy not in REFUSALS)
"""Remedies of connection ends that the conversation survives."""


@dataclasses.dataclass(frozen=True)
class Likely:
    """Likely next event, by its index in the list of all likely ones."""

    place: int
    chance: float
    """Jitter of a lost connection."""

    def event(self, walk: "Walk") -> Event:
        """Return the event for the present state of `walk`."""
        events = walk.likely(self.chance)
        return events[self.place % len(events)]


@dataclasses.dataclass(frozen=True)
class Wild:
    """Any event, perhaps of another connection or reply."""

    place: int
    epoch: int
    """Difference to the current epoch."""
    reply: int
    """Difference to the newest reply's number."""

    def event(self, walk: "Walk") -> Event:
        """Return the event for the present state of `walk`."""
        events = every_event(walk.state.link.epoch + self.epoch)
        event = events[self.place % len(events)]
        match event:
            case ReplyBegan() | ReplyInterrupted() | ReplySounded() | ReplyPlayed():
                return dataclasses.replace(event, reply=max(1, walk.state.turn.reply + self.reply))
            case Restored():
                return walk.restored()
            case PromptOver() if walk.state.prompt is None:
                return Heartbeat(1)  # a prompt that did not begin does not end
            case HandleIssued():
                return dataclasses.replace(event, handle=walk.new_handle())
            case TimerFired(Timer.PROBE) if Timer.PROBE not in walk.shell.timers:
                return Heartbeat(1)  # the engine drops the events of cancelled timers
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
    """A core, a shell that performs its effects, and the rules that both must keep."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.state = State()
        self.shell = Shell(policy)
        self.seen = 0
        """The newest reply number that the core has received."""
        self.greeted: set[int] = set()
        """Conversations that were greeted, or that began in another process."""
        self.reached = False
        """Whether the service was reached in this conversation."""
        self.handle: SecretStr | None = None
        """The newest handle of this conversation, unless it was refused."""
        self.refused: set[SecretStr] = set()
        """Handles that the service has refused."""
        self._handles = count(1)

    def new_handle(self) -> SecretStr:
        """Return a handle that was never issued before."""
        return SecretStr(f"{SECRET}-{next(self._handles)}")

    def restored(self) -> Restored:
        """Return the event for a conversation that another process began."""
        return Restored(self.state.turn.conversation + 1, self.new_handle())

    def likely(self, chance: float) -> list[Event]:
        """Return the likely next events, at least one. Equal states give equal events, except for handles."""
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
        if state.turn.warned or state.turn.idle_warned:
            yield from (Pressed(), MoreTimeRequested(), ProfileChosen("slow"))
            yield EndNear(near=not state.near)
        if state.turn.awake:
            yield CallsChanged(state.link.epoch, pending=state.turn.calls + 1, blocking=state.turn.calls % 2)
        if state.turn.calls:
            yield CallsChanged(state.link.epoch, pending=state.turn.calls - 1)

    def hasty(self) -> Event | None:
        """Return the next event of a service that ends each connection at once; None if there is none."""
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
        """Change the policy, as new settings do."""
        effects = effects_of_policy(self.state, self.policy, policy)
        self.policy = self.shell.policy = policy
        self.shell.perform(effects, self.seen)
        assert self.shell.agrees_with(self.state), f"{self.shell} is not {levels(self.state, self.policy)}"
        self._check_state()

    def take(self, event: Event) -> tuple[Effect, ...]:
        """Take one step with `event`, check all rules, and return the effects."""
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
        assert (self.state, effects) == step(before, event, self.policy), "two runs of one step differ"
        if not welcome:
            assert (self.state, effects) == (before, ()), "an event of another connection had an effect"

        self.shell.perform(effects, self.seen)
        assert self.shell.agrees_with(self.state), f"{self.shell} is not {levels(self.state, self.policy)}"
        # A timer that fired must not be set again by the state that follows; there are no exceptions.
        assert fired not in self.shell.timers, f"{fired} fires for ever"
        if welcome:
            self._remember(before, event)
        self._check_passage(before, effects)
        self._check_session(before, event, effects)
        self._check_state()
        return effects

    def _remember(self, before: State, event: Event) -> None:
        """Remember what the core was told about the session, by rules independent of the core's."""
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
        assert state.link.epoch == before.link.epoch + len(dials), "the epoch counts other things than dials"
        assert len(dials) <= 1, "two connections at a time"
        woke = state.turn.awake and not before.turn.awake
        assert state.turn.conversation == before.turn.conversation + woke, "miscounted the conversations"
        if before.turn.awake and not state.turn.awake and before.turn.phase is turns.TurnPhase.SPEAKING:
            ending = before.turn.overtime or before.turn.farewell
            sounded_out = not of_type(Flush, effects) and ending
            assert sounded_out or of_type(Flush, effects), "asleep, but the reply is not flushed"
        if self.policy.uplink_mode is UplinkMode.HELD and before.turn.voice and state.turn.voice:
            begins = (
                state.turn.phase is turns.TurnPhase.SPEAKING
                and before.turn.phase is not turns.TurnPhase.SPEAKING
            )
            assert not begins, "speaks while the visitor holds the button"
        if Prompt(Code.STORAGE) in effects:
            over = before.turn.awake and not state.turn.awake
            assert over, "speaks of the disk during a conversation"
            assert before.turn.woken_by_person or before.turn.spoke, "speaks of the disk to an empty room"
        if of_type(AskConfirmation, effects):
            assert state.turn.awake, "asks an empty room"
            assert not state.turn.voice, "asks while the visitor speaks"
        if of_type(Prompt, effects):
            assert not state.turn.voice or broken(state), "speaks a prompt while the visitor speaks"
        if of_type(Greet, effects):
            assert state.link.open, "greeted without a connection"
            assert not state.turn.spoke, "greeted while the visitor speaks"
            assert state.turn.conversation not in self.greeted, "greeted twice"
            self.greeted.add(state.turn.conversation)
        assert SECRET not in f"{state}{state!r}{effects!r}", "a handle is printed in plain text"

    def _check_session(self, before: State, event: Event, effects: tuple[Effect, ...]) -> None:
        state = self.state
        for dial in of_type(Dial, effects):
            assert dial.handle not in self.refused, "a refused handle is tried again"
            assert dial.handle in (None, self.handle), "resumes with an old handle, or another conversation's"
            assert dial.recall == (self.reached and dial.handle is None), f"recalls texts wrongly: {dial}"
            assert state.turn.awake or before.link.troubled, "dials without a conversation or a trouble"
        if isinstance(event, ConnectionLost) and event.epoch == before.link.epoch and before.turn.awake:
            refusal = event.remedy in REFUSALS or (event.remedy is Remedy.CREDENTIALS and before.link.renewed)
            reached_for = before.link.open or before.link.phase is LinkPhase.DIALING
            assert state.turn.awake != (refusal and reached_for), (
                f"{event.remedy} and awake is wrong: {state}"
            )
        if state.link.phase is LinkPhase.DOWN and before.link.phase is not LinkPhase.DOWN:
            assert of_type(HangUp, effects), "the link is down without a hang-up"

    def _check_state(self) -> None:
        turn, link = self.state.turn, self.state.link
        wanted = levels(self.state, self.policy)
        if turn.awake:
            assert link.phase is not LinkPhase.DOWN, "awake, but no connection is made"
            assert {Timer.LONGEST, Timer.GRACE} & wanted.timers.keys(), (
                f"no timer ends this conversation: {turn}"
            )
        else:
            probe = link.phase is LinkPhase.DIALING and link.troubled
            assert probe or link.phase is LinkPhase.DOWN, f"asleep with the link {link.phase}"
            trace = (link.handle, link.tries, link.rollovers_in_a_row, link.renewed, link.reached_service)
            assert trace == (None, 0, 0, False, False), f"asleep, but the link keeps old values: {link}"
            assert wanted.resumption is None, "asleep, but a handle is stored"
            if link.troubled:
                assert probe or {Timer.PROBE, Timer.AGAIN} & wanted.timers.keys(), (
                    "in trouble, but no timer tries again"
                )
        assert not self.state.near or turn.awake, "asleep, but near the end of a conversation"
        assert not turn.idle_warned or Timer.IDLE in wanted.timers, "warned of a silence that is over"
        assert turn.extended <= max(0, *(each.extensions for each in POLICIES)), "gives too much time"
        if turn.awake and link.handle is not None:
            assert wanted.resumption is not None, "the handle is not stored for a restart"
        assert not (link.leaving and turn.quiet), "a quiet moment was not used for a rollover"
        assert link.phase is not LinkPhase.WAITING or link.retry_s > 0.0, "waits without a delay"
        assert wanted.uplink is not UplinkGate.SEND or link.open, "sends without a connection"
        if self.policy.half_duplex and turn.phase in (
            turns.TurnPhase.SPEAKING,
            turns.TurnPhase.REVERBERATING,
        ):
            assert wanted.uplink is UplinkGate.SHUT, "sends the kiosk's own reply"
        if self.policy.half_duplex and (self.state.prompt or self.state.ringing):
            assert wanted.uplink is UplinkGate.SHUT, "sends the kiosk's own prompt"
        if self.state.prompt == ANNOUNCEMENT:
            assert wanted.uplink is UplinkGate.SHUT, "sends the owner's announcement"
        assert not (turn.awake and self.state.muted), "awake although muted"
        assert wanted.show.troubles == troubles(self.state, self.policy), f"hides a trouble: {wanted.show}"
        if wanted.shown in (KioskStatus.FAULT, KioskStatus.CLOSED, KioskStatus.OFFLINE):
            assert wanted.show.code is not None, f"does not say why: {wanted.show}"
        assert not (wanted.camera and not turn.awake), "the camera is on without a conversation"
        assert not (wanted.duck and turn.phase is not turns.TurnPhase.SPEAKING), "ducks without a reply"
        if self.policy.uplink_mode is UplinkMode.HELD and not turn.voice:
            assert wanted.uplink not in (UplinkGate.SEND, UplinkGate.HOLD), (
                "sends although the button is not held"
            )
        assert all(seconds >= 0.0 for seconds in wanted.timers.values()), "a timer in the past"
