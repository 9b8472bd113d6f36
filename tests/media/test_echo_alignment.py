"""The alignment of played sound and echo: an echo in noise, two clocks, and devices that lose sound."""

import shutil
from typing import Final

import numpy as np
import pytest
from tests.room.acoustics import Acoustics, responses
from tests.room.sounds import Samples, from_pcm, kiosk_sentences, levelled, likeness, to_pcm
from tests.support.slow import SLOW

from kioskd.media import pcm
from kioskd.media.echo_alignment import BACKLOG_S, LAG_S, EchoAlignment

NOISE_DB: Final = -60.0
DELAY_S: Final = 0.12
PERIOD: Final = pcm.PERIOD_BYTES // pcm.SAMPLE_BYTES

if shutil.which("espeak-ng") is None:
    pytest.skip("no espeak-ng here", allow_module_level=True)


class Devices:
    """A speaker and a microphone with a clock each. The time is counted in frames of the microphone."""

    def __init__(self, drift: float = 0.0, delay_s: float = DELAY_S, guess_s: float = DELAY_S) -> None:
        self.subject = EchoAlignment(guess_s)
        self.delay_s = delay_s
        self.drift = drift
        self.playing = True
        self.capturing = True
        self._frames = 0
        self._pulled = 0
        self._chance = np.random.default_rng(1)
        self._response, _ = responses(Acoustics(ringing_s=0.3))

    @property
    def due(self) -> float:
        """Samples that the speaker has played by now, by its own clock."""
        return self._frames * pcm.DOWNLINK_HZ * pcm.FRAME_S * (1 + self.drift)

    def wait(self, seconds: float) -> None:
        """Let silent time pass."""
        self.play(np.zeros(round(seconds * pcm.DOWNLINK_HZ)))

    def play(self, said: Samples) -> tuple[Samples, Samples]:
        """Play a sound, and return its echo and the aligned sound."""
        began, began_frames = self._pulled, self._frames
        frames = round(len(said) / pcm.DOWNLINK_HZ / pcm.FRAME_S)
        echo = self._echo(said, frames, began)
        data = to_pcm(said)
        noise = 10 ** (NOISE_DB / 20) * self._chance.standard_normal(len(echo))
        captured, aligned = to_pcm(echo + noise), []
        while self._frames < began_frames + frames:
            start = (self._frames - began_frames) * pcm.FRAME_BYTES
            self._frames += 1
            while self._pulled + PERIOD <= self.due:
                at = (self._pulled - began) * pcm.SAMPLE_BYTES
                piece = data[at : at + pcm.PERIOD_BYTES].ljust(pcm.PERIOD_BYTES, b"\0")
                self._pulled += PERIOD
                if self.playing:
                    self.subject.played(piece, voiced=any(piece))
            if self.capturing:
                frame = self.subject.captured(captured[start : start + pcm.FRAME_BYTES])
                aligned.append(frame.tobytes())
        return echo, from_pcm(b"".join(aligned))

    def _echo(self, said: Samples, frames: int, began: int) -> Samples:
        count = frames * pcm.FRAME_BYTES // pcm.SAMPLE_BYTES
        if not np.any(said):
            return np.zeros(count)
        ahead = self.due - began - self.delay_s * pcm.DOWNLINK_HZ
        places = ahead + np.arange(count) * pcm.DOWNLINK_HZ / pcm.UPLINK_HZ * (1 + self.drift)
        heard = np.interp(places, np.arange(len(said)), said, left=0.0, right=0.0)
        size = 2 * count
        spectrum = np.fft.rfft(heard, size) * np.fft.rfft(self._response, size)
        return np.asarray(np.fft.irfft(spectrum, size)[:count])


def reply(number: int = 0) -> Samples:
    """Return a sentence of four to six seconds."""
    said = kiosk_sentences()
    return levelled(said[number % len(said)], -20)


def lag_ms(echo: Samples, aligned: Samples, *, after_s: float) -> float:
    """Return by how much the echo follows the aligned sound."""
    echo, aligned = (one[round(after_s * pcm.UPLINK_HZ) :] for one in (echo, aligned))
    size = 2 * len(echo)
    cross = np.fft.rfft(echo, size) * np.conj(np.fft.rfft(aligned, size))
    found = np.abs(np.fft.irfft(cross / (np.abs(cross) + 1e-9), 8 * size))
    at = int(np.argmax(found))
    return (at if at < 4 * size else at - 8 * size) / 8 / pcm.UPLINK_HZ * 1000


def learnt(drift: float = 0.0) -> tuple[Devices, float]:
    """Return devices that have played three replies, and how far the echo follows."""
    devices = Devices(drift)
    for number in range(2):
        devices.play(reply(number))
        devices.wait(0.5)
    echo, aligned = devices.play(reply(2))
    devices.wait(0.5)
    return devices, lag_ms(echo, aligned, after_s=0.0)


