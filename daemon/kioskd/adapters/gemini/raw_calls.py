"""Repairs the model's calls in a raw message, so that the SDK can read them.

The SDK reads a message completely or not at all. One call with a number as id, or with a list as arguments,
would lose all calls of the message. So each call is repaired on its own before the SDK reads the message.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

UNREADABLE: Final = "\x00unreadable"
"""Name of the only argument of a call whose arguments are not an object."""

LARGEST: Final = 2**20
"""Largest message, in bytes, that is repaired, as it is parsed here and then again by the SDK."""

_MARKS: Final = (b"oolCall", b"ool_call")
_CALLS: Final = ("toolCall", "tool_call")
_LISTS: Final = ("functionCalls", "function_calls")
_CANCELLED: Final = ("toolCallCancellation", "tool_call_cancellation")


def readable(message: str | bytes) -> str | bytes:
    """Return `message`; calls that the SDK could not read are repaired in it."""
    raw = message if isinstance(message, bytes) else message.encode(errors="surrogatepass")
    if len(raw) > LARGEST or not any(mark in raw for mark in _MARKS):
        return message
    try:
        said = json.loads(raw)
    except (ValueError, RecursionError):
        return message
    if not isinstance(said, dict):
        return message
    changed = {**dict(_with_calls(said)), **dict(_with_ids(said))}
    return json.dumps(said | changed) if changed else message


def _with_calls(said: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key in _CALLS:
        called = said.get(key)
        if not isinstance(called, dict):
            continue
        for word in _LISTS:
            calls = called.get(word)
            if isinstance(calls, dict):  # one call, without a list around it
                calls = [calls]
            if isinstance(calls, list):
                mended = [_call(call) if isinstance(call, dict) else {} for call in calls]
                if mended != called[word]:
                    yield key, called | {word: mended}


def _with_ids(said: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key in _CANCELLED:
        cancelled = said.get(key)
        if isinstance(cancelled, dict) and isinstance(ids := cancelled.get("ids"), list):
            found = [text for each in ids if (text := _id(each)) is not None]
            if found != ids:
                yield key, cancelled | {"ids": found}


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(call)
    if "id" in found:
        found["id"] = _id(found["id"])
    if not isinstance(found.get("name"), str):
        found["name"] = None
    given = found.get("args")
    if isinstance(given, str):
        given = _object_in(given)
    if given is not None and not isinstance(given, dict):
        given = {UNREADABLE: True}
    if "args" in found:
        found["args"] = given
    return found


def _id(given: Any) -> str | None:
    if isinstance(given, str):
        return given
    # proto3 JSON reads a number as text where a text is due. The answer uses text in any case.
    return str(given) if isinstance(given, int | float) and not isinstance(given, bool) else None


def _object_in(text: str) -> Any:
    """Return the object that a JSON text holds, as other services write arguments; else the text itself."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return found if isinstance(found, dict) else text
