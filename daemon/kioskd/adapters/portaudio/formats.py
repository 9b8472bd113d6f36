"""The formats to offer to a sound device, best first. Uses no sound library."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from kioskd.adapters.portaudio.devices import Direction, SoundDevice
from kioskd.errors import DeviceLost

SampleType = Literal["int16", "int32", "float32", "int24"]

SAMPLES: Final[tuple[SampleType, ...]] = ("int16", "int32", "float32", "int24")
"""Sample types: names of `media.resample.SampleFormat`, whose module is too heavy to import here."""

RATES_HZ: Final = (48_000, 44_100, 96_000, 32_000, 88_200, 24_000, 22_050, 16_000, 11_025, 8_000)
"""Rates to try when a device takes neither the daemon's own rate nor the device's default rate."""

_MOST_CHANNELS: Final = 64
_OTHER_COUNTS: Final = (4, 6, 8)
_LARGEST_ARRAY: Final = 16
"""Most microphones in one card. More mean a loopback, which takes any number; the voice is in the first."""


@dataclass(frozen=True, slots=True)
class SoundFormat:
    """Format in which a device gives or takes sound."""

    rate_hz: int
    channels: int
    samples: SampleType

    def __str__(self) -> str:
        return f"{self.rate_hz} Hz, {self.channels} channels, {self.samples}"


def candidates(
    device: SoundDevice, direction: Direction, own_hz: int, channel: int | None = None
) -> Iterator[SoundFormat]:
    """Yield the formats to try with `device`, best first: the daemon's own rate `own_hz` leads.

    `channel`: the wanted channel, counted from 1; every format then has at least that many. DeviceLost: the
    device does not have that channel.
    """
    counts = _channel_counts(device, direction, channel)
    for samples in SAMPLES:
        for rate_hz in dict.fromkeys((own_hz, device.rate_hz, *RATES_HZ)):
            for channels in counts:
                yield SoundFormat(rate_hz, channels, samples)


def _channel_counts(device: SoundDevice, direction: Direction, channel: int | None) -> list[int]:
    most = min(device.channels(direction), _MOST_CHANNELS)
    if channel is not None and channel > most:
        raise DeviceLost(
            f"{direction.value} {device.full_name!r}: it has no channel {channel}, only {most}; "
            f"set {direction.value}.channel to at most {most}, or remove it",
            device=device.full_name,
        )
    if not device.is_card:
        # ALSA's own layers mix channels properly. To pick one channel, all must be opened.
        wish = [1, 2, most] if channel is None else [2, *_OTHER_COUNTS, most]
    elif direction is Direction.IN and most > _LARGEST_ARRAY:
        wish = [1, 2, most]
    elif direction is Direction.IN:
        # If fewer channels than the card has are opened, PortAudio drops the rest, and may drop the one that
        # hears.
        wish = [most, 2, 1]
    else:
        # If fewer channels than the card has are opened, PortAudio leaves the rest silent, so one channel is
        # left only.
        wish = [2, most, 1]
    return list(dict.fromkeys(count for count in (*wish, *_OTHER_COUNTS) if (channel or 1) <= count <= most))
