"""Metrics: figures of the daemon, counted from the steps of the core."""

from dataclasses import replace

import pytest

from kioskd.core.effects import KioskStatus
from kioskd.core.events import (
    ConnectionLost,
    ConnectionUp,
    Device,
    DeviceCame,
    DeviceGone,
    Event,
    MuteRequested,
    Pressed,
    ReplyBegan,
    ReplyInterrupted,
    ReplyPlayed,
    ReplySilenced,
    ReplySounded,
    SleepRequested,
    SnapshotRequested,
    Started,
    TalkBegan,
    TextSubmitted,
    Timer,
    TimerFired,
    VoiceBegan,
    VoiceEnded,
    WakeCause,
    Woken,
)
from kioskd.core.machine import State, step
from kioskd.core.policy import Policy
from kioskd.errors import Remedy
from kioskd.flow.reporting.metrics import MetricCounts, Readings, families
from kioskd.ports import MetricFamily

POLICY = Policy(half_duplex=False)
READINGS = Readings(
    link={
        "up: resumed": 2,
        "up: new session": 5,
        "ended: left": 4,
        "not made: long wait": 1,
        "tokens: prompt": 1200,
        "tokens: response": 300,
    },
    sent=500,
    resent=5,
    dropped=50,
    gap_bytes=4800,
    overflow_bytes=48_000,
    volume=70,
    pictures={"sent": 3, "alike": 9},
    tool_calls={"ok": 2},
)


class Told:
    """Metric counts that get a series of events."""

    def __init__(self, policy: Policy = POLICY) -> None:
        self.state = State()
        self.tally = MetricCounts(0.0)
        self._policy = policy

    def tell(self, *story: tuple[float, Event]) -> MetricCounts:
        for now, event in story:
            before = self.state
            self.state, effects = step(before, event, self._policy)
            self.tally.observe(now, event, before, self.state, effects)
        return self.tally

    def family(self, name: str, now: float = 100.0) -> MetricFamily:
        found = {family.name: family for family in families(self.tally, READINGS, now, "1.2.3")}
        return found[f"kioskd_{name}"]


AWAKE = ((0.0, Started()), (10.0, Pressed()), (10.4, ConnectionUp(1, resumed=False)))
TURN = (
    (11.0, VoiceBegan()),
    (13.5, VoiceEnded()),
    (14.25, ReplyBegan(1, 1)),
    (14.5, ReplySounded(1)),
    (17.5, ReplyPlayed(1)),
)


def test_a_turn_is_counted_with_the_visitors_wait() -> None:
    told = Told()
    tally = told.tell(*AWAKE, *TURN)
    assert tally.turn == 1
    assert tally.turns == {"heard": 1}
    assert tally.waits.total == 1.0
    waits = told.family("reply_wait_seconds")
    assert (waits.values["0.75"], waits.values["1.0"], waits.values["+Inf"]) == (0, 1, 1)
    assert waits.total == 1.0


def test_a_greeting_and_an_early_reply_do_not_count_as_waits() -> None:
    told = Told()
    greeting = ((10.5, ReplyBegan(1, 1)), (10.6, ReplySounded(1)), (12.0, ReplyPlayed(1)))
    early = (
        (13.0, VoiceBegan()),
        (14.0, ReplyBegan(1, 2)),
        (14.2, VoiceEnded()),  # our voice detection is slower than the service's
        (14.3, ReplySounded(2)),
    )
    tally = told.tell(*AWAKE, *greeting, *early)
    assert tally.waits.total == 0.0
    assert told.family("reply_wait_seconds").values["+Inf"] == 0


@pytest.mark.parametrize(
    ("policy", "event", "ending"),
    [
        (POLICY, ReplyInterrupted(1, 1), "interrupted"),
        (replace(POLICY, barge_in=True), VoiceBegan(), "interrupted"),
        (POLICY, Pressed(), "silenced"),
        (POLICY, ReplySilenced(), "silenced"),
        (POLICY, SleepRequested(), "asleep"),
    ],
)
def test_a_reply_is_counted_by_how_it_ended(policy: Policy, event: Event, ending: str) -> None:
    assert Told(policy).tell(*AWAKE, *TURN[:4], (15.0, event)).turns == {ending: 1}


