"""Handles a client's messages after the setup."""

from collections.abc import Sequence
from typing import Final

from kioskd.media import pcm
from kioskd.simulator.connection import ClientConnection
from kioskd.simulator.model_turns import ModelTurns
from kioskd.simulator.records import ReceivedPicture, SessionRecord
from kioskd.simulator.replies import transcription
from kioskd.simulator.rules import SimulatedModel, check_content, check_tools
from kioskd.simulator.schema import Blob, Content, Detection, History, Realtime, Setup
from kioskd.simulator.state import ServiceState
from kioskd.simulator.turn_input import TurnInput
from kioskd.simulator.vad import UplinkResampler, VadEvent, VoiceActivityDetector
from kioskd.simulator.wire import (
    ClientContent,
    ClientMessage,
    ContextUpdate,
    RealtimeInput,
    RefusalError,
    ToolResponse,
    blob_bytes,
    mime_of,
    picture_of,
)

_IN_ANSWERS: Final = "tool_response.function_responses.parts"
_RATES_HZ: Final = range(8_000, 48_001)


class ClientMessages:
    """Handler of a client's messages, which asks `turns` for the model's answers."""

    def __init__(
        self,
        connection: ClientConnection,
        session: SessionRecord,
        setup: Setup,
        model: SimulatedModel,
        turns: ModelTurns,
        *,
        state: ServiceState,
        resumed: bool,
    ) -> None:
        self._connection = connection
        self._session = session
        self._model = model
        self._turns = turns
        self._replies = state.replies
        realtime = setup.realtime_input_config or Realtime()
        detection = realtime.automatic_activity_detection or Detection()
        # None: the client itself tells when the visitor speaks.
        self._vad = None if detection.disabled else VoiceActivityDetector(detection, state.script.silence_ms)
        self._resampler = UplinkResampler()
        self._interruptible = realtime.activity_handling != "NO_INTERRUPTION"
        self._transcribes = setup.input_audio_transcription is not None
        history = setup.history_config or History()
        # A resumed session has the history already; a client that sends it again is refused.
        self._takes_history = bool(history.initial_history_in_client_content) and not resumed
        self._input = TurnInput(session, setup, model)
        self._active = False
        self._got_audio = False
        if setup.system_instruction and not resumed:
            self._input.add_text(len(setup.system_instruction.words))

    async def handle(self, message: ClientMessage) -> None:
        """Handle one message of the client.

        Raises:
            RefusalError: the service ends the connection because of it.
            ConnectionClosed: the connection is over.
        """
        self._turns.resumption.messages_handled += 1
        if message.realtime_input is not None:
            await self._on_realtime_input(message.realtime_input)
        elif message.client_content is not None:
            await self._on_client_content(message.client_content)
        elif message.tool_response is not None:
            await self._on_tool_response(message.tool_response)
        elif message.context_update is not None:
            self._on_context_update(message.context_update)
        else:
            raise RefusalError("setup must be the first message, and only the first")

    async def _on_realtime_input(self, given: RealtimeInput) -> None:
        if (given.activity_start or given.activity_end) and self._vad is not None:
            raise RefusalError(
                "Explicit activity control is not supported when automatic activity detection is enabled.",
            )
        if given.audio_stream_end and self._vad is None:
            raise RefusalError(
                "audio_stream_end is not supported when automatic activity detection is disabled."
            )
        if given.activity_start is not None:
            await self._on_speech_start()
        if given.audio is not None:
            await self._on_audio(given.audio, "realtime_input.audio")
        if given.video is not None:
            await self._on_video(given.video, "realtime_input.video")
        for number, blob in enumerate(given.media_chunks or ()):
            where = f"realtime_input.media_chunks[{number}]"
            if mime_of(blob, where)[0].startswith("image/"):
                await self._on_video(blob, where)
            else:
                await self._on_audio(blob, where)
        if given.text is not None:
            await self._on_text(given.text)
        if given.activity_end is not None and self._active:
            await self._on_speech_end()
        if given.audio_stream_end:
            self._connection.emit("audio_stream_end")
            if self._vad is not None and self._vad.end_stream():
                await self._on_speech_end()

    async def _on_audio(self, blob: Blob, where: str) -> None:
        kind, parameters = mime_of(blob, where)
        rate = parameters.get("rate", str(pcm.UPLINK_HZ))
        if kind != "audio/pcm" or not rate.isdigit() or int(rate) not in _RATES_HZ:
            raise RefusalError(f"Unsupported mime_type at '{where}': use audio/pcm;rate=16000")
        sound = blob_bytes(blob, where)
        if len(sound) % pcm.SAMPLE_BYTES:
            raise RefusalError(f"Invalid value at '{where}.data': half a sample of 16-bit PCM")
        if not self._got_audio:
            self._got_audio = True
            self._connection.emit("audio", bytes=len(sound), rate=int(rate))
            await self._connection.trigger("audio")
        self._session.audio += sound
        resampled = self._resampler.resample(sound, int(rate))
        events = [] if self._vad is None else self._vad.feed(resampled)
        self._input.add_audio(len(resampled), active=self._active or bool(events))
        self._turns.calls.count_audio(len(sound))
        for event in events:
            await (self._on_speech_start() if event is VadEvent.BEGAN else self._on_speech_end())

    async def _on_video(self, blob: Blob, where: str) -> None:
        self._input.add_frame(self._record(picture_of(blob, where, "realtime")), active=self._active)
        await self._connection.trigger("picture")

    async def _on_text(self, text: str) -> None:
        self._record_text(text)
        if self._interruptible:
            await self._turns.interrupt()
        self._turns.answer(self._input.finish("text"))

    async def _on_client_content(self, content: ClientContent) -> None:
        turns = content.turns or ()
        for turn in turns:
            check_content(turn, self._session.backend)
        if self._model.client_content == "seed_only" and not self._takes_history:
            raise RefusalError(
                "client_content is only supported as initial history (history_config) by this model"
            )
        if self._takes_history:
            self._record_history(turns)
            self._takes_history = not content.turn_complete
            return
        for turn in turns:
            if turn.role == "system":
                self._record_update(instructions=True)
                continue
            self._record_text(turn.words)
            for part in turn.parts or ():
                if part.inline_data is not None:
                    where = "client_content.turns.parts.inline_data"
                    self._input.add_written(self._record(picture_of(part.inline_data, where, "content")))
        if content.turn_complete:
            await self._turns.interrupt()
            self._turns.answer(self._input.finish("content"))
        else:
            await self._turns.new_content()

    async def _on_tool_response(self, given: ToolResponse) -> None:
        responses = given.function_responses or ()
        if not responses:
            raise RefusalError("tool_response.function_responses is required")
        for response in responses:
            if response.id is None and self._session.backend == "developer":
                raise RefusalError("tool_response.function_responses.id is required")
            if response.parts and not self._model.answer_parts:
                raise RefusalError("Multimodal function responses are not supported by this model")
            pictures = [
                self._record(picture_of(part.inline_data, f"{_IN_ANSWERS}.inline_data", "answer"))
                for part in response.parts or ()
                if part.inline_data is not None
            ]
            self._turns.calls.answer(response, pictures)
        await self._connection.trigger("tool_response")

    def _on_context_update(self, update: ContextUpdate) -> None:
        if update.tools is not None:
            check_tools(update.tools.tools or (), self._model, self._session.backend)
            self._turns.calls.declare(update.tools.tools or ())
        self._record_update(instructions=update.system_instruction is not None)

    async def _on_speech_start(self) -> None:
        self._active = True
        self._turns.visitor_speaks(True)
        self._connection.emit("speech_began", session=self._session.id)
        if self._interruptible:
            await self._turns.interrupt()
        await self._connection.trigger("speech")

    async def _on_speech_end(self) -> None:
        self._active = False
        self._connection.emit("speech_ended", session=self._session.id)
        if self._transcribes:
            reply = self._replies.next
            heard = transcription(reply.heard, reply.language)
            await self._connection.send({"serverContent": {"inputTranscription": heard}})
        await self._connection.trigger("speech_end")
        self._turns.answer(self._input.finish("speech"))
        self._turns.visitor_speaks(False)

    def _record(self, picture: ReceivedPicture) -> ReceivedPicture:
        self._session.pictures.append(picture)
        self._connection.emit("picture", bytes=len(picture.data), way=picture.way, size=picture.size)
        return picture

    def _record_text(self, text: str) -> None:
        if text:
            self._session.texts.append(text)
            self._connection.emit("text", characters=len(text))
            self._input.add_text(len(text))

    def _record_history(self, turns: Sequence[Content]) -> None:
        """Add the earlier conversation to the context, without an answer."""
        for turn in turns:
            self._session.initial_history.append((turn.role or "user", turn.words))
            self._input.add_text(len(turn.words))
        self._connection.emit("recall", turns=len(turns))

    def _record_update(self, *, instructions: bool) -> None:
        self._session.context_updates += 1
        self._connection.emit("context_update", instructions=instructions)
