"""Times at which sounds were made and heard on the virtual sound card, in monotonic seconds.

A recorder hands over blocks, some sooner and some later. A sample's time comes from the block nearby that
came soonest. So a block that is late on its way delays none of its samples. Both the microphone's source and
the speaker's output are recorded, so no delay of the injector counts.
"""

import bisect
import contextlib
import fcntl
import threading
from collections.abc import Iterator
from typing import IO, Final

import numpy as np
import numpy.typing as npt
from tests.support.sound_server import Recording, SoundServer

MICROPHONE_HZ: Final = 16_000
SPEAKER_HZ: Final = 24_000
CLICK_EVERY_MS: Final = 157
"""Seconds between clicks. It is no multiple of a frame, so clicks fall on every part of a 20 ms frame."""
CLICK_MS: Final = 6
BLOCK_MS: Final = 10
NOISE: Final = 40
"""Amplitude of the room's noise at the microphone, so that voice detection and compression do their real
work."""
WINDOW_S: Final = 0.25
"""Seconds around a block that are searched: some 150 blocks. The recorders run 0.04 % fast, which makes 0.1
ms."""
PIPE_BYTES: Final = 4096


class Timeline:
    """A recording, and the time of each of its samples."""

    def __init__(self, recording: Recording, rate_hz: int) -> None:
        self._recording = recording
        self._rate_hz = rate_hz

    def sound(self, since: float, until: float) -> tuple[npt.NDArray[np.int16], float]:
        """Wait for the samples between two times; return them, and the time of the first one."""
        base = self._base(since)
        # Wait a little longer: the blocks that give these samples their time may come after them.
        self._recording.wait_bytes(round((until + WINDOW_S - base) * self._rate_hz) * 2)
        base = self._base(since)
        first, last = (max(0, round((at - base) * self._rate_hz)) for at in (since, until))
        samples = np.frombuffer(bytes(self._recording.pcm[first * 2 : last * 2]), dtype="<i2")
        return samples, base + first / self._rate_hz

    def loud(self, since: float, until: float, threshold: float) -> npt.NDArray[np.float64]:
        """Return the times of all samples above a threshold (of full scale) between two times."""
        samples, began = self.sound(since, until)
        over = np.flatnonzero(np.abs(samples.astype(np.int32)) > threshold * 32767)
        return began + over / self._rate_hz

    def jitter_ms(self) -> float:
        """Return the delay that 95 of 100 blocks stay below, against the soonest block around each."""
        offsets = self._offsets()
        late = [offset - self._base(at, offsets) for at, offset in offsets[:: len(offsets) // 200 or 1]]
        return float(np.percentile(late, 95)) * 1000

    def _base(self, at: float, offsets: list[tuple[float, float]] | None = None) -> float:
        """Return the time of sample 0, by the soonest block around `at`."""
        offsets = offsets or self._offsets()
        low = bisect.bisect_left(offsets, (at - WINDOW_S, -np.inf))
        high = bisect.bisect_right(offsets, (at + WINDOW_S, np.inf))
        # No block is near: use the newest one.
        return min(offset for _, offset in offsets[low:high] or offsets[-1:])

    def _offsets(self) -> list[tuple[float, float]]:
        """Return for each block its time, and the time of sample 0 if the block came at once."""
        arrived = list(self._recording.arrived)
        ends = np.cumsum([count for _, count in arrived]) / (2 * self._rate_hz)
        return [(at, at - end) for (at, _), end in zip(arrived, ends, strict=True)]


class Room:
    """The sound in the microphone: a quiet room, and clicks on request."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        # The pipe holds little sound, so that clicks come soon.
        fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        noise = np.random.default_rng(7).uniform(-NOISE, NOISE, MICROPHONE_HZ * CLICK_EVERY_MS // 1000)
        click = noise.copy()
        count = MICROPHONE_HZ * CLICK_MS // 1000
        click[:count] += 0.8 * 32767 * np.sin(2 * np.pi * 1000 / MICROPHONE_HZ * np.arange(count))
        self._quiet = noise[: MICROPHONE_HZ * BLOCK_MS // 1000].astype("<i2").tobytes()
        self._click = click.astype("<i2").tobytes()
        self._clicks = 0
        self._clicked = threading.Condition()
        self._over = False
        self._writer = threading.Thread(target=self._write, name="room", daemon=True)
        self._writer.start()

    def click(self, count: int) -> None:
        """Make this number of clicks, and return when the last one is on its way."""
        with self._clicked:
            self._clicks = count
            if not self._clicked.wait_for(lambda: not self._clicks, 10 + count):
                raise TimeoutError("the microphone's injector takes no sound")

    def close(self) -> None:
        """Fall silent."""
        self._over = True
        self._writer.join(5.0)

    def _write(self) -> None:
        while not self._over:
            with self._clicked:
                clicking = self._clicks > 0
            self._pipe.write(self._click if clicking else self._quiet)
            self._pipe.flush()
            if clicking:
                with self._clicked:
                    self._clicks -= 1
                    self._clicked.notify_all()


class Sounds:
    """Recorders of both directions of the sound card."""

    def __init__(self, room: Room, microphone: Timeline, speaker: Timeline) -> None:
        self.room = room
        self.microphone = microphone
        self.speaker = speaker


@contextlib.contextmanager
def sounds(server: SoundServer) -> Iterator[Sounds]:
    """Yield the sound card with its recorders and its room running."""
    with (
        server.record() as spoken,
        server.recorded("mic", MICROPHONE_HZ) as heard,
        server.injector() as injector,
    ):
        assert injector.stdin
        room = Room(injector.stdin)
        heard.wait_bytes(1)
        try:
            yield Sounds(room, Timeline(heard, MICROPHONE_HZ), Timeline(spoken, SPEAKER_HZ))
        finally:
            room.close()
