"""The parts of a kiosk: its devices, the service that it talks to, and its stores."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from kioskd import ports
from kioskd.adapters.absent import NoControl, NoMetrics, NoNetwork, NoPreferences, NoPrompts, NoResumption
from kioskd.app.tool_host import ToolSet
from kioskd.core import button_gesture
from kioskd.flow.link.turn_endings import ReadAloud
from kioskd.flow.storage.conversation_recorder import RecordStore
from kioskd.flow.storage.day_spending import BudgetStore
from kioskd.media.lamp_patterns import NightDimming
from kioskd.settings.credentials import ServiceKeys

if TYPE_CHECKING:
    from kioskd.flow.subjects.presence import PresenceRules
    from kioskd.flow.subjects.subjects import Subject


@dataclass(frozen=True, slots=True)
class ButtonSpec:
    """A button, and the gestures that it knows."""

    button: ports.Button
    rules: button_gesture.GestureRules = field(
        default_factory=lambda: button_gesture.GestureRules(does="toggle")
    )
    name: str = "button"


@dataclass(frozen=True, slots=True)
class ReaderSpec:
    """A reader, which types lines."""

    reader: ports.LineReader
    name: str = "reader"


@dataclass(frozen=True, slots=True)
class PresenceSpec:
    """A presence sensor, which is down while a person is there, and its rules."""

    sensor: ports.Button
    rules: "PresenceRules"
    name: str = "presence"


@dataclass(frozen=True, slots=True)
class LampSpec:
    """A lamp, and its brightness in percent."""

    lamp: ports.Lamp
    name: str = "lamp"
    brightness: float = 100.0
    night: NightDimming | None = None


@dataclass(frozen=True, slots=True)
class Devices:
    """The devices of this machine."""

    clock: ports.Clock
    microphone: ports.Microphone
    speaker: ports.Speaker
    notifier: ports.Notifier
    buttons: Sequence[ButtonSpec] = ()
    readers: Sequence[ReaderSpec] = ()
    presence: PresenceSpec | None = None
    lamps: Sequence[LampSpec] = ()
    camera: ports.Camera | None = None
    camera_lamps: Sequence[ports.Lamp] = ()
    """Lamps that are lit exactly while the camera runs."""
    network: ports.Network = field(default_factory=NoNetwork)
    control: ports.ControlServer = field(default_factory=NoControl)
    metrics: ports.MetricsEndpoint = field(default_factory=NoMetrics)
    fleet: ports.FleetBroker | None = None
    """The broker of the fleet; None if this kiosk belongs to none."""
    caption_screens: Sequence[ports.CaptionScreen] = ()
    wall: Callable[[], datetime] = field(default=lambda: datetime(2026, 1, 1, 12))  # noqa: DTZ001 - local
    """Returns the local date and time."""
    time: ports.TimeEvidence | None = None
    """Evidence of how far `wall` can be believed; None if there is none."""


@dataclass(frozen=True, slots=True)
class LiveService:
    """The service, the tools for its model, and the kiosk's own prompts and voice."""

    live: ports.Live
    keys: ServiceKeys | None = None
    """The keys that `live` uses; None if its key cannot be changed."""
    tools: ToolSet | None = None
    """The tools that the model can call; None if the settings name none."""
    prompts: ports.Prompts = field(default_factory=NoPrompts)
    read_aloud: ReadAloud | None = None
    pictures: Sequence[bytes] = field(default=(), repr=False)
    """JPEGs that the model is shown at the beginning of each session."""
    subjects: "Sequence[Subject]" = field(default=(), repr=False)
    """The things that visitors stand before."""


@dataclass(frozen=True, slots=True)
class Stores:
    """The stores of data. By default no data outlives the process."""

    preferences: ports.PreferenceStore = field(default_factory=NoPreferences)
    resumption: ports.ResumptionStore = field(default_factory=NoResumption)
    budget: BudgetStore | None = None
    transcripts: RecordStore | None = None
    recordings: RecordStore | None = None
    places: Mapping[str, Callable[[], None]] = field(default_factory=dict)
    """A check of each place where data is stored, by its name; see `DiskWriter`."""


@dataclass(frozen=True, slots=True)
class Parts:
    """All parts of a kiosk."""

    devices: Devices
    service: LiveService
    stores: Stores = field(default_factory=Stores)
