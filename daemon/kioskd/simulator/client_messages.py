"""One connection's conversation: what the client sends, and what the service makes of it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from kioskd.media import pcm
from kioskd.simulator.connection import ClientConnection
from kioskd.simulator.images import picture_of
from kioskd.simulator.model_turns import ModelTurns
from kioskd.simulator.records import ReceivedPicture, SessionRecord, VisitorTurn
from kioskd.simulator.replies import AUDIO_TOKENS_PER_S, Replies
from kioskd.simulator.rules import SimulatedModel, check_content, check_tools
from kioskd.simulator.schema import Blob, Content, Detection, Generation, History, Realtime, Setup
from kioskd.simulator.vad import UplinkResampler, VadEvent, VoiceActivityDetector
from kioskd.simulator.wire import (
    INVALID,
    ClientContent,
    ClientMessage,
    ContextUpdate,
    RealtimeInput,
    RefusalError,
    ToolResponse,
    blob_bytes,
    mime_of,
)

_IN_ANSWERS: Final = "tool_response.function_responses.parts"
_RATES_HZ: Final = range(8_000, 48_001)
_LOW_PICTURE_TOKENS: Final = 64
_PICTURE_TOKENS: Final = 256
_LETTERS_PER_TOKEN: Final = 4


@dataclass(slots=True)
class _Intake:
    """Bytes of audio, and pictures, since the visitor's last turn."""

    audio: int = 0
    active_audio: int = 0
    pictures: list[ReceivedPicture] = field(default_factory=list)
    active_pictures: list[ReceivedPicture] = field(default_factory=list)
    written: list[ReceivedPicture] = field(default_factory=list)
    """In content that asked for no answer. The next turn has it, but not what a function's answer sets off before."""


