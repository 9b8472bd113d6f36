"""The kiosk, as far as remote control reads it and acts on it."""

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
        """What the service manager was told last."""


class PictureView(Protocol):
    """The camera."""

    @property
    def status(self) -> str:
        """`none`, `missing`, `off` or `on`."""

    async def snapshot_result(self) -> str:
        """Wait until the snapshot that was asked for was sent; return why it was not, or nothing. Ends in 14 s."""


class UplinkView(Protocol):
    """The visitor's sound on its way."""

    @property
    def held_s(self) -> float:
        """Seconds of sound that wait to be sent."""


class VolumeControl(Protocol):
    """The volume."""

    @property
    def percent(self) -> int:
        """The volume that is played."""

    def set_volume(self, percent: int) -> int:
        """Set the volume as far as the owner allows it; return what it has come to."""


class JournalControl(Protocol):
    """The daemon's log."""

    @property
    def log_level(self) -> str:
        """One of `LOG_LEVELS`."""

    def set_log_level(self, name: str) -> None:
        """Log from there up, until the next start."""

    def recent(self, number: int) -> tuple[list[dict[str, str]], int]:
        """Return the journal's lines after line `number`, and the newest one's number."""


class OwnerControl(Protocol):
    """What only an owner changes."""

    async def reload(self) -> Sequence[str]:
        """Take the settings over from their file; return those, as SECTION.NAME, that hold only after a restart.

        Raises:
            ConfigError: the file has faults, a line each; the old settings hold.
        """

    def take_key(self, key: SecretStr) -> None:
        """Open the service with this key from the next dial on, in place of the stored one.

        Raises:
            ConfigError: it cannot be one, or the service is not opened by a stored key.
        """


class MetricsView(Protocol):
    """The kiosk in numbers."""

    def families(self) -> list[MetricFamily]:
        """Return all metrics."""

    def render(self, families: Iterable[MetricFamily]) -> str:
        """Return Prometheus' text of them; called in a thread."""


@dataclass(frozen=True, slots=True)
class KioskView:
    """What remote control reads, and what it acts on."""

    post: Callable[[Event], None]
    """Tells the core."""
    tell: Callable[[str | bytes], bool]
    """Says a text to the model, or shows it a JPEG. False: too many wait already, or the kiosk sleeps."""
    display: DisplayView
    pictures: PictureView
    uplink: UplinkView
    volume: VolumeControl
    journal: JournalControl
    owner: OwnerControl
    metrics: MetricsView
    tools_left_out: Callable[[], Sequence[Mapping[str, str]]]
    """Returns the tools that the service refuses: name, place and why."""
