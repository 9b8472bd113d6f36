"""The model's replies: their order, their messages, and their cost in tokens."""

import asyncio
import base64
from collections import Counter
from collections.abc import Iterator
from typing import Final

from kioskd.media import pcm
from kioskd.simulator.auth import Backend
from kioskd.simulator.connection import ClientConnection, pause
from kioskd.simulator.records import SessionRecord, VisitorTurn
from kioskd.simulator.script import Reply

CHUNK_BYTES: Final = pcm.byte_count(0.040, pcm.DOWNLINK_HZ)
AUDIO_TOKENS_PER_S: Final = 25
_MIME: Final = f"audio/pcm;rate={pcm.DOWNLINK_HZ}"
# Every fourth message has two parts, so that a client that reads only the first part loses sound.
_DOUBLE_EVERY: Final = 4
# Shorter waits wake the loop often, and make no difference to a client.
_SHORTEST_WAIT_S: Final = 0.01


class ReplyQueue:
    """The script's replies, in order; the last repeats."""

    def __init__(self, replies: tuple[Reply, ...]) -> None:
        self._replies = replies
        self._next = 0

    @property
    def next(self) -> Reply:
        """The reply of the next turn."""
        return self._replies[min(self._next, len(self._replies) - 1)]

    @property
    def index(self) -> int:
        """The index in the script of the reply that was taken last."""
        return min(max(self._next - 1, 0), len(self._replies) - 1)

    def take(self) -> int:
        """Begin the next reply, and return its index in the script. It will not be repeated."""
        self._next += 1
        return self.index


class ReplyStream:
    """Sends the audio of one reply, faster than real time by the factor `pace` of the script."""

    def __init__(
        self,
        connection: ClientConnection,
        sound: bytes,
        text: str | None,
        *,
        pace: float,
        language: str | None = None,
    ) -> None:
        """`sound`: 24 kHz PCM. `text`: the output transcription that is sent with it, in `language`."""
        self._connection = connection
        self._sound = sound
        self._text = text
        self._pace = pace
        self._language = language
        self._sent = 0
        self._began = 0.0

    @property
    def sent_s(self) -> float:
        """Seconds of sound sent."""
        return pcm.duration_s(self._sent, pcm.DOWNLINK_HZ)

    @property
    def next_chunk(self) -> bytes:
        """The sound to be sent next; empty at the end."""
        return self._sound[self._sent : self._sent + CHUNK_BYTES]

    async def send(self, turn: VisitorTurn, session: SessionRecord, *, index: int, meanwhile: bool) -> None:
        """Send the whole reply as the answer to `turn`, and announce that it is complete."""
        self._began = asyncio.get_running_loop().time()
        for sent, content in messages(self._sound, self._text, self._language):
            first, self._sent = self._sent == 0, sent
            turn.reply_s = self.sent_s
            if first:
                self._connection.emit(
                    "reply_began",
                    session=session.id,
                    place=index,
                    meanwhile=meanwhile,
                    lasts_s=pcm.duration_s(len(self._sound), pcm.DOWNLINK_HZ),
                    words=len((self._text or "").split()),
                )
            await self._connection.send({"serverContent": content})
            if first:
                await self._connection.trigger("reply")
            ahead = self._began + self.sent_s / self._pace - asyncio.get_running_loop().time()
            if ahead > _SHORTEST_WAIT_S:
                await pause(ahead)
        self._connection.emit("reply_sent", sent_s=self.sent_s)
        await self._connection.send({"serverContent": {"generationComplete": True}})

    async def wait_until_played(self) -> None:
        """Wait until a client that plays the reply at once has played all of it."""
        await pause(max(0.0, self._began + self.sent_s - asyncio.get_running_loop().time()))


class UsageReports:
    """Reports the tokens of each turn, alternately with the end of the turn and in a message of its own."""

    def __init__(self, session: SessionRecord, *, enabled: bool) -> None:
        self._session = session
        self._enabled = enabled
        self._count = 0

    def end_of_turn(self, turn: VisitorTurn, content: dict[str, object]) -> list[dict[str, object]]:
        """Return the messages that end `turn` with this server content, and add the reply's tokens."""
        ending: dict[str, object] = {"serverContent": content}
        messages = [ending]
        if self._enabled:
            cost = usage(self._session.tokens, turn.reply_s, self._session.backend)
            self._count += 1
            if self._count % 2:
                ending["usageMetadata"] = cost
            else:
                messages.append({"usageMetadata": cost})
        self._session.tokens["AUDIO"] += round(turn.reply_s * AUDIO_TOKENS_PER_S)
        return messages


def audio_part(sound: bytes) -> dict[str, object]:
    """Return `sound` (24 kHz PCM) as a part of a model's turn."""
    return {"inlineData": {"mimeType": _MIME, "data": base64.b64encode(sound).decode()}}


def transcription(text: str, language: str | None) -> dict[str, object]:
    """Return a transcription of `text`, with the language's code if there is one."""
    return {"text": text} if language is None else {"text": text, "languageCode": language}


def messages(
    sound: bytes, text: str | None, language: str | None = None
) -> Iterator[tuple[int, dict[str, object]]]:
    """Yield a reply's server contents, each with the bytes of `sound` sent so far.

    Some contents hold two pieces of audio. The words of `text` are spread evenly as output transcription.
    """
    words = (text or "").split()
    transcribed = number = offset = 0
    while offset < len(sound):
        pieces = 2 if number % _DOUBLE_EVERY == _DOUBLE_EVERY - 1 else 1
        starts = range(offset, min(len(sound), offset + pieces * CHUNK_BYTES), CHUNK_BYTES)
        parts = [audio_part(sound[start : start + CHUNK_BYTES]) for start in starts]
        offset = min(len(sound), offset + pieces * CHUNK_BYTES)
        content: dict[str, object] = {"modelTurn": {"role": "model", "parts": parts}}
        reached = len(words) * offset // len(sound)
        if reached > transcribed:
            content["outputTranscription"] = transcription(
                " ".join(words[transcribed:reached]) + " ", language
            )
            transcribed = reached
        number += 1
        yield offset, content


def usage(context: Counter[str], reply_s: float, backend: Backend) -> dict[str, object]:
    """Return the usageMetadata of a turn: the context as input, `reply_s` seconds of speech as output."""
    spoken = round(reply_s * AUDIO_TOKENS_PER_S)
    prompt = context.total()
    details = [{"modality": name, "tokenCount": count} for name, count in sorted(context.items()) if count]
    out = "candidates" if backend == "vertex" else "response"
    return {
        "promptTokenCount": prompt,
        f"{out}TokenCount": spoken,
        "totalTokenCount": prompt + spoken,
        "promptTokensDetails": details,
        f"{out}TokensDetails": [{"modality": "AUDIO", "tokenCount": spoken}],
    }
