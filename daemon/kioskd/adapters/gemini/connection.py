"""One connection to the Gemini Live service, over the SDK's session."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Sequence
from typing import TYPE_CHECKING, Final

from websockets.exceptions import ConnectionClosed

from kioskd.adapters.gemini import errors, messages
from kioskd.adapters.gemini.live_socket import LiveSocket
from kioskd.adapters.gemini.receipts import Receipts
from kioskd.errors import LinkLost
from kioskd.ports import Message, Said, pcm

if TYPE_CHECKING:
    from google.genai import types
    from google.genai.live import AsyncSession

log = logging.getLogger(__name__)

AUDIO_UP: Final = f"audio/pcm;rate={pcm.UPLINK_HZ}"

_ODD_IN_A_ROW: Final = 50
"""So many messages on end that nobody understands are another protocol, or a bug that would spin."""


class GeminiConnection:
    """One connection to the Gemini Live API, set up; meets `ports.Connection`."""

    def __init__(
        self,
        session: "AsyncSession",
        *,
        resumed: bool,
        secrets: Sequence[str],
        renewable: bool = False,
        transparent: bool = False,
        known_prompt: bool = False,
    ) -> None:
        """Go on from a session that is set up.

        `renewable`: new credentials can be had without a person. `transparent`: the service was asked to count the
        messages that it has consumed. `known_prompt`: receipts came quickly over the connection before.
        """
        from google.genai import types  # noqa: PLC0415 - loaded by now
        from google.genai.errors import APIError  # noqa: PLC0415

        self._session = session
        socket = session._ws
        assert isinstance(socket, LiveSocket)
        socket.keep(transparent=transparent, known_prompt=known_prompt)
        self._socket = socket
        self._resumed = resumed
        self._secrets = secrets
        self._renewable = renewable
        self._set_up_at = self._socket.loop.time()
        self._types = types
        self._api_error = APIError
        self._turn: AsyncIterator[types.LiveServerMessage] | None = None
        self._odd_messages = 0
        self._odd_in_a_row = 0
        self._odd_kinds: set[str] = set()

    @property
    def resumed(self) -> bool:
        """Whether it goes on with the session of the handle it was dialed with."""
        return self._resumed

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

    async def receive(self) -> Sequence[Message]:
        """Return what the next message holds, nothing if it is not understood; see `ports.Connection.receive`."""
        while True:
            turn = self._turn or self._session.receive()
            # A stream that raised, ended or was cancelled is over: only one that gave a message can give another.
            self._turn = None
            try:
                message = await anext(turn)
                self._turn = turn
                found = messages.translate(message)
                self._note_consumed(message)
            except StopAsyncIteration:
                continue  # the SDK's stream ends with each turn of the model, the session goes on
            except self._api_error as error:
                if isinstance(error.details, str):  # the reason of a close; else a message that has a `code`
                    raise self._lost(error) from None
                return self._skip("code")
            except (ConnectionClosed, OSError) as error:
                raise self._lost(error) from None
            except errors.ODD as error:
                return self._skip(type(error).__name__)
            self._odd_in_a_row = 0
            return found

    async def send_audio(self, frame: bytes) -> None:
        """Send one frame, and ask for its receipt; see `ports.Connection.send_audio`."""
        try:
            await self._session.send_realtime_input(audio=self._types.Blob(data=frame, mime_type=AUDIO_UP))
            self.receipts.sent_audio()
            await self._socket.ask_receipt()
        except (ConnectionClosed, OSError) as error:
            raise self._lost(error) from None

    async def end_audio(self) -> None:
        """Say that the microphone pauses; see `ports.Connection.end_audio`."""
        await self._send(self._session.send_realtime_input(audio_stream_end=True))

    async def send_text(self, text: str) -> None:
        """Say `text` as the visitor's turn; see `ports.Connection.send_text`.

        As realtime input: a turn by `client_content` that races audio was seen to end sessions with 1007.
        """
        await self._send(self._session.send_realtime_input(text=text))

    async def tell(self, recall: Sequence[Said]) -> None:
        """Tell a new session what was said before, as its initial history: it does not answer.

        Turns of both sides alternate, from the visitor's to the visitor's: some models take nothing else, and none is
        known to mind.

        Raises:
            LinkLost: the connection is over.
        """
        turns = [
            self._types.Content(role=role, parts=[self._types.Part(text=text)])
            for role, text in messages.turns_of(recall)
        ]
        await self._send(
            # A list of contents is one of the kinds that it takes; mypy wants the list of all kinds.
            self._session.send_client_content(turns=[*turns], turn_complete=True)
        )

    async def close(self) -> None:
        """Hang up: after the last receipts and by a proper close if they are quick, in any case nothing left open."""
        try:
            await self._socket.last_receipt()
        finally:
            await self._session.close()
            if isinstance(self._turn, AsyncGenerator):
                await self._turn.aclose()  # else it is closed by a task of nobody's when it is collected

    async def _send(self, sending: Awaitable[None]) -> None:
        try:
            await sending
            self.receipts.sent_other()
            await self._socket.ask_receipt()
        except (ConnectionClosed, OSError) as error:
            raise self._lost(error) from None

    def _note_consumed(self, message: "types.LiveServerMessage") -> None:
        update = message.session_resumption_update
        if update is not None and update.resumable and update.new_handle:
            self.receipts.consumed(update.last_consumed_client_message_index)

    def _lost(self, error: Exception) -> LinkLost:
        return errors.classify(
            error,
            during_setup=False,
            with_handle=self._resumed,
            age_s=self._socket.loop.time() - self._set_up_at,
            renewable=self._renewable,
            secrets=self._secrets,
        )

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
                "is kioskd out of date?"
            )
        return ()
