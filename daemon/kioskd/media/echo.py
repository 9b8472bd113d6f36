"""Takes the kiosk's own voice out of the microphone's signal, with WebRTC's AudioProcessing from `livekit`.

    device thread:  played(24 kHz) ─► waiting ─┐
    loop thread:    clean(16 kHz frame) ──────►┴─► canceller ─► gate ─► gain ─► cleaned frame

The canceller gets the played sound by the microphone's clock and just before its echo (`echo_alignment`). So
it follows clocks that drift apart, pauses of any length, and bursts on either side. Measured over 15 minutes
with 50 ppm of drift: an echo 10 dB below the voice that caused it loses 38 dB.

The gate: the canceller leaves a quiet residue, which is still a voice. A service that hears a voice
interrupts its reply. Measured with echo and visitor about equally loud: a speaking visitor comes out within 8
dB of the input. At first that may hold only for a frame or two. The residue of an echo is 11 dB down at
worst. So while the own voice can be heard, the gate mutes a signal that has lost more than `GATE_DB`. To mute
is to lower to the room's noise.

Its limits:

- It needs some 3 s of its own voice to learn a room. The residue of that time would interrupt the reply in a
  third of the rooms tried. So the kiosk is half duplex until then: everything captured with the own voice is
  lowered to the room's noise. That happens once after the start. Later conversations know the room.
- After a pause, some frames of echo have to prove the canceller. The same holds for a reopened device.
  The kiosk is half duplex for that time: the first 0.1 s of the echo after a pause, and some 0.8 s after a
  device was opened again.
- A cleaned frame always differs from its input, even if nothing was played. Sound below 100 Hz is removed,
  and the signal comes 4 ms later (10 ms with noise suppression). Digital silence stays digital silence.
- It cannot find an echo that comes before its sound was given to `played`.

`GATE_DB`, `VISITOR_DB`, `STRUCK` and the frames of the gate were fitted on two speakers: Debian's alsa-utils
recordings, and three readings of LibriVox. The replies were of espeak-ng's voice en.
"""

import collections
from typing import Any, Final, Protocol

import numpy as np
import webrtcvad

from kioskd.errors import ConfigError
from kioskd.media import pcm
from kioskd.media.echo_alignment import LAG_S, LONGEST_DELAY_S, EchoAlignment

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

HOLD_FRAMES: Final = 6
"""Frames for which the gate stays open: syllables have gaps."""

AUDIBLE: Final = 100
"""Sample value from which a played piece teaches the canceller: -50 dBFS."""

PAUSE_S: Final = 2.0
"""Seconds without its own voice after which the canceller has to be proved again."""

CONFIRMED_S: Final = 1.0
"""Seconds of its own voice after a pause that have to pass if nothing proves or disproves the canceller. Then
the echo is too quiet to be found."""

PROVED_FRAMES: Final = 15
"""Frames (300 ms) of well cancelled echo that prove the estimate of a room that was known before."""

PROVED_DB: Final = -50.0
"""Level of an echo, in dB of full scale, from which its cancelling proves something."""

