"""Writes what a rehearsal leaves behind: `events.jsonl`, `conversation.wav`, `summary.json`, `timeline.png`.

All blocking: call it where nothing waits.
"""

import os
import wave
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from kioskd.adapters.sudo_user import as_asker
from kioskd.errors import ConfigError
from kioskd.media import pcm
from kioskd.media.resample import Resampler
from kioskd.rehearsal.fake_microphone import FRAME_S
from kioskd.rehearsal.record import RehearsalRecord
from kioskd.rehearsal.summary import Summary

FILES: Final = ("events.jsonl", "conversation.wav", "summary.json", "timeline.png")

GAP_S: Final = 0.1
"""Up to this much a device may be early or late and still be taken to run evenly: scheduling, not a pause."""


def prepare(folder: Path) -> None:
    """Make the folder, or take one that holds nothing but an earlier rehearsal's files, and take those out.

    Under sudo it is the folder of the user who asked, and only what they may write is written.

    Raises:
        ConfigError: the folder holds something else, or cannot be made or written.
    """
    try:
        with as_asker(os.environ):
            _prepare(folder)
    except OSError as error:
        raise ConfigError(
            f"--out {folder}: cannot be written: {error.strerror}; name another folder"
        ) from error


def _prepare(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    foreign = sorted(path.name for path in folder.iterdir() if path.name not in FILES)
    if foreign:
        raise ConfigError(
            f"--out {folder}: holds files that are no rehearsal's ({foreign[0]}), which could be mistaken for one's; "
            "name an empty folder or a new one"
        )
    for name in FILES:
        (folder / name).unlink(missing_ok=True)


def write(folder: Path, record: RehearsalRecord, summary: Summary) -> None:
    """Write all four files, as the user who asked by sudo. Needs matplotlib."""
    from kioskd.rehearsal.chart import draw  # noqa: PLC0415 - an optional library

    with as_asker(os.environ):
        _write(folder, record, summary, draw)


def _write(folder: Path, record: RehearsalRecord, summary: Summary, draw: Callable[..., None]) -> None:
    (folder / "events.jsonl").write_text(
        "".join(note.line(record.start) + "\n" for note in record.notes), encoding="utf-8"
    )
    (folder / "summary.json").write_text(summary.model_dump_json(indent=2) + "\n", encoding="utf-8")
    visitor, kiosk = voices(record)
    write_stereo(folder / "conversation.wav", visitor, kiosk)
    draw(folder / "timeline.png", record, summary, visitor, kiosk)


def voices(record: RehearsalRecord) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int16]]:
    """Return the visitor's and the kiosk's track at 24 kHz, both from the rehearsal's start to its end."""
    at_16k = _lay_out(
        ((t - FRAME_S, frame) for t, frame in zip(record.track.taken_at, record.track.frames, strict=True)),
        record.start,
        record.end,
        pcm.UPLINK_HZ,
    )
    resampler = Resampler(pcm.UPLINK_HZ, pcm.DOWNLINK_HZ)
    visitor = np.frombuffer(resampler.process(at_16k.tobytes(), last=True), "<i2")
    kiosk = _lay_out(record.heard.pieces(), record.start, record.end, pcm.DOWNLINK_HZ)
    return _fitted(visitor, len(kiosk)), kiosk


def _lay_out(
    pieces: Iterable[tuple[float, bytes]], start: float, end: float, rate_hz: int
) -> npt.NDArray[np.int16]:
    """Put each piece where it belongs in time; one that follows on the last within reason goes right behind it."""
    track = np.zeros(max(1, round((end - start) * rate_hz)), np.int16)
    position = 0
    for t, sound in pieces:
        wanted = round((t - start) * rate_hz)
        if abs(wanted - position) > GAP_S * rate_hz:
            position = wanted
        samples = np.frombuffer(sound, "<i2")
        first = max(0, -position)
        here = track[position + first : position + len(samples)]
        here[:] = samples[first : first + len(here)]
        position += len(samples)
    return track


def _fitted(samples: npt.NDArray[np.int16], length: int) -> npt.NDArray[np.int16]:
    fitted = np.zeros(length, np.int16)
    fitted[: min(length, len(samples))] = samples[:length]
    return fitted


def write_stereo(path: Path, left: npt.NDArray[np.int16], right: npt.NDArray[np.int16]) -> None:
    """Write two tracks of equal length as one 24 kHz WAV."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(pcm.SAMPLE_BYTES)
        file.setframerate(pcm.DOWNLINK_HZ)
        file.writeframes(np.column_stack((left, right)).astype("<i2").tobytes())
