"""Access of remote control to the daemon's log, its settings file and its metrics."""

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
        """The log level: one of `LOG_LEVELS`."""
        return logging.getLevelName(_OURS.getEffectiveLevel()).lower()

    def set_log_level(self, name: str) -> None:
        """Log from this level up, until the daemon starts again."""
        _OURS.setLevel(logs.LEVELS[name])


class Reloaded(Protocol):
    """The result of a reload."""

    @property
    def later(self) -> Sequence[str]:
        """The settings, as SECTION.NAME, that need a restart."""


class OwnerSettings:
    """The settings file and the service's key; an `OwnerControl`."""

    def __init__(self, settings: Settings, parts: Parts) -> None:
        self.settings = settings
        self._keys = parts.service.keys
        self.read_again: Callable[[], Awaitable[Reloaded]] | None = None
        """Reads the settings again from their file; None if they are from no file."""

    async def reload(self) -> Sequence[str]:
        """See `OwnerControl`."""
        if self.read_again is None:
            raise ConfigError("settings: this kiosk has no settings file, so they cannot be reloaded")
        return (await self.read_again()).later

    def take_key(self, key: "SecretStr") -> None:
        """See `OwnerControl`."""
        if self._keys is None:
            raise ConfigError(
                "service key: this kiosk does not use a stored key, so it cannot be changed here"
            )
        self._keys.take(self.settings.service, key)


def fit(settings: Settings) -> Callable[[bytes], Awaitable[bytes]]:
    """Return a function that converts a picture for the service. It raises ValueError with the cause."""

    async def fitted(data: bytes) -> bytes:
        from kioskd.adapters.pictures import decoder  # noqa: PLC0415 - brings Pillow

        return await decoder.fit(data, size=settings.camera.size, quality=settings.camera.quality)

    return fitted


class KioskMetrics:
    """The kiosk's metrics; a `MetricsView`."""

    def __init__(
        self, counts: MetricCounts, now: Callable[[], float], readings: Callable[[], Readings]
    ) -> None:
        """`readings` returns the workers' own counts."""
        self._counts = counts
        self._now = now
        self._readings = readings

    def families(self) -> list[MetricFamily]:
        return families(self._counts, self._readings(), self._now(), __version__)

    def render(self, families: Iterable[MetricFamily]) -> str:
        """Return the metrics in Prometheus' text format. Call it in a thread: it imports a library."""
        from kioskd.adapters.remote.prometheus import text  # noqa: PLC0415 - brings the library

        return text(families)
