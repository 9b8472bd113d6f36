"""Messages of the Live service, gone wrong in every way that a seed can think of."""

import copy
import json
import random
from collections.abc import Iterator
from typing import Any, Final

CANARY: Final = "Canary7Sings"
"""Stands in for what visitors say: whatever a log holds, it must not hold this."""

_SOUND: Final = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

WELL_FORMED: Final[tuple[dict[str, Any], ...]] = (
    {"setupComplete": {"sessionId": CANARY}},
    {
        "serverContent": {
            "modelTurn": {
                "role": "model",
                "parts": [{"inlineData": {"mimeType": "audio/pcm;rate=24000", "data": _SOUND}}],
            }
        }
    },
    {"serverContent": {"modelTurn": {"parts": [{"text": CANARY}, {"thought": True, "text": CANARY}]}}},
    {"serverContent": {"generationComplete": True}},
    {"serverContent": {"turnComplete": True, "interactionStatus": "IDLE"}},
    {"serverContent": {"turnComplete": True, "turnCompleteReason": "NEED_MORE_INPUT"}},
    {"serverContent": {"interrupted": True}},
    {"serverContent": {"inputTranscription": {"text": CANARY, "finished": True}}},
    {"serverContent": {"outputTranscription": {"text": CANARY, "languageCode": "en-US"}}},
    {"serverContent": {"groundingMetadata": {"webSearchQueries": [CANARY]}, "waitingForInput": True}},
    {"toolCall": {"functionCalls": [{"id": "f1", "name": "open_door", "args": {"which": CANARY}}]}},
    {"toolCallCancellation": {"ids": ["f1"]}},
    {"goAway": {"timeLeft": "9.5s"}},
    {"sessionResumptionUpdate": {"newHandle": CANARY, "resumable": True, "lastConsumedClientMessageIndex": "42"}},
    {"sessionResumptionUpdate": {"newHandle": "", "resumable": False}},
    {"usageMetadata": {"promptTokenCount": 3, "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 3}]}},
    {"voiceActivity": {"type": "ACTIVITY_START", "audioOffset": "1.5s"}},
    {"error": {"code": 503, "message": CANARY, "status": "UNAVAILABLE"}},
    {"code": 503, "message": CANARY},
)  # fmt: skip

_JUNK: Final[tuple[Any, ...]] = (
    None, True, False, 0, -1, 7, 2**31, 2**63, -(2**70), 0.5, 1e308, float("nan"), float("inf"), float("-inf"),
    "", " ", "0", "true", "-1s", "1e999s", CANARY, "\x00", "\ud83d", "🎈" * 9, "9" * 400, [], [[]], [None], {},
    {"": None}, {"a": {"b": [1, CANARY]}}, "!!! no base64 !!!", "AAA", "_-8=",
)  # fmt: skip

_HOLE: Final = "@hole@"
_HUGE_CHARS: Final = 200_000
_DEEPEST: Final = 5_000


def mutations(seed: int, count: int) -> Iterator[str | bytes]:
    """Yield `count` messages, as text or as the bytes of a binary frame; the same for the same seed."""
    chance = random.Random(seed)
    for _ in range(count):
        yield _mutation(chance)


def _mutation(chance: random.Random) -> str | bytes:
    message = copy.deepcopy(chance.choice(WELL_FORMED))
    while chance.random() < 0.2:  # several fields in one frame
        message |= copy.deepcopy(chance.choice(WELL_FORMED))
    for _ in range(chance.choice((0, 1, 1, 1, 2, 3))):
        _spoil(message, chance)
    text = json.dumps(message, ensure_ascii=chance.random() < 0.5)
    if _HOLE in text:
        text = text.replace(f'"{_HOLE}"', _filling(chance))
    if chance.random() < 0.15:
        return _spoiled_text(text, chance)
    if chance.random() < 0.5:
        # A text frame has to be UTF-8, or it never gets as far as the client library.
        return text.encode(errors="replace").decode()
    return text.encode(errors="surrogatepass")


def _spoil(message: dict[str, Any], chance: random.Random) -> None:
    """Do one thing to one place in `message`."""
    holders = list(_holders(message))
    holder: Any = chance.choice(holders)
    keys: list[Any] = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
    how = chance.randrange(7)
    if not keys or how == 0:
        if isinstance(holder, dict):  # an unknown key
            holder[f"key{chance.randrange(1000)}"] = copy.deepcopy(chance.choice(_JUNK))
        else:
            holder.append(copy.deepcopy(chance.choice(_JUNK)))
        return
    key = chance.choice(keys)
    match how:
        case 1:
            holder[key] = _HOLE
        case 2 if isinstance(holder, dict):  # another spelling
            holder[str(key).swapcase()] = holder.pop(key)
        case 3 if isinstance(holder, dict):
            del holder[key]
        case 4:
            holder[key] = [holder[key]]
        case 5:
            holder[key] = str(holder[key])
        case _:
            holder[key] = copy.deepcopy(chance.choice(_JUNK))


def _holders(value: Any) -> Iterator[dict[str, Any] | list[Any]]:
    if isinstance(value, dict | list):
        yield value
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _holders(inner)


def _filling(chance: random.Random) -> str:
    """Return JSON that is too much of something."""
    kind = chance.randrange(20)
    if kind == 0:
        return json.dumps(CANARY * (_HUGE_CHARS // len(CANARY)))
    if kind == 1:
        return json.dumps(list(range(_HUGE_CHARS // 100)))
    depth = chance.choice((3, 30, 300, _DEEPEST)) if kind < 6 else 3
    if chance.random() < 0.5:
        return "[" * depth + "]" * depth
    return '{"a":' * depth + "1" + "}" * depth


def _spoiled_text(text: str, chance: random.Random) -> str | bytes:
    """Return something that is no JSON object any more, or not in the way it was."""
    match chance.randrange(6):
        case 0:
            return text.encode(errors="replace")[: chance.randrange(len(text))]
        case 1:
            return chance.choice(
                ("", " ", "null", "[]", "1", '"x"', "{}", "[{}]", "nonsense", "\x00", "{}{}")
            )
        case 2:
            return text.encode(errors="replace") + bytes(chance.choice((b"\xff\xfe", b"}", b"\x80", b" ")))
        case 3:
            return text.encode("utf-16", errors="replace")
        case _:
            data = bytearray(text.encode(errors="replace"))
            for _ in range(chance.randrange(1, 4)):
                data[chance.randrange(len(data))] = chance.randrange(256)
            return bytes(data)
