"""What the daemon has gone through since its start, in numbers: for `kioskd status` and for Prometheus.

Counted from the steps of the core, and read from counters that the workers keep anyway: nothing is added to the way of
sound or pictures.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from kioskd.core.effects import Effect, KioskStatus, ShowStatus
from kioskd.core.events import (
    ConnectionUp,
    DeviceGone,
    Event,
    Pressed,
    Restored,
    SnapshotRequested,
    TalkBegan,
    TextSubmitted,
    Woken,
)
from kioskd.core.machine import State
from kioskd.errors import Code
from kioskd.flow.reporting.turn_timing import TurnTiming
from kioskd.media import pcm
from kioskd.ports import MetricFamily

WAITS_S: Final = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
"""Bounds of the histogram of waits: people notice half a second, and doubt after two."""

_CAUSES: Final[Mapping[type, str]] = {
    Pressed: "button",
    TalkBegan: "button",
    TextSubmitted: "ask",
    SnapshotRequested: "look",
    Restored: "restart",
}


@dataclass(slots=True)
class Histogram:
    """How many were at most so large."""

    bounds: Sequence[float]
    counts: Counter[float] = field(default_factory=Counter)
    total: float = 0.0

    def add(self, value: float) -> None:
        """Count one."""
        self.total += value
        self.counts[next((bound for bound in self.bounds if value <= bound), float("inf"))] += 1

    @property
    def cumulated(self) -> dict[str, float]:
        """How many were at most as large as each bound."""
        counted, so_far = 0, {}
        for bound in (*self.bounds, float("inf")):
            counted += self.counts[bound]
            so_far["+Inf" if bound == float("inf") else str(bound)] = float(counted)
        return so_far


class MetricCounts:
    """Counts the steps of the core. Its methods belong to the loop's thread."""

    def __init__(self, now: float) -> None:
        """`now`: the clock's time at the start of the daemon."""
        self.started_at = now
        self.state = State()
        """As of the newest step."""
        self.show = ShowStatus(KioskStatus.STARTING)
        """What people are shown."""
        self.conversations: Counter[str] = Counter()
        """By what began them."""
        self.turns: Counter[str] = Counter()
        """By how the reply ended."""
        self.turn = 0
        """The number of the conversation's newest turn, from 1; 0 before the first."""
        self.waits = Histogram(WAITS_S)
        """Seconds from the end of the visitor's words to the first sound of the reply."""
        self.lost: Counter[str] = Counter()
        """Losses of devices."""
        self.up_since: float | None = None
        """The clock's time when the connection came up; None where there is none."""
        self._shown_s: dict[KioskStatus, float] = dict.fromkeys(KioskStatus, 0.0)
        self._shown_at = now
        self._timing = TurnTiming()

    def observe(
        self, now: float, event: Event, before: State, after: State, effects: tuple[Effect, ...]
    ) -> None:
        """Be told of one step; see `engine.Observer`."""
        self.state = after
        if after.turn.awake and not before.turn.awake:
            self.conversations[_cause(event)] += 1
            self.turn = 0
        if (times := self._timing.observe(now, event, before, after)) is not None:
            self.turn += 1
            self.turns[times.ended] += 1
            if times.waited is not None:
                self.waits.add(times.waited)
        if isinstance(event, DeviceGone):
            self.lost[event.device.value] += 1
        self._follow_link(now, event, after)
        for effect in effects:
            if isinstance(effect, ShowStatus):
                self._change(now, effect)

    def shown_s(self, now: float) -> dict[str, float]:
        """Return the seconds spent in each state."""
        return {
            str(shown): seconds + (now - self._shown_at if shown is self.show.shown else 0.0)
            for shown, seconds in self._shown_s.items()
        }

    def _follow_link(self, now: float, event: Event, after: State) -> None:
        if not after.link.open:
            self.up_since = None
        elif isinstance(event, ConnectionUp) and event.epoch == after.link.epoch:
            self.up_since = now

    def _change(self, now: float, show: ShowStatus) -> None:
        self._shown_s[self.show.shown] += now - self._shown_at
        self.show, self._shown_at = show, now


def _cause(event: Event) -> str:
    return event.cause.value if isinstance(event, Woken) else _CAUSES.get(type(event), "start")


