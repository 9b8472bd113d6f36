"""Voice activity detection: finds where the visitor's turn begins and ends.

Time is counted in samples, so the result does not depend on how fast the audio comes.
"""

import enum
from typing import Final

import numpy as np
import webrtcvad

from kioskd.media import pcm
from kioskd.media.resample import Resampler
from kioskd.simulator.schema import Detection

_FULL_SCALE: Final = 32768.0
# webrtcvad judges the shape of the spectrum, not the loudness. These levels keep a quiet room silent.
_LOWEST_LEVEL: Final = {"START_SENSITIVITY_HIGH": 0.003, "START_SENSITIVITY_LOW": 0.01}
_ONSET_MS: Final = {"START_SENSITIVITY_HIGH": 80, "START_SENSITIVITY_LOW": 160}
# webrtcvad's aggressiveness, 0 to 3: with a high sensitivity to the end, less sound counts as speech.
_END_MODE: Final = {"END_SENSITIVITY_HIGH": 3, "END_SENSITIVITY_LOW": 1}


class VadEvent(enum.Enum):
    """A begin or end of speech in the audio."""

    BEGAN = enum.auto()
    ENDED = enum.auto()


class VoiceActivityDetector:
    """The service's voice detection for one connection.

    `prefix_padding_ms` of speech are a beginning, `silence_duration_ms` of silence are an end. The
    sensitivities decide whether sound counts as speech; both are high by default in the Developer API.
    """

    def __init__(self, detection: Detection, silence_ms: int) -> None:
        start = detection.start_of_speech_sensitivity or ""
        end = detection.end_of_speech_sensitivity or ""
        self._lowest_level = _LOWEST_LEVEL.get(start, _LOWEST_LEVEL["START_SENSITIVITY_HIGH"]) * _FULL_SCALE
        self._start_vad = webrtcvad.Vad(2)
        self._end_vad = webrtcvad.Vad(_END_MODE.get(end, _END_MODE["END_SENSITIVITY_HIGH"]))
        prefix = detection.prefix_padding_ms
        onset_ms = _ONSET_MS.get(start, _ONSET_MS["START_SENSITIVITY_HIGH"]) if prefix is None else prefix
        given = detection.silence_duration_ms
        self._onset_frames = max(1, onset_ms // pcm.FRAME_MS)
        self._silence_frames = max(1, (silence_ms if given is None else given) // pcm.FRAME_MS)
        self._remainder = b""
        self._frames_in_a_row = 0
        self.speaking = False

    def feed(self, sound: bytes) -> list[VadEvent]:
        """Take more audio (16 kHz PCM, any length); return the events found in it, in order."""
        sound = self._remainder + sound
        whole = len(sound) - len(sound) % pcm.FRAME_BYTES
        self._remainder = sound[whole:]
        starts = range(0, whole, pcm.FRAME_BYTES)
        events = [self._classify(sound[start : start + pcm.FRAME_BYTES]) for start in starts]
        return [event for event in events if event is not None]

    def end_stream(self) -> list[VadEvent]:
        """End the visitor's speech, if any, as the client's microphone pauses."""
        was_speaking, self.speaking = self.speaking, False
        self._remainder, self._frames_in_a_row = b"", 0
        return [VadEvent.ENDED] if was_speaking else []

    def _classify(self, frame: bytes) -> VadEvent | None:
        vad = self._end_vad if self.speaking else self._start_vad
        level = float(np.sqrt(np.mean(np.square(np.frombuffer(frame, "<i2").astype(np.float32)))))
        voiced = level > self._lowest_level and vad.is_speech(frame, pcm.UPLINK_HZ)
        if self.speaking:
            self._frames_in_a_row = 0 if voiced else self._frames_in_a_row + 1
            if self._frames_in_a_row < self._silence_frames:
                return None
        else:
            # A gap removes one frame, not all: speech has gaps, and a click has no second frame.
            self._frames_in_a_row = self._frames_in_a_row + 1 if voiced else max(0, self._frames_in_a_row - 1)
            if self._frames_in_a_row < self._onset_frames:
                return None
        self._frames_in_a_row = 0
        self.speaking = not self.speaking
        return VadEvent.BEGAN if self.speaking else VadEvent.ENDED


class UplinkResampler:
    """Converts audio of any rate to 16 kHz."""

    def __init__(self) -> None:
        self._rate = pcm.UPLINK_HZ
        self._resampler = Resampler(pcm.UPLINK_HZ, pcm.UPLINK_HZ)

    def resample(self, sound: bytes, rate: int) -> bytes:
        """Return `sound` (PCM at `rate`) at 16 kHz; a new rate starts a new stream."""
        if rate != self._rate:
            self._rate, self._resampler = rate, Resampler(rate, pcm.UPLINK_HZ)
        return self._resampler.process(sound)
