"""Fixtures of the simulator's tests: short replies, human speech, a running simulator."""

import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soxr

from kioskd.simulator import Reply

DEBIAN_SPEECH = Path("/usr/share/sounds/alsa/Front_Center.wav")


@pytest.fixture(scope="session")
def speech() -> bytes:
    """Return a human voice that says "front, center": 16 kHz PCM, 1.4 s."""
    if not DEBIAN_SPEECH.exists():
        pytest.skip(f"{DEBIAN_SPEECH} is not there; apt install alsa-utils")
    with wave.open(str(DEBIAN_SPEECH)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    spoken: bytes = soxr.resample(samples, 48_000, 16_000).astype("<i2").tobytes()
    return spoken


@pytest.fixture
def tone(tmp_path: Path) -> Callable[[float], Reply]:
    """Return a maker of replies of any length, at 24 kHz, so that no sound is resampled."""

    def make(seconds: float) -> Reply:
        path = tmp_path / f"tone-{seconds}.wav"
        wave_form = 8000 * np.sin(np.arange(round(24_000 * seconds)) * 440 * 2 * np.pi / 24_000)
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, 24_000, 0, "NONE", ""))
            file.writeframes(wave_form.astype("<i2").tobytes())
        return Reply(wav=path)

    return make
