"""Takes the kiosk's own voice out of the microphone's signal, with WebRTC's AudioProcessing from `livekit`.

    device thread:  played(24 kHz) ─► waiting ─┐
    loop thread:    clean(16 kHz frame) ──────►┴─► canceller ─► gate ─► gain ─► cleaned frame

The canceller takes blocks of 10 ms at both rates. It finds the echo's delay by itself, up to half a second.
It follows two clocks that drift apart, and tolerates bursts on either side. Measured over 15 minutes with 50
ppm of drift: an echo 10 dB below the voice that caused it loses 38 dB. With clocks that agree it loses 2 dB
more.

The gate: the canceller leaves a quiet residue, which is still a voice. A service that hears a voice
interrupts its reply. Measured with echo and visitor about equally loud: a speaking visitor comes out within 8
dB of the input. At first that may hold only for a frame or two. The residue of an echo is 11 dB down at
worst. So while the own voice can be heard, the gate mutes a signal that has lost more than `GATE_DB`. To mute
is to lower to the room's noise.

Its limits:

- It needs some 3 s of its own voice to learn a room. The residue of that time would interrupt the reply in a
  third of the rooms tried. So the kiosk is half duplex until then: everything captured with the own voice is
  lowered to the room's noise.
- A cleaned frame always differs from its input, even if nothing was played. Sound below 100 Hz is removed,
  and the signal comes 4 ms later (10 ms with noise suppression). Digital silence stays digital silence.
- It cannot find an echo that comes before its sound was given to `played`.
"""

import collections
from typing import Any, Final, Protocol

import numpy as np
import webrtcvad

from kioskd.errors import ConfigError
from kioskd.media import pcm

LEARNING_S: Final = 3.0
"""Seconds of its own voice after which the canceller's estimate of the room is usable. Measured: 15 dB after
2 s, 25 after 3 s, 38 after 4 s."""

REVERBERATION_S: Final = 0.3
"""Seconds for which a room is taken to ring after the echo's first arrival, while the canceller learns."""

GATE_DB: Final = -12.0
"""Ratio of output to input over `GATE_FRAMES` above which the frame holds more than an echo."""

VISITOR_DB: Final = -15.0
"""Ratio of output to input of one frame above which a voice in it is another person's."""

VISITOR_MODE: Final = 3
"""webrtcvad's strictest mode. It takes three frames an hour of an echo's residue for a voice; the second
strictest mode takes hundreds."""

STRUCK: Final = 0.5
"""A frame is fading, like a knock, below this share of the power of the louder of two before it."""

GATE_FRAMES: Final = 3

CLOCK_FRAMES: Final = 500
"""Frames (10 s) over which the two clocks are compared: longer than the bursts of either side."""

MEND_FRAMES: Final = 20
"""Frames per left-out or doubled sample: 104 ppm, which the library follows like a moving visitor."""

HOLD_FRAMES: Final = 6
"""Frames for which the gate stays open: syllables have gaps."""

BACKLOG_S: Final = 0.5
"""Seconds of played sound that may wait for the microphone. More sound waits only if the microphone has
paused, and then it will hear an echo of the newest sound."""

LONGEST_DELAY_S: Final = 0.5
"""The longest delay that the library distinguishes; longer ones count as this."""

AUDIBLE: Final = 100
"""Sample value from which a played block teaches the canceller: -50 dBFS."""

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
"""Ratio of power to the noise above which the gate may open: the canceller leaves mere noise alone."""


class _Module(Protocol):
    def process_stream(self, data: Any) -> None: ...


