"""What the model says, how it is cut into messages, and what it costs."""

import base64
from collections import Counter
from collections.abc import Iterator
from typing import Final

from kioskd.media import pcm
from kioskd.simulator.auth import Backend
from kioskd.simulator.script import Reply

CHUNK_BYTES: Final = pcm.byte_count(0.040, pcm.DOWNLINK_HZ)
AUDIO_TOKENS_PER_S: Final = 25
_MIME: Final = f"audio/pcm;rate={pcm.DOWNLINK_HZ}"
# Clients that look at the first part only lose a piece at every fourth message.
_DOUBLE_EVERY: Final = 4


class Replies:
    """The script's replies, in order; the last repeats."""

    def __init__(self, replies: tuple[Reply, ...]) -> None:
        self._replies = replies
        self._next = 0

    @property
    def coming(self) -> Reply:
        """The reply of the next turn."""
        return self._replies[min(self._next, len(self._replies) - 1)]

    @property
    def place(self) -> int:
        """The place in the script, from 0, of the reply that was taken last."""
        return min(max(self._next - 1, 0), len(self._replies) - 1)

    def take(self) -> int:
        """Return the coming reply's place in the script. It has begun, and will not be said again."""
        self._next += 1
        return self.place


def audio_part(sound: bytes) -> dict[str, object]:
    """Return `sound` (24 kHz) as a part of a model's turn."""
    return {"inlineData": {"mimeType": _MIME, "data": base64.b64encode(sound).decode()}}


def messages(sound: bytes, text: str | None) -> Iterator[tuple[int, dict[str, object]]]:
    """Yield a reply's server contents, each with how many bytes of `sound` have gone out with it.

    Some hold two pieces of audio. With a `text`, its words come along as output transcription, spread evenly.
    """
    words = (text or "").split()
    told = number = offset = 0
    while offset < len(sound):
        pieces = 2 if number % _DOUBLE_EVERY == _DOUBLE_EVERY - 1 else 1
        parts: list[dict[str, object]] = []
        for _ in range(pieces):
            if offset < len(sound):
                parts.append(audio_part(sound[offset : offset + CHUNK_BYTES]))
                offset = min(len(sound), offset + CHUNK_BYTES)
        content: dict[str, object] = {"modelTurn": {"role": "model", "parts": parts}}
        reached = len(words) * offset // len(sound)
        if reached > told:
            content["outputTranscription"] = {"text": " ".join(words[told:reached]) + " "}
            told = reached
        number += 1
        yield offset, content


def usage(context: Counter[str], reply_s: float, backend: Backend) -> dict[str, object]:
    """Return the usageMetadata of a turn: the whole context in, `reply_s` seconds of speech out."""
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
