"""Reports on a rehearsal: lines while it runs, and four files at its end.

Writing the files blocks.
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
from kioskd.rehearsal.capture import RehearsalRecord
from kioskd.rehearsal.event_log import LoggedEvent
from kioskd.rehearsal.summary import Summary
from kioskd.simulator.script import Reply

FILES: Final = ("events.jsonl", "conversation.wav", "summary.json", "timeline.png")

LONGEST_WORDS: Final = 70
IMPERATIVES: Final = {
    "presses": "press",
    "holds": "hold",
    "lets": "let",
    "says": "say",
    "interrupts": "interrupt",
    "shows": "show",
}

GAP_S: Final = 0.1
"""Longest difference from an even pace, in seconds, that is due to scheduling and is no pause."""


def prepare(folder: Path) -> None:
    """Create the folder, or remove the files of an earlier rehearsal from it.

    Under sudo it acts with the rights of the user who called sudo.

    Raises:
        ConfigError: the folder holds other files, or cannot be created or written.
    """
    try:
        with as_asker(os.environ):
            folder.mkdir(parents=True, exist_ok=True)
            foreign = sorted(path.name for path in folder.iterdir() if path.name not in FILES)
            if foreign:
                raise ConfigError(
                    f"--out {folder}: holds files that a rehearsal did not write ({foreign[0]}); "
                    "name a new or an empty folder"
                )
            for name in FILES:
                (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(
            f"--out {folder}: cannot be written: {error.strerror}; name another folder"
        ) from error


def write(folder: Path, record: RehearsalRecord, summary: Summary) -> None:
    """Write all four files, as the user who called sudo, if there is one. Needs matplotlib."""
    from kioskd.rehearsal.chart import draw  # noqa: PLC0415 - an optional library

    with as_asker(os.environ):
        events = "".join(note.line(record.start) + "\n" for note in record.notes)
        (folder / "events.jsonl").write_text(events, encoding="utf-8")
        (folder / "summary.json").write_text(summary.model_dump_json(indent=2) + "\n", encoding="utf-8")
        visitor, kiosk = voices(record)
        write_stereo(folder / "conversation.wav", visitor, kiosk)
        draw(folder / "timeline.png", record, summary, visitor, kiosk)


def voices(record: RehearsalRecord) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int16]]:
    """Return the tracks of the visitor and the kiosk at 24 kHz, each as long as the rehearsal."""
    at_16k = _lay_out(
        (
            (t - pcm.FRAME_S, frame)
            for t, frame in zip(record.track.taken_at, record.track.frames, strict=True)
        ),
        record.start,
        record.end,
        pcm.UPLINK_HZ,
    )
    resampler = Resampler(pcm.UPLINK_HZ, pcm.DOWNLINK_HZ)
    visitor = np.frombuffer(resampler.process(at_16k.tobytes(), last=True), "<i2")
    kiosk = _lay_out(record.heard.pieces(), record.start, record.end, pcm.DOWNLINK_HZ)
    fitted = np.zeros(len(kiosk), np.int16)
    fitted[: len(visitor)] = visitor[: len(kiosk)]
    return fitted, kiosk


def _lay_out(
    pieces: Iterable[tuple[float, bytes]], start: float, end: float, rate_hz: int
) -> npt.NDArray[np.int16]:
    """Return a track with each piece at its time.

    A piece due within `GAP_S` follows the last one directly.
    """
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


def write_stereo(path: Path, left: npt.NDArray[np.int16], right: npt.NDArray[np.int16]) -> None:
    """Write two tracks of equal length as one 24 kHz WAV."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(pcm.SAMPLE_BYTES)
        file.setframerate(pcm.DOWNLINK_HZ)
        file.writeframes(np.column_stack((left, right)).astype("<i2").tobytes())


class Narration:
    """Prints a line for each event that people care about."""

    def __init__(self, start: float, replies: tuple[Reply, ...], tell: Callable[[str], None]) -> None:
        """`start`: the clock's seconds at the start of the rehearsal.

        `replies`: the scripted replies, for their words.
        """
        self._start = start
        self._replies = replies
        self._tell = tell
        self._spoken = replies[0]

    def note(self, note: LoggedEvent) -> None:
        """Print the line of an event, if it has one."""
        if (note.by, note.what) == ("service", "reply_began"):
            reply = self._replies[int(str(note.data["place"]))]
            self._spoken = (reply.meanwhile if note.data["meanwhile"] else None) or reply
        if (note.by, note.what) == ("visitor", "is asked"):
            self._tell(f"\n  >>> {note.data['words']}\n")
        elif words := _visitor_words(note) if note.by == "visitor" else self._words(note):
            self._tell(f"{note.t - self._start:6.1f} s  {note.by:8}  {words}")

    def _words(self, note: LoggedEvent) -> str:
        data = note.data
        match note.by, note.what:
            case "kiosk", "shows" if data["state"] != "speaking":
                return f"{data['state']} (code {data['code']})" if "code" in data else str(data["state"])
            case "kiosk", "reply began":
                return f"speaking: {self._reply()}"
            case "daemon", "Up":
                return f"connected (epoch {data['epoch']}{', session resumed' if data['resumed'] else ''})"
            case "daemon", "Lost":
                return f"has lost the connection: {str(data['remedy']).replace('_', ' ')}"
            case "service", "picture":
                return f"gets a picture ({int(str(data['bytes'])) / 1000:.0f} kB)"
        return _WORDS.get((note.by, note.what), "").format(**data)

    def _reply(self) -> str:
        reply = self._spoken
        words = reply.text or (reply.wav.name if reply.wav else "")
        return f"“{words if len(words) <= LONGEST_WORDS else words[: LONGEST_WORDS - 1] + '…'}”"


def _visitor_words(note: LoggedEvent) -> str:
    """Return words for an act of the visitor, or for a request to do it."""
    data, words = note.data, note.what
    match note.what:
        case "presses the button" | "holds the button" | "lets the button go":
            words = words if data["button"] == 1 else words.replace("the button", f"button {data['button']}")
        case "says" | "interrupts with":
            words = f"{words} “{data['words']}” ({data['seconds']:.1f} s)"
        case "scans":
            words = "shows the reader a code"
        case "commands":
            words = f"commands: kioskd {data['command']}"
        case _:
            return ""
    if data.get("please"):
        for does, do in IMPERATIVES.items():
            words = words.replace(does, do)
        words = f"please: {words}"
    return words


_WORDS: Final = {
    ("kiosk", "reply silenced"): "stops the reply",
    ("daemon", "Prompt"): "speaks the prompt for code {code}",
    ("daemon", "Announce"): "speaks an announcement",
    ("daemon", "DeviceGone"): "has lost the {device}",
    ("service", "tool_call"): "calls {name}",
    ("service", "tool_call_cancelled"): "cancels a call",
    ("service", "token_minted"): "mints a token",
    ("service", "fault"): "has a scripted fault: {do}",
    ("service", "go_away"): "will close the connection in {left_s:g} s",
}
