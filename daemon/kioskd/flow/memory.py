"""What people set by hand -> memory: at most one save at a time, and only of what is different."""

import asyncio
from typing import NoReturn

from kioskd.ports import Memory, Preferences


class MemoryKeeper:
    """Volume and mute, over restarts. Without a `Memory` they end with the process."""

    def __init__(self, memory: Memory | None, *, volume: int) -> None:
        """`volume`: the owner's."""
        self._memory = memory
        self._saved = memory.load() if memory is not None else Preferences()
        self._wanted = self._saved
        self._changed = asyncio.Event()
        self.owners_volume = volume
        """Percent; holds for as long as nobody has set another by hand."""

    @property
    def muted(self) -> bool:
        """Whether the microphone is to be closed."""
        return self._wanted.muted

    @muted.setter
    def muted(self, muted: bool) -> None:
        self._want(Preferences(self._wanted.volume, muted))

    @property
    def volume(self) -> int:
        """Percent."""
        return self.owners_volume if self._wanted.volume is None else self._wanted.volume

    @volume.setter
    def volume(self, volume: int) -> None:
        self._want(Preferences(volume, self._wanted.muted))

    async def run(self) -> NoReturn:
        """Save what has changed, newest wins, until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            wanted = self._wanted
            if self._memory is not None and wanted != self._saved:
                await asyncio.to_thread(self._memory.save, wanted)
                self._saved = wanted

    def _want(self, wanted: Preferences) -> None:
        self._wanted = wanted
        self._changed.set()
