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
from kioskd.adapters.gemini.receipts import Receipts
from kioskd.errors import LinkLost, Remedy
from kioskd.ports import Message, SpokenText, ToolAnswer, pcm

if TYPE_CHECKING:
    from google.genai import types
    from google.genai.live import AsyncSession

log = logging.getLogger(__name__)

AUDIO_UP: Final = f"audio/pcm;rate={pcm.UPLINK_HZ}"

_ODD_IN_A_ROW: Final = 50
"""So many messages on end that nobody understands are another protocol, or a bug that would spin."""
_REFUSAL_S: Final = 3.0
"""A session given up so soon after a picture in an answer was given up for it."""
_HERE_IT_IS: Final = "Here is the picture that you asked for. Go on with it."

PictureDelivery = Literal["in_answer", "as_turn", "as_frame"]
"""How a tool's picture gets before the model in the turn that asked for it: see `GeminiConnection.answer`."""


@dataclass(frozen=True, slots=True)
class SessionTerms:
    """What the setup of a connection has settled."""

    resumed: bool = False
    answers_need_no_id: bool = False
    transparent: bool = False
    """The service was asked to count the messages that it has consumed."""
    own_turns: bool = False
    """The visitor's turns begin and end when we say so."""
    content: Literal["any_time", "seed_only"] = "any_time"
    """When the model takes what is written rather than said."""
    sight: PictureDelivery = "in_answer"
    resolution: functions.Resolution | None = None
    holding_up: frozenset[str] = frozenset()
    """The tools that the model waits for."""


