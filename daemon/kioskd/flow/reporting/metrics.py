"""Figures of the daemon since its start, for `kioskd status` and for Prometheus.

Some are counted from the steps of the core. The others are read from the workers' own counters. So the path
of sound and pictures has no extra work.
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
"""Bounds of the histogram of waits. People notice half a second, and get doubts after two seconds."""

_CAUSES: Final[Mapping[type, str]] = {
    Pressed: "button",
    TalkBegan: "button",
    TextSubmitted: "ask",
    SnapshotRequested: "look",
    Restored: "restart",
}


@dataclass(slots=True)
class Histogram:
    """Histogram of values: a count for each upper bound."""

    bounds: Sequence[float]
    counts: Counter[float] = field(default_factory=Counter)
    total: float = 0.0

    def add(self, value: float) -> None:
        self.total += value
        self.counts[next((bound for bound in self.bounds if value <= bound), float("inf"))] += 1

    @property
    def cumulated(self) -> dict[str, float]:
        counted, so_far = 0, {}
        for bound in (*self.bounds, float("inf")):
            counted += self.counts[bound]
            so_far["+Inf" if bound == float("inf") else str(bound)] = float(counted)
        return so_far


class MetricCounts:
    """Counts the steps of the core. Its methods belong to the loop's thread."""

    def __init__(self, now: float) -> None:
        """`now`: the clock's time when the daemon starts."""
        self.started_at = now
        self.state = State()
        """The state after the newest step."""
        self.show = ShowStatus(KioskStatus.STARTING)
        """The state that people are shown."""
        self.conversations: Counter[str] = Counter()
        """Conversations, by the cause that began them."""
        self.turns: Counter[str] = Counter()
        """Turns, by the way their reply ended."""
        self.turn = 0
        """The number of the conversation's newest turn, from 1; 0 before the first."""
        self.waits = Histogram(WAITS_S)
        """Seconds from the end of the visitor's words to the first sound of the reply."""
        self.lost: Counter[str] = Counter()
        """Losses of devices, by kind."""
        self.up_since: float | None = None
        """The clock's time when the connection opened; None without a connection."""
        self._shown_s: dict[KioskStatus, float] = dict.fromkeys(KioskStatus, 0.0)
        self._shown_at = now
        self._timing = TurnTiming()

    def observe(
        self, now: float, event: Event, before: State, after: State, effects: tuple[Effect, ...]
    ) -> None:
        """Count one step; see `engine.Observer`."""
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
    """The workers' own counters at one moment."""

    link: Mapping[str, int]
    """`LiveLink.counts`."""
    sent: int
    resent: int
    dropped: int
    """Frames of the uplink, counted by `Uplink`; the same holds for `sent` and `resent`."""
    gap_bytes: int
    overflow_bytes: int
    """Bytes of the downlink: `Playout.starved_bytes` and `Playout.dropped_bytes`."""
    volume: int
    pictures: Mapping[str, int] = field(default_factory=dict)
    """`PictureService.counts`."""
    tool_calls: Mapping[str, int] = field(default_factory=dict)
    """Calls of tools, by status."""
    budget: Mapping[str, float] = field(default_factory=dict)
    """The day's use of its limits, and the limits."""
    subjects: Mapping[str, int] = field(default_factory=dict)
    """`Subjects.counts`."""


def families(tally: MetricCounts, readings: Readings, now: float, version: str) -> list[MetricFamily]:
    state, wrong = tally.show.shown, {trouble.code for trouble in tally.show.troubles}
    frame_s = pcm.FRAME_MS / 1000
    return [
        MetricFamily("kioskd_info", "gauge", "The version that runs.", {version: 1}, "version"),
        _one("kioskd_uptime_seconds", "gauge", "Seconds since the daemon started.", now - tally.started_at),
        MetricFamily(
            "kioskd_state",
            "gauge",
            "1 for the state that people are shown, else 0.",
            {str(shown): float(shown is state) for shown in KioskStatus},
            "state",
        ),
        MetricFamily(
            "kioskd_state_seconds", "counter", "Seconds spent in each state.", tally.shown_s(now), "state"
        ),
        MetricFamily(
            "kioskd_fault",
            "gauge",
            "1 for each fault that exists now, by its code.",
            {str(each): float(each in wrong) for each in Code},
            "code",
        ),
        MetricFamily(
            "kioskd_conversations",
            "counter",
            "Conversations, by the cause that began them.",
            dict(tally.conversations),
            "cause",
        ),
        MetricFamily(
            "kioskd_turns", "counter", "Turns, by how their reply ended.", dict(tally.turns), "ended"
        ),
        MetricFamily(
            "kioskd_reply_wait_seconds",
            "histogram",
            "Seconds from the visitor's last word to the first sound of the reply.",
            tally.waits.cumulated,
            total=tally.waits.total,
        ),
        *_link(readings.link),
        MetricFamily(
            "kioskd_uplink_audio_seconds",
            "counter",
            "Seconds of microphone sound: sent; resent after a loss (also in sent); dropped by a full queue.",
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
            "Seconds of replies: gap (silence because sound came too late); dropped by a full queue.",
            {
                "gap": pcm.duration_s(readings.gap_bytes, pcm.DOWNLINK_HZ),
                "dropped": pcm.duration_s(readings.overflow_bytes, pcm.DOWNLINK_HZ),
            },
            "what",
        ),
        MetricFamily(
            "kioskd_pictures", "counter", "Camera pictures, by their fate.", dict(readings.pictures), "what"
        ),
        MetricFamily(
            "kioskd_tool_calls", "counter", "Tool calls, by status.", dict(readings.tool_calls), "status"
        ),
        MetricFamily(
            "kioskd_subjects",
            "counter",
            "Choices of a subject: chosen, repeated, or rejected (no subject has the line).",
            dict(readings.subjects),
            "what",
        ),
        MetricFamily(
            "kioskd_device_losses", "counter", "Devices that were lost, by kind.", dict(tally.lost), "device"
        ),
        MetricFamily(
            "kioskd_budget",
            "gauge",
            "The day's use of its limits, and the limits.",
            dict(readings.budget),
            "what",
        ),
        _one("kioskd_volume_percent", "gauge", "The volume in percent.", readings.volume),
        _one("kioskd_muted", "gauge", "1 while the microphone is closed.", float(tally.state.muted)),
    ]


def _one(name: str, kind: Literal["counter", "gauge"], what: str, value: float) -> MetricFamily:
    return MetricFamily(name, kind, what, {"": value})


def _link(counts: Mapping[str, int]) -> list[MetricFamily]:
    """Return the link's own counts as metrics. The keys of `counts` have the form `WHAT: WHICH`."""
    sorted_: dict[str, dict[str, float]] = {"up": {}, "ended": {}, "not made": {}, "tokens": {}}
    for key, count in counts.items():
        what, _, which = key.partition(": ")
        if what in sorted_:
            sorted_[what][which] = count
    return [
        MetricFamily(
            "kioskd_connections",
            "counter",
            "Connections made, with a resumed or a new session.",
            sorted_["up"],
            "session",
        ),
        MetricFamily(
            "kioskd_connections_ended",
            "counter",
            "Connections that ended, by reason.",
            sorted_["ended"],
            "ending",
        ),
        MetricFamily(
            "kioskd_connections_failed", "counter", "Failed dials, by reason.", sorted_["not made"], "ending"
        ),
        MetricFamily(
            "kioskd_tokens", "counter", "Tokens, as the service reports them.", sorted_["tokens"], "direction"
        ),
    ]
