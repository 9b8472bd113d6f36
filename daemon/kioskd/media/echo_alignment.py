"""Keeps the played sound aligned with its echo, whatever the clocks and the devices do.

    played (24 kHz, by the speaker's clock) ─► read at the echo's place ─► 16 kHz, by the microphone's clock
                                                         ▲
    captured ─► delay of the echo, twice a second ─► delay and drift

An adaptive filter follows two clocks only while it hears an echo. During a pause it learns nothing, and the
clocks drift on. 50 ppm are 8 samples in 10 s. The kiosk then took its own voice for a visitor's. So this
module measures the delay of each reply, and the drift from one to the next. It reads the played sound
as far behind as its echo comes, resampled by the drift. The filter then sees one delay, `LAG_S`, for ever.

A Kalman filter holds the delay, the drift, and the certainty of both. The alignment is unsure after some
minutes of silence, and after a device was opened again. The first half second of the next voice mends that:
the delay is searched for over the whole range.

`CLEAR` and `NOISE_SAMPLES` were fitted on Debian's alsa-utils recordings and on espeak-ng's voice en. That
was done in one of the bench's rooms. No other constant was fitted.
"""

import collections
import math
from typing import Final

import numpy as np
import numpy.typing as npt

from kioskd.media import pcm

LAG_S: Final = 0.01
"""Seconds by which the aligned echo follows the sound that caused it. No device is quicker."""

LONGEST_DELAY_S: Final = 0.5
"""The longest delay that is searched for."""

MEASURE_FRAMES: Final = 12
"""Frames between two measurements of the delay, while there is much to learn."""

KNOWN_FRAMES: Final = 50
"""Frames between two measurements of a delay that is well known."""

KNOWN_SAMPLES: Final = 0.1
"""Standard deviation of the expected delay below which it is well known."""

VOICE_S: Final = 0.3
"""Seconds of audible voice that a measurement needs, within its last half second."""

CLEAR: Final = 6.0
"""Ratio of a correlation's peak to its mean size above which the peak is the echo."""

FIRST: Final = 0.5
"""Ratio to the highest peak above which an earlier one is the first sound."""

NOISE_SAMPLES: Final = 0.2
"""Standard deviation of one measured delay, in samples of 16 kHz."""

UNSURE_SAMPLES: Final = 1.0
"""Standard deviation of the expected delay above which the alignment has to be confirmed."""

DRIFT_PPM: Final = 100.0
"""Standard deviation of the drift of two clocks about which nothing is known."""

WANDERS_PPM: Final = 1.0
"""Change of the drift in ten minutes: quartz follows the temperature."""

SLIP_S: Final = 0.015
"""Change of the stock of played sound that shows that a device has lost or gained sound."""

BACKLOG_S: Final = 0.5
"""Seconds by which the stock of played sound may grow. It grows more only if the microphone has paused."""

Samples = npt.NDArray[np.float32]

