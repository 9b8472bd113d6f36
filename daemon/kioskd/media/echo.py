"""Takes the kiosk's own voice out of what its microphone hears: WebRTC's AudioProcessing, as `livekit` ships it.

    device thread:  played(24 kHz) ─► waiting ─┐
    loop thread:    clean(16 kHz frame) ──────►┴─► canceller ─► gate ─► gain ─► cleaned frame

The canceller wants blocks of 10 ms and takes both rates as they are. It finds the echo's delay by itself, up to half a
second, follows two clocks that drift apart, and bears bursts of either side. Measured over 15 minutes with 50 ppm of
drift: an echo 10 dB below the voice that caused it loses 38 dB, and 2 dB more where the clocks agree.

The gate: what a canceller leaves is quiet, but it is still a voice, and a service that hears one lets itself be
interrupted. Measured with echo and visitor about equally loud: where a visitor speaks, what comes out is within 8 dB of
what went in, be it only for a frame or two at first; what is left of an echo is 11 dB down at its very worst. So while the
own voice can be heard, what has lost more than `GATE_DB` is taken down to the room's noise.

What nobody should expect of it:

- It needs some 3 s of its own voice to learn a room, and what passes meanwhile would interrupt it in a third of the rooms
  tried. So it is half duplex until then: all that is captured with the own voice is taken down to the room's noise.
- A cleaned frame is never the frame it came from, even where nothing was played: what is below 100 Hz is taken away,
  and all comes 4 ms later (10 ms with noise suppression). Digital silence stays digital silence.
- An echo that comes before its sound was given to `played` cannot be found.
"""

import collections
from typing import Any, Final, Protocol

import numpy as np
import webrtcvad

from kioskd.errors import ConfigError
from kioskd.media import pcm

LEARNING_S: Final = 3.0
"""How much of its own voice the canceller hears until its estimate of the room is one. Measured: 15 dB after 2 s, 25 after
3 s, 38 after 4 s."""

REVERBERATION_S: Final = 0.3
"""How long a room goes on after the echo's first arrival, while it is being learnt."""

GATE_DB: Final = -12.0
"""What comes out against what went in, over `GATE_FRAMES`, from which it is more than an echo."""

VISITOR_DB: Final = -15.0
"""... of one frame, from which a voice in it is somebody else's."""

VISITOR_MODE: Final = 3
"""webrtcvad's strictest: of what is left of an echo it takes three frames an hour for a voice, and the second strictest
hundreds."""

STRUCK: Final = 0.5
"""A frame of less than this part of the power of one of the two before it is dying away, as a knock does."""

GATE_FRAMES: Final = 3

CLOCK_FRAMES: Final = 500
"""Over so many frames (10 s) the two clocks are compared: bursts of either side are shorter."""

MEND_FRAMES: Final = 20
"""One sample in so many frames is left out or doubled: 104 ppm, which the library follows as it does a moving visitor."""

HOLD_FRAMES: Final = 6
"""How long the gate stays open: syllables have gaps."""

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
_OPEN_AT: Final = 10 ** (GATE_DB / 10)
_VISITOR_AT: Final = 10 ** (VISITOR_DB / 10)
_FLOOR_RISES: Final = 1.01
_ABOVE_FLOOR: Final = 4.0
"""The canceller takes nothing away from mere noise: only what is louder than that opens the gate."""


class _Module(Protocol):
    def process_stream(self, data: Any) -> None: ...


