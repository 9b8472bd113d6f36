"""The kiosk as remote control sees it: the values that it reads, and the actions that it can start."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pydantic import SecretStr

from kioskd.core.events import Event, WakeCause, Woken
from kioskd.ports import MetricFamily


class DisplayView(Protocol):
    """The status line."""

    @property
    def words(self) -> str:
        """The status text that the service manager has now."""


class PictureView(Protocol):
    """The camera."""

    @property
    def status(self) -> str:
        """`none`, `missing`, `off` or `on`."""

    async def snapshot_result(self) -> str:
        """Wait until the requested snapshot is sent. Return why it was not, or "". Takes at most 14 s."""


class UplinkView(Protocol):
    """The visitor's audio on its way to the service."""

    @property
    def held_s(self) -> float:
        """The seconds of audio that wait to be sent."""


class TimeView(Protocol):
    """The visitor's time and profile."""

    @property
    def names(self) -> Sequence[str]:
        """The names of all profiles; none if the settings have no profile."""

    @property
    def profile(self) -> str | None:
        """The name of the visitor's profile; None without a conversation, or without profiles."""

    def ends_in_s(self) -> float | None:
        """Return the seconds until this conversation ends by time; None: no end is set."""


class VolumeControl(Protocol):
    """The volume."""

    @property
    def percent(self) -> int:
        """The volume of the speaker, in percent."""

    def set_volume(self, percent: int) -> int:
        """Set the volume within speaker.volume_floor and volume_ceiling. Return the volume that is set."""


class ChosenSubject(Protocol):
    """A thing that the visitor stands before."""

    @property
    def key(self) -> str:
        """Its name in the settings."""


class SubjectsView(Protocol):
    """The things that visitors stand before."""

    @property
    def keys(self) -> Sequence[str]:
        """The names of all subjects."""

    @property
    def current(self) -> ChosenSubject | None:
        """The subject of this conversation; None if it has none."""

    def call(self, line: str, cause: WakeCause) -> Woken | None:
        """Return the event that chooses the subject of `line`; None if no subject has it."""


class PresenceView(Protocol):
    """The presence sensor."""

    @property
    def status(self) -> str:
        """`missing`, `unknown`, `present` or `absent`."""


class JournalControl(Protocol):
    """The daemon's log."""

    @property
    def log_level(self) -> str:
        """The log level: one of `LOG_LEVELS`."""

    def set_log_level(self, name: str) -> None:
        """Log from this level up, until the daemon starts again."""

    def recent(self, number: int) -> tuple[list[dict[str, str]], int]:
        """Return the journal's lines after line `number`, and the number of the newest line."""


class OwnerControl(Protocol):
    """Actions that only the owner is allowed to start."""

    async def reload(self) -> Sequence[str]:
        """Load the settings from their file. Return the settings, as SECTION.NAME, that need a restart.

        Raises:
            ConfigError: the file has faults, one on each line. The old settings stay.
        """

    def take_key(self, key: SecretStr) -> None:
        """Use this key from the next dial on, in place of the stored one.

        Raises:
            ConfigError: the text cannot be a key, or the service is not used with a stored key.
        """


@dataclass(frozen=True, slots=True)
class AnnouncementWish:
    """An announcement that a client wants."""

    text: str = field(repr=False)
    """The words to speak, or those of the recording; empty if there is a recording without known words."""
    recording: bytes | None = field(default=None, repr=False)
    """The content of a WAV; None: a voice reads the text."""
    language: str | None = None
    """A language tag; None: the language of the settings."""
    at: str | None = None
    """Local time as HH:MM, within the next 24 hours; None: at once."""
    now: bool = False
    """Whether it waits for no pause, and is also spoken in quiet hours."""


class AnnouncementControl(Protocol):
    """The owner's announcements."""

    def status(self) -> Mapping[str, object] | None:
        """Return what waits and what is planned; None: no announcement was ever wanted."""

    async def say(self, wish: AnnouncementWish) -> Mapping[str, object]:
        """Queue an announcement. Return its `number` for `ended`, or the time `at` for which it is planned.

        Raises:
            KioskError: it cannot be spoken. The text says why, and what to do.
        """

    async def ended(self, number: int) -> str:
        """Wait until an announcement is over. Return why it was not spoken to its end, or "".

        Raises:
            KioskError: no such announcement is known, or too many clients wait.
        """


class MetricsView(Protocol):
    """The kiosk's metrics."""

    def families(self) -> list[MetricFamily]:
        """Return all metrics."""

    def render(self, families: Iterable[MetricFamily]) -> str:
        """Return the metrics in Prometheus' text format. Called in a thread."""


class ToolsView(Protocol):
    """The tools that the model is allowed to call."""

    def left_out(self) -> Sequence[Mapping[str, str]]:
        """Return the tools that the service rejects, each with its name, place and cause."""

    def conditions(self) -> Sequence[str]:
        """Return the conditions of tools that have a server or documents, in words."""


class FleetView(Protocol):
    """The fleet's broker."""

    @property
    def connected(self) -> bool:
        """Whether the broker is connected."""


@dataclass(frozen=True, slots=True)
class FeatureViews:
    """The parts beyond the voice. None: the settings name no such part."""

    time: TimeView
    announcements: AnnouncementControl
    fleet: FleetView | None = None
    subjects: SubjectsView | None = None
    presence: PresenceView | None = None


@dataclass(frozen=True, slots=True)
class KioskView:
    """The values that remote control reads, and the functions that it calls."""

    post: Callable[[Event], None]
    """Posts an event to the core."""
    tell: Callable[[str | bytes], bool]
    """Sends a text or a JPEG to the model. False: too many wait already, or the kiosk sleeps."""
    display: DisplayView
    pictures: PictureView
    uplink: UplinkView
    volume: VolumeControl
    journal: JournalControl
    owner: OwnerControl
    metrics: MetricsView
    tools: ToolsView
    features: FeatureViews
