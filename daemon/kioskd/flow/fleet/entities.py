"""The entities of a kiosk, as Home Assistant shows them: one table of sensors, events and commands.

`discovery` makes the message from it by which Home Assistant learns all of them at once. `state` makes the
message with the values of the sensors.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from kioskd.core.effects import KioskStatus
from kioskd.core.troubles import CLOSED, OUTAGES
from kioskd.errors import Code
from kioskd.flow.controls.remote import LOG_LEVELS

Platform = Literal[
    "sensor", "binary_sensor", "event", "switch", "number", "button", "text", "notify", "select"
]

DISCOVERY: Final = "homeassistant/device/{id}/config"
"""The topic at which Home Assistant looks for devices."""
NO_CODE: Final = "none"
"""Value of the code while nothing is wrong. Home Assistant has no empty option."""
LONGEST_ANSWER: Final = 255
"""Most characters of a text in Home Assistant."""

Status = Mapping[str, Any]
"""The status, in the form of `kioskd status --json`."""
Value = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Entity:
    """One entity of the device."""

    key: str
    """Name in topics and states."""
    platform: Platform
    name: str
    read: Callable[[Status], Value] | None = None
    """Returns its value; None if the entity has none."""
    more: Mapping[str, object] = field(default_factory=dict)
    """Options of the platform, in Home Assistant's terms."""

    @property
    def commanded(self) -> bool:
        """Whether it takes commands."""
        return self.platform in ("switch", "number", "button", "text", "notify", "select")


def _code(status: Status) -> str:
    return status["code"] or NO_CODE


def _codes(status: Status) -> set[str]:
    return {trouble["code"] for trouble in status["troubles"]}


DIAGNOSTIC: Final[Mapping[str, object]] = {"entity_category": "diagnostic"}
TOTAL_OF_TODAY: Final[Mapping[str, object]] = {"state_class": "total_increasing"}

ENTITIES: Final = (
    Entity(
        "state",
        "sensor",
        "State",
        lambda status: status["state"],
        {"device_class": "enum", "options": [str(each) for each in KioskStatus]},
    ),
    Entity("words", "sensor", "Status", lambda status: status["words"][:LONGEST_ANSWER]),
    Entity(
        "code",
        "sensor",
        "Fault code",
        _code,
        {"device_class": "enum", "options": [NO_CODE, *map(str, Code)], **DIAGNOSTIC},
    ),
    Entity(
        "waited_ms",
        "sensor",
        "Wait for the last reply",
        lambda status: status["waited_ms"],
        {"device_class": "duration", "unit_of_measurement": "ms", "state_class": "measurement"},
    ),
    Entity(
        "tokens_today",
        "sensor",
        "Tokens today",
        lambda status: status["today"]["tokens"],
        TOTAL_OF_TODAY,
    ),
    Entity(
        "minutes_today",
        "sensor",
        "Minutes of conversation today",
        lambda status: round(status["today"]["minutes"], 1),
        {"device_class": "duration", "unit_of_measurement": "min", **TOTAL_OF_TODAY},
    ),
    Entity("release", "sensor", "Release", lambda status: status["version"], DIAGNOSTIC),
    Entity(
        "problem",
        "binary_sensor",
        "Problem",
        lambda status: bool(_codes(status) - CLOSED),
        {"device_class": "problem"},
    ),
    Entity(
        "microphone",
        "binary_sensor",
        "Microphone",
        lambda status: status["microphone"] == "working",
        DIAGNOSTIC,
    ),
    Entity(
        "service",
        "binary_sensor",
        "Service",
        lambda status: not _codes(status) & OUTAGES,
        {"device_class": "connectivity", **DIAGNOSTIC},
    ),
    Entity("conversation", "event", "Conversation", more={"event_types": ["begun", "ended"]}),
    Entity(
        "turn",
        "event",
        "Turn",
        more={"event_types": ["heard", "interrupted", "silenced", "stalled", "asleep", "unanswered"]},
    ),
    Entity("press", "event", "Button", more={"device_class": "button", "event_types": ["press", "hold"]}),
    Entity("mute", "switch", "Mute", lambda status: status["muted"]),
    Entity(
        "volume",
        "number",
        "Volume",
        lambda status: status["volume"],
        {"min": 0, "max": 100, "step": 1, "unit_of_measurement": "%"},
    ),
    Entity("wake", "button", "Wake"),
    Entity("sleep", "button", "Sleep"),
    Entity("hush", "button", "Hush"),
    Entity("restart", "button", "Restart", more={"device_class": "restart", "entity_category": "config"}),
    Entity("ask", "text", "Ask", more={"max": LONGEST_ANSWER}),
    Entity("say", "notify", "Announcement"),
    Entity(
        "log",
        "select",
        "Log level",
        lambda status: status["log_level"],
        {"options": list(LOG_LEVELS), "entity_category": "config"},
    ),
)

