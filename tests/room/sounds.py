"""Sounds of a room: the kiosk's voice, people, noises. Samples are floats, and full scale is 1."""

import io
import json
import os
import subprocess
import wave
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import soxr

from kioskd.media import pcm

Samples = npt.NDArray[np.float64]

DEBIAN: Final = Path("/usr/share/sounds/alsa")
"""Recordings of a person, from Debian's alsa-utils."""

SPEECH: Final = os.environ.get("KIOSKD_SPEECH", "")
"""A folder with recordings of people reading, and the time of each word. Unset: Debian's recordings are used
alone."""

HELDOUT: Final = "KIOSKD_HELDOUT"
"""Environment variable with a folder of voices and noises that no constant was fitted to.

Each is a WAV file of 16 kHz mono. `noise_NAME.wav` is a noise, and each other one is a voice. Beside a voice,
`NAME.words.json` may have the times of its words, or `NAME.json` the second of its onset.
"""

KIOSK_VOICES: Final = ("en-gb", "en-us+f3", "en-gb-scotland+m7", "en-gb-x-rp+f5")
"""Voices of espeak-ng in which the kiosk replies."""

SENTENCES: Final = (
    "The painting in front of you was finished in sixteen forty two, after three years of work.",
    "Please take the stairs on your left, and you will find the café behind the second door.",
    "Good question! Nobody knows for certain, but most historians think that it was a gift.",
    "We are open from nine to half past five, and on Thursdays until eight in the evening.",
    "Look closely at the corner of the map: you can still see where it was folded.",
)
"""Sentences that the kiosk says."""

LEAD_S: Final = 0.06
"""Seconds of a recording before its first word, faded in: words begin softly, and labels are not exact."""

NOISES: Final = ("pink", "fan", "babble")
"""Noises in which conversations are held."""

EVENTS: Final = ("white", "clicks", "switched")
"""More noises for a sleeping kiosk: hiss, knocks and a machine.

Knocks, ticks and clinks come once a second over a soft hiss. The machine starts and stops every ten seconds,
and is 10 to 25 dB louder than the room.
"""

_NOISE: Final = "noise_"
_FULL: Final = 32768.0


@dataclass(frozen=True, slots=True)
class Utterance:
    """An utterance of a person, at 16 kHz."""

    name: str
    samples: Samples
    onset_s: float
    """Second at which the first word begins."""


def to_pcm(samples: Samples) -> bytes:
    """Return samples as 16-bit PCM. Samples above full scale are clipped."""
    return np.clip(np.rint(samples * _FULL), -32768, 32767).astype("<i2").tobytes()


def from_pcm(data: bytes) -> Samples:
    """Return the samples of 16-bit PCM."""
    return np.frombuffer(data, "<i2") / _FULL


def frames(samples: Samples) -> list[bytes]:
    """Return samples at 16 kHz as whole frames."""
    data = to_pcm(samples)
    return [
        data[at : at + pcm.FRAME_BYTES] for at in range(0, len(data) - pcm.FRAME_BYTES + 1, pcm.FRAME_BYTES)
    ]


def level_db(samples: Samples) -> float:
    """Return the mean level, in dB of full scale."""
    return 10 * float(np.log10(np.mean(np.square(samples)) + 1e-12))


