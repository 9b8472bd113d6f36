"""A reader passes on its lines, and comes and goes."""

from tests.support.fakes_devices import ManualClock
from tests.support.kiosk import Inbox, running, soon

from kioskd.adapters.fakes.devices import MemoryReader
from kioskd.core.events import Device, DeviceCame, DeviceGone
from kioskd.flow.runtime.device_supervisor import RETRY_S
from kioskd.flow.subjects.readers import ReaderWorker


async def test_a_reader_passes_on_lines_and_is_opened_again_after_a_loss() -> None:
    clock, inbox, reader, lines = ManualClock(), Inbox(), MemoryReader(), list[str]()
    worker = ReaderWorker(reader, lines.append, inbox.post, clock, name="reader evdev:Scanner")
    async with running(worker.run()):
        reader.scan("one")
        await clock.advance(0.1)
        assert lines == ["one"]
        reader.unplug()
        await clock.advance(0.1)
        assert await soon(inbox.take()) == [DeviceGone(Device.BUTTON, "evdev:Scanner")]
        reader.replug()
        reader.scan("two")
        await clock.advance(RETRY_S + 1)
        assert lines == ["one", "two"]
        assert await soon(inbox.take()) == [DeviceCame(Device.BUTTON, "evdev:Scanner")]
