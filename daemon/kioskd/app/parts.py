"""What a kiosk is made of: its devices, the service it talks to, and the places where it keeps things."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from kioskd import ports
from kioskd.adapters.absent import NoControl, NoMetrics, NoNetwork, NoPreferences, NoPrompts, NoResumption
from kioskd.app.tool_host import ToolSet
from kioskd.core import button_gesture
from kioskd.flow.link.turn_endings import ReadAloud
from kioskd.flow.storage.conversation_recorder import RecordStore
from kioskd.flow.storage.day_spending import BudgetStore
from kioskd.media.lamp_patterns import NightDimming
from kioskd.settings.credentials import ServiceKeys


@dataclass(frozen=True, slots=True)
class ButtonSpec:
    """A button, and what it is for."""

    button: ports.Button
    rules: button_gesture.GestureRules = field(
        default_factory=lambda: button_gesture.GestureRules(does="toggle")
    )
    name: str = "button"


@dataclass(frozen=True, slots=True)
class LampSpec:
    """A lamp, and how bright it is, in percent."""

    lamp: ports.Lamp
    name: str = "lamp"
    brightness: float = 100.0
    night: NightDimming | None = None


@dataclass(frozen=True, slots=True)
class Devices:
    """What this machine has."""

    clock: ports.Clock
    microphone: ports.Microphone
    speaker: ports.Speaker
    notifier: ports.Notifier
    buttons: Sequence[ButtonSpec] = ()
    lamps: Sequence[LampSpec] = ()
    camera: ports.Camera | None = None
    camera_lamps: Sequence[ports.Lamp] = ()
    """Lit exactly while the camera runs."""
    network: ports.Network = field(default_factory=NoNetwork)
    control: ports.ControlServer = field(default_factory=NoControl)
    metrics: ports.MetricsEndpoint = field(default_factory=NoMetrics)
    wall: Callable[[], datetime] = field(default=lambda: datetime(2026, 1, 1, 12))  # noqa: DTZ001 - local, as walls are
    """Local date and time."""
    time: ports.TimeEvidence | None = None
    """How far `wall` is to be believed; None: as far as it goes."""


@dataclass(frozen=True, slots=True)
class LiveService:
    """The service, and what stands in for it where it gives no sound."""

    live: ports.Live
    keys: ServiceKeys | None = None
    """What `live` is opened with; None where it takes no other key than it was made with."""
    tools: ToolSet | None = None
    """What the model may call; None where the settings name no tools."""
    prompts: ports.Prompts = field(default_factory=NoPrompts)
    read_aloud: ReadAloud | None = None
    pictures: Sequence[bytes] = field(default=(), repr=False)
    """What the model is shown at the beginning of each session: JPEG."""


@dataclass(frozen=True, slots=True)
class Stores:
    """Where something is kept. By default nothing outlives the process."""

    preferences: ports.PreferenceStore = field(default_factory=NoPreferences)
    resumption: ports.ResumptionStore = field(default_factory=NoResumption)
    budget: BudgetStore | None = None
    transcripts: RecordStore | None = None
    recordings: RecordStore | None = None
    places: Mapping[str, Callable[[], None]] = field(default_factory=dict)
    """A look at each place where something is to outlive a restart, by name; see `DiskWriter`."""


@dataclass(frozen=True, slots=True)
class Parts:
    """All that a kiosk is made of."""

    devices: Devices
    service: LiveService
    stores: Stores = field(default_factory=Stores)
