"""What remote control needs of the daemon that no room of `flow` has: its log, its settings file, its metrics."""

import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NoReturn, Protocol

from kioskd import __version__, logs
from kioskd.app.parts import Parts
from kioskd.errors import ConfigError
from kioskd.flow.reporting.metrics import MetricCounts, Readings, families
from kioskd.ports import MetricFamily
from kioskd.settings.model import Settings

if TYPE_CHECKING:
    from pydantic import SecretStr


_OURS = logging.getLogger("kioskd")


class JournalTail:
    """The daemon's log, for clients that watch it; a `JournalControl`."""

    def __init__(self) -> None:
        """Keep nothing yet."""
        from kioskd.adapters.remote.log_buffer import LogBuffer  # noqa: PLC0415 - as all adapters here

        self.buffer: LogBuffer = LogBuffer()
        self.recent = self.buffer.since

    async def follow(self, serve: Callable[[], Awaitable[NoReturn]]) -> None:
        """Keep the newest lines while `serve` runs."""
        _OURS.addHandler(self.buffer)
        try:
            await serve()
        finally:
            _OURS.removeHandler(self.buffer)

    @property
    def log_level(self) -> str:
        """One of `LOG_LEVELS`."""
        return logging.getLevelName(_OURS.getEffectiveLevel()).lower()

    def set_log_level(self, name: str) -> None:
        """Log from there up, until the next start."""
        _OURS.setLevel(logs.LEVELS[name])


class Reloaded(Protocol):
    """What came of a reload."""

    @property
    def later(self) -> Sequence[str]:
        """The settings, as SECTION.NAME, that hold only after a restart."""


class OwnerSettings:
    """The settings file and the service's key; an `OwnerControl`."""

    def __init__(self, settings: Settings, parts: Parts) -> None:
        """Go by `settings`."""
        self.settings = settings
        self._keys = parts.service.keys
        self.read_again: Callable[[], Awaitable[Reloaded]] | None = None
        """Takes the settings over from their file; None where they come from no file."""

    async def reload(self) -> Sequence[str]:
        """See `OwnerControl`."""
        if self.read_again is None:
            raise ConfigError("settings: those of this kiosk come from no file, and stay as they are")
        return (await self.read_again()).later

    def take_key(self, key: "SecretStr") -> None:
        """See `OwnerControl`."""
        if self._keys is None:
            raise ConfigError("service key: this kiosk's is not a stored one, and stays as it is")
        self._keys.take(self.settings.service, key)


def fit(settings: Settings) -> Callable[[bytes], Awaitable[bytes]]:
    """Return what makes a picture from outside one for the service; it raises ValueError that says why not."""

    async def fitted(data: bytes) -> bytes:
        from kioskd.adapters.pictures import decoder  # noqa: PLC0415 - brings Pillow

        return await decoder.fit(data, size=settings.camera.size, quality=settings.camera.quality)

    return fitted


class KioskMetrics:
    """The kiosk in numbers; a `MetricsView`."""

    def __init__(
        self, counts: MetricCounts, now: Callable[[], float], readings: Callable[[], Readings]
    ) -> None:
        """`readings` returns what the workers have counted."""
        self._counts = counts
        self._now = now
        self._readings = readings

    def families(self) -> list[MetricFamily]:
        """Return all metrics."""
        return families(self._counts, self._readings(), self._now(), __version__)

    def render(self, families: Iterable[MetricFamily]) -> str:
        """Return Prometheus' text of them. Not for the loop's thread: the first call imports the library."""
        from kioskd.adapters.remote.prometheus import text  # noqa: PLC0415 - brings the library

        return text(families)
