"""Preferences that people set by hand: volume and mute. Changes are stored."""

import asyncio
import logging
from typing import Final, NoReturn

from kioskd.flow.storage.disk_writer import DiskWriter
from kioskd.media.playout import clamp
from kioskd.ports import Preferences, PreferenceStore

log = logging.getLogger(__name__)

WHAT: Final = "volume and mute"


class PreferenceKeeper:
    """Volume and mute. They outlive restarts."""

    def __init__(
        self,
        store: PreferenceStore,
        disk_writer: DiskWriter,
        *,
        volume: int,
        volume_floor: int = 0,
        volume_ceiling: int = 100,
    ) -> None:
        """Read the store; this blocks. `volume` is the owner's. The bounds also limit stored volumes."""
        self._store = store
        self._disk_writer = disk_writer
        self._saved = store.load()
        self._wanted = self._saved
        self._changed = asyncio.Event()
        self._floor = volume_floor
        self._ceiling = volume_ceiling
        self.use_default(volume)

    def use_default(self, volume: int) -> None:
        """Use the owner's volume, unless people have set another by hand. Then log that theirs stays."""
        self._owners_volume = volume
        allowed = clamp(volume, self._floor, self._ceiling)
        if self._wanted.volume is not None and self.volume != allowed:
            log.info(
                "the volume set by hand stays: volume=%d speaker.volume=%d; "
                "to use the setting, run kioskd volume %d",
                self.volume,
                volume,
                allowed,
            )

    @property
    def muted(self) -> bool:
        return self._wanted.muted

    @muted.setter
    def muted(self, muted: bool) -> None:
        self._want(Preferences(self._wanted.volume, muted))

    @property
    def volume(self) -> int:
        """The volume in percent, within the owner's bounds."""
        kept = self._wanted.volume
        return self._owners_volume if kept is None else clamp(kept, self._floor, self._ceiling)

    @volume.setter
    def volume(self, volume: int) -> None:
        self._want(Preferences(clamp(volume, self._floor, self._ceiling), self._wanted.muted))

    async def run(self) -> NoReturn:
        """Store changes until cancelled, always the newest; then store the rest."""
        try:
            while True:
                await self._changed.wait()
                self._changed.clear()
                await self._save()
        finally:
            await self._save()

    def _want(self, wanted: Preferences) -> None:
        self._wanted = wanted
        self._changed.set()

    async def _save(self) -> None:
        if self._wanted != self._saved:
            await self._disk_writer.save(WHAT, self._write)

    def _write(self) -> None:
        """Store the present preferences. Called in a thread."""
        wanted = self._wanted
        self._store.save(wanted)
        self._saved = wanted
