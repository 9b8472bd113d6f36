"""Settings and workers -> who answers at the control socket, and what Prometheus gets."""

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Protocol

from pydantic import SecretStr

from kioskd import __version__, logs
from kioskd.app.devices import Parts
from kioskd.core.events import Event
from kioskd.errors import ConfigError
from kioskd.flow.audio.downlink import Downlink
from kioskd.flow.audio.level_meters import LevelMeters
from kioskd.flow.audio.uplink import Uplink
from kioskd.flow.controls.remote import RemoteControl
from kioskd.flow.link.live_link import LiveLink
from kioskd.flow.reporting.metrics import MetricCounts, Readings, families
from kioskd.flow.runtime.engine import Observer
from kioskd.flow.runtime.workers import Worker
from kioskd.flow.storage.budget import BudgetStatus
from kioskd.ports import MetricFamily
from kioskd.settings.model import Settings

if TYPE_CHECKING:
    from kioskd.flow.camera.stream import CameraStream

_OURS = logging.getLogger("kioskd")


class Renewed(Protocol):
    """What was taken over."""

    @property
    def later(self) -> Sequence[str]:
        """The settings, as SECTION.NAME, that hold only after a restart."""


class FrontDesk:
    """The kiosk's own `control.Desk`, and its workers."""

    def __init__(
        self,
        settings: Settings,
        parts: Parts,
        meters: LevelMeters,
        post: Callable[[Event], None],
        *,
        uplink: Uplink,
        downlink: Downlink,
        link: LiveLink,
        camera: "CameraStream | None",
        tool_calls: Mapping[str, int],
        account: Callable[[], BudgetStatus],
        set_volume: Callable[[int], int],
    ) -> None:
        """`tool_calls` counts by status. `account` tells how the day stands.

        `set_volume` sets it as far as the owner lets it, keeps it, and returns what it has come to.
        """
        from kioskd.adapters.remote.log_buffer import LogBuffer  # noqa: PLC0415 - as all adapters here

        self._parts = parts
        self._service = settings.service
        self._uplink = uplink
        self._downlink = downlink
        self._link = link
        self._camera = camera
        self._tool_calls = tool_calls
        self._account = account
        self._recent = LogBuffer()
        self._tally = MetricCounts(parts.clock.now())
        self._control = RemoteControl(
            self,
            self._tally,
            meters,
            parts.clock,
            fit=partial(_fit, size=settings.camera.size, quality=settings.camera.quality),
        )
        self.renew: Callable[[], Awaitable[Renewed]] | None = None
        """Takes the settings over anew; None where they come from no file."""
        self.words = ""
        """What the service manager was told last."""
        self.post = post
        self.tell = link.tell
        self.set_volume = set_volume
        self.recent = self._recent.since

    @property
    def observers(self) -> Sequence[Observer]:
        """Who is to be told of each step, in this order."""
        return self._tally.observe, self._control.observe

    def claim(self) -> None:
        """Make sure that no other daemon answers here.

        Raises:
            KioskError: one does.
        """
        if self._parts.control is not None:
            self._parts.control.claim()

    def adopt(self, settings: Settings) -> None:
        """Go by new settings."""
        self._service = settings.service

    def workers(self) -> dict[str, Worker]:
        """Return who answers, by name."""
        workers: dict[str, Worker] = {}
        if self._parts.control is not None:
            workers["control"] = self._answer
        if (door := self._parts.metrics) is not None:
            workers["metrics"] = lambda: door.serve(self.families)
        return workers

    async def _answer(self) -> None:
        assert self._parts.control is not None
        _OURS.addHandler(self._recent)
        try:
            await self._parts.control.serve(self._control.handle)
        finally:
            _OURS.removeHandler(self._recent)

    @property
    def camera(self) -> str:
        """See `control.Desk`."""
        if self._camera is None:
            return "none"
        if self._camera.missing:
            return "missing"
        return "on" if self._camera.running else "off"

    async def looked(self) -> str:
        """See `control.Desk`."""
        return "" if self._camera is None else await self._camera.looks.fate()

    @property
    def tools_left_out(self) -> Sequence[Mapping[str, str]]:
        """See `control.Desk`."""
        return self._parts.tools.left_out if self._parts.tools is not None else []

    @property
    def held_s(self) -> float:
        """See `control.Desk`."""
        return self._uplink.held_s

    @property
    def volume(self) -> int:
        """See `control.Desk`."""
        return self._downlink.playout.volume

    @property
    def log_level(self) -> str:
        """See `control.Desk`."""
        return logging.getLevelName(_OURS.getEffectiveLevel()).lower()

    def set_log_level(self, name: str) -> None:
        """See `control.Desk`."""
        _OURS.setLevel(logs.LEVELS[name])

    async def reload(self) -> Sequence[str]:
        """See `control.Desk`."""
        if self.renew is None:
            raise ConfigError("settings: those of this kiosk come from no file, and stay as they are")
        return (await self.renew()).later

    def take_key(self, key: SecretStr) -> None:
        """See `control.Desk`."""
        if self._parts.keys is None:
            raise ConfigError("service key: this kiosk's is not a stored one, and stays as it is")
        self._parts.keys.take(self._service, key)

    def families(self) -> list[MetricFamily]:
        """See `control.Desk`."""
        playout = self._downlink.playout
        readings = Readings(
            link=self._link.counts,
            sent=self._uplink.sent,
            resent=self._uplink.resent,
            dropped=self._uplink.dropped,
            gap_bytes=playout.starved_bytes,
            overflow_bytes=playout.dropped_bytes,
            volume=playout.volume,
            pictures=self._camera.counts if self._camera is not None else {},
            tool_calls=self._tool_calls,
            budget=_budget(self._account()),
        )
        return families(self._tally, readings, self._parts.clock.now(), __version__)

    def render(self, families: Iterable[MetricFamily]) -> str:
        """See `control.Desk`."""
        from kioskd.adapters.remote.prometheus import text  # noqa: PLC0415 - brings the library

        return text(families)


def _budget(account: BudgetStatus) -> dict[str, float]:
    """Return what is bounded by the day's limits, and the limits."""
    told: dict[str, float] = {}
    if account.seconds_limit:
        told |= {"minutes used": account.seconds / 60, "minutes a day": account.seconds_limit / 60}
    if account.tokens_limit:
        told |= {"tokens used": account.tokens, "tokens a day": account.tokens_limit}
    return told


async def _fit(data: bytes, *, size: int, quality: int) -> bytes:
    from kioskd.adapters.pictures.decoder import fit  # noqa: PLC0415 - brings Pillow

    return await fit(data, size=size, quality=quality)