def levelled(samples: Samples, dbfs: float) -> Samples:
    """Return `samples` with this level where there is sound; pauses do not count."""
    frames = samples[: len(samples) // 160 * 160].reshape(-1, 160)
    power = np.mean(np.square(frames), axis=1)
    loud = power[power > power.max() * 1e-3]
    return np.asarray(samples * 10 ** (dbfs / 20) / np.sqrt(np.mean(loud)))


def likeness(one: Samples, other: Samples) -> float:
    """Return how alike two sounds at 16 kHz are to an ear: 1 the same, 0 nothing in common.

    It is the correlation of their spectrograms between 300 and 3400 Hz. `other` may come up to 20 ms later.
    Phases do not count: a high-pass filter turns them, and no ear hears that.
    """
    return max(_correlation(_spectrogram(one), _spectrogram(other[lag:])) for lag in range(0, 321, 32))


def _spectrogram(samples: Samples) -> Samples:
    size, step = 512, 160
    count = (len(samples) - size) // step
    windows = np.lib.stride_tricks.sliding_window_view(samples, size)[: count * step : step]
    spectrum = np.abs(np.fft.rfft(windows * np.hanning(size)))
    return np.asarray(spectrum[:, 300 * size // pcm.UPLINK_HZ : 3400 * size // pcm.UPLINK_HZ])


def _correlation(one: Samples, other: Samples) -> float:
    count = min(len(one), len(other))
    return float(np.corrcoef(one[:count].ravel(), other[:count].ravel())[0, 1])


def recording(source: Path | bytes, rate_hz: int) -> Samples:
    """Return a WAV's first channel at this rate."""
    with wave.open(str(source) if isinstance(source, Path) else io.BytesIO(source)) as wav:
        samples = np.frombuffer(wav.readframes(wav.getnframes()), "<i2")[:: wav.getnchannels()] / _FULL
        return np.asarray(soxr.resample(samples, wav.getframerate(), rate_hz))


@cache
def kiosk_sentences() -> tuple[Samples, ...]:
    """Return the kiosk's sentences as espeak-ng says them, 24 kHz."""
    return tuple(spoken(text, pcm.DOWNLINK_HZ) for text in SENTENCES)


@cache
def kiosk_replies() -> tuple[Samples, ...]:
    """Return the kiosk's sentences in one voice after the other, 24 kHz."""
    return tuple(
        spoken(text, pcm.DOWNLINK_HZ, "-v", KIOSK_VOICES[number % len(KIOSK_VOICES)])
        for number, text in enumerate(SENTENCES * len(KIOSK_VOICES))
    )


def spoken(text: str, rate_hz: int, *options: str) -> Samples:
    """Return `text` as espeak-ng says it."""
    command = ["espeak-ng", *options, "--stdout", text]
    said = subprocess.run(command, check=True, capture_output=True, timeout=240).stdout
    # The header of a stream cannot name its length, and the module wave needs it.
    return recording(_whole(said), rate_hz)


def called(text: str) -> Samples:
    """Return `text` as espeak-ng says wake words well enough, 16 kHz."""
    return levelled(spoken(text, pcm.UPLINK_HZ, "-v", "en-gb", "-s", "150"), -23)


def _whole(wav: bytes) -> bytes:
    data = wav.index(b"data")
    return wav[: data + 4] + (len(wav) - data - 8).to_bytes(4, "little") + wav[data + 8 :]


@cache
def people() -> tuple[Utterance, ...]:
    """Return utterances of visitors: held out, or else labelled ones, or else Debian's."""
    if folder := os.environ.get(HELDOUT):
        return tuple(_voice(path) for path in _wavs(folder) if not path.name.startswith(_NOISE))
    return labelled() or tuple(_unlabelled(path) for path in sorted(DEBIAN.glob("[FRS]*.wav")))


@cache
def labelled() -> tuple[Utterance, ...]:
    """Return the recordings of the folder in KIOSKD_SPEECH, with the times of words; none if it is unset."""
    return tuple(_voice(path) for path in _wavs(SPEECH)) if SPEECH else ()


@cache
def recorded_noises() -> tuple[str, ...]:
    """Return the names of the noises that are held out; none without a folder."""
    folder = os.environ.get(HELDOUT)
    return tuple(path.stem for path in _wavs(folder) if path.name.startswith(_NOISE)) if folder else ()


def noises() -> tuple[str, ...]:
    """Return the noises in which conversations are held."""
    return recorded_noises() or NOISES


def _wavs(folder: str) -> list[Path]:
    return sorted(Path(folder).glob("*.wav"))


def _voice(path: Path) -> Utterance:
    """Return a recording of a person, which begins where a file beside it or its sound says."""
    if (labels := path.with_suffix(".words.json")).exists():
        words = json.loads(labels.read_text())["w"]
        onset_s = next(word["b"] for word in words if not word["t"].startswith(("<", "[")))
    elif (labels := path.with_suffix(".json")).exists():
        onset_s = json.loads(labels.read_text())["onset_s"]
    else:
        return _unlabelled(path)
    return _begun(path.stem, recording(path, pcm.UPLINK_HZ), onset_s)


def _unlabelled(path: Path) -> Utterance:
    samples = recording(path, pcm.UPLINK_HZ)
    loud = np.flatnonzero(np.abs(samples) > 0.02 * np.abs(samples).max())
    return _begun(path.stem, samples, float(loud[0]) / pcm.UPLINK_HZ)


def _begun(name: str, samples: Samples, onset_s: float) -> Utterance:
    """Remove the part before the first word: the detector takes the onset of its noise for a voice."""
    lead = min(round(LEAD_S * pcm.UPLINK_HZ), round(onset_s * pcm.UPLINK_HZ))
    begun = samples[round(onset_s * pcm.UPLINK_HZ) - lead :].copy()
    begun[:lead] *= np.linspace(0, 1, lead) ** 2
    return Utterance(name, begun, lead / pcm.UPLINK_HZ)


def noise(kind: str, seconds: float, chance: np.random.Generator) -> Samples:
    """Return a noise of 0 dB of full scale at 16 kHz. The caller lowers it, for example by `levelled`."""
    count = round(seconds * pcm.UPLINK_HZ)
    match kind:
        case "pink":
            made = _pink(count, chance)
        case "fan":
            times = np.arange(count) / pcm.UPLINK_HZ
            hum = sum(np.sin(2 * np.pi * 98 * k * times + k) / k for k in range(1, 9))
            made = _pink(count, chance) + 0.7 * np.asarray(hum)
        case "babble":
            made = _babble(count, chance)
        case "white":
            made = chance.standard_normal(count)
        case "clicks":
            made = _clicks(count, chance)
        case "switched":
            made = _switched(count, chance)
        case _ if kind in recorded_noises():
            made = _recorded(kind, count, chance)
        case _:
            raise ValueError(f"no such noise: {kind}")
    return np.asarray(made / np.sqrt(np.mean(np.square(made))))


def _recorded(kind: str, count: int, chance: np.random.Generator) -> Samples:
    """Return a recorded noise, again and again, from any point of it."""
    heard = recording(Path(os.environ[HELDOUT]) / f"{kind}.wav", pcm.UPLINK_HZ)
    return np.resize(np.roll(heard, int(chance.integers(len(heard)))), count)


def _pink(count: int, chance: np.random.Generator) -> Samples:
    spectrum = np.fft.rfft(chance.standard_normal(count))
    spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), count * 50 / pcm.UPLINK_HZ))
    made = np.fft.irfft(spectrum, count)
    return np.asarray(made / np.sqrt(np.mean(np.square(made))))


