"""Takes the kiosk's own voice out of what its microphone hears: WebRTC's AudioProcessing, as `livekit` ships it.

    device thread:  played(24 kHz) ─► waiting ─┐
    loop thread:    clean(16 kHz frame) ◄──────┴─► canceller ─► cleaned frame

The canceller wants blocks of 10 ms and takes both rates as they are. It finds the echo's delay by itself, up to half a
second, follows two clocks that drift apart, and bears bursts of either side. Measured over 15 minutes with 50 ppm of
drift: an echo 10 dB below the voice that caused it loses 38 dB, and 2 dB more where the clocks agree.

What nobody should expect of it:

- It needs some 3 s of its own voice to learn a room, and lets enough of the echo through meanwhile for a service to be
  interrupted by it (in a third of the rooms tried). So it is half duplex until then: while its own voice can be heard in
  a room that it does not know yet, the microphone hears nothing.
- A cleaned frame is never the frame it came from, even where nothing was played: what is below 100 Hz is taken away,
  and all comes 4 ms later (10 ms with noise suppression). Digital silence stays digital silence.
- An echo that comes before its sound was given to `played` cannot be found.
"""

import collections
from typing import Final

from kioskd.errors import ConfigError
from kioskd.media import pcm

LEARNING_S: Final = 3.0
"""How much of its own voice the canceller hears until its estimate of the room is one. Measured: 15 dB after 2 s, 25 after
3 s, 38 after 4 s."""

RINGING_S: Final = 0.3
"""How long a room goes on after the echo's first arrival, while it is being learnt."""

BACKLOG_S: Final = 0.5
"""How much of what was played may wait for the microphone; more comes only where the microphone has paused, and what it
will hear then is an echo of the newest."""

LONGEST_DELAY_S: Final = 0.5
"""The library takes longer delays for this one."""

AUDIBLE: Final = 100
"""The sample value from which a block that was played teaches the canceller anything: -50 dBFS."""

_BLOCK_MS: Final = 10
_FAR_BLOCK: Final = pcm.DOWNLINK_HZ * _BLOCK_MS // 1000 * pcm.SAMPLE_BYTES
_NEAR_BLOCK: Final = pcm.UPLINK_HZ * _BLOCK_MS // 1000 * pcm.SAMPLE_BYTES
_BACKLOG_BYTES: Final = pcm.byte_count(BACKLOG_S, pcm.DOWNLINK_HZ)
_LEARNING_BLOCKS: Final = round(LEARNING_S * 1000 / _BLOCK_MS)
_PIECES: Final = 1000
_SILENCE: Final = bytes(pcm.FRAME_BYTES)


