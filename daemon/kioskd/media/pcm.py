"""The daemon's sample format, and sums on it.

Between the devices and the service, sound is `bytes` of signed 16-bit little-endian mono PCM: 16 kHz towards
the service, 24 kHz from it. Both are the Live API's own formats, so nothing is converted on the way.
"""

from typing import Final

SAMPLE_BYTES: Final = 2

UPLINK_HZ: Final = 16_000
DOWNLINK_HZ: Final = 24_000

FRAME_MS: Final = 20
"""Length of an uplink frame. The service asks for 20 to 40 ms; webrtcvad takes 10, 20 or 30."""

PERIOD_MS: Final = 10
"""Time that a speaker plays at once: the granularity of everything that must be quick."""

FRAME_S: Final = FRAME_MS / 1000
FRAME_BYTES: Final = UPLINK_HZ * FRAME_MS // 1000 * SAMPLE_BYTES

PERIOD_S: Final = PERIOD_MS / 1000
PERIOD_BYTES: Final = DOWNLINK_HZ * PERIOD_MS // 1000 * SAMPLE_BYTES


def duration_s(byte_count: int, rate_hz: int) -> float:
    """Return the seconds that `byte_count` bytes last at `rate_hz`."""
    return byte_count / (rate_hz * SAMPLE_BYTES)


def byte_count(seconds: float, rate_hz: int) -> int:
    """Return the bytes of `seconds` at `rate_hz`: a whole number of samples, rounded to the nearest."""
    return round(seconds * rate_hz) * SAMPLE_BYTES
