"""Translates messages of the Live service into the daemon's own types.

All input from the service passes here: texts leave this module as whole characters, and figures within
bounds.
"""

import logging
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, cast

from pydantic import SecretStr

from kioskd import ports, sanitize
from kioskd.adapters.gemini.raw_calls import UNREADABLE
from kioskd.ports import pcm

if TYPE_CHECKING:
    from google.genai.types import LiveServerContent, LiveServerMessage, LiveServerToolCall, Part

log = logging.getLogger(__name__)

GO_AWAY_S: Final = 60.0
"""Seconds that a goAway without a time is taken to mean: the service's usual notice. If the connection ends
sooner, that is an ordinary loss."""

MOST_TOKENS: Final = 2_000_000
"""Largest usage figure that is believed: twice the largest context of any model. A larger one is the
service's error."""

MOST_CHARS: Final = 10_000
"""Characters of text that are kept of one message. A minute of speech has a tenth of this."""

MOST_ARGUMENT_CHARS: Final = 200_000
"""Most characters of a call's name, id and arguments together. A longer call is rejected."""

_NOTHING: Final = "…"
_TAG: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*")
"""Matches a BCP-47 tag."""

_HANDLE: Final = re.compile(r"[ -~]{1,8192}")
_REJECTION: Final = re.compile(
    r"(?=[A-Z_]{1,60}$)"
    r".*(REJECT|PROHIBIT|SAFETY|UNSAFE|BLOCK|MALFORM|INVALID|UNEXPECTED|ERROR|FAIL|RECITATION|SPII"
    r"|INPUT_OTHER|CELEBRITY|CHILD|PERSON|PEOPLE|MINORS|NCII)"
)
"""Reasons for the end of a turn (turnCompleteReason) that mean a rejection. NEED_MORE_INPUT is not one of
them."""


NO_ID: Final = "kioskd-no-id-"
"""Prefix of the ids that calls without an id get here. These ids are not sent back."""
LONGEST_NAME: Final = 4096
"""Longest id or name, in characters. An answer repeats both."""


def _refuse(what: str) -> None:
    raise ValueError(what)


def translate(
    message: "LiveServerMessage",
    *,
    odd: Callable[[str], None] = _refuse,
    next_id: Callable[[], str] | None = None,
) -> tuple[ports.Message, ...]:
    """Return the contents of `message` in this order: transcripts, an interruption, then everything else.

    The interruption comes early because it cancels the reply before it. A message can have content, notices
    and usage at once. `odd` is called for each call that cannot be answered; the other calls are returned.
    `next_id` makes an id for a call without one, if the service accepts answers without ids.

    ValueError: it holds audio in another format than the daemon's.
    """
    found: list[ports.Message] = []
    if message.server_content is not None:
        found += _content(message.server_content)
    if message.tool_call is not None:
        found += _calls(message.tool_call, odd, next_id)
    cancelled = message.tool_call_cancellation
    if cancelled is not None and cancelled.ids:
        found.append(ports.ToolCallsCancelled(tuple(map(sanitize.text, cancelled.ids))))
    update = message.session_resumption_update
    if update is not None and update.resumable and _HANDLE.fullmatch(update.new_handle or ""):
        # Otherwise the session cannot be resumed at this moment, and the previous handle remains the best
        # one.
        found.append(ports.ResumptionUpdate(SecretStr(update.new_handle or "")))
    if message.go_away is not None:
        found.append(ports.GoAway(_seconds(message.go_away.time_left)))
    usage = message.usage_metadata
    if usage is not None:
        # The service counts these apart, but bills thoughts as output, and answers of tools as input.
        response_tokens = _tokens(usage.response_token_count) + _tokens(usage.thoughts_token_count)
        prompt_tokens = _tokens(usage.prompt_token_count) + _tokens(usage.tool_use_prompt_token_count)
        found.append(ports.UsageReported(prompt_tokens, response_tokens))
    return tuple(found)


def turns_of(said: Sequence[ports.SpokenText]) -> list[tuple[str, str]]:
    """Return earlier speech as pairs of role and text; adjacent pieces of one side become one turn.

    The first and the last turn are the visitor's. If the visitor did not speak there, the turn holds only an
    ellipsis.
    """
    turns: list[tuple[str, str]] = []
    for piece in said:
        role = "user" if piece.by_visitor else "model"
        if not piece.text.strip():
            continue
        if turns and turns[-1][0] == role:
            role, text = turns.pop()
            turns.append((role, text + piece.text))
        else:
            turns.append((role, piece.text))
    if turns and turns[0][0] == "model":
        turns.insert(0, ("user", _NOTHING))
    if turns and turns[-1][0] == "model":
        turns.append(("user", _NOTHING))
    return turns


