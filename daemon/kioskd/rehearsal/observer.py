"""Watches the daemon and the service's stand-in, and takes notes: what happened, and what people noticed of it.

Knows the core's events and effects by name only: what it writes is what `events.jsonl` says.
"""

import dataclasses
import enum
from collections.abc import Callable
from typing import Any, Final

from pydantic import SecretStr

from kioskd.core.recorded_names import recorded_name
from kioskd.rehearsal.alignment import Gate, GateChange
from kioskd.rehearsal.event_log import EventLog

UNNOTED_EVENTS: Final = frozenset({"Heartbeat"})
UNNOTED_EFFECTS: Final = frozenset({"SetTimer", "CancelTimer", "Show"})
"""Show is noted as what the kiosk shows."""


class RehearsalObserver:
    """An `app.Observer` (`observe`) and the stand-in's observer (`service`) in one."""

    def __init__(self, event_log: EventLog, frames_captured: Callable[[], int]) -> None:
        """Take notes in `event_log`; `frames_captured` says how many frames the microphone has handed over so far."""
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
        """Note one step of the core: the event, what it led to, and what the visitor notices."""
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
                # What was kept is forgotten: as if the gate had just come to where it is.
                gate = self.gates[-1].gate if self.gates else Gate.PREROLL
                self.gates.append(GateChange(self._frames_captured(), gate))
            elif name == "SetUplink":
                self.gates.append(GateChange(self._frames_captured(), Gate[effect.uplink.name]))
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
        elif kind == "ReplyPlayed":
            self._reply_played(t, event.reply)

    def service(self, kind: str, data: dict[str, object]) -> None:
        """Note what the stand-in reports, with our own clock's time."""
        self._event_log.add("service", kind, **{key: value for key, value in data.items() if key != "t"})

    def _reply_sounded(self, t: float, reply: int) -> None:
        self._sounded.add(reply)
        if self._greeting_next:
            self._greeting_next, self._greeting = False, reply
        self._event_log.add("kiosk", "reply began", t, reply=reply, greeting=reply == self._greeting)

    def _reply_played(self, t: float, reply: int) -> None:
        if reply not in self._sounded:
            return
        what = "reply silenced" if reply <= self._flushed_to else "reply heard"
        self._event_log.add("kiosk", what, t, reply=reply, greeting=reply == self._greeting)


def _plain(value: Any) -> dict[str, object]:
    """Return an event's or effect's fields as JSON knows them; of a handle only whether there is one."""
    plain: dict[str, object] = {}
    for field in dataclasses.fields(value):
        content = getattr(value, field.name)
        if field.name == "handle":
            plain["with_handle"] = content is not None
        elif not isinstance(content, SecretStr):
            if isinstance(content, enum.Enum):
                content = str(content) if isinstance(content, enum.StrEnum) else content.name.lower()
            plain[field.name] = content
    return plain