class EchoCanceller:
    """One room: one loudspeaker, one microphone.

    No lock: `played` only appends to a bounded deque, so the device's thread never waits; all the work (about 0.1 ms a
    frame on a desktop, 1 ms on a Pi 4) is done by `clean`, in the loop's thread.
    """

    def __init__(self, *, noise_suppression: bool, gain_control: bool, delay_s: float) -> None:
        """Load the library (40 ms, 20 MB) and start with an unknown room.

        Args:
            noise_suppression: take steady noise out as well: fans, hum.
            gain_control: bring near and far voices to one level. It raises what is left of the echo too, by 15 dB.
            delay_s: see the property.

        Raises:
            ConfigError: the library is not installed.
        """
        try:
            # 20 MB and some threads of its own: loaded where echo is cancelled, and nowhere else.
            from livekit.rtc import AudioFrame, AudioProcessingModule  # noqa: PLC0415
        except ImportError as error:
            raise ConfigError(
                f"microphone.echo = cancel: the library livekit cannot be loaded ({error}); "
                "pip install 'kioskd[echo]', or set microphone.echo = half_duplex"
            ) from error
        self._frame = AudioFrame
        self._canceller = AudioProcessingModule(
            echo_cancellation=True,
            noise_suppression=noise_suppression,
            # Rumble carries no speech, and the canceller takes it away with or without being told.
            high_pass_filter=True,
            auto_gain_control=gain_control,
        )
        # Pieces as the device pulls them; `append` and `popleft` are atomic.
        self._waiting: collections.deque[bytes] = collections.deque(maxlen=_PIECES)
        self._far = bytearray()
        self._unlearnt = _LEARNING_BLOCKS
        # Frames for which the own voice is still in the room.
        self._audible_for = 0
        self.skipped_bytes = 0
        """Bytes of what was played that the canceller never saw, because the microphone paused."""
        self.delay_s = delay_s

    @property
    def delay_s(self) -> float:
        """Seconds from `played` to the microphone frame that holds it: the latency of both devices together.

        A first guess that saves the canceller a second of searching; one that is wrong by 200 ms does no lasting harm.
        """
        return self._delay_s

    @delay_s.setter
    def delay_s(self, seconds: float) -> None:
        self._delay_s = min(max(seconds, 0.0), LONGEST_DELAY_S)
        self._canceller.set_stream_delay_ms(round(self._delay_s * 1000))

    @property
    def learning(self) -> bool:
        """Whether too little was played yet for the room to be known: half duplex until then."""
        return self._unlearnt > 0

    def relearn(self) -> None:
        """Take the room for unknown: a device was opened anew, and the echo may come from elsewhere or at another time."""
        self._unlearnt = _LEARNING_BLOCKS

    def played(self, pcm_24k: bytes) -> None:
        """Take what the loudspeaker has just been given, silence included, of any length. For the device's thread.

        Returns at once. What was played is looked at with the next frame of the microphone.
        """
        self._waiting.append(pcm_24k)

    def clean(self, frame_16k: bytes) -> bytes:
        """Return the microphone's frame (20 ms) without the echo of what was played. For one thread.

        Silence, while the own voice can be heard in a room that is not known yet.

        Raises:
            ValueError: it is not one frame long.
        """
        if len(frame_16k) != pcm.FRAME_BYTES:
            raise ValueError(f"a microphone frame is {pcm.FRAME_BYTES} bytes long, not {len(frame_16k)}")
        self._hear_own_voice()
        cleaned = b"".join(
            self._cleaned(frame_16k[start : start + _NEAR_BLOCK])
            for start in range(0, pcm.FRAME_BYTES, _NEAR_BLOCK)
        )
        if self._audible_for:
            self._audible_for -= 1
            if self.learning:
                return _SILENCE
        return cleaned

    def _hear_own_voice(self) -> None:
        """Give the canceller all whole blocks that were played since the last time: the echo comes after its cause."""
        far = self._far
        for _ in range(len(self._waiting)):
            far += self._waiting.popleft()
        surplus = len(far) - _BACKLOG_BYTES
        if surplus > 0:
            surplus += -surplus % pcm.SAMPLE_BYTES
            del far[:surplus]
            self.skipped_bytes += surplus
            self.relearn()
        whole = len(far) - len(far) % _FAR_BLOCK
        for start in range(0, whole, _FAR_BLOCK):
            block = far[start : start + _FAR_BLOCK]
            if self._unlearnt and _peak(block) >= AUDIBLE:
                self._unlearnt -= 1
                self._audible_for = round((self._delay_s + RINGING_S) * 1000 / pcm.FRAME_MS)
            self._canceller.process_reverse_stream(
                self._frame(block, pcm.DOWNLINK_HZ, 1, _FAR_BLOCK // pcm.SAMPLE_BYTES)
            )
        del far[:whole]

    def _cleaned(self, block: bytes) -> bytes:
        frame = self._frame(bytearray(block), pcm.UPLINK_HZ, 1, _NEAR_BLOCK // pcm.SAMPLE_BYTES)
        self._canceller.process_stream(frame)
        return bytes(frame.data)


def _peak(block: bytearray) -> int:
    samples = memoryview(block).cast("h")
    return max(*samples, -min(samples))
