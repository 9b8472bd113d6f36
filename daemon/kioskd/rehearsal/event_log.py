"""The log of a rehearsal: all events in order, with time and originator. The report is made from it.

`RehearsalObserver` fills the log from the daemon and from the simulator. It knows the core's events and
effects only by the names that it writes to `events.jsonl`.
"""

import asyncio
import dataclasses
import enum
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from pydantic import SecretStr

from kioskd.core.recorded_names import recorded_name
from kioskd.ports import Clock
from kioskd.rehearsal.alignment import Gate, GateChange

EventSource = Literal["visitor", "kiosk", "daemon", "service"]
"""The originator of an event: `daemon` for events inside it, `kiosk` for events that people notice."""

UNNOTED_EVENTS: Final = frozenset({"Heartbeat"})
UNNOTED_EFFECTS: Final = frozenset({"SetTimer", "CancelTimer", "Show"})
"""Effects that are not logged under their names; Show is logged as the state that the kiosk shows."""


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """One event of a rehearsal."""

    t: float
    """Seconds of the clock."""
    by: EventSource
    what: str
    data: Mapping[str, object] = field(default_factory=dict)
    """Numbers and words about the event. Never speech, a handle or a key."""

    def line(self, start: float) -> str:
        """Return a line of `events.jsonl`; times count from `start`."""
        return json.dumps({"t": round(self.t - start, 4), "by": self.by, "what": self.what, **self.data})


class EventLog:
    """A list of events that wakes tasks waiting for an event. For one event loop."""

    def __init__(self, clock: Clock) -> None:
        self.notes: list[LoggedEvent] = []
        self._clock = clock
        self._changed = asyncio.Event()
        self._listeners: list[Callable[[LoggedEvent], None]] = []
        self._watchers: list[Callable[[], None]] = []

    def listen(self, listener: Callable[[LoggedEvent], None]) -> None:
        """Call `listener` with each new event."""
        self._listeners.append(listener)

    def watch(self, watcher: Callable[[], None]) -> None:
        """Call `watcher` with each event and each `notify`, some hundred times a second."""
        self._watchers.append(watcher)

    def add(self, by: EventSource, what: str, t: float | None = None, /, **data: object) -> None:
        """Append an event; `t` defaults to now."""
        note = LoggedEvent(self._clock.now() if t is None else t, by, what, data)
        self.notes.append(note)
        for listener in self._listeners:
            listener(note)
        self.notify()

    def notify(self) -> None:
        """Call all watchers and wake waiting tasks, as something changed that is no event."""
        for watcher in self._watchers:
            watcher()
        self._changed.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Return when `holds()` is true; each event and `notify` calls it. One caller at a time."""
        while not holds():
            self._changed.clear()
            await self._changed.wait()


class RehearsalObserver:
    """An `app.Observer` (`observe`) and the simulator's observer (`service`) in one."""

    def __init__(self, event_log: EventLog, frames_captured: Callable[[], int]) -> None:
        """Append to `event_log`; `frames_captured` returns the number of frames captured so far."""
        self.gates: list[GateChange] = []
        self.shown = "starting"
        """The state shown to people."""
        self._event_log = event_log
        self._frames_captured = frames_captured
        self._flushed_to = -1
        self._greeting_next = False
        self._greeting = -1
        self._sounded: set[int] = set()

    def observe(self, t: float, event: Any, before: Any, after: Any, effects: tuple[Any, ...]) -> None:
        """Log one step of the core: the event, its effects, and the changes that the visitor notices."""
        kind = recorded_name(type(event))
        if kind not in UNNOTED_EVENTS:
            self._event_log.add("daemon", kind, t, **_plain(event))
        if after.turn.conversation != before.turn.conversation:
            self._greeting_next = False
            self._event_log.add("kiosk", "wakes", t, conversation=after.turn.conversation)
        elif before.turn.awake and not after.turn.awake:
            self._event_log.add("kiosk", "falls asleep", t, conversation=after.turn.conversation)
        for effect in effects:
            name = recorded_name(type(effect))
            if name not in UNNOTED_EFFECTS:
                self._event_log.add("daemon", name, t, **_plain(effect))
            if name == "SetMute" and effect.muted:
                # Muting drops the kept frames, as if the gate had just changed to its present state.
                self._gate(self.gates[-1].gate if self.gates else Gate.PREROLL)
            elif name == "SetUplink":
                self._gate(Gate[effect.uplink.name])
            elif name == "Flush":
                self._flushed_to = max(self._flushed_to, effect.reply)
            elif name == "Greet":
                self._greeting_next = True
            elif name == "Show":
                self.shown = effect.shown.value
                code = {} if effect.code is None else {"code": str(effect.code)}
                self._event_log.add("kiosk", "shows", t, state=self.shown, **code)
        if kind == "ReplySounded":
            self._reply_sounded(t, event.reply)
        elif kind == "ReplyPlayed" and event.reply in self._sounded:
            self._reply(
                "reply silenced" if event.reply <= self._flushed_to else "reply heard", t, event.reply
            )

    def service(self, kind: str, data: dict[str, object]) -> None:
        """Log an event of the simulator, with the time of this log's clock."""
        self._event_log.add("service", kind, **{key: value for key, value in data.items() if key != "t"})

    def _gate(self, gate: Gate) -> None:
        self.gates.append(GateChange(self._frames_captured(), gate))

    def _reply_sounded(self, t: float, reply: int) -> None:
        self._sounded.add(reply)
        if self._greeting_next:
            self._greeting_next, self._greeting = False, reply
        self._reply("reply began", t, reply)

    def _reply(self, what: str, t: float, reply: int) -> None:
        self._event_log.add("kiosk", what, t, reply=reply, greeting=reply == self._greeting)


def _plain(value: Any) -> dict[str, object]:
    """Return the fields of an event or effect for JSON; of a handle only whether there is one."""
    plain: dict[str, object] = {}
    for item in dataclasses.fields(value):
        content = getattr(value, item.name)
        if item.name == "handle":
            plain["with_handle"] = content is not None
        elif not isinstance(content, SecretStr):
            if isinstance(content, enum.Enum):
                content = str(content) if isinstance(content, enum.StrEnum) else content.name.lower()
            plain[item.name] = content
    return plain