@pytest.mark.parametrize(
    ("event", "cause"),
    [
        (Pressed(), "button"),
        (TalkBegan(), "button"),
        (Woken(WakeCause.WAKEWORD), "wakeword"),
        (Woken(WakeCause.REMOTE), "remote"),
        (TextSubmitted(), "ask"),
        (SnapshotRequested(), "look"),
    ],
)
def test_a_conversation_is_counted_by_its_cause(event: Event, cause: str) -> None:
    assert Told().tell((0.0, Started()), (1.0, event)).conversations == {cause: 1}


def test_a_conversation_that_the_kiosk_begins_has_the_cause_start() -> None:
    told = Told(replace(POLICY, always_on=True))
    tally = told.tell((0.0, Started()), (9.0, SleepRequested()), (11.0, TimerFired(Timer.AGAIN)))
    assert tally.conversations == {"start": 2}


def test_turns_are_numbered_from_one_in_each_conversation() -> None:
    assert Told().tell(*AWAKE, *TURN, (18.0, SleepRequested()), (20.0, Pressed())).turn == 0


def test_the_time_in_each_state_adds_up_to_the_uptime() -> None:
    told = Told()
    told.tell(*AWAKE, (40.0, SleepRequested()))
    seconds = told.family("state_seconds", now=100.0).values
    assert seconds["asleep"] == pytest.approx(10.0 + 60.0)
    assert seconds["listening"] == pytest.approx(29.6)
    assert sum(seconds.values()) == pytest.approx(100.0)
    assert told.family("uptime_seconds", now=100.0).values == {"": 100.0}
    assert told.family("state").values["asleep"] == 1
    assert sum(told.family("state").values.values()) == 1


def test_a_lost_device_is_counted_and_its_code_shown_while_it_is_away() -> None:
    told = Told()
    told.tell((0.0, Started()), (1.0, DeviceGone(Device.MICROPHONE, "usb")))
    assert told.family("device_losses").values == {"microphone": 1}
    assert told.family("fault").values["D1"] == 1
    told.tell((2.0, DeviceCame(Device.MICROPHONE)))
    assert not any(told.family("fault").values.values())


def test_the_age_of_a_connection_ends_with_it() -> None:
    told = Told()
    assert told.tell(*AWAKE).up_since == 10.4
    assert told.tell((20.0, ConnectionLost(1, Remedy.RESUME, 0.5))).up_since is None
    assert told.tell((20.0, ConnectionUp(1, resumed=True))).up_since is None  # of a connection that has ended
    assert told.tell((21.0, ConnectionUp(2, resumed=True))).up_since == 21.0


def test_the_workers_counts_become_metrics_in_seconds_and_by_name() -> None:
    told = Told()
    told.tell((0.0, Started()), (1.0, MuteRequested(muted=True)))
    assert told.family("uplink_audio_seconds").values == {"sent": 10.0, "resent": 0.1, "dropped": 1.0}
    assert told.family("downlink_audio_seconds").values == {"gap": 0.1, "dropped": 1.0}
    assert told.family("connections").values == {"resumed": 2, "new session": 5}
    assert told.family("connections_ended").values == {"left": 4}
    assert told.family("connections_failed").values == {"long wait": 1}
    assert told.family("tokens").values == {"prompt": 1200, "response": 300}
    assert told.family("pictures").values == {"sent": 3, "alike": 9}
    assert told.family("tool_calls").values == {"ok": 2}
    assert told.family("volume_percent").values == {"": 70}
    assert told.family("muted").values == {"": 1.0}
    assert told.family("info").values == {"1.2.3": 1}
    assert told.tally.show.shown is KioskStatus.MUTED