class EchoCanceller:
    """Canceller for one room: one loudspeaker, one microphone.

    It has no lock: `played` only appends to a bounded deque, so the device's thread never waits. `clean` does
    all the work in the loop's thread: about 0.2 ms a frame on a desktop, 2 ms on a Pi 4 at worst.
    """

    def __init__(self, *, noise_suppression: bool, gain_control: bool, delay_s: float) -> None:
        """Load the library (40 ms, 20 MB) and start with an unknown room.

        Args:
            noise_suppression: take out steady noise as well: fans, hum.
            gain_control: bring near and far voices to one level.
            delay_s: see the property.

        Raises:
            ConfigError: the library is not installed.
        """
        try:
            # The library has 20 MB and threads of its own: load it only if echo is cancelled.
            from livekit.rtc import AudioFrame, AudioProcessingModule  # noqa: PLC0415
        except ImportError as error:
            raise ConfigError(
                f"microphone.echo = cancel: the library livekit cannot be loaded ({error}); "
                "run scripts/install.sh again, which installs what the settings need, "
                "or set microphone.echo = half_duplex"
            ) from error
        self._frame = AudioFrame
        self._canceller = AudioProcessingModule(
            echo_cancellation=True,
            noise_suppression=noise_suppression,
            # Rumble carries no speech, and the canceller removes it in any case.
            high_pass_filter=True,
        )
        # After the gate: before it, gain control would raise the echo's residue by 15 dB.
        self._leveller = AudioProcessingModule(auto_gain_control=True) if gain_control else None
        self._gate = _Gate()
        # Pieces as the device pulls them; `append` and `popleft` are atomic.
        self._waiting: collections.deque[tuple[bytes, bool]] = collections.deque(maxlen=_PIECES)
        self._far = bytearray()
        self._unlearnt = _LEARNING_BLOCKS
        # Frames for which the own voice is still in the room.
        self._audible_for = 0
        # Frames for which a chime is still in the room.
        self._chime_for = 0
        self._visitor = False
        self._clocks = _Clocks()
        self.skipped_bytes = 0
        """Bytes of played sound that the canceller skipped, because the microphone paused."""
        self.delay_s = delay_s

    @property
    def delay_s(self) -> float:
        """Known seconds from `played` to the microphone frame that holds the sound: the speaker's latency.

        The microphone does not report its latency. This first guess saves the canceller a second of
        searching. An error of 200 ms does no lasting harm.
        """
        return self._delay_s

    @delay_s.setter
    def delay_s(self, seconds: float) -> None:
        self._delay_s = min(max(seconds, 0.0), LONGEST_DELAY_S)
        self._canceller.set_stream_delay_ms(round(self._delay_s * 1000))

    @property
    def learning(self) -> bool:
        """Whether the room is still unknown, because too little was played: half duplex until then."""
        return self._unlearnt > 0

    @property
    def visitor(self) -> bool:
        """Whether the newest frame held another person's voice besides the kiosk's own.

        It is the earliest sign of an interruption, but no proof: see `barge_in`.
        """
        return self._visitor

    def relearn(self) -> None:
        """Treat the room as unknown: a device was opened again, which may change the echo and its delay."""
        self._unlearnt = _LEARNING_BLOCKS
        self._clocks = _Clocks()

    def played(self, pcm_24k: bytes, *, voiced: bool = True) -> None:
        """Take the sound just given to the loudspeaker, of any length, silence included. For the device's
        thread.

        `voiced` is False for a chime alone: one or two pitches do not teach the room. They must not shut the
        gate before a visitor's first word. The method returns at once; the next microphone frame uses the
        sound.
        """
        self._waiting.append((pcm_24k, voiced))

    def clean(self, frame_16k: bytes) -> bytes:
        """Return the microphone's frame (20 ms) without the echo of the played sound. For one thread.

        While the own voice can be heard in an unknown room, the result is no louder than the room's noise.

        Raises:
            ValueError: the frame has another length.
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
            # In an unknown room the canceller lowers all sound during playback by 20 dB and more, even a
            # word.
            gated = frame_16k
        return gated if self._leveller is None else self._through(self._leveller, gated)

    def _hear_own_voice(self) -> None:
        """Give the canceller all whole blocks played since the last call: an echo comes after its cause."""
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
        """Leave out or double one sample of the played sound if the clocks require it."""
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
    """Keeps the clocks of two devices together, a sample at a time.

    The library derives the age of a played block from the number of later blocks. With a playback clock 50
    ppm fast, one block too many arrives every 200 s, until the echo seems to come before its cause. That was
    seen after 400 s with devices of 20 ms latency together, and the library took as long again to recover. So
    this class slowly removes the lead of one side, apart from bursts.
    """

    def __init__(self) -> None:
        self._ahead = 0
        """Bytes played, minus the bytes that correspond to the microphone's frames."""
        self._window: list[int] = []
        self._first: float | None = None
        self._owed = 0
        """Samples still to be left out; if negative, to be doubled."""
        self._mended_before = 0

    def count(self, played_bytes: int) -> None:
        """Count the bytes played during one microphone frame."""
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
        # A smaller difference than half a block comes from how bursts of both sides fall together, not from
        # the clocks.
        if abs(slipped) >= _FAR_BLOCK // pcm.SAMPLE_BYTES // 2:
            self._first = middle
            self._owed += slipped

    def due(self) -> int:
        """Return 1 to leave out a sample now, -1 to double one, otherwise 0."""
        if self._owed == 0 or self._mended_before < MEND_FRAMES:
            return 0
        self._mended_before = 0
        sign = 1 if self._owed > 0 else -1
        self._owed -= sign
        return sign


class _Gate:
    """Tells a visitor from the residue of an echo by the share that the canceller has taken away."""

    def __init__(self) -> None:
        self._before: collections.deque[float] = collections.deque(maxlen=GATE_FRAMES)
        self._after: collections.deque[float] = collections.deque(maxlen=GATE_FRAMES)
        self._open_for = 0
        self.visitor = False
        """Whether the newest frame holds another person's voice: it sounds so, and enough of it was left."""
        self._vad = webrtcvad.Vad(VISITOR_MODE)
        # Power of the room's noise: the quietest frame, rising by 2 dB a second until a quieter one comes.
        self._floor: float | None = None

    @property
    def open(self) -> bool:
        """Whether the signal holds more than an echo."""
        return self._open_for > 0

    def feed(self, captured: bytes, cleaned: bytes, *, own_voice: bool, shut: bool) -> bytes:
        """Return the cleaned frame, or the frame lowered to the room's noise."""
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