class GeminiConnection:
    """One connection to the Gemini Live API, set up; meets `ports.Connection`."""

    def __init__(
        self,
        session: "AsyncSession",
        agreed: SessionTerms,
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
        socket.keep(transparent=agreed.transparent, known_prompt=known_prompt)
        self._socket = socket
        self._agreed = agreed
        self._secrets = secrets
        self._renewable = renewable
        self._set_up_at = self._socket.loop.time()
        self._types = types
        self._api_error = APIError
        self._sending = asyncio.Lock()
        self._visitor_speaks = False
        self._answered_with_picture_at: float | None = None
        self._refuses_pictures = False
        self._turn: AsyncIterator[types.LiveServerMessage] | None = None
        self._odd_messages = 0
        self._odd_in_a_row = 0
        self._odd_kinds: set[str] = set()
        numbers = itertools.count(1)
        # The Developer API takes no answer without an id, Vertex does.
        self._next_id = (lambda: f"{NO_ID}{next(numbers)}") if agreed.answers_need_no_id else None

    @property
    def resumed(self) -> bool:
        """Whether it goes on with the session of the handle it was dialed with."""
        return self._agreed.resumed

    @property
    def delivered(self) -> int:
        """How many frames the service has taken in; see `ports.Connection.delivered` and `receipts`."""
        return self.receipts.delivered

    @property
    def receipts(self) -> Receipts:
        """The book of what the service has taken in."""
        return self._socket.receipts

    @property
    def odd_messages(self) -> int:
        """How many messages were skipped because the SDK or the daemon does not understand them."""
        return self._odd_messages

    @property
    def refuses_pictures(self) -> bool:
        """Whether the service gave the session up as soon as an answer held a picture."""
        return self._refuses_pictures

    @property
    def backlog(self) -> int:
        """Bytes that wait in this process and in its kernel; see `ports.Connection.backlog`."""
        return self._socket.backlog

    @property
    def written(self) -> int:
        """Bytes on the wire, ever; see `ports.Connection.written`."""
        return sum(self._socket.acknowledged() or (0,))

    @property
    def arrived(self) -> int:
        """How many of them the other end's kernel has acknowledged; see `ports.Connection.arrived`."""
        acknowledged, _ = self._socket.acknowledged() or (0, 0)
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
                found = messages.translate(message, odd=self._note_odd_call, next_id=self._next_id)
                self._note(message)
            except StopAsyncIteration:
                continue  # the SDK's stream ends with each turn of the model, the session goes on
            except self._api_error as error:
                if isinstance(error.details, str):  # the reason of a close; else a message that has a `code`
                    raise self._lost(error) from None
                return self._skip("code")
            except (ConnectionClosed, OSError) as error:
                raise self._lost(error) from None
            except (*errors.ODD, ArithmeticError, AssertionError) as error:
                return self._skip(type(error).__name__)
            self._odd_in_a_row = 0
            return found

    async def send_audio(self, frame: bytes) -> None:
        """Send one frame, and ask for its receipt; see `ports.Connection.send_audio`."""
        blob = self._types.Blob(data=frame, mime_type=AUDIO_UP)
        await self._send(lambda: self._session.send_realtime_input(audio=blob), then=self.receipts.sent_audio)

    async def begin_audio(self) -> None:
        """Say that the visitor's turn begins, once; see `ports.Connection.begin_audio`."""
        if self._agreed.own_turns and not self._visitor_speaks:
            self._visitor_speaks = True
            start = self._types.ActivityStart()
            await self._send(lambda: self._session.send_realtime_input(activity_start=start))

    async def end_audio(self) -> None:
        """Say that the microphone pauses, or that the turn that was begun is over; see `ports.Connection.end_audio`."""
        if not self._agreed.own_turns:
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
        if self._agreed.content == "seed_only":
            for jpeg in jpegs:
                await self.send_picture(jpeg)
        elif jpegs:
            await self._write(jpegs, turn_complete=False)

    async def answer(self, answers: Sequence[ToolAnswer]) -> None:
        """Answer calls; see `ports.Connection.answer`.

        What gets a picture into the very turn that asked for it, by `PictureDelivery`:

        - `in_answer`: as a part of the function's response, so that what the response sets off has it by construction.
          Google documents it for the models from Gemini 3 on (multimodal function responses); 2.5 refuses it.
        - `as_turn`: the call is answered silently, and the picture follows as a written turn, which is answered aloud.
          Seen to work with 2.5, as neither of these does: a frame of video, which waits for the next turn; written
          content that asks for no answer, which the model does not have when the response reaches it (and which, on
          3.8, as any new input, cancels a call that holds the model up).
        - `as_frame`: for a model that refuses both, a frame of video, for the next turn at least.
        """
        if not answers:
            return
        sight = self._agreed.sight
        pictures = [answer.picture for answer in answers if answer.picture is not None]
        if sight == "as_frame":
            for picture in pictures:
                await self.send_picture(picture)
        a_turn_follows = sight == "as_turn" and bool(pictures)
        responses = [
            functions.response(
                answer,
                free=answer.name not in self._agreed.holding_up,
                silent=a_turn_follows,
                with_picture=sight == "in_answer",
                resolution=self._agreed.resolution,
            )
            for answer in answers
        ]
        if pictures and sight == "in_answer":
            self._answered_with_picture_at = self._socket.loop.time()
        await self._send(lambda: self._session.send_tool_response(function_responses=responses))
        log.debug("> tool answers: calls=%d picture_bytes=%d", len(answers), sum(map(len, pictures)))
        if a_turn_follows:
            aloud = any(answer.scheduling != "silent" for answer in answers)
            await self._write(pictures, _HERE_IT_IS, turn_complete=aloud)

    async def tell(self, recall: Sequence[SpokenText]) -> None:
        """Tell a new session what was said before, as its initial history: it does not answer.

        Turns of both sides alternate, from the visitor's to the visitor's: some models take nothing else, and none is
        known to mind.

        Raises:
            LinkLost: the connection is over.
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
            await self._socket.last_receipt()
        finally:
            await self._session.close()
            if isinstance(self._turn, AsyncGenerator):
                await self._turn.aclose()  # else it is closed by a task of nobody's when it is collected

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
                await self._socket.ask_receipt()
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

    def _note_odd_call(self, what: str) -> None:
        self._odd_messages += 1  # said once of each kind
        if what not in self._odd_kinds:
            self._odd_kinds.add(what)
            log.warning("tool call left out, it cannot be answered: cause=%s", what)

    def _lost(self, error: Exception) -> LinkLost:
        lost = errors.classify(
            error,
            during_setup=False,
            with_handle=self._agreed.resumed,
            age_s=self._socket.loop.time() - self._set_up_at,
            renewable=self._renewable,
            secrets=self._secrets,
        )
        shown_at = self._answered_with_picture_at
        if shown_at is None or self._socket.loop.time() - shown_at > _REFUSAL_S:
            return lost
        if lost.remedy not in {Remedy.FRESH, Remedy.SETTINGS}:
            return lost
        self._refuses_pictures = True
        return LinkLost(str(lost), remedy=Remedy.FRESH)

    def _skip(self, kind: str) -> tuple[Message, ...]:
        """Count a message that was not understood; the session goes on."""
        self._odd_messages += 1
        self._odd_in_a_row += 1
        if kind not in self._odd_kinds and len(self._odd_kinds) < 20:
            self._odd_kinds.add(kind)
            log.warning("message of the Live service not understood, skipped: kind=%s", kind)  # once a kind
        if self._odd_in_a_row >= _ODD_IN_A_ROW:
            raise LinkLost(
                f"Live service sent {self._odd_in_a_row} messages on end that are not understood (last: {kind}); "
                "is kioskd out of date?",
                reached=True,
            )
        return ()
