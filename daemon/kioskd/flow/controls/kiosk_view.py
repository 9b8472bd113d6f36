"""The kiosk as remote control sees it: the values that it reads, and the actions that it can start."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pydantic import SecretStr

from kioskd.core.events import Event
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


class MetricsView(Protocol):
    """The kiosk's metrics."""

    def families(self) -> list[MetricFamily]:
        """Return all metrics."""

    def render(self, families: Iterable[MetricFamily]) -> str:
        """Return the metrics in Prometheus' text format. Called in a thread."""


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
    time: TimeView
    tools_left_out: Callable[[], Sequence[Mapping[str, str]]]
    """Returns the tools that the service rejects, each with its name, place and cause."""