_RATIO: Final = pcm.DOWNLINK_HZ / pcm.UPLINK_HZ
_FRAME: Final = pcm.UPLINK_HZ * pcm.FRAME_MS // 1000
_FAR_FRAME: Final = round(_FRAME * _RATIO)
_NEAR: Final = 8192
"""Samples (0.5 s) of captured sound in one measurement."""
_FRAMES: Final = -(-_NEAR // _FRAME)
_WINDOW: Final = 2 * _NEAR
_FAR_WINDOW: Final = round(_WINDOW * _RATIO)
_LOWEST: Final = 250 * _WINDOW // pcm.UPLINK_HZ
_HIGHEST: Final = 7000 * _WINDOW // pcm.UPLINK_HZ
"""Bins of the spectrum between which the echo is looked for."""
_DOUBTFUL: Final = 4.0
"""Standard deviations by which a measurement that counts may differ from what was expected."""
_RINGING: Final = pcm.UPLINK_HZ // 20
_BEFORE: Final = 16
"""Samples after and before the first sound that make up the response by which an echo is recognized."""
_AVERAGED: Final = 20
"""Measurements over which the response is averaged."""
_TINY: Final = 1e-9
_AGREE: Final = 2.0
"""Samples within which two measurements confirm each other."""

_TAPS: Final = 64
_PHASES: Final = 512
_CUTOFF: Final = 0.95 / _RATIO
_KAISER: Final = 6.0
_PIECES: Final = 200
_KEPT: Final = 2 * _FAR_WINDOW
_CAPACITY: Final = 8 * _FAR_WINDOW
_STOCK_FRAMES: Final = 25
_STOPPED: Final = pcm.DOWNLINK_HZ // 2
"""Samples that a speaker cannot be late without having stopped."""


class EchoAlignment:
    """The played sound as the canceller needs it: by the microphone's clock, just before its echo.

    For one thread.
    """

    def __init__(self, delay_s: float) -> None:
        """Start with a guess of the seconds from `played` to the echo, and with equal clocks."""
        self.confirmed = 0
        """How often a measurement has agreed with what was expected, or with another one."""
        self.skipped_bytes = 0
        """Bytes of played sound that were skipped, because the microphone paused."""
        self._guess_s = delay_s
        self._played = _PlayedSound()
        self._clocks = _Clocks()
        self._stock = _Stock()
        self._meter = _DelayMeter()
        self._lag = LAG_S * pcm.UPLINK_HZ
        self._captured = collections.deque([bytes(pcm.FRAME_BYTES)] * _FRAMES, maxlen=_FRAMES)
        self._at: float | None = None
        """Place in the played sound that the next frame begins with."""
        self._arrived = False
        self._frames = 0
        self._doubt: float | None = None

    @property
    def sure(self) -> bool:
        """Whether the echo is where the canceller has learnt it, as far as is known."""
        return self._clocks.deviation() <= UNSURE_SAMPLES

    def reopened(self) -> None:
        """Note that a device was opened again, or another one: the delay and the drift may be others."""
        self._clocks.lose(drift=True)

    def played(self, data: bytes, *, voiced: bool) -> None:
        """Take sound that the speaker has got. `voiced`: whether it is audible, and more than a chime.

        The pitches of a chime have no place in time.
        """
        self._played.append(data, voiced=voiced)
        self._arrived = True

    def captured(self, frame_16k: bytes) -> npt.NDArray[np.int16]:
        """Take the next frame of the microphone; return the played sound that belongs to it, at 16 kHz."""
        start = self._place()
        self._arrived = False
        step = _RATIO * (1 + self._clocks.drift)
        frame = self._played.read(start, step)
        at = start + _FRAME * step
        self._clocks.wait(pcm.FRAME_S)
        self._captured.append(frame_16k)
        self._frames += 1
        wait = KNOWN_FRAMES if self._clocks.deviation() < KNOWN_SAMPLES else MEASURE_FRAMES
        if self._frames >= wait and self._played.voice_s(at) >= VOICE_S:
            self._frames = 0
            at += self._correction(at)
        self._at = at
        return frame

    def _place(self) -> float:
        """Return where the next frame begins, after mending what a device has lost."""
        newest = float(self._played.end - _FAR_FRAME - _TAPS)
        if self._at is None:
            return newest - max(0.0, (self._guess_s - LAG_S) * pcm.DOWNLINK_HZ - _TAPS)
        stock, usual = newest - self._at, self._stock.usual
        if stock < 0:
            if not self._arrived:
                return self._at
            # The speaker was slow, or had stopped. Sound that it did not ask for does not exist.
            self._clocks.lose()
            return newest - (usual if -stock > _STOPPED else 0.0)
        if stock > usual + BACKLOG_S * pcm.DOWNLINK_HZ:
            self.skipped_bytes += round(stock - usual) * pcm.SAMPLE_BYTES
            self._clocks.lose()
            return newest - usual
        if self._stock.slipped(stock):
            self._clocks.lose()
        return self._at

    def _correction(self, at: float) -> float:
        """Measure the delay; return how far to go to where the echo is."""
        expected = (self._played.end - at) / _RATIO + self._lag
        found = self._meter.measure(self._played.newest(_FAR_WINDOW), b"".join(self._captured))
        if found is None:
            return 0.0
        error = found - expected
        if not self.sure or abs(error) > _DOUBTFUL * self._clocks.spread():
            # One measurement may be wrong. Two that agree are not.
            doubt, self._doubt = self._doubt, error
            if doubt is None or abs(error - doubt) > _AGREE:
                return 0.0
            self._clocks.lose(drift=self.sure)
        self._doubt = None
        self.confirmed += 1
        self._meter.learn(found)
        # The echo comes later by the error, so its cause lies further back.
        by = -self._clocks.correct(error) * _RATIO
        if by > self._stock.usual:
            # This device is quicker than any: its echo follows the cause more closely.
            self._lag -= (by - self._stock.usual) / _RATIO
            by = self._stock.usual
        self._stock.move(-by)
        return by


class _DelayMeter:
    """Measures the delay of an echo, by the generalized cross-correlation with phase transform.

    The correlation estimates the room's response, and begins with the loudspeaker's first sound. A strong
    reflection may be higher than that. So the meter learns the response, and looks for the whole of it.
    """

    def __init__(self) -> None:
        self._response = np.zeros(_WINDOW // 2 + 1, dtype=np.complex128)
        """Spectrum of the response, as if it began at once."""
        self._learnt = 0
        self._newest = self._response

    def measure(self, played: Samples, captured_16k: bytes) -> float | None:
        """Return the delay in samples of 16 kHz, between the ends of both sounds; None if it is unclear."""
        captured = np.zeros(_WINDOW, dtype=np.float32)
        captured[-_NEAR:] = np.frombuffer(captured_16k, "<i2")[-_NEAR:]
        far = np.fft.rfft(played)[: _WINDOW // 2 + 1]
        # Both windows last as long, so the bins of both rates are the same frequencies.
        cross = np.fft.rfft(captured) * np.conj(far)
        cross[:_LOWEST] = 0
        cross[_HIGHEST:] = 0
        self._newest = cross / (np.abs(cross) + _TINY)
        matched = self._newest * np.conj(self._response) if self._learnt else self._newest
        found = np.abs(np.fft.irfft(matched)[:_NEAR])
        peak = int(np.argmax(found))
        if found[peak] < CLEAR * np.sqrt(np.mean(np.square(found))):
            return None
        if not self._learnt:
            earliest = max(0, peak - _RINGING)
            peak = earliest + int(np.argmax(found[earliest : peak + 1] >= FIRST * found[peak]))
        if not 1 <= peak < _NEAR - 1:
            return None
        before, top, after = found[peak - 1 : peak + 2]
        bend = before - 2 * top + after
        return peak + float(np.clip(0.5 * (before - after) / bend, -0.5, 0.5) if bend < 0 else 0.0)

    def learn(self, delay: float) -> None:
        """Note that the newest measurement found the true delay."""
        self._learnt += 1
        now = self._newest * np.exp(2j * np.pi * delay / _WINDOW * np.arange(len(self._newest)))
        self._response += (now - self._response) / min(self._learnt, _AVERAGED)
        response = np.fft.irfft(self._response)
        response[_RINGING:-_BEFORE] = 0.0
        self._response = np.fft.rfft(response)


class _Clocks:
    """A Kalman filter of the delay and of its growth, in samples of 16 kHz and in samples a second."""

    _PPM: Final = pcm.UPLINK_HZ * 1e-6
    _WANDER: Final = (WANDERS_PPM * _PPM) ** 2 / 600
    _UNKNOWN: Final = (DRIFT_PPM * _PPM) ** 2
    _LOST: Final = (LONGEST_DELAY_S * pcm.UPLINK_HZ) ** 2

    def __init__(self) -> None:
        self._growth = 0.0
        # The covariance of delay and growth at the last measurement: of the delay, of both, of the growth.
        self._delay, self._both, self._drift = self._LOST, 0.0, self._UNKNOWN
        self._since = 0.0

    @property
    def drift(self) -> float:
        """Part by which the speaker's clock is faster than the microphone's."""
        return -self._growth / pcm.UPLINK_HZ

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self._since += seconds

    def deviation(self) -> float:
        """Return the standard deviation of the expected delay."""
        return math.sqrt(self._variance())

    def spread(self) -> float:
        """Return the standard deviation of the next measurement."""
        return math.hypot(self.deviation(), NOISE_SAMPLES)

    def lose(self, *, drift: bool = False) -> None:
        """Forget the delay. `drift`: doubt the drift as well, but expect it to be the same."""
        self._pass()
        self._delay, self._both = self._LOST, 0.0
        if drift:
            self._drift = self._UNKNOWN

    def correct(self, error: float) -> float:
        """Take a measured error; return the correction of the delay."""
        self._pass()
        expected = self._delay + NOISE_SAMPLES**2
        of_delay, of_growth = self._delay / expected, self._both / expected
        self._drift -= of_growth * self._both
        self._both -= of_delay * self._both
        self._delay -= of_delay * self._delay
        self._growth += of_growth * error
        return of_delay * error

    def _variance(self) -> float:
        since = self._since
        return self._delay + 2 * since * self._both + since**2 * self._drift + self._WANDER * since**3 / 3

    def _pass(self) -> None:
        since, delay, self._since = self._since, self._variance(), 0.0
        self._delay = delay
        self._both += since * self._drift + self._WANDER * since**2 / 2
        self._drift += self._WANDER * since


class _Stock:
    """Watches how much played sound waits for its frame."""

    def __init__(self) -> None:
        self.usual = 0.0
        """The least number of samples that waited within half a second."""
        self._known = False
        self._window: list[float] = []

    def move(self, by: float) -> None:
        """Note that the place was changed on purpose."""
        self.usual += by
        self._window = [stock + by for stock in self._window]

    def slipped(self, stock: float) -> bool:
        """Take the present stock; return whether it has become another one."""
        self._window.append(stock)
        if len(self._window) < _STOCK_FRAMES:
            return False
        before, self.usual = self.usual, min(self._window)
        self._window.clear()
        known, self._known = self._known, True
        return known and abs(self.usual - before) > SLIP_S * pcm.DOWNLINK_HZ


class _PlayedSound:
    """The last two seconds of played sound at least; a place is the number of a sample since the start."""

    def __init__(self) -> None:
        self._samples = np.zeros(_CAPACITY, dtype=np.float32)
        self._used = _KEPT
        self._first = -_KEPT
        self._voice: collections.deque[tuple[int, int]] = collections.deque(maxlen=_PIECES)
        """Place and length of each piece of voice."""

    @property
    def end(self) -> int:
        """Place after the newest sample."""
        return self._first + self._used

    def append(self, data: bytes, *, voiced: bool) -> None:
        """Add sound of any length."""
        samples = np.frombuffer(data, "<i2")
        self._first += max(0, len(samples) - _KEPT)
        samples = samples[-_KEPT:]
        if self._used + len(samples) > _CAPACITY:
            self._samples[:_KEPT] = self._samples[self._used - _KEPT : self._used]
            self._first += self._used - _KEPT
            self._used = _KEPT
        if voiced:
            self._voice.append((self.end, len(samples)))
        self._samples[self._used : self._used + len(samples)] = samples
        self._used += len(samples)

    def newest(self, count: int) -> Samples:
        """Return the newest samples."""
        return self._samples[self._used - count : self._used]

    def voice_s(self, until: float) -> float:
        """Return the seconds of voice in the half second before a place."""
        since = until - _NEAR * _RATIO
        return sum(count for at, count in self._voice if since <= at < until) / pcm.DOWNLINK_HZ

    def read(self, start: float, step: float) -> npt.NDArray[np.int16]:
        """Return a frame of 16 kHz, whose samples are `step` apart; silence for what does not exist."""
        first, last = math.floor(start), math.floor(start + step * (_FRAME - 1))
        low = first - (_TAPS // 2 - 1) - self._first
        high = low + last - first + _TAPS
        near = self._samples[max(0, low) : min(max(0, high), self._used)]
        if not np.any(near):
            return np.zeros(_FRAME, dtype=np.int16)
        if len(near) < high - low:
            near = np.pad(near, (max(0, -low), max(0, high - self._used)))
        windows = np.lib.stride_tricks.sliding_window_view(near, _TAPS)
        places = start - first + step * _NUMBERS
        whole = places.astype(np.intp)
        kernels = _KERNELS[((places - whole) * _PHASES).astype(np.intp)]
        made = np.einsum("ij,ij->i", windows[whole], kernels)
        frame: npt.NDArray[np.int16] = np.clip(np.rint(made), -32768, 32767).astype(np.int16)
        return frame


def _kernels() -> Samples:
    """Return a low-pass filter for each fraction of a sample, so that any place can be read."""
    at = np.arange(_TAPS) - (_TAPS // 2 - 1) - (np.arange(_PHASES)[:, None] + 0.5) / _PHASES
    window = np.i0(_KAISER * np.sqrt(np.maximum(0.0, 1 - np.square(at / (_TAPS / 2)))))
    made = np.sinc(_CUTOFF * at) * window
    return np.asarray(made / made.sum(axis=1, keepdims=True), dtype=np.float32)


_KERNELS: Final = _kernels()
_NUMBERS: Final = np.arange(_FRAME)
