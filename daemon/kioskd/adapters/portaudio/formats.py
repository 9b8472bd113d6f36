"""Which formats to offer to a sound device, best first. No sound library here."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from kioskd.adapters.portaudio.devices import Direction, SoundDevice
from kioskd.errors import DeviceLost

SampleType = Literal["int16", "int32", "float32", "int24"]

SAMPLES: Final[tuple[SampleType, ...]] = ("int16", "int32", "float32", "int24")
"""How samples are written: names of `media.resample.SampleFormat`, which is not imported here for its weight."""

RATES_HZ: Final = (48_000, 44_100, 96_000, 32_000, 88_200, 24_000, 22_050, 16_000, 11_025, 8_000)
"""What else to try when a device takes neither the daemon's own rate nor the one that it prefers."""

_MOST_CHANNELS: Final = 64
_OTHER_COUNTS: Final = (4, 6, 8)
_LARGEST_ARRAY: Final = 16
"""Microphones in one card. One that claims more is a loopback, which takes any number: the voice is in the first."""


@dataclass(frozen=True, slots=True)
class SoundFormat:
    """How a device gives or takes sound."""

    rate_hz: int
    channels: int
    samples: SampleType

    def __str__(self) -> str:
        return f"{self.rate_hz} Hz, {self.channels} channels, {self.samples}"


def candidates(
    device: SoundDevice, direction: Direction, own_hz: int, channel: int | None = None
) -> Iterator[SoundFormat]:
    """Yield what may be tried with `device`, best first: the daemon's own `own_hz` before all other rates.

    `channel`: the one that is wanted, counted from 1; then there are always as many. DeviceLost: there is no such channel.
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
            f"{direction.value} {device.full_name!r}: has no channel {channel}, it has {most}; "
            f"set {direction.value}.channel to one of them, or leave it out",
            device=device.full_name,
        )
    if not device.is_card:
        # ALSA's own layers mix channels properly; but for one of them, all must come.
        wish = [1, 2, most] if channel is None else [2, *_OTHER_COUNTS, most]
    elif direction is Direction.IN and most > _LARGEST_ARRAY:
        wish = [1, 2, most]
    elif direction is Direction.IN:
        # Asked for fewer than a card has, PortAudio drops the others: the one that hears may be among them.
        wish = [most, 2, 1]
    else:
        # ... and leaves the others silent: the left speaker alone.
        wish = [2, most, 1]
    return list(dict.fromkeys(count for count in (*wish, *_OTHER_COUNTS) if (channel or 1) <= count <= most))