class EchoCanceller:
    """One room: one loudspeaker, one microphone.

    No lock: `played` only appends to a bounded deque, so the device's thread never waits; all the work (about 0.2 ms a
    frame on a desktop, 2 ms on a Pi 4 at the worst) is done by `clean`, in the loop's thread.
    """

    def __init__(self, *, noise_suppression: bool, gain_control: bool, delay_s: float) -> None:
        """Load the library (40 ms, 20 MB) and start with an unknown room.

        Args:
            noise_suppression: take steady noise out as well: fans, hum.
            gain_control: bring near and far voices to one level.
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
                "run scripts/install.sh again, which installs what the settings need, or set microphone.echo = half_duplex"
            ) from error
        self._frame = AudioFrame
        self._canceller = AudioProcessingModule(
            echo_cancellation=True,
            noise_suppression=noise_suppression,
            # Rumble carries no speech, and the canceller takes it away with or without being told.
            high_pass_filter=True,
        )
        # After the gate: before it, it would raise what is left of the echo by 15 dB.
        self._leveller = AudioProcessingModule(auto_gain_control=True) if gain_control else None
        self._gate = _Gate()
        # Pieces as the device pulls them; `append` and `popleft` are atomic.
        self._waiting: collections.deque[tuple[bytes, bool]] = collections.deque(maxlen=_PIECES)
        self._far = bytearray()
        self._unlearnt = _LEARNING_BLOCKS
        # Frames for which the own voice is still in the room.
        self._audible_for = 0
        # ... and for which a chime is.
        self._chime_for = 0
        self._visitor = False
        self._clocks = _Clocks()
        self.skipped_bytes = 0
        """Bytes of what was played that the canceller never saw, because the microphone paused."""
        self.delay_s = delay_s

    @property
    def delay_s(self) -> float:
        """Seconds from `played` to the microphone frame that holds it, as far as they are known: the speaker's latency.

        The microphone does not say its own. A first guess that saves the canceller a second of searching; one that is wrong
        by 200 ms does no lasting harm.
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

    @property
    def visitor(self) -> bool:
        """Whether the newest frame held somebody else's voice together with the own one.

        The soonest sign of an interruption that there is, and no proof: see `bargein`.
        """
        return self._visitor

    def relearn(self) -> None:
        """Take the room for unknown: a device was opened anew, and the echo may come from elsewhere or at another time."""
        self._unlearnt = _LEARNING_BLOCKS
        self._clocks = _Clocks()

    def played(self, pcm_24k: bytes, *, voiced: bool = True) -> None:
        """Take what the loudspeaker has just been given, silence included, of any length. For the device's thread.

        Not `voiced` is a chime by itself: a pitch or two teach nobody a room, and shall not shut the gate before a visitor's
        first word. Returns at once. What was played is looked at with the next frame of the microphone.
        """
        self._waiting.append((pcm_24k, voiced))

    def clean(self, frame_16k: bytes) -> bytes:
        """Return the microphone's frame (20 ms) without the echo of what was played. For one thread.

        No more than the room's noise, while the own voice can be heard in a room that is not known yet.

        Raises:
            ValueError: it is not one frame long.
        """
        if len(frame_16k) != pcm.FRAME_BYTES:
            raise ValueError(f"a microphone frame is {pcm.FRAME_BYTES} bytes long, not {len(frame_16k)}")
        self._hear_own_voice()
        cleaned = self._through(self._canceller, frame_16k)
        own_voice, chime = self._audible_for > 0, self._chime_for > 0
        self._audible_for -= own_voice
        self._chime_for -= chime
        gated = self._gate.feed(frame_16k, cleaned, own_voice=own_voice, shut=self.learning)
        self._visitor = own_voice and self._gate.visitor and not self.learning
        if chime and not own_voice and self.learning:
            # In a room that it does not know it takes down all that comes with a sound, by 20 dB and more, be it a word.
            gated = frame_16k
        return gated if self._leveller is None else self._through(self._leveller, gated)

    def _hear_own_voice(self) -> None:
        """Give the canceller all whole blocks that were played since the last time: the echo comes after its cause."""
        far = self._far
        before = len(far)
        any_voiced = False
        for _ in range(len(self._waiting)):
            piece, voiced = self._waiting.popleft()
            far += piece
            any_voiced |= voiced
        self._clocks.count(len(far) - before)
        surplus = len(far) - _BACKLOG_BYTES
        if surplus > 0:
            surplus += -surplus % pcm.SAMPLE_BYTES
            del far[:surplus]
            self.skipped_bytes += surplus
            self.relearn()
        self._follow_clocks(far)
        whole = len(far) - len(far) % _FAR_BLOCK
        for start in range(0, whole, _FAR_BLOCK):
            block = far[start : start + _FAR_BLOCK]
            if np.abs(np.frombuffer(block, "<i2").astype(np.int32)).max() >= AUDIBLE:
                heard_for = round((self._delay_s + REVERBERATION_S) * 1000 / pcm.FRAME_MS)
                if any_voiced:
                    self._unlearnt = max(0, self._unlearnt - 1)
                    self._audible_for = heard_for
                else:
                    self._chime_for = heard_for
            self._canceller.process_reverse_stream(
                self._frame(block, pcm.DOWNLINK_HZ, 1, _FAR_BLOCK // pcm.SAMPLE_BYTES)
            )
        del far[:whole]

    def _follow_clocks(self, far: bytearray) -> None:
        """Leave out a sample of what was played, or double one, if it is time to."""
        if len(far) < _FAR_BLOCK:
            return
        match self._clocks.due():
            case 1:
                del far[: pcm.SAMPLE_BYTES]
            case -1:
                far[:0] = far[: pcm.SAMPLE_BYTES]

    def _through(self, module: _Module, frame_16k: bytes) -> bytes:
        out = []
        for start in range(0, pcm.FRAME_BYTES, _NEAR_BLOCK):
            block = bytearray(frame_16k[start : start + _NEAR_BLOCK])
            frame = self._frame(block, pcm.UPLINK_HZ, 1, _NEAR_BLOCK // pcm.SAMPLE_BYTES)
            module.process_stream(frame)
            out.append(bytes(frame.data))
        return b"".join(out)


class _Clocks:
    """Keeps the two devices' clocks together, a sample at a time.

    The library takes what was played for as old as the number of blocks that came since. With a playback clock that is
    50 ppm fast that is a block too many every 200 s, until the echo seems to come before its cause: seen after 400 s with
    devices of 20 ms together, and it took the library as long again to find out. So what one side is ahead of the other,
    apart from bursts, is taken away again, slowly.
    """

    def __init__(self) -> None:
        self._ahead = 0
        """Bytes that were played, less what the microphone's frames stand for."""
        self._window: list[int] = []
        self._first: float | None = None
        self._owed = 0
        """Samples to be left out; less than none: to be doubled."""
        self._mended_before = 0

    def count(self, played_bytes: int) -> None:
        """Count what was played with one frame of the microphone."""
        self._mended_before += 1
        self._ahead += played_bytes - pcm.FRAME_MS // _BLOCK_MS * _FAR_BLOCK
        self._window.append(self._ahead)
        if len(self._window) < CLOCK_FRAMES:
            return
        middle = float(np.median(self._window))
        self._window.clear()
        if self._first is None:
            self._first = middle
        slipped = round((middle - self._first) / pcm.SAMPLE_BYTES)
        # Less than half a block is how the bursts of both sides fall together, and no clock.
        if abs(slipped) >= _FAR_BLOCK // pcm.SAMPLE_BYTES // 2:
            self._first = middle
            self._owed += slipped

    def due(self) -> int:
        """Return 1 where a sample is to be left out now, -1 where one is to be doubled, else 0."""
        if self._owed == 0 or self._mended_before < MEND_FRAMES:
            return 0
        self._mended_before = 0
        sign = 1 if self._owed > 0 else -1
        self._owed -= sign
        return sign


class _Gate:
    """Tells a visitor from what is left of an echo, by how much of a frame the canceller has taken away."""

    def __init__(self) -> None:
        self._before: collections.deque[float] = collections.deque(maxlen=GATE_FRAMES)
        self._after: collections.deque[float] = collections.deque(maxlen=GATE_FRAMES)
        self._open_for = 0
        self.visitor = False
        """Whether so much of the newest frame was left, and sounds so, that somebody else speaks in it."""
        self._vad = webrtcvad.Vad(VISITOR_MODE)
        # The room's noise: the quietest frame, rising by 2 dB a second until there is a quieter one.
        self._floor: float | None = None

    @property
    def open(self) -> bool:
        """Whether there is more than an echo."""
        return self._open_for > 0

    def feed(self, captured: bytes, cleaned: bytes, *, own_voice: bool, shut: bool) -> bytes:
        """Return the cleaned frame, or as much of it as the room's noise."""
        samples = np.frombuffer(cleaned, "<i2").astype(np.float32)
        power = float(np.mean(np.square(samples)))
        self._floor = power if self._floor is None else min(power, max(self._floor, 1.0) * _FLOOR_RISES)
        self._before.append(_power(captured))
        self._after.append(power)
        voice = self._vad.is_speech(cleaned, pcm.UPLINK_HZ)
        before, after = sum(self._before), sum(self._after)
        loud = power > _ABOVE_FLOOR * self._floor
        alive = power >= STRUCK * max(self._after)
        self.visitor = voice and loud and alive and power > _VISITOR_AT * self._before[-1]
        if loud and after > _OPEN_AT * before:
            self._open_for = HOLD_FRAMES
        else:
            self._open_for = max(0, self._open_for - 1)
        if not own_voice or power <= self._floor or (self.open and not shut):
            return cleaned
        limited: bytes = np.rint(samples * np.sqrt(self._floor / power)).astype("<i2").tobytes()
        return limited


def _power(frame: bytes) -> float:
    return float(np.mean(np.square(np.frombuffer(frame, "<i2").astype(np.float32))))
