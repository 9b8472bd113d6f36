"""Readers: devices that type lines, which come and go."""

from collections.abc import Callable

from kioskd.core.events import Device, Event
from kioskd.flow.runtime.device_supervisor import DeviceSupervisor
from kioskd.ports import Clock, LineReader


class ReaderWorker:
    """Passes on the lines of one reader, and opens a lost reader again and again."""

    def __init__(
        self,
        reader: LineReader,
        read: Callable[[str], None],
        post: Callable[[Event], None],
        clock: Clock,
        *,
        name: str,
    ) -> None:
        """`read` takes the lines; `name` is `reader` with the reader's source."""
        self._reader = reader
        self._read = read
        self._supervisor = DeviceSupervisor(
            name, clock, post, device=Device.BUTTON, called=name.removeprefix("reader "), needed=False
        )

    async def run(self) -> None:
        """Pass on lines until cancelled."""
        await self._supervisor.use(lambda: self._reader.watch(self._line))

    def _line(self, line: str) -> None:
        self._supervisor.note_alive()
        self._read(line)
