import numpy as np
import numpy.typing as npt
import pytest

from kioskd.media import pcm
from kioskd.media.resample import ResampledSource, Resampler, SampleFormat

Samples = npt.NDArray[np.float64]


def sine(rate_hz: int, pitch_hz: float, seconds: float, level: float = 0.5) -> Samples:
    return level * np.sin(2 * np.pi * pitch_hz * np.arange(round(rate_hz * seconds)) / rate_hz)


def as_int16(samples: Samples) -> bytes:
    return (samples * 32767).astype("<i2").tobytes()


def written(samples: Samples, sample_format: SampleFormat) -> bytes:
    match sample_format:
        case SampleFormat.INT16:
            return as_int16(samples)
        case SampleFormat.INT24:
            wide = (samples * (2**31 - 1)).astype("<i4").tobytes()
            return np.frombuffer(wide, dtype=np.uint8).reshape(-1, 4)[:, 1:].tobytes()
        case SampleFormat.INT32:
            return (samples * (2**31 - 1)).astype("<i4").tobytes()
        case SampleFormat.FLOAT32:
            return samples.astype("<f4").tobytes()


def level_db(data: bytes) -> float:
    samples = np.frombuffer(data, dtype="<i2").astype(float)
    middle = samples[len(samples) // 4 : -len(samples) // 4]
    return float(20 * np.log10(max(np.sqrt((middle**2).mean()) / 32767 * np.sqrt(2), 1e-9)))


def in_pieces(resampler: Resampler, data: bytes, size: int) -> bytes:
    out = b"".join(resampler.process(data[start : start + size]) for start in range(0, len(data), size))
    return out + resampler.process(b"", last=True)


def test_the_wanted_format_passes_unchanged() -> None:
    speech = as_int16(sine(16_000, 440, 0.1))
    assert Resampler(16_000, 16_000).process(speech) == speech


@pytest.mark.parametrize("sample_format", SampleFormat)
def test_every_format_keeps_the_level(sample_format: SampleFormat) -> None:
    data = written(sine(16_000, 440, 0.2), sample_format)
    out = Resampler(16_000, 16_000, sample_format=sample_format).process(data)
    assert np.frombuffer(out, "<i2") == pytest.approx(
        np.frombuffer(as_int16(sine(16_000, 440, 0.2)), "<i2"), abs=2
    )


def test_channels_are_averaged() -> None:
    left, right = sine(16_000, 440, 0.1), sine(16_000, 440, 0.1, level=0.1)
    both = as_int16(np.stack([left, right], axis=1).reshape(-1))
    out = np.frombuffer(Resampler(16_000, 16_000, channels=2).process(both), "<i2")
    assert out == pytest.approx((left + right) / 2 * 32767, abs=2)


@pytest.mark.parametrize("channel", [1, 2, 3])
@pytest.mark.parametrize("from_hz", [16_000, 48_000])
def test_one_channel_of_many_is_kept_alone(channel: int, from_hz: int) -> None:
    levels = [0.5, 0.2, 0.05]
    together = np.stack([sine(from_hz, 440, 0.5, level) for level in levels], axis=1).reshape(-1)
    resampler = Resampler(from_hz, 16_000, channels=3, channel=channel)
    out = in_pieces(resampler, as_int16(together), 6 * from_hz // 100)
    assert level_db(out) == pytest.approx(20 * np.log10(levels[channel - 1]), abs=0.05)


def test_samples_beyond_full_scale_are_clipped() -> None:
    loud = np.array([1.5, -1.5], dtype="<f4").tobytes()
    out = Resampler(16_000, 16_000, sample_format=SampleFormat.FLOAT32).process(loud)
    assert np.frombuffer(out, "<i2").tolist() == [32767, -32768]


@pytest.mark.parametrize("from_hz", [8_000, 22_050, 24_000, 44_100, 48_000, 96_000])
def test_a_tone_keeps_its_level_and_its_length(from_hz: int) -> None:
    out = in_pieces(Resampler(from_hz, 16_000), as_int16(sine(from_hz, 1000, 0.5)), 2 * from_hz // 100)
    assert level_db(out) == pytest.approx(20 * np.log10(0.5), abs=0.05)
    assert len(out) / 2 == pytest.approx(8000, abs=2)


@pytest.mark.parametrize("from_hz", [44_100, 48_000])
def test_a_tone_above_8_khz_is_removed(from_hz: int) -> None:
    out = in_pieces(Resampler(from_hz, 16_000), as_int16(sine(from_hz, 11_000, 0.5)), 2 * from_hz // 100)
    assert level_db(out) < -80


@pytest.mark.parametrize("size", [1, 3, 7, 960, 5000])
def test_the_size_of_the_pieces_changes_nothing(size: int) -> None:
    data = written(np.stack([sine(48_000, 700, 0.1)] * 2, axis=1).reshape(-1), SampleFormat.INT24)
    whole = in_pieces(
        Resampler(48_000, 16_000, channels=2, sample_format=SampleFormat.INT24), data, len(data)
    )
    pieces = in_pieces(Resampler(48_000, 16_000, channels=2, sample_format=SampleFormat.INT24), data, size)
    assert np.frombuffer(pieces, "<i2") == pytest.approx(np.frombuffer(whole, "<i2"), abs=1)


@pytest.mark.parametrize(
    ("from_hz", "to_hz"), [(48_000, 16_000), (44_100, 16_000), (24_000, 48_000), (24_000, 44_100)]
)
def test_each_period_gives_its_share_after_the_stated_delay(from_hz: int, to_hz: int) -> None:
    resampler = Resampler(from_hz, to_hz)
    period = bytes(2 * from_hz // 100)
    lag = 0.0
    for number in range(1, 200):
        lag += (to_hz // 100) - len(resampler.process(period)) / 2
        if number > 5:
            assert lag / to_hz == pytest.approx(resampler.delay_s, abs=0.0002)
    assert 0 < resampler.delay_s < 0.016


class Counting:
    """Source of a 440 Hz tone that counts its samples."""

    def __init__(self) -> None:
        self.given = 0
        self.sizes: set[int] = set()

    def pull(self, byte_count: int) -> bytes:
        self.sizes.add(byte_count)
        samples = np.arange(self.given, self.given + byte_count // 2)
        self.given += byte_count // 2
        return (8000 * np.sin(2 * np.pi * 440 * samples / pcm.DOWNLINK_HZ)).astype("<i2").tobytes()


@pytest.mark.parametrize(
    ("to_hz", "channels"), [(48_000, 1), (48_000, 2), (44_100, 2), (24_000, 2), (16_000, 6)]
)
def test_a_device_of_another_rate_gets_the_tone_in_every_channel(to_hz: int, channels: int) -> None:
    source = Counting()
    wrapped = ResampledSource(source, to_hz, channels)
    size = to_hz // 100 * 2 * channels
    out = b"".join(wrapped.pull(size) for _ in range(100))
    assert len(out) == 100 * size
    assert source.sizes == {480}
    frames = np.frombuffer(out, "<i2").reshape(-1, channels)
    assert all((frames[:, 0] == frames[:, other]).all() for other in range(channels))
    # The best fitting tone has the full level, though the resampler may shift it by parts of a sample.
    angle = 2 * np.pi * 440 * np.arange(len(frames)) / to_hz
    tone = np.stack([np.sin(angle), np.cos(angle)], axis=1)[500:]
    heard = frames[500:, 0].astype(float)
    fit, *_ = np.linalg.lstsq(tone, heard, rcond=None)
    assert np.hypot(*fit) == pytest.approx(8000, abs=8)
    assert np.abs(heard - tone @ fit).max() < 3


@pytest.mark.parametrize("sample_format", SampleFormat)
def test_a_device_of_another_format_gets_the_same_samples(sample_format: SampleFormat) -> None:
    source = Counting()
    wrapped = ResampledSource(source, pcm.DOWNLINK_HZ, 2, sample_format)
    size = 240 * 2 * sample_format.width
    out = b"".join(wrapped.pull(size) for _ in range(10))
    assert len(out) == 10 * size
    back = Resampler(pcm.DOWNLINK_HZ, pcm.DOWNLINK_HZ, channels=2, channel=2, sample_format=sample_format)
    assert back.process(out) == Counting().pull(2400 * 2)


def test_a_source_is_read_ahead_by_the_stated_delay() -> None:
    source = Counting()
    wrapped = ResampledSource(source, 48_000, 1)
    for _ in range(50):
        wrapped.pull(960)
    ahead_s = source.given / pcm.DOWNLINK_HZ - 0.5
    assert wrapped.delay_s <= ahead_s <= wrapped.delay_s + 0.01


class Pieces:
    """Source of some pieces of 10 ms, and of silence after them."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = list(pieces)

    def pull(self, byte_count: int) -> bytes:
        return self.pieces.pop(0) if self.pieces else bytes(byte_count)


@pytest.mark.parametrize("to_hz", [48_000, 44_100])
def test_a_sound_after_a_long_silence_is_the_same_as_the_one_before_it(to_hz: int) -> None:
    sound = as_int16(sine(pcm.DOWNLINK_HZ, 440, 0.1))
    pieces = [sound[start : start + pcm.PERIOD_BYTES] for start in range(0, len(sound), pcm.PERIOD_BYTES)]
    silence = [bytes(pcm.PERIOD_BYTES)] * 200
    source = Pieces(*silence, *pieces, *silence, *pieces)
    wrapped = ResampledSource(source, to_hz, 2)
    size = to_hz // 100 * 2 * 2
    out = b"".join(wrapped.pull(size) for _ in range(500))
    way = size * (len(pieces) + len(silence))
    one, other = (
        np.frombuffer(out, "<i2", 20 * size // 2, start).astype(int)
        for start in (200 * size, 200 * size + way)
    )
    assert one.max() > 10_000
    assert np.abs(one - other).max() <= 2  # the filter's own rounding


def test_silence_after_the_filter_has_rung_is_the_same_object() -> None:
    wrapped = ResampledSource(Pieces(), 48_000, 2)
    for _ in range(20):
        wrapped.pull(1920)
    assert wrapped.pull(1920) is wrapped.pull(1920)
