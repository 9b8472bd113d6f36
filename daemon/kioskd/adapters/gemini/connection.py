"""One connection to the Gemini Live service, over the SDK's session."""

import asyncio
import itertools
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Literal

from websockets.exceptions import ConnectionClosed

from kioskd import sanitize
from kioskd.adapters.gemini import errors, functions, messages
from kioskd.adapters.gemini.audio_messages import AudioMessages
from kioskd.adapters.gemini.functions import JPEG
from kioskd.adapters.gemini.live_socket import LiveSocket
from kioskd.adapters.gemini.messages import NO_ID
from kioskd.adapters.gemini.odd_messages import OddMessages
from kioskd.adapters.gemini.receipts import Receipts
from kioskd.adapters.gemini.tool_pictures import PictureDelivery, ToolPictures
from kioskd.errors import LinkLost
from kioskd.ports import Message, SpokenText, ToolAnswer, pcm

if TYPE_CHECKING:
    from google.genai import types
    from google.genai.live import AsyncSession

log = logging.getLogger(__name__)

AUDIO_UP: Final = f"audio/pcm;rate={pcm.UPLINK_HZ}"

_HERE_IT_IS: Final = "Here is the picture that you asked for. Go on with it."


@dataclass(frozen=True, slots=True)
class SessionTerms:
    """Properties of a connection that its setup has decided."""

    resumed: bool = False
    answers_need_no_id: bool = False
    transparent: bool = False
    """Whether the service was asked to count the messages that it has consumed."""
    own_turns: bool = False
    """Whether the daemon, not the service, says when the visitor's turns begin and end."""
    client_content: Literal["any_time", "seed_only"] = "any_time"
    """When the model accepts written content: at any time, or only before a session begins."""
    picture_delivery: PictureDelivery = "in_answer"
    resolution: functions.Resolution | None = None
    blocking_tools: frozenset[str] = frozenset()
    """Names of the tools that the model waits for."""


