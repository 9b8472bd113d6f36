"""A whole kiosk with all its stores, counters, records and displays, as a target of attacks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.support.fakes_devices import MemoryMicrophone, MemoryNotifier, MemorySpeaker
from tests.support.gemini import live
from tests.support.kiosk import running, silence
from tests.support.live_server import LiveServer
from tests.support.parts import parts as kiosk_parts

from kioskd import app
from kioskd.adapters.clock import MachineTime, SystemClock
from kioskd.adapters.fakes.devices import MemoryButton
from kioskd.adapters.remote.control_socket import ControlSocket
from kioskd.adapters.storage.recordings import RecordFolder
from kioskd.adapters.storage.state_files import BudgetFile
from kioskd.core.machine import State
from kioskd.settings.model import Settings

SETTINGS = Settings.model_validate(
    {
        "conversation": {"wake": ("button",), "idle_s": 600.0, "longest_s": 3600.0},
        "microphone": {"echo": "hardware"},
        "speaker": {"cues": False},
        "limits": {"tokens_per_day": 10**12, "minutes_per_day": 1440},
    }
)
AGAIN_S = 0.2


class HostileTarget:
    """The kiosk. It is woken again whenever it falls asleep."""

    def __init__(self, folder: Path, server: LiveServer | None = None) -> None:
        """Keep records and state in `folder`; dial `server`, or nothing that answers."""
        self.folder = folder
        self.state = State()
        self.clock = SystemClock()
        self.button = MemoryButton()
        self.control = folder / "control"
        self._microphone = MemoryMicrophone()
        self._speaker = MemorySpeaker(self.clock)
        self._notifier = MemoryNotifier()
        self._live = live(server)

    def parts(self) -> app.Parts:
        """Return its parts."""
        words = RecordFolder(self.folder / "words", what="transcripts", keep_days=1.0, most_mb=50.0)
        return kiosk_parts(
            clock=self.clock,
            microphone=self._microphone,
            speaker=self._speaker,
            live=self._live,
            notifier=self._notifier,
            buttons=[app.ButtonSpec(self.button)],
            control=ControlSocket(self.control, self.clock),
            budget=BudgetFile(self.folder),
            transcripts=words,
            wall=lambda: datetime.now().astimezone(),
            time=MachineTime(),
        )

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Run the kiosk in the block. An error that ends it is raised at the end of the block."""
        async with running(app.serve(SETTINGS, self.parts(), observers=[self._observe]), self._keep_awake()):
            self._microphone.say(silence(0.02))
            while not self.state.started:
                await self.clock.sleep(0.01)
            yield

    async def _keep_awake(self) -> None:
        while True:
            if self.state.started and not self.state.turn.awake:
                self.button.press()
            await asyncio.sleep(AGAIN_S)

    def _observe(self, _now: float, _event: Any, _before: Any, after: State, _effects: Any) -> None:
        self.state = after
        # These fakes keep 170 MB an hour for tests; that is not the daemon's memory.
        self._speaker.heard.clear()
        self._notifier.told.clear()
