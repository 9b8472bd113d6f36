"""One connection to the Gemini Live service, over the SDK's session."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from websockets.exceptions import ConnectionClosed

from kioskd.adapters import gemini_errors, gemini_messages
from kioskd.errors import KioskError, LinkLost
from kioskd.ports import Message, pcm

if TYPE_CHECKING:
    from google.genai.live import AsyncSession

log = logging.getLogger(__name__)

AUDIO_UP: Final = f"audio/pcm;rate={pcm.UPLINK_HZ}"

_ODD_IN_A_ROW: Final = 50
"""So many messages on end that nobody understands are another protocol, or a bug that would spin."""


class GeminiConnection:
    """One connection to the Gemini Live API, set up; meets `ports.Connection`."""

    def __init__(self, session: "AsyncSession", *, resumed: bool, secrets: Sequence[str]) -> None:
        from google.genai import errors, types  # noqa: PLC0415 - loaded by now

        self._session = session
        self._resumed = resumed
        self._secrets = secrets
        self._blob = types.Blob
        self._api_error = errors.APIError
        self._turn: AsyncIterator[types.LiveServerMessage] | None = None
        self._odd_messages = 0
        self._odd_in_a_row = 0
        self._odd_kinds: set[str] = set()

    @property
    def resumed(self) -> bool:
        """Whether it goes on with the session of the handle it was dialed with."""
        return self._resumed

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
                found = gemini_messages.translate(message)
            except StopAsyncIteration:
                continue  # the SDK's stream ends with each turn of the model, the session goes on
            except self._api_error as error:
                if isinstance(error.details, str):  # the reason of a close; else a message that has a `code`
                    raise self._lost(error) from None
                return self._skip(f"code {error.code}")
            except gemini_errors.ODD as error:
                return self._skip(type(error).__name__)
            self._odd_in_a_row = 0
            return found

    async def send_audio(self, frame: bytes) -> None:
        """Send one frame; see `ports.Connection.send_audio`."""
        await self._send(audio=self._blob(data=frame, mime_type=AUDIO_UP))

    async def end_audio(self) -> None:
        """Say that the microphone pauses; see `ports.Connection.end_audio`."""
        await self._send(audio_stream_end=True)

    async def send_text(self, text: str) -> None:
        """Say `text` as the visitor's turn; see `ports.Connection.send_text`.

        As realtime input: a turn by `client_content` that races audio was seen to end sessions with 1007.
        """
        await self._send(text=text)

    async def close(self) -> None:
        """Hang up: a proper close if it is quick, in any case nothing left open."""
        await self._session.close()
        if isinstance(self._turn, AsyncGenerator):
            await self._turn.aclose()  # else it is closed by a task of nobody's when it is collected

    async def _send(self, **what: Any) -> None:
        try:
            await self._session.send_realtime_input(**what)
        except (ConnectionClosed, OSError) as error:
            raise self._lost(error) from None

    def _lost(self, error: Exception) -> KioskError:
        return gemini_errors.classify(
            error, during_setup=False, with_handle=self._resumed, secrets=self._secrets
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