@dataclass(frozen=True, slots=True)
class Readings:
    """What the workers count themselves, as of one moment."""

    link: Mapping[str, int]
    """`LiveLink.counts`."""
    sent: int
    resent: int
    dropped: int
    """Frames of the uplink; see `Uplink`."""
    gap_bytes: int
    overflow_bytes: int
    """Of the downlink: `Playout.starved_bytes` and `dropped_bytes`."""
    volume: int
    pictures: Mapping[str, int] = field(default_factory=dict)
    """`PictureService.counts`."""
    tool_calls: Mapping[str, int] = field(default_factory=dict)
    """By status."""
    budget: Mapping[str, float] = field(default_factory=dict)
    """What the day has used of its limits, and the limits."""


def families(tally: MetricCounts, readings: Readings, now: float, version: str) -> list[MetricFamily]:
    """Return all there is to say in numbers."""
    state, wrong = tally.show.shown, {trouble.code for trouble in tally.show.troubles}
    frame_s = pcm.FRAME_MS / 1000
    return [
        MetricFamily("kioskd_info", "gauge", "The version that runs.", {version: 1}, "version"),
        _one("kioskd_uptime_seconds", "gauge", "Since the start of the daemon.", now - tally.started_at),
        MetricFamily(
            "kioskd_state",
            "gauge",
            "1 for the state that people are shown.",
            {str(shown): float(shown is state) for shown in KioskStatus},
            "state",
        ),
        MetricFamily("kioskd_state_seconds", "counter", "Spent in each state.", tally.shown_s(now), "state"),
        MetricFamily(
            "kioskd_fault",
            "gauge",
            "1 for all that is wrong, by its code.",
            {str(each): float(each in wrong) for each in Code},
            "code",
        ),
        MetricFamily(
            "kioskd_conversations",
            "counter",
            "Begun, by what began them.",
            dict(tally.conversations),
            "cause",
        ),
        MetricFamily("kioskd_turns", "counter", "Replies, by how they ended.", dict(tally.turns), "ended"),
        MetricFamily(
            "kioskd_reply_wait_seconds",
            "histogram",
            "From the end of the visitor's words to the first sound of the reply.",
            tally.waits.cumulated,
            total=tally.waits.total,
        ),
        *_link(readings.link),
        MetricFamily(
            "kioskd_uplink_audio_seconds",
            "counter",
            "Of microphone sound: sent, sent again after a loss (in sent, too), dropped from a full queue.",
            {
                "sent": readings.sent * frame_s,
                "resent": readings.resent * frame_s,
                "dropped": readings.dropped * frame_s,
            },
            "what",
        ),
        MetricFamily(
            "kioskd_downlink_audio_seconds",
            "counter",
            "Of replies: gap (silence in mid-reply, its sound came too late), dropped from a full queue.",
            {
                "gap": pcm.duration_s(readings.gap_bytes, pcm.DOWNLINK_HZ),
                "dropped": pcm.duration_s(readings.overflow_bytes, pcm.DOWNLINK_HZ),
            },
            "what",
        ),
        MetricFamily(
            "kioskd_pictures", "counter", "By what became of them.", dict(readings.pictures), "what"
        ),
        MetricFamily("kioskd_tool_calls", "counter", "By status.", dict(readings.tool_calls), "status"),
        MetricFamily(
            "kioskd_device_losses", "counter", "Devices that went away.", dict(tally.lost), "device"
        ),
        MetricFamily(
            "kioskd_budget",
            "gauge",
            "What the day has used of its limits, and the limits.",
            dict(readings.budget),
            "what",
        ),
        _one("kioskd_volume_percent", "gauge", "As set.", readings.volume),
        _one("kioskd_muted", "gauge", "1 while the microphone is closed.", float(tally.state.muted)),
    ]


def _one(name: str, kind: Literal["counter", "gauge"], what: str, value: float) -> MetricFamily:
    return MetricFamily(name, kind, what, {"": value})


def _link(counts: Mapping[str, int]) -> list[MetricFamily]:
    """Sort the link's own counts, whose keys are `WHAT: WHICH`."""
    sorted_: dict[str, dict[str, float]] = {"up": {}, "ended": {}, "not made": {}, "tokens": {}}
    for key, count in counts.items():
        what, _, which = key.partition(": ")
        if what in sorted_:
            sorted_[what][which] = count
    return [
        MetricFamily(
            "kioskd_connections",
            "counter",
            "Made, with the session resumed or new.",
            sorted_["up"],
            "session",
        ),
        MetricFamily("kioskd_connections_ended", "counter", "By the reason.", sorted_["ended"], "ending"),
        MetricFamily(
            "kioskd_connections_failed", "counter", "Not made, by the reason.", sorted_["not made"], "ending"
        ),
        MetricFamily(
            "kioskd_tokens", "counter", "As the service reports them.", sorted_["tokens"], "direction"
        ),
    ]
