"""The Live service in virtual time: it hears the uplink, is interrupted by it, and speaks on command."""

from collections import deque
from typing import Final

from tests.room.devices import FRAME_S
from tests.support.fakes_live import ScriptedConnection, ScriptedLive

from kioskd.media import pcm
from kioskd.ports import GenerationEnded, Interrupted, Message, ReplyAudio, TurnComplete
from kioskd.simulator.schema import Detection
from kioskd.simulator.vad import VadEvent, VoiceActivityDetector

NETWORK_S: Final = 0.03
"""Seconds that sound takes to the service: a fair line from a town."""

AHEAD: Final = 4
"""How much faster a reply is sent than played."""

SILENCE_MS: Final = 500

_PIECE: Final = pcm.byte_count(FRAME_S, pcm.DOWNLINK_HZ) * AHEAD


class Model:
    """One session. The script says the replies; they answer nothing."""

    def __init__(self) -> None:
        self.live = ScriptedLive()
        self.turns = 0
        """How often it heard a voice begin."""
        self.interruptions = 0
        """How often a voice began during a reply."""
        self.frames: list[bytes] = []
        """Audio that arrived in the last step."""
        self._connection: ScriptedConnection | None = None
        self._hearing = VoiceActivityDetector(Detection(), SILENCE_MS)
        self._on_the_way_in: deque[tuple[float, bytes]] = deque(maxlen=1000)
        self._on_the_way_out: deque[tuple[float, Message]] = deque(maxlen=10_000)
        self._pauses = 0
        self._to_say = b""
        self._generating = False
        self._speaking_until: float | None = None

    @property
    def connected(self) -> bool:
        """Whether a kiosk is connected."""
        return self._connection is not None and not self._connection.closed

    @property
    def speaking(self) -> bool:
        """Whether a reply is playing, by the service's own reckoning."""
        return self._speaking_until is not None

    @property
    def hearing(self) -> bool:
        """Whether the service hears a voice."""
        return self._hearing.speaking

    async def serve(self) -> None:
        """Accept every kiosk until cancelled."""
        while True:
            self._connection = await self.live.accept()
            self._pauses = 0

    def say(self, now: float, reply: bytes) -> None:
        """Say a reply (24 kHz)."""
        self._to_say = reply
        self._generating = True
        self._speaking_until = now + pcm.duration_s(len(reply), pcm.DOWNLINK_HZ)

    def step(self, now: float) -> None:
        """Advance the service to `now`, 20 ms after the last step."""
        if self._connection is None:
            return
        self.frames = list(self._connection.audio)
        self._connection.audio.clear()
        self._on_the_way_in.extend((now + NETWORK_S, frame) for frame in self.frames)
        pauses, self._pauses = self._connection.audio_ends - self._pauses, self._connection.audio_ends
        if pauses:
            self._hearing.end_stream()
        while self._on_the_way_in and self._on_the_way_in[0][0] <= now:
            for heard in self._hearing.feed(self._on_the_way_in.popleft()[1]):
                if heard is VadEvent.BEGAN:
                    self._begin(now)
        self._speak(now)
        while self._on_the_way_out and self._on_the_way_out[0][0] <= now:
            self._connection.say(self._on_the_way_out.popleft()[1])

    def _begin(self, now: float) -> None:
        self.turns += 1
        if not self.speaking:
            return
        self.interruptions += 1
        self._to_say, self._generating, self._speaking_until = b"", False, None
        self._send(now, Interrupted(), TurnComplete())

    def _speak(self, now: float) -> None:
        if self._generating:
            piece, self._to_say = self._to_say[:_PIECE], self._to_say[_PIECE:]
            self._send(now, ReplyAudio(piece))
            if not self._to_say:
                self._generating = False
                self._send(now, GenerationEnded())
        if self._speaking_until is not None and now >= self._speaking_until:
            self._speaking_until = None
            self._send(now, TurnComplete())

    def _send(self, now: float, *messages: Message) -> None:
        self._on_the_way_out.extend((now + NETWORK_S, message) for message in messages)
