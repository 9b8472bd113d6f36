"""Messages of the Live service, damaged in random ways."""

import copy
import json
import random
from collections.abc import Iterator
from typing import Any, Final

CANARY: Final = "Canary7Sings"
"""Stands for the words of visitors: no log may contain it."""

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
    {"sessionResumptionUpdate": {
        "newHandle": CANARY, "resumable": True, "lastConsumedClientMessageIndex": "42"
    }},
    {"sessionResumptionUpdate": {"newHandle": "", "resumable": False}},
    {"usageMetadata": {
        "promptTokenCount": 3, "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 3}]
    }},
    {"voiceActivity": {"type": "ACTIVITY_START", "audioOffset": "1.5s"}},
    {"error": {"code": 503, "message": CANARY, "status": "UNAVAILABLE"}},
    {"code": 503, "message": CANARY},
)  # fmt: skip

_JUNK: Final[tuple[Any, ...]] = (
    None, True, False, 0, -1, 7, 2**31, 2**63, -(2**70), 0.5, 1e308, float("nan"), float("inf"),
    float("-inf"), "", " ", "0", "true", "-1s", "1e999s", CANARY, "\x00", "\ud83d", "🎈" * 9, "9" * 400,
    [], [[]], [None], {}, {"": None}, {"a": {"b": [1, CANARY]}}, "!!! no base64 !!!", "AAA", "_-8=",
)  # fmt: skip

_HOLE: Final = "@hole@"
_HUGE_CHARS: Final = 200_000
_DEEPEST: Final = 5_000


def mutations(seed: int, count: int) -> Iterator[str | bytes]:
    """Yield `count` messages, as text or binary frames; the same seed gives the same messages."""
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
        # A text frame must be UTF-8; otherwise websockets rejects it before the client library sees it.
        return text.encode(errors="replace").decode()
    return text.encode(errors="surrogatepass")


def _spoil(message: dict[str, Any], chance: random.Random) -> None:
    """Damage one place in `message`."""
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
    """Return JSON that is too long or too deep."""
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
    """Return text that is not a JSON object any more, or a changed one."""
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