_BLOCK: Final = pcm.FRAME_BYTES // 2
"""Bytes of 10 ms, which the library takes at a time."""
_LEARNING_BYTES: Final = pcm.byte_count(LEARNING_S, pcm.DOWNLINK_HZ)
_PROVED_BYTES: Final = _LEARNING_BYTES // PROVED_FRAMES
_CONFIRMED_BYTES: Final = pcm.byte_count(CONFIRMED_S, pcm.DOWNLINK_HZ)
_PAUSE_FRAMES: Final = round(PAUSE_S / pcm.FRAME_S)
_PIECES: Final = 1000
_OPEN_AT: Final = 10 ** (GATE_DB / 10)
_VISITOR_AT: Final = 10 ** (VISITOR_DB / 10)
_PROVED_POWER: Final = 32768.0**2 * 10 ** (PROVED_DB / 10)
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
        self._alignment = EchoAlignment(min(max(delay_s, 0.0), LONGEST_DELAY_S))
        self._knowledge = _Knowledge()
        # Frames for which the own voice is still in the room.
        self._audible_for = 0
        # Frames for which a chime is still in the room.
        self._chime_for = 0
        self._visitor = False
        self._canceller.set_stream_delay_ms(round(LAG_S * 1000))
        self.delay_s = delay_s

    @property
    def delay_s(self) -> float:
        """Known seconds from `played` to the microphone frame that holds the sound: the speaker's latency.

        The microphone does not report its latency. The echo itself tells the true delay (`echo_alignment`).
        """
        return self._delay_s

    @delay_s.setter
    def delay_s(self, seconds: float) -> None:
        self._delay_s = min(max(seconds, 0.0), LONGEST_DELAY_S)

    @property
    def skipped_bytes(self) -> int:
        """Bytes of played sound that the canceller skipped, because the microphone paused."""
        return self._alignment.skipped_bytes

    @property
    def learning(self) -> bool:
        """Whether the room is still unknown, or has to be confirmed: half duplex until then."""
        return self._knowledge.doubtful

    @property
    def visitor(self) -> bool:
        """Whether the newest frame held another person's voice besides the kiosk's own.

        It is the earliest sign of an interruption, but no proof: see `barge_in`.
        """
        return self._visitor

    def relearn(self) -> None:
        """Have the room confirmed: a device was opened again, which may change the echo and its delay."""
        self._knowledge.doubt()
        self._alignment.reopened()

    def played(self, pcm_24k: bytes, *, voiced: bool = True) -> None:
        """Take the sound just given to the loudspeaker: any number of samples, silence included. For the
        device's thread.

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
        self._hear_own_voice(frame_16k)
        cleaned = self._through(self._canceller, frame_16k)
        own_voice, chime = self._audible_for > 0, self._chime_for > 0
        self._audible_for -= own_voice
        self._chime_for -= chime
        gated = self._gate.feed(frame_16k, cleaned, own_voice=own_voice, shut=self.learning)
        self._knowledge.note(self._alignment, cancelled=own_voice and self._gate.cancelled)
        self._visitor = own_voice and self._gate.visitor and not self.learning
        if chime and not own_voice and self.learning:
            # In an unknown room the canceller lowers all sound during playback by 20 dB and more, even a
            # word.
            gated = frame_16k
        return gated if self._leveller is None else self._through(self._leveller, gated)

    def _hear_own_voice(self, frame_16k: bytes) -> None:
        """Give the canceller the played sound that belongs to this frame: an echo comes after its cause."""
        for _ in range(len(self._waiting)):
            piece, voiced = self._waiting.popleft()
            audible = bool(np.abs(np.frombuffer(piece, "<i2").astype(np.int32)).max(initial=0) >= AUDIBLE)
            self._alignment.played(piece, voiced=audible and voiced)
            if not audible:
                continue
            heard_for = round((self._delay_s + REVERBERATION_S) * 1000 / pcm.FRAME_MS)
            if voiced:
                self._knowledge.speak(len(piece))
                self._audible_for = heard_for
            else:
                self._chime_for = heard_for
        played = self._alignment.captured(frame_16k).tobytes()
        for start in range(0, len(played), _BLOCK):
            self._canceller.process_reverse_stream(
                self._frame(played[start : start + _BLOCK], pcm.UPLINK_HZ, 1, _BLOCK // pcm.SAMPLE_BYTES)
            )

    def _through(self, module: _Module, frame_16k: bytes) -> bytes:
        out = []
        for start in range(0, pcm.FRAME_BYTES, _BLOCK):
            block = bytearray(frame_16k[start : start + _BLOCK])
            frame = self._frame(block, pcm.UPLINK_HZ, 1, _BLOCK // pcm.SAMPLE_BYTES)
            module.process_stream(frame)
            out.append(bytes(frame.data))
        return b"".join(out)


class _Knowledge:
    """Says whether the canceller knows the room well enough to leave no echo."""

    def __init__(self) -> None:
        self._unlearnt = _LEARNING_BYTES
        """Bytes of its own voice that are missing."""
        self._learnt_once = False
        self._sure = False
        self._confirmed = 0
        self._silent_for = 0
        """Frames since its own voice was played."""

    @property
    def doubtful(self) -> bool:
        """Whether an echo may be left."""
        return self._unlearnt > 0

    def doubt(self) -> None:
        """Ask for as much voice as for an unknown room, or for a proof."""
        self._unlearnt = _LEARNING_BYTES

    def speak(self, byte_count: int) -> None:
        """Note that the kiosk's own voice is played."""
        if self._silent_for > _PAUSE_FRAMES:
            self._unlearnt = max(self._unlearnt, _CONFIRMED_BYTES)
        self._silent_for = 0
        self._unlearnt = max(0, self._unlearnt - byte_count)

    def note(self, alignment: EchoAlignment, *, cancelled: bool) -> None:
        """Note what a frame tells of the room. `cancelled`: it held an echo, of which little is left."""
        self._silent_for += 1
        was_sure, self._sure = self._sure, alignment.sure
        confirmed, self._confirmed = self._confirmed, alignment.confirmed
        if was_sure and not self._sure:
            self.doubt()
        elif self._sure and self._learnt_once:
            if confirmed < self._confirmed and self._unlearnt <= _CONFIRMED_BYTES:
                self._unlearnt = 0
            elif cancelled:
                self._unlearnt = max(0, self._unlearnt - _PROVED_BYTES)
        self._learnt_once |= self._unlearnt == 0


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
    def cancelled(self) -> bool:
        """Whether the newest frame was loud, and lost more than an echo with a visitor would lose."""
        before = self._before[-1]
        return before > _PROVED_POWER and self._after[-1] < _VISITOR_AT * before

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