class ClientMessages:
    """The service's ears on a connection that is set up; the mouth is `ModelTurns`'s."""

    def __init__(
        self,
        line: ClientConnection,
        session: SessionRecord,
        setup: Setup,
        profile: SimulatedModel,
        speaking: ModelTurns,
        *,
        replies: Replies,
        silence_ms: int,
        resumed: bool,
    ) -> None:
        self._line = line
        self._session = session
        self._profile = profile
        self._speaking = speaking
        self._replies = replies
        realtime = setup.realtime_input_config or Realtime()
        detection = realtime.automatic_activity_detection or Detection()
        self._by_hand = bool(detection.disabled)
        self._hearing = VoiceActivityDetector(detection, silence_ms)
        self._input = UplinkResampler()
        self._interruptible = realtime.activity_handling != "NO_INTERRUPTION"
        coverage = realtime.turn_coverage or ""
        self._coverage = coverage if coverage.startswith("TURN_INCLUDES") else profile.coverage
        resolution = (setup.generation_config or Generation()).media_resolution
        self._picture_tokens = (
            _LOW_PICTURE_TOKENS if resolution == "MEDIA_RESOLUTION_LOW" else _PICTURE_TOKENS
        )
        self._transcribes = setup.input_audio_transcription is not None
        history = setup.history_config or History()
        # With a handle the service has the history; a client that seeds it again is turned down.
        self._takes_history = bool(history.initial_history_in_client_content) and not resumed
        self._intake = _Intake()
        self._active = False
        self._heard_any = False
        self._add_tokens(
            "TEXT", len(setup.system_instruction.words) if setup.system_instruction and not resumed else 0
        )

    async def heed(self, message: ClientMessage) -> None:
        """Deal with one message of the client.

        Raises:
            RefusalError: the service would end the connection for it.
            ConnectionClosed: the connection is over.
        """
        self._speaking.consumed += 1
        if message.realtime_input is not None:
            await self._hear(message.realtime_input)
        elif message.client_content is not None:
            await self._take_content(message.client_content)
        elif message.tool_response is not None:
            await self._take_responses(message.tool_response)
        elif message.context_update is not None:
            self._update_context(message.context_update)
        else:
            raise RefusalError(INVALID, "setup must be the first message, and only the first")

    async def _hear(self, given: RealtimeInput) -> None:
        if (given.activity_start or given.activity_end) and not self._by_hand:
            raise RefusalError(
                INVALID,
                "Explicit activity control is not supported when automatic activity detection is enabled.",
            )
        if given.audio_stream_end and self._by_hand:
            raise RefusalError(
                INVALID, "audio_stream_end is not supported when automatic activity detection is disabled."
            )
        if given.activity_start is not None:
            await self._began()
        if given.audio is not None:
            await self._hear_audio(given.audio, "realtime_input.audio")
        if given.video is not None:
            await self._look(given.video, "realtime_input.video")
        for number, blob in enumerate(given.media_chunks or ()):
            where = f"realtime_input.media_chunks[{number}]"
            if mime_of(blob, where)[0].startswith("image/"):
                await self._look(blob, where)
            else:
                await self._hear_audio(blob, where)
        if given.text is not None:
            await self._take_text(given.text)
        if given.activity_end is not None and self._active:
            await self._ended()
        if given.audio_stream_end:
            self._line.tell("audio_stream_end")
            for _ in self._hearing.end_stream():
                await self._ended()

    async def _hear_audio(self, blob: Blob, where: str) -> None:
        kind, parameters = mime_of(blob, where)
        rate = parameters.get("rate", str(pcm.UPLINK_HZ))
        if kind != "audio/pcm" or not rate.isdigit() or int(rate) not in _RATES_HZ:
            raise RefusalError(INVALID, f"Unsupported mime_type at '{where}': use audio/pcm;rate=16000")
        sound = blob_bytes(blob, where)
        if len(sound) % pcm.SAMPLE_BYTES:
            raise RefusalError(INVALID, f"Invalid value at '{where}.data': half a sample of 16-bit PCM")
        if not self._heard_any:
            self._heard_any = True
            self._line.tell("audio", bytes=len(sound), rate=int(rate))
            await self._speaking.meet("audio")
        self._session.audio += sound
        heard = self._input.take(sound, int(rate))
        noticed = [] if self._by_hand else self._hearing.feed(heard)
        self._intake.audio += len(heard)
        self._speaking.calls.overhear(len(sound))
        if self._active or noticed:
            self._intake.active_audio += len(heard)
        for notice in noticed:
            await (self._began() if notice is VadEvent.BEGAN else self._ended())

    async def _look(self, blob: Blob, where: str) -> None:
        """Take a frame of video. One that comes while the model answers belongs to the next turn."""
        picture = self._keep(picture_of(blob, where, "realtime"))
        self._intake.pictures.append(picture)
        if self._active:
            self._intake.active_pictures.append(picture)
        await self._speaking.meet("picture")

    def _keep(self, picture: ReceivedPicture) -> ReceivedPicture:
        self._session.pictures.append(picture)
        self._line.tell("picture", bytes=len(picture.data), way=picture.way, size=picture.size)
        return picture

    async def _take_text(self, text: str) -> None:
        self._note_text(text)
        if self._interruptible:
            await self._speaking.interrupt()
        self._finish_turn("text")

    async def _take_content(self, content: ClientContent) -> None:
        turns = content.turns or ()
        for turn in turns:
            check_content(turn, self._session.backend)
        if self._profile.client_content == "seed_only" and not self._takes_history:
            raise RefusalError(
                INVALID, "client_content is only supported as initial history (history_config) by this model"
            )
        if self._takes_history:
            self._recall(turns)
            self._takes_history = not content.turn_complete
            return
        for turn in turns:
            if turn.role == "system":
                self._note_update(instructions=True)
                continue
            self._note_text(turn.words)
            for part in turn.parts or ():
                if part.inline_data is not None:
                    where = "client_content.turns.parts.inline_data"
                    self._intake.written.append(self._keep(picture_of(part.inline_data, where, "content")))
        if content.turn_complete:
            await self._speaking.interrupt()
            self._finish_turn("content")
        else:
            await self._speaking.new_input()

    def _recall(self, turns: Sequence[Content]) -> None:
        """Take what was said before this session into the context, and answer nothing."""
        for turn in turns:
            self._session.recall.append((turn.role or "user", turn.words))
            self._add_tokens("TEXT", len(turn.words))
        self._line.tell("recall", turns=len(turns))

    async def _take_responses(self, given: ToolResponse) -> None:
        responses = given.function_responses or ()
        if not responses:
            raise RefusalError(INVALID, "tool_response.function_responses is required")
        for response in responses:
            if response.id is None and self._session.backend == "developer":
                raise RefusalError(INVALID, "tool_response.function_responses.id is required")
            if response.parts and not self._profile.answer_parts:
                raise RefusalError(INVALID, "Multimodal function responses are not supported by this model")
            shown = [
                self._keep(picture_of(part.inline_data, f"{_IN_ANSWERS}.inline_data", "answer"))
                for part in response.parts or ()
                if part.inline_data is not None
            ]
            self._speaking.calls.take(response, shown)
        await self._speaking.meet("tool_response")

    def _update_context(self, update: ContextUpdate) -> None:
        if update.tools is not None:
            check_tools(update.tools.tools or (), self._profile, self._session.backend)
            self._speaking.calls.declare(update.tools.tools or ())
        self._note_update(instructions=update.system_instruction is not None)

    def _note_update(self, *, instructions: bool) -> None:
        self._session.updates += 1
        self._line.tell("context_update", instructions=instructions)

    async def _began(self) -> None:
        self._active = True
        self._speaking.visitor_speaks(True)
        self._line.tell("speech_began", session=self._session.id)
        if self._interruptible:
            await self._speaking.interrupt()
        await self._speaking.meet("speech")

    async def _ended(self) -> None:
        self._active = False
        self._line.tell("speech_ended", session=self._session.id)
        if self._transcribes:
            heard = self._replies.coming.heard
            await self._line.send({"serverContent": {"inputTranscription": {"text": heard}}})
        await self._speaking.meet("speech_end")
        self._finish_turn("speech")
        self._speaking.visitor_speaks(False)

    def _note_text(self, text: str) -> None:
        if text:
            self._session.texts.append(text)
            self._line.tell("text", characters=len(text))
            self._add_tokens("TEXT", len(text))

    def _finish_turn(self, kind: Literal["speech", "text", "content"]) -> None:
        """Put what has come in into the context, as far as the turn coverage wants it, and let the model answer."""
        intake, self._intake = self._intake, _Intake()
        only_active = self._coverage == "TURN_INCLUDES_ONLY_ACTIVITY"
        everything = self._coverage == "TURN_INCLUDES_ALL_INPUT"
        audio = intake.audio if everything else intake.active_audio
        filmed = intake.active_pictures if only_active else intake.pictures
        self._session.tokens["AUDIO"] += round(pcm.duration_s(audio, pcm.UPLINK_HZ) * AUDIO_TOKENS_PER_S)
        turn = VisitorTurn(kind, time.monotonic(), audio)
        self._session.turns.append(turn)
        self._session.show([*filmed, *intake.written], turn)
        self._session.tokens["IMAGE"] += turn.pictures * self._picture_tokens
        self._speaking.answer(turn)

    def _add_tokens(self, modality: str, letters: int) -> None:
        self._session.tokens[modality] += -(-letters // _LETTERS_PER_TOKEN)
