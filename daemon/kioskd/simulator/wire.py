"""Parses a client's messages, and words refusals as the service does."""

import base64
import binascii
import re
import struct
import time
from typing import Any, Final, Literal

from pydantic import StrictBool, ValidationError

from kioskd.media.picture_parts import TooManyPartsError, segments
from kioskd.simulator.records import ReceivedPicture
from kioskd.simulator.schema import Anything, Blob, Content, Setup, WireModel, WireTool

INVALID: Final = 1007
POLICY: Final = 1008
INTERNAL: Final = 1011

_REASON_BYTES: Final = 123
_STARTS: Final = {"image/jpeg": b"\xff\xd8", "image/png": b"\x89PNG\r\n\x1a\n", "image/webp": b"RIFF"}
_FRAME_HEADERS: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_STANDARD: Final = str.maketrans("-_", "+/")


class RefusalError(Exception):
    """A refusal of a client's message, which ends the connection with this close code and reason."""

    def __init__(self, reason: str, code: int = INVALID) -> None:
        super().__init__(f"{code} {reason}")
        self.code = code
        self.reason = reason


class Nothing(WireModel):
    """An object without fields; its presence is the message."""


class RealtimeInput(WireModel):
    """Audio, video and text of the visitor, in real time."""

    audio: Blob | None = None
    video: Blob | None = None
    text: str | None = None
    activity_start: Nothing | None = None
    activity_end: Nothing | None = None
    audio_stream_end: StrictBool | None = None
    media_chunks: tuple[Blob, ...] | None = None


class ClientContent(WireModel):
    """Turns of the conversation as text and pictures."""

    turns: tuple[Content, ...] | None = None
    turn_complete: StrictBool | None = None


class FunctionPart(WireModel):
    """A picture or a file in a function's response."""

    inline_data: Blob | None = None
    file_data: Anything | None = None
    media_processing: Anything | None = None
    media_resolution: Anything | None = None


class FunctionResponse(WireModel):
    """The answer to one call."""

    id: str | None = None
    name: str | None = None
    response: Anything | None = None
    will_continue: StrictBool | None = None
    scheduling: Literal["SCHEDULING_UNSPECIFIED", "SILENT", "WHEN_IDLE", "INTERRUPT"] | None = None
    parts: tuple[FunctionPart, ...] | None = None


class ToolResponse(WireModel):
    """Answers to the model's calls."""

    function_responses: tuple[FunctionResponse, ...] | None = None


class NewTools(WireModel):
    """Tools that replace all earlier ones."""

    tools: tuple[WireTool, ...] | None = None


class ContextUpdate(WireModel):
    """New instructions or tools during a conversation."""

    system_instruction: Content | None = None
    tools: NewTools | None = None


class ClientMessage(WireModel):
    """One message of a client: exactly one of these is set."""

    setup: Setup | None = None
    realtime_input: RealtimeInput | None = None
    client_content: ClientContent | None = None
    tool_response: ToolResponse | None = None
    context_update: ContextUpdate | None = None


def read(message: str | bytes) -> ClientMessage:
    """Return the parsed WebSocket message.

    Raises RefusalError for a message that the Live API does not define.
    """
    try:
        parsed = ClientMessage.model_validate_json(message)
    except ValidationError as error:
        raise RefusalError(_complaint(error)) from None
    given = [name for name in parsed.model_fields_set if getattr(parsed, name) is not None]
    if not given:
        raise RefusalError("Request contains an invalid argument.")
    if len(given) > 1:
        raise RefusalError(
            f"Invalid value, oneof field 'message_type' is already set. Cannot set '{sorted(given)[1]}'",
        )
    return parsed


def blob_bytes(blob: Blob, where: str) -> bytes:
    """Return the bytes of a blob in either base64 alphabet. Raises RefusalError for other or no data."""
    text = (blob.data or "").translate(_STANDARD)
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        raise RefusalError(f"Invalid value at '{where}.data' (TYPE_BYTES), Base64 decoding failed") from None
    if not data:
        raise RefusalError(f"Invalid value at '{where}.data': it is empty")
    return data


def mime_of(blob: Blob, where: str) -> tuple[str, dict[str, str]]:
    """Return a blob's mime type in lower case, and its parameters. Raises RefusalError if it has no type."""
    if not blob.mime_type:
        raise RefusalError(f"mime_type is required at '{where}'")
    kind, *rest = blob.mime_type.lower().replace(" ", "").split(";")
    return kind, {name: value for name, _, value in (entry.partition("=") for entry in rest)}


def picture_of(blob: Blob, where: str, way: Literal["realtime", "content", "answer"]) -> ReceivedPicture:
    """Return the picture in a blob. Raises RefusalError for a kind that the service does not accept."""
    kind, _ = mime_of(blob, where)
    if kind not in _STARTS:
        raise RefusalError(f"Unsupported mime_type at '{where}': use image/jpeg, image/png or image/webp")
    data = blob_bytes(blob, where)
    if not data.startswith(_STARTS[kind]):
        raise RefusalError(f"Unable to process input image at '{where}': it is not {kind}")
    return ReceivedPicture(time.monotonic(), kind, data, way, _size_of(kind, data))


def short_reason(reason: str) -> str:
    """Cut a close reason to the size of a control frame, as the real service does."""
    return reason.encode()[:_REASON_BYTES].decode(errors="ignore")


def _complaint(error: ValidationError) -> str:
    first: Any = error.errors(include_url=False, include_context=False)[0]
    if first["type"] == "json_invalid":
        return "Invalid JSON payload received. Unexpected token."
    *parents, name = first["loc"] or ("",)
    if first["type"] == "extra_forbidden":
        where = f" at '{_dotted(parents)}'" if parents else ""
        return f'Invalid JSON payload received. Unknown name "{name}"{where}: Cannot find field.'
    # The value itself may be a visitor's words, so it is left out.
    return f"Invalid value at '{_dotted(first['loc'])}': {first['msg']}"


def _dotted(location: tuple[int | str, ...] | list[int | str]) -> str:
    """Return a place in the service's form: snake_case, list positions in brackets."""
    text = ""
    for step in location:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += "." * bool(text) + re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", step).lower()
    return text


def _size_of(kind: str, data: bytes) -> tuple[int, int] | None:
    """Return width and height in pixels from the header; None if it has none, and for a WebP."""
    try:
        if kind == "image/png":
            width, height = struct.unpack_from(">II", data, 16)
            return width, height
        if kind == "image/jpeg":
            for marker, start, _ in segments(data):
                if marker in _FRAME_HEADERS:
                    height, width = struct.unpack_from(">HH", data, start + 5)
                    return width, height
    except (struct.error, TooManyPartsError):
        return None
    return None