COMMANDED: Final = {entity.key: entity for entity in ENTITIES if entity.commanded}


@dataclass(frozen=True, slots=True)
class FleetTopics:
    """The topics of one kiosk. All begin with kioskd/NAME, so that a broker can give a kiosk its own."""

    name: str

    @property
    def root(self) -> str:
        """The beginning of all others."""
        return f"kioskd/{self.name}"

    @property
    def availability(self) -> str:
        """The topic that tells whether the kiosk is connected: online or offline."""
        return f"{self.root}/availability"

    @property
    def state(self) -> str:
        """The topic of the values."""
        return f"{self.root}/state"

    @property
    def discovery(self) -> str:
        """The topic at which Home Assistant learns of this kiosk."""
        return DISCOVERY.format(id=f"kioskd-{self.name}")

    @property
    def answer(self) -> str:
        """The topic of the answers to commands."""
        return f"{self.root}/answer"

    def event(self, key: str) -> str:
        """Return the topic of an event entity."""
        return f"{self.root}/event/{key}"

    def command(self, key: str) -> str:
        """Return the topic of the commands for an entity; `+` for those of all."""
        return f"{self.root}/do/{key}"


def state(status: Status) -> dict[str, Value]:
    """Return the values of all entities that have one."""
    return {entity.key: entity.read(status) for entity in ENTITIES if entity.read is not None}


def discovery(topics: FleetTopics, title: str, site: str, version: str) -> dict[str, object]:
    """Return the message that tells Home Assistant of all entities; see its "device discovery"."""
    own = f"kioskd-{topics.name}"
    device: dict[str, object] = {
        "identifiers": [own],
        "name": title,
        "manufacturer": "kioskd",
        "model": "kiosk",
        "sw_version": version,
    }
    if site:
        device["suggested_area"] = site
    return {
        "device": device,
        "origin": {"name": "kioskd", "sw_version": version},
        "components": {entity.key: _component(entity, topics, own) for entity in ENTITIES},
    }


def _component(entity: Entity, topics: FleetTopics, own: str) -> dict[str, object]:
    told: dict[str, object] = {
        "platform": entity.platform,
        "unique_id": f"{own}-{entity.key}",
        "name": entity.name,
        "availability_topic": topics.availability,
        **entity.more,
    }
    if entity.read is not None:
        told["state_topic"] = topics.state
        told["value_template"] = _template(entity)
    if entity.platform == "event":
        told["state_topic"] = topics.event(entity.key)
    if entity.commanded:
        told["command_topic"] = topics.command(entity.key)
    return told


def _template(entity: Entity) -> str:
    value = f"value_json.{entity.key}"
    # A binary sensor and a switch take ON and OFF.
    return (
        f"{{{{ {value} }}}}"
        if entity.platform not in ("binary_sensor", "switch")
        else (f"{{{{ 'ON' if {value} else 'OFF' }}}}")
    )