@pytest.mark.parametrize("guess_s", [0.0, 0.12, 0.4])
@pytest.mark.parametrize("delay_s", [0.03, 0.12, 0.4])
def test_the_echo_follows_the_aligned_sound_closely_whatever_was_guessed(
    delay_s: float, guess_s: float
) -> None:
    devices = Devices(delay_s=delay_s, guess_s=guess_s)
    assert not devices.subject.sure
    echo, aligned = devices.play(reply())
    assert devices.subject.sure
    assert lag_ms(echo, aligned, after_s=2.0) == pytest.approx(LAG_S * 1000, abs=3)


def test_the_aligned_sound_is_the_played_sound() -> None:
    devices, _ = learnt(100e-6)
    _, aligned = devices.play(reply())
    said = np.interp(np.arange(len(aligned)) * 1.5 * (1 + 100e-6), np.arange(len(reply())), reply())
    ahead = round((DELAY_S - LAG_S) * pcm.UPLINK_HZ)
    assert likeness(said, aligned[ahead:]) > 0.97


@pytest.mark.parametrize("drift", [50e-6, -50e-6, 100e-6])
@pytest.mark.parametrize("pause_s", [10.0, 120.0])
def test_the_lag_is_the_same_after_a_pause(pause_s: float, drift: float) -> None:
    devices, before = learnt(drift)
    devices.wait(pause_s)
    echo, aligned = devices.play(reply(3))
    assert lag_ms(echo, aligned, after_s=0.0) == pytest.approx(before, abs=0.1)


def test_a_pause_of_ten_seconds_leaves_the_alignment_sure() -> None:
    devices, _ = learnt(50e-6)
    devices.wait(10.0)
    assert devices.subject.sure


def test_a_long_pause_makes_the_alignment_unsure_until_the_next_reply() -> None:
    devices, before = learnt(50e-6)
    devices.wait(3600.0 if SLOW else 600.0)
    assert not devices.subject.sure
    echo, aligned = devices.play(reply(3))
    assert devices.subject.sure
    assert lag_ms(echo, aligned, after_s=1.5) == pytest.approx(before, abs=0.1)


@pytest.mark.parametrize("delay_s", [0.03, 0.1, 0.3])
def test_a_device_with_another_delay_is_found_again(delay_s: float) -> None:
    devices, before = learnt(50e-6)
    devices.subject.reopened()
    devices.delay_s = delay_s
    assert not devices.subject.sure
    echo, aligned = devices.play(reply(3))
    assert devices.subject.sure
    assert lag_ms(echo, aligned, after_s=1.5) == pytest.approx(before, abs=0.1)


def test_a_device_with_another_clock_is_followed() -> None:
    devices, before = learnt(50e-6)
    other = Devices(-50e-6)
    other.subject = devices.subject
    other.subject.reopened()
    for number in range(2):
        other.play(reply(number))
    other.wait(10.0)
    echo, aligned = other.play(reply(3))
    assert lag_ms(echo, aligned, after_s=0.0) == pytest.approx(before, abs=0.1)


def test_a_speaker_that_stopped_and_starts_again_is_found_again() -> None:
    devices, before = learnt(50e-6)
    devices.playing = False
    devices.wait(20.0)
    devices.playing = True
    devices.wait(0.5)
    assert not devices.subject.sure
    echo, aligned = devices.play(reply(3))
    assert devices.subject.sure
    assert lag_ms(echo, aligned, after_s=1.5) == pytest.approx(before, abs=0.1)


@pytest.mark.parametrize("pause_s", [0.1, 20.0])
def test_a_microphone_that_paused_is_found_again(pause_s: float) -> None:
    devices, before = learnt(50e-6)
    devices.capturing = False
    devices.wait(pause_s)
    devices.capturing = True
    devices.wait(1.5)
    assert not devices.subject.sure
    echo, aligned = devices.play(reply(3))
    assert devices.subject.sure
    assert lag_ms(echo, aligned, after_s=1.5) == pytest.approx(before, abs=0.1)
    skipped_s = pcm.duration_s(devices.subject.skipped_bytes, pcm.DOWNLINK_HZ)
    assert skipped_s == pytest.approx(pause_s if pause_s > BACKLOG_S else 0.0, abs=0.1)


def test_a_chime_measures_nothing() -> None:
    devices = Devices()
    subject = devices.subject
    for _ in range(100):
        subject.played(bytes(2 * pcm.PERIOD_BYTES), voiced=False)
        subject.captured(bytes(pcm.FRAME_BYTES))
    assert subject.confirmed == 0


def test_a_room_without_an_echo_confirms_nothing() -> None:
    devices = Devices()
    chance = np.random.default_rng(2)
    data = to_pcm(reply())
    for start in range(0, len(data) - 2 * pcm.PERIOD_BYTES, 2 * pcm.PERIOD_BYTES):
        devices.subject.played(data[start : start + 2 * pcm.PERIOD_BYTES], voiced=True)
        devices.subject.captured(to_pcm(0.01 * chance.standard_normal(pcm.FRAME_BYTES // 2)))
    assert not devices.subject.sure
