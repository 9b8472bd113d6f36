"""Collects the visitor's input since the last turn, and selects the part that belongs to the next turn."""

import time
from dataclasses import dataclass, field
from typing import Final, Literal

from kioskd.media import pcm
from kioskd.simulator.records import ReceivedPicture, SessionRecord, VisitorTurn
from kioskd.simulator.replies import AUDIO_TOKENS_PER_S
from kioskd.simulator.rules import SimulatedModel
from kioskd.simulator.schema import Generation, Realtime, Setup

_LOW_PICTURE_TOKENS: Final = 64
_PICTURE_TOKENS: Final = 256
_LETTERS_PER_TOKEN: Final = 4


@dataclass(slots=True)
class _Received:
    audio: int = 0
    """All audio, in bytes."""
    active_audio: int = 0
    pictures: list[ReceivedPicture] = field(default_factory=list)
    active_pictures: list[ReceivedPicture] = field(default_factory=list)
    written: list[ReceivedPicture] = field(default_factory=list)
    """Pictures in content that asked for no answer; they belong to the visitor's next turn."""


class TurnInput:
    """Audio and pictures since the visitor's last turn.

    The turn coverage selects the model's part of them.
    """

    def __init__(self, session: SessionRecord, setup: Setup, model: SimulatedModel) -> None:
        coverage = (setup.realtime_input_config or Realtime()).turn_coverage or ""
        resolution = (setup.generation_config or Generation()).media_resolution
        low = resolution == "MEDIA_RESOLUTION_LOW"
        self._session = session
        self._coverage = coverage if coverage.startswith("TURN_INCLUDES") else model.coverage
        self._picture_tokens = _LOW_PICTURE_TOKENS if low else _PICTURE_TOKENS
        self._received = _Received()

    def add_audio(self, byte_count: int, *, active: bool) -> None:
        """Add 16 kHz audio; `active` says whether the visitor speaks."""
        self._received.audio += byte_count
        if active:
            self._received.active_audio += byte_count

    def add_frame(self, picture: ReceivedPicture, *, active: bool) -> None:
        """Add a frame of video. A frame that comes while the model answers belongs to the next turn."""
        self._received.pictures.append(picture)
        if active:
            self._received.active_pictures.append(picture)

    def add_written(self, picture: ReceivedPicture) -> None:
        """Add a picture from client content."""
        self._received.written.append(picture)

    def add_text(self, letters: int) -> None:
        """Add the tokens of a text to the context at once."""
        self._session.tokens["TEXT"] += -(-letters // _LETTERS_PER_TOKEN)

    def finish(self, kind: Literal["speech", "text", "content"]) -> VisitorTurn:
        """Return the visitor's turn with its input, and add it to the session's context."""
        received, self._received = self._received, _Received()
        only_active = self._coverage == "TURN_INCLUDES_ONLY_ACTIVITY"
        everything = self._coverage == "TURN_INCLUDES_ALL_INPUT"
        audio = received.audio if everything else received.active_audio
        frames = received.active_pictures if only_active else received.pictures
        self._session.tokens["AUDIO"] += round(pcm.duration_s(audio, pcm.UPLINK_HZ) * AUDIO_TOKENS_PER_S)
        turn = VisitorTurn(kind, time.monotonic(), audio)
        self._session.turns.append(turn)
        self._session.show_pictures([*frames, *received.written], turn)
        self._session.tokens["IMAGE"] += turn.pictures * self._picture_tokens
        return turn