class GeminiConnection:
    """A connection to the Gemini Live API that is set up; implements `ports.Connection`."""

    def __init__(
        self,
        session: "AsyncSession",
        terms: SessionTerms,
        *,
        secrets: Sequence[str],
        renewable: bool = False,
        known_prompt: bool = False,
    ) -> None:
        """Take over a session that is set up.

        `renewable`: new credentials can be fetched without a person. `known_prompt`: on the connection
        before, receipts came quickly.
        """
        from google.genai import types  # noqa: PLC0415 - loaded by now
        from google.genai.errors import APIError  # noqa: PLC0415

        self._session = session
        socket = session._ws
        assert isinstance(socket, LiveSocket)
        socket.keep(transparent=terms.transparent, known_prompt=known_prompt)
        self.socket = socket
        """The WebSocket under the session, with its receipts and figures. No other code may send over it."""
        self._audio_messages = AudioMessages()
        self._terms = terms
        self._secrets = secrets
        self._renewable = renewable
        self._set_up_at = self.socket.loop.time()
        self._types = types
        self._api_error = APIError
        self._sending = asyncio.Lock()
        self._visitor_speaks = False
        self._tool_pictures = ToolPictures(
            terms.picture_delivery, terms.resolution, terms.blocking_tools, socket.loop.time
        )
        self._turn: AsyncIterator[types.LiveServerMessage] | None = None
        self.odd = OddMessages()
        """Counts the skipped messages, which the SDK or the daemon did not understand."""
        numbers = itertools.count(1)
        # The Developer API rejects an answer without an id; Vertex accepts it.
        self._next_id = (lambda: f"{NO_ID}{next(numbers)}") if terms.answers_need_no_id else None

    @property
    def resumed(self) -> bool:
        """Whether this connection continues the session of the handle that it was dialed with."""
        return self._terms.resumed

    @property
    def delivered(self) -> int:
        """Number of frames that the service has received; see `ports.Connection.delivered` and `receipts`."""
        return self.receipts.delivered

    @property
    def receipts(self) -> Receipts:
        """Record of the data that the service has received."""
        return self.socket.receipts

    @property
    def refuses_pictures(self) -> bool:
        """Whether the service ended the session right after an answer with a picture."""
        return self._tool_pictures.refused

    @property
    def backlog(self) -> int:
        """Bytes that wait in this process and in the kernel; see `ports.Connection.backlog`."""
        return self.socket.backlog

    @property
    def written(self) -> int:
        """Bytes sent since the connection began; see `ports.Connection.written`."""
        return sum(self.socket.acknowledged() or (0,))

    @property
    def arrived(self) -> int:
        """Number of sent bytes that the peer's kernel has acknowledged; see `ports.Connection.arrived`."""
        acknowledged, _ = self.socket.acknowledged() or (0, 0)
        return acknowledged

    async def receive(self) -> Sequence[Message]:
        """Return the contents of the next message; see `ports.Connection.receive`.

        Empty if the message is not understood.
        """
        while True:
            turn = self._turn or self._session.receive()
            # A stream that raised, ended or was cancelled gives no more messages, so a new one is needed.
            self._turn = None
            try:
                message = await anext(turn)
                self._turn = turn
                found = messages.translate(message, odd=self.odd.skip_call, next_id=self._next_id)
                self._note(message)
            except StopAsyncIteration:
                continue  # the SDK's stream ends with each turn; the session does not
            except self._api_error as error:
                if isinstance(error.details, str):  # a close with a reason; else a message with a `code`
                    raise self._lost(error) from None
                self.odd.skip_message("code")
                return ()
            except (ConnectionClosed, OSError) as error:
                raise self._lost(error) from None
            except (*errors.ODD, ArithmeticError, AssertionError) as error:
                self.odd.skip_message(type(error).__name__)
                return ()
            self.odd.understood()
            return found

    async def send_audio(self, frame: bytes) -> None:
        """Send one frame, and ask for its receipt; see `ports.Connection.send_audio`.

        In silence a frame may wait for the next ones (see `quiet_groups`).
        """
        for frames in self._audio_messages.groups.add(frame):
            await self._send_frames(frames)

    async def begin_audio(self) -> None:
        """Tell the service once that the visitor's turn begins; see `ports.Connection.begin_audio`."""
        if self._terms.own_turns and not self._visitor_speaks:
            self._visitor_speaks = True
            start = self._types.ActivityStart()
            await self._send(lambda: self._session.send_realtime_input(activity_start=start))

    async def end_audio(self) -> None:
        """Tell the service that the microphone pauses, or that the visitor's turn ends; see
        `ports.Connection.end_audio`.
        """
        for frames in self._audio_messages.groups.take():
            await self._send_frames(frames)
        if not self._terms.own_turns:
            await self._send(lambda: self._session.send_realtime_input(audio_stream_end=True))
        elif self._visitor_speaks:
            self._visitor_speaks = False
            end = self._types.ActivityEnd()
            await self._send(lambda: self._session.send_realtime_input(activity_end=end))

    async def send_text(self, text: str) -> None:
        """Send `text` as the visitor's turn; see `ports.Connection.send_text`.

        It is sent as realtime input: a turn sent as `client_content` while audio flows was seen to end
        sessions with 1007.
        """
        await self._send(lambda: self._session.send_realtime_input(text=sanitize.text(text)))

    async def send_picture(self, jpeg: bytes) -> None:
        """Send one picture as a frame of video; see `ports.Connection.send_picture`.

        The model sees a picture in its next turn if it was sent during one of the model's turns.
        """
        blob = self._types.Blob(data=jpeg, mime_type=JPEG)
        await self._send(lambda: self._session.send_realtime_input(video=blob))
        log.debug("> picture: bytes=%d", len(jpeg))

    async def show_pictures(self, jpegs: Sequence[bytes]) -> None:
        """Add pictures to the model's memory; see `ports.Connection.show_pictures`.

        They are sent as written content that asks for no answer. Some models accept content only before a
        session begins; these get frames of video, which their turn coverage must include.
        """
        if self._terms.client_content == "seed_only":
            for jpeg in jpegs:
                await self.send_picture(jpeg)
        elif jpegs:
            await self._write(jpegs, turn_complete=False)

    async def send_context(self, text: str) -> None:
        """Add a text to the model's memory; see `ports.Connection.send_context`.

        It is sent as `show_pictures` sends pictures. Models that accept no content then get a turn.
        """
        if self._terms.client_content == "seed_only":
            await self.send_text(text)
        else:
            await self._write((), sanitize.text(text), turn_complete=False)

    async def answer(self, answers: Sequence[ToolAnswer]) -> None:
        """Answer calls, and deliver their pictures (see `PictureDelivery`); see `ports.Connection.answer`."""
        if not answers:
            return
        plan = self._tool_pictures.plan(answers)
        for picture in plan.frames:
            await self.send_picture(picture)
        responses = [*plan.responses]
        await self._send(lambda: self._session.send_tool_response(function_responses=responses))
        log.debug("> tool answers: calls=%d picture_bytes=%d", len(answers), sum(map(len, plan.pictures)))
        if plan.turn:
            await self._write(plan.turn, _HERE_IT_IS, turn_complete=plan.aloud)

    async def send_history(self, recall: Sequence[SpokenText]) -> None:
        """Tell a new session what was said before, as its initial history; the model does not answer.

        The turns of both sides alternate, and the visitor's come first and last: some models accept nothing
        else, and no model is known to reject it. LinkLost: the connection is over.
        """
        turns = [
            self._types.Content(role=role, parts=[self._types.Part(text=sanitize.text(text))])
            for role, text in messages.turns_of(recall)
        ]
        await self._send(
            # The parameter's type is a union of lists, and mypy accepts only a fresh list for it.
            lambda: self._session.send_client_content(turns=[*turns], turn_complete=True)
        )

    async def close(self) -> None:
        """Hang up. It waits briefly for the last receipts and for a proper close; the socket is closed in any
        case.
        """
        try:
            self._post_waiting_frames()
            await self.socket.last_receipt()
        finally:
            await self._session.close()
            if isinstance(self._turn, AsyncGenerator):
                await self._turn.aclose()  # else asyncio closes it later, in a task of its own

    def _post_waiting_frames(self) -> None:
        """Send the frames that wait. If that takes time, leave them to the next connection."""
        for frames in self._audio_messages.groups.take():
            text = self._audio_messages.text(b"".join(frames))
            if text is not None and self.socket.post(text):
                self.receipts.sent_audio(len(frames))

    async def _write(self, jpegs: Sequence[bytes], text: str = "", *, turn_complete: bool) -> None:
        """Add written content to the conversation."""
        parts = [self._types.Part.from_bytes(data=jpeg, mime_type=JPEG) for jpeg in jpegs]
        if text:
            parts.append(self._types.Part(text=text))
        content = self._types.Content(role="user", parts=parts)
        await self._send(
            lambda: self._session.send_client_content(turns=content, turn_complete=turn_complete)
        )

    async def _send_frames(self, frames: Sequence[bytes]) -> None:
        """Send frames as one message."""
        await self._send(
            lambda: self._send_sound(b"".join(frames)), then=lambda: self.receipts.sent_audio(len(frames))
        )

    async def _send_sound(self, sound: bytes) -> None:
        if (text := self._audio_messages.text(sound)) is not None:
            await self.socket.send(text)
            return
        self.socket.on_next_text = partial(self._audio_messages.learn, sound)
        blob = self._types.Blob(data=sound, mime_type=AUDIO_UP)
        await self._session.send_realtime_input(audio=blob)

    async def _send(
        self, sending: Callable[[], Awaitable[None]], *, then: Callable[[], None] | None = None
    ) -> None:
        """Send one message, record it, and ask for a receipt. The lock keeps the order that the record relies
        on.
        """
        note = then or self.receipts.sent_other
        try:
            async with self._sending:
                try:
                    await sending()
                except asyncio.CancelledError:
                    note()  # the message was written before the first wait
                    raise
                note()
                await self.socket.ask_receipt()
        except (ConnectionClosed, OSError) as error:
            raise self._lost(error) from None
        except ValueError as error:
            # The SDK checks messages before it sends them. Its error text would repeat the value.
            log.warning("message not sent, the SDK rejected it: error=%s", type(error).__name__)

    def _note(self, message: "types.LiveServerMessage") -> None:
        update = message.session_resumption_update
        if update is not None and update.resumable and update.new_handle:
            self.receipts.consumed(update.last_consumed_client_message_index)
        found = message.server_content and message.server_content.grounding_metadata
        if found and found.web_search_queries:
            log.info("web search used by the model: queries=%d", len(found.web_search_queries))

    def _lost(self, error: Exception) -> LinkLost:
        lost = errors.classify(
            error,
            during_setup=False,
            with_handle=self._terms.resumed,
            age_s=self.socket.loop.time() - self._set_up_at,
            renewable=self._renewable,
            secrets=self._secrets,
        )
        return self._tool_pictures.explained(lost)
