"""What a message of the Live service says, in the daemon's own terms.

This is the door: whatever a message holds, text leaves here as whole characters, and figures leave here in bounds.
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
"""What a goAway without a time is taken for: the service's usual notice. Nothing in it says that it is shorter, and
a connection that ends sooner is an ordinary loss."""

MOST_TOKENS: Final = 2_000_000
"""A usage figure beyond this is an error of the service: it is twice the largest context of any model."""

MOST_CHARS: Final = 10_000
"""Longer text of one message is cut. A minute of speech has a tenth of it."""

MOST_ARGUMENT_CHARS: Final = 200_000
"""A call with a longer name, id and arguments together is not understood."""

_NOTHING: Final = "…"
_HANDLE: Final = re.compile(r"[ -~]{1,8192}")
_REJECTION: Final = re.compile(
    r"(?=[A-Z_]{1,60}$).*(REJECT|PROHIBIT|SAFETY|UNSAFE|BLOCK|MALFORM|INVALID|UNEXPECTED|ERROR|FAIL|RECITATION|SPII"
    r"|INPUT_OTHER|CELEBRITY|CHILD|PERSON|PEOPLE|MINORS|NCII)"
)
"""Reasons for the end of a turn (turnCompleteReason) by which it was rejected. NEED_MORE_INPUT is none of them."""


NO_ID: Final = "kioskd-no-id-"
"""Begins the ids that calls without one get here. They are not sent back."""
LONGEST_NAME: Final = 4096
"""Characters of an id or a name. An answer repeats both."""


def _refuse(what: str) -> None:
    raise ValueError(what)


def translate(
    message: "LiveServerMessage",
    *,
    odd: Callable[[str], None] = _refuse,
    next_id: Callable[[], str] | None = None,
) -> tuple[ports.Message, ...]:
    """Return what `message` holds: what was understood, then an interruption, since it voids what was said before;
    then the rest in order.

    A message is no union: content, notices and usage may share one. `odd` is told of each call that cannot be answered;
    the others are told all the same. `next_id` gives one to a call without, where the service takes answers without.

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
        # Otherwise the session cannot be resumed right now, and the handle before stays the best there is.
        found.append(ports.ResumptionUpdate(SecretStr(update.new_handle or "")))
    if message.go_away is not None:
        found.append(ports.GoAway(_seconds(message.go_away.time_left)))
    usage = message.usage_metadata
    if usage is not None:
        # Billed, and counted apart: thoughts as output, what tools have answered as input.
        response_tokens = _tokens(usage.response_token_count) + _tokens(usage.thoughts_token_count)
        prompt_tokens = _tokens(usage.prompt_token_count) + _tokens(usage.tool_use_prompt_token_count)
        found.append(ports.UsageReported(prompt_tokens, response_tokens))
    return tuple(found)


def turns_of(said: Sequence[ports.SpokenText]) -> list[tuple[str, str]]:
    """Return what was said as (role, text), the visitor's first and last, each side's pieces on end as one turn.

    Where the visitor was not the first or the last to speak, a turn that says nothing stands there.
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
        found.append(ports.SpokenText(by_visitor=True, text=_text(heard.text)))
    if spoken is not None and spoken.text:
        found.append(ports.SpokenText(by_visitor=False, text=_text(spoken.text)))
    if content.interrupted:
        found.append(ports.Interrupted())  # what audio shares the message with it was not heard either
    elif content.model_turn is not None:
        found += _parts(content.model_turn.parts or ())
    if content.generation_complete:
        found.append(ports.GenerationEnded())
    if content.turn_complete:
        found.append(ports.TurnComplete(_rejection(content.turn_complete_reason)))
    return found


def _parts(parts: Sequence["Part"]) -> list[ports.Message]:
    """Return the sound of a message; its text where it has no sound. Thoughts are neither."""
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


def _tokens(count: int | None) -> int:
    """Return a figure of the service; 0 for one that no exchange can have cost."""
    if count is None or 0 <= count <= MOST_TOKENS:
        return count or 0
    log.warning("usage figure of the Live service makes no sense, not counted: negative=%s", count < 0)
    return 0


def _rejection(reason: object) -> str:
    """Return why the service rejected the turn; an empty text where it did not, or for a reason newer than kioskd."""
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
            odd("function call with an endless id or name")
        else:
            found = _call(sanitize.text(call_id), sanitize.text(call.name), call.args or {})
            if calls.setdefault(found.id, found) != found:
                odd("function call with the id of another")
    return [ports.ToolsCalled(tuple(calls.values()))] if calls else []


def _call(call_id: str, name: str, given: dict[str, object]) -> ports.ToolCall:
    """Return a call; one whose arguments cannot be used says why, for the model."""
    if UNREADABLE in given:
        return ports.ToolCall(call_id, name, {}, "its arguments are no object; call it again with an object")
    try:
        arguments = cast("dict[str, object]", sanitize.json_value(given, MOST_ARGUMENT_CHARS))
    except ValueError as error:
        return ports.ToolCall(call_id, name, {}, f"its arguments are {error}; call it again with fewer")
    return ports.ToolCall(call_id, name, arguments, "")


def _check_format(mime_type: str | None) -> None:
    """Turn down what would be played as noise or at the wrong speed."""
    kind, _, options = (mime_type or "audio/pcm").partition(";")
    rate = options.strip() or f"rate={pcm.DOWNLINK_HZ}"
    if kind.strip() != "audio/pcm" or rate != f"rate={pcm.DOWNLINK_HZ}":
        raise ValueError(f"audio format {mime_type}")


def _seconds(duration: str | None) -> float:
    """The seconds of a JSON Duration such as `9.5s`."""
    try:
        seconds = float((duration or "").removesuffix("s"))
    except ValueError:
        return GO_AWAY_S
    return min(max(seconds, 0.0), 3600.0) if seconds == seconds else GO_AWAY_S  # noqa: PLR0124 - NaN is not itself
