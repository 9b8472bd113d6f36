"""The microphone and the Live service of a kiosk in the soak."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final, NoReturn

import numpy as np
from pydantic import SecretStr
from tests.support.connection_proxy import ConnectionProxy

from kioskd.media import pcm
from kioskd.ports import Clock, Connection, Live, SpokenText

NOISE_LSB: Final = 3
"""Steps of the converter: inaudible, and enough to make each frame unlike all others."""


class TalkingMicrophone:
    """Hears a visitor who says the same thing over and over in real time; a `ports.Microphone`.

    No two frames are alike. The caller may remove frames from the front of `frames` after counting them.
    """

    def __init__(self, speech: bytes, clock: Clock, *, seed: int) -> None:
        """`speech`: 16 kHz PCM, with the pauses in it."""
        samples = np.frombuffer(speech, "<i2")
        whole = len(samples) - len(samples) % (pcm.FRAME_BYTES // pcm.SAMPLE_BYTES)
        self._speech = samples[:whole].reshape(-1, pcm.FRAME_BYTES // pcm.SAMPLE_BYTES).astype(np.int32)
        self.urgent = True
        self._clock = clock
        self._chance = np.random.default_rng(seed)
        self.frames: list[bytes] = []
        """Frames that were captured and not yet removed."""
        self.captured = 0
        """Number of all captured frames."""
        self.talking = False
        """Whether the visitor talks. Otherwise there is only the room."""

    async def capture(self, sink: Callable[[bytes], None]) -> NoReturn:
        """Hand each frame to `sink` until cancelled; see `ports.Microphone`."""
        due = self._clock.now()
        while True:
            due += pcm.FRAME_MS / 1000
            if (wait := due - self._clock.now()) > 0:
                await self._clock.sleep(wait)
            noise = self._chance.integers(
                -NOISE_LSB, NOISE_LSB, self._speech.shape[1], np.int16, endpoint=True
            )
            spoken = noise.astype(np.int32)
            if self.talking:
                spoken += self._speech[self.captured % len(self._speech)]
            frame = np.clip(spoken, -32768, 32767).astype("<i2").tobytes()
            self.frames.append(frame)
            self.captured += 1
            sink(frame)


class CountedConnection(ConnectionProxy):
    """Wraps a connection, and counts the frames that were given to it."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.given = 0

    async def send_audio(self, frame: bytes) -> None:
        """See `ports.Connection`."""
        self.given += 1
        await super().send_audio(frame)


class CountingLive:
    """Wraps a `ports.Live`, and counts the frames that its connections took without delivering."""

    def __init__(self, live: Live, on_undelivered: Callable[[int], None]) -> None:
        self._live = live
        self._on_undelivered = on_undelivered

    async def check(self) -> None:
        """See `ports.Live`."""
        await self._live.check()

    async def warm_up(self) -> None:
        """See `ports.Live`."""
        await self._live.warm_up()

    @asynccontextmanager
    async def connect(
        self, handle: SecretStr | None, recall: Sequence[SpokenText] = (), profile: str = ""
    ) -> AsyncIterator[Connection]:
        """See `ports.Live`."""
        counted: CountedConnection | None = None
        try:
            async with self._live.connect(handle, recall) as connection:
                counted = CountedConnection(connection)
                yield counted
        finally:
            if counted is not None:
                self._on_undelivered(counted.given - counted.delivered)
