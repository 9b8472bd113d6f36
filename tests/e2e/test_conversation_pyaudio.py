"""The demo's conversation over PyAudio: real capture and playback, the real SDK over TLS, a human voice in the room."""

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.support.sound_server import SoundServer

from kioskd.rehearsal import run
from kioskd.rehearsal.speech import Speech

DEMO: Final = Path(run.__file__).parent / "demo.yaml"
BY_THE_SCRIPTS_OWN_EAR: Final = frozenset({"end_of_speech_to_sound_ms", "barge_in_to_silence_ms"})
"""What a rehearsal measures only where the microphone is the script's own."""
SILENT_WITHIN_S: Final = 3.0
"""From the order to speak into a reply to that reply's last sound at the monitor, the way into the microphone included."""


class Person:
    """Says into the microphone what the rehearsal asks for."""

    def __init__(self, sound: SoundServer, speeches: Mapping[Path, Speech]) -> None:
        self.interrupted_at = 0.0
        """When the person was about to speak into a reply; the monotonic clock's seconds."""
        self._sound = sound
        self._speeches = {speech.name: speech for speech in speeches.values()}
        self._asked: asyncio.Queue[str] = asyncio.Queue()

    def tell(self, line: str) -> None:
        """Hear a line of the rehearsal's account."""
        if "please: " in line:
            self._asked.put_nowait(line)

    async def speak(self) -> None:
        """Do as asked until cancelled."""
        while True:
            asked = await self._asked.get()
            name = asked.partition("“")[2].partition("”")[0]
            if "interrupt" in asked:
                self.interrupted_at = time.monotonic()
            await asyncio.to_thread(self._sound.inject, self._speeches[name].sound)
