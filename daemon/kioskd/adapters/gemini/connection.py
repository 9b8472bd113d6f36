"""One connection to the Gemini Live service, over the SDK's session."""

import asyncio
import itertools
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from websockets.exceptions import ConnectionClosed

from kioskd import sanitize
from kioskd.adapters.gemini import errors, functions, messages
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
    """What the setup of a connection has settled."""

    resumed: bool = False
    answers_need_no_id: bool = False
    transparent: bool = False
    """The service was asked to count the messages that it has consumed."""
    own_turns: bool = False
    """The visitor's turns begin and end when we say so."""
    client_content: Literal["any_time", "seed_only"] = "any_time"
    """When the model takes what is written rather than said."""
    picture_delivery: PictureDelivery = "in_answer"
    resolution: functions.Resolution | None = None
    blocking_tools: frozenset[str] = frozenset()
    """The tools that the model waits for."""


class GeminiConnection:
    """One connection to the Gemini Live API, set up; meets `ports.Connection`."""

    def __init__(
        self,
        session: "AsyncSession",
        terms: SessionTerms,
        *,
        secrets: Sequence[str],
        renewable: bool = False,
        known_prompt: bool = False,
    ) -> None:
        """Go on from a session that is set up.

        `renewable`: new credentials can be had without a person. `known_prompt`: receipts came quickly over the
        connection before.
        """
        from google.genai import types  # noqa: PLC0415 - loaded by now
        from google.genai.errors import APIError  # noqa: PLC0415

        self._session = session
        socket = session._ws
        assert isinstance(socket, LiveSocket)
        socket.keep(transparent=terms.transparent, known_prompt=known_prompt)
        self.socket = socket
        """The WebSocket under the session, for its receipts and its figures. Nothing else may send over it."""
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
        """Counts the messages that were skipped because the SDK or the daemon does not understand them."""
        numbers = itertools.count(1)
        # The Developer API takes no answer without an id, Vertex does.
        self._next_id = (lambda: f"{NO_ID}{next(numbers)}") if terms.answers_need_no_id else None

    @property
    def resumed(self) -> bool:
        """Whether it goes on with the session of the handle it was dialed with."""
        return self._terms.resumed

    @property
    def delivered(self) -> int:
        """How many frames the service has taken in; see `ports.Connection.delivered` and `receipts`."""
        return self.receipts.delivered

    @property
    def receipts(self) -> Receipts:
        """The book of what the service has taken in."""
        return self.socket.receipts

    @property
    def refuses_pictures(self) -> bool:
        """Whether the service gave the session up as soon as an answer held a picture."""
        return self._tool_pictures.refused

    @property
    def backlog(self) -> int:
        """Bytes that wait in this process and in its kernel; see `ports.Connection.backlog`."""
        return self.socket.backlog

    @property
    def written(self) -> int:
        """Bytes on the wire, ever; see `ports.Connection.written`."""
        return sum(self.socket.acknowledged() or (0,))

    @property
    def arrived(self) -> int:
        """How many of them the other end's kernel has acknowledged; see `ports.Connection.arrived`."""
        acknowledged, _ = self.socket.acknowledged() or (0, 0)
        return acknowledged

    async def receive(self) -> Sequence[Message]:
        """Return what the next message holds, nothing if it is not understood; see `ports.Connection.receive`."""
        while True:
            turn = self._turn or self._session.receive()
            # A stream that raised, ended or was cancelled is over: only one that gave a message can give another.
            self._turn = None
            try:
                message = await anext(turn)
                self._turn = turn
                found = messages.translate(message, odd=self.odd.skip_call, next_id=self._next_id)
                self._note(message)
            except StopAsyncIteration:
                continue  # the SDK's stream ends with each turn of the model, the session goes on
            except self._api_error as error:
                if isinstance(error.details, str):  # the reason of a close; else a message that has a `code`
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
        """Send one frame, and ask for its receipt; see `ports.Connection.send_audio`."""
        blob = self._types.Blob(data=frame, mime_type=AUDIO_UP)
        await self._send(lambda: self._session.send_realtime_input(audio=blob), then=self.receipts.sent_audio)

    async def begin_audio(self) -> None:
        """Say that the visitor's turn begins, once; see `ports.Connection.begin_audio`."""
        if self._terms.own_turns and not self._visitor_speaks:
            self._visitor_speaks = True
            start = self._types.ActivityStart()
            await self._send(lambda: self._session.send_realtime_input(activity_start=start))

    async def end_audio(self) -> None:
        """Say that the microphone pauses, or that the turn that was begun is over; see `ports.Connection.end_audio`."""
        if not self._terms.own_turns:
            await self._send(lambda: self._session.send_realtime_input(audio_stream_end=True))
        elif self._visitor_speaks:
            self._visitor_speaks = False
            end = self._types.ActivityEnd()
            await self._send(lambda: self._session.send_realtime_input(activity_end=end))

    async def send_text(self, text: str) -> None:
        """Say `text` as the visitor's turn; see `ports.Connection.send_text`.

        As realtime input: a turn by `client_content` that races audio was seen to end sessions with 1007.
        """
        await self._send(lambda: self._session.send_realtime_input(text=sanitize.text(text)))

    async def send_picture(self, jpeg: bytes) -> None:
        """Send one picture as a frame of video; see `ports.Connection.send_picture`.

        One that is sent in the middle of a turn of the model's is seen in the next.
        """
        blob = self._types.Blob(data=jpeg, mime_type=JPEG)
        await self._send(lambda: self._session.send_realtime_input(video=blob))
        log.debug("> picture: bytes=%d", len(jpeg))

    async def show_pictures(self, jpegs: Sequence[bytes]) -> None:
        """Put pictures into the model's memory; see `ports.Connection.show_pictures`.

        As written content that asks for no answer. A model that takes content only before a session begins is sent
        frames of video, which its turn coverage must let in.
        """
        if self._terms.client_content == "seed_only":
            for jpeg in jpegs:
                await self.send_picture(jpeg)
        elif jpegs:
            await self._write(jpegs, turn_complete=False)

    async def answer(self, answers: Sequence[ToolAnswer]) -> None:
        """Answer calls, with their pictures as `PictureDelivery` has it; see `ports.Connection.answer`."""
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
        """Tell a new session what was said before, as its initial history: it does not answer.

        Turns of both sides alternate, from the visitor's to the visitor's: some models take nothing else, and none is
        known to mind. LinkLost: the connection is over.
        """
        turns = [
            self._types.Content(role=role, parts=[self._types.Part(text=sanitize.text(text))])
            for role, text in messages.turns_of(recall)
        ]
        await self._send(
            # A list of contents is one of the kinds that it takes; mypy wants the list of all kinds.
            lambda: self._session.send_client_content(turns=[*turns], turn_complete=True)
        )

    async def close(self) -> None:
        """Hang up: after the last receipts and by a proper close if they are quick, in any case nothing left open."""
        try:
            await self.socket.last_receipt()
        finally:
            await self._session.close()
            if isinstance(self._turn, AsyncGenerator):
                await self._turn.aclose()  # else asyncio closes it in a task of its own when it is collected

    async def _write(self, jpegs: Sequence[bytes], text: str = "", *, turn_complete: bool) -> None:
        """Add to the conversation what is neither said nor filmed."""
        parts = [self._types.Part.from_bytes(data=jpeg, mime_type=JPEG) for jpeg in jpegs]
        if text:
            parts.append(self._types.Part(text=text))
        content = self._types.Content(role="user", parts=parts)
        await self._send(
            lambda: self._session.send_client_content(turns=content, turn_complete=turn_complete)
        )

    async def _send(
        self, sending: Callable[[], Awaitable[None]], *, then: Callable[[], None] | None = None
    ) -> None:
        """Send one message, enter it into the book, and ask for a receipt: one after another, as the book counts."""
        note = then or self.receipts.sent_other
        try:
            async with self._sending:
                try:
                    await sending()
                except asyncio.CancelledError:
                    note()  # it was written before there was anything to wait for
                    raise
                note()
                await self.socket.ask_receipt()
        except (ConnectionClosed, OSError) as error:
            raise self._lost(error) from None
        except ValueError as error:
            # The SDK checks what it sends. Its text would repeat the value.
            log.warning("message left out, it cannot be sent: error=%s", type(error).__name__)

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