def _babble(count: int, chance: np.random.Generator) -> Samples:
    """Return a crowd: a dozen people at once, each sometimes backwards, so that no word is left."""
    voices = [levelled(one.samples, -20) for one in people()]
    made = np.zeros(count)
    for _ in range(12):
        at = -int(chance.integers(0, pcm.UPLINK_HZ * 3))
        while at < count:
            voice = voices[chance.integers(len(voices))][:: chance.choice([1, -1])]
            start, end = max(at, 0), min(at + len(voice), count)
            if end > start:
                made[start:end] += voice[start - at : end - at]
            at += len(voice) + int(chance.integers(0, pcm.UPLINK_HZ))
    return made


def knock(chance: np.random.Generator) -> Samples:
    """Return a tick, a knock on wood, or a struck thing that rings. Its peak is 1, and it lasts 200 ms."""
    times = np.arange(pcm.UPLINK_HZ // 5)
    match chance.integers(3):
        case 0:
            made = np.where(times == 0, 1.0, np.where(times == 1, -0.5, 0.0))
        case 1:
            made = chance.standard_normal(len(times)) * np.exp(-times / chance.uniform(30, 300))
        case _:
            ringing = np.sin(2 * np.pi * chance.uniform(200, 2000) * times / pcm.UPLINK_HZ)
            made = ringing * np.exp(-times / chance.uniform(100, 500))
    return np.asarray(made / np.abs(made).max())


def _clicks(count: int, chance: np.random.Generator) -> Samples:
    made = 0.003 * chance.standard_normal(count)
    at = 0
    while (at := at + int(chance.uniform(0.1, 2.0) * pcm.UPLINK_HZ)) + pcm.UPLINK_HZ < count:
        struck = chance.uniform(0.1, 1.0) * knock(chance)
        made[at : at + len(struck)] += struck
    return np.asarray(made)


def _switched(count: int, chance: np.random.Generator) -> Samples:
    made = 0.01 * chance.standard_normal(count)
    on = 10 * pcm.UPLINK_HZ
    for at in range(on, count - on + 1, 2 * on):
        kind = ("white", "pink", "fan")[chance.integers(3)]
        made[at : at + on] += chance.uniform(0.03, 0.2) * noise(kind, 10, chance)
    return np.asarray(made)