def _content(content: "LiveServerContent") -> list[ports.Message]:
    found: list[ports.Message] = []
    heard, spoken = content.input_transcription, content.output_transcription
    if heard is not None and heard.text:
        language = _language(heard.language_code)
        found.append(ports.SpokenText(by_visitor=True, text=_text(heard.text), language=language))
    if spoken is not None and spoken.text:
        language = _language(spoken.language_code)
        found.append(ports.SpokenText(by_visitor=False, text=_text(spoken.text), language=language))
    if content.interrupted:
        found.append(ports.Interrupted())  # audio in the same message was not heard either
    elif content.model_turn is not None:
        found += _parts(content.model_turn.parts or ())
    if content.generation_complete:
        found.append(ports.GenerationEnded())
    if content.turn_complete:
        found.append(ports.TurnComplete(_rejection(content.turn_complete_reason)))
    return found


def _parts(parts: Sequence["Part"]) -> list[ports.Message]:
    """Return the audio of a message, or its text if it has no audio. Thoughts are left out."""
    found: list[ports.Message] = []
    for part in parts:
        blob = part.inline_data
        if blob is not None and blob.data:
            _check_format(blob.mime_type)
            found.append(ports.ReplyAudio(blob.data))
    text = "".join(part.text for part in parts if part.text and not part.thought)
    return found or ([ports.ReplyText(_text(text))] if text.strip() else [])


def _text(text: str) -> str:
    return sanitize.text(text[:MOST_CHARS])


def _language(code: str | None) -> str:
    return code if code is not None and len(code) <= 35 and _TAG.fullmatch(code) else ""


def _tokens(count: int | None) -> int:
    """Return a figure of the service, or 0 if no exchange can have cost as much."""
    if count is None or 0 <= count <= MOST_TOKENS:
        return count or 0
    log.warning("usage figure of the Live service is impossible, not counted: negative=%s", count < 0)
    return 0


def _rejection(reason: object) -> str:
    """Return the reason why the service rejected the turn.

    Empty if it did not reject it, or if kioskd does not know the reason.
    """
    name = str(getattr(reason, "value", ""))
    return name if _REJECTION.match(name) else ""


def _calls(
    called: "LiveServerToolCall", odd: Callable[[str], None], next_id: Callable[[], str] | None
) -> list[ports.Message]:
    calls: dict[str, ports.ToolCall] = {}
    for call in called.function_calls or ():
        call_id = call.id or (next_id() if next_id is not None else "")
        if not call_id or not call.name:
            odd("function call without id or name")
        elif max(len(call_id), len(call.name)) > LONGEST_NAME:
            odd("function call with an id or name that is too long")
        else:
            found = _call(sanitize.text(call_id), sanitize.text(call.name), call.args or {})
            if calls.setdefault(found.id, found) != found:
                odd("function call with the id of another call")
    return [ports.ToolsCalled(tuple(calls.values()))] if calls else []


def _call(call_id: str, name: str, given: dict[str, object]) -> ports.ToolCall:
    """Return a call. If its arguments cannot be used, its `fault` tells the model why."""
    if UNREADABLE in given:
        return ports.ToolCall(call_id, name, {}, "its arguments are not an object; call it again with one")
    try:
        arguments = cast("dict[str, object]", sanitize.json_value(given, MOST_ARGUMENT_CHARS))
    except ValueError as error:
        return ports.ToolCall(call_id, name, {}, f"its arguments are {error}; call it again with fewer")
    return ports.ToolCall(call_id, name, arguments, "")


def _check_format(mime_type: str | None) -> None:
    """Raise ValueError for audio that would be played as noise or at the wrong speed."""
    kind, _, options = (mime_type or "audio/pcm").partition(";")
    rate = options.strip() or f"rate={pcm.DOWNLINK_HZ}"
    if kind.strip() != "audio/pcm" or rate != f"rate={pcm.DOWNLINK_HZ}":
        raise ValueError(f"audio format {mime_type}")


def _seconds(duration: str | None) -> float:
    """Return the seconds of a JSON Duration such as `9.5s`."""
    try:
        seconds = float((duration or "").removesuffix("s"))
    except ValueError:
        return GO_AWAY_S
    if seconds != seconds:  # noqa: PLR0124 - only NaN differs from itself
        return GO_AWAY_S
    return min(max(seconds, 0.0), 3600.0)
