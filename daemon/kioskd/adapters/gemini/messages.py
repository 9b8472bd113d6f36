"""What a message of the Live service says, in the daemon's own terms."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from pydantic import SecretStr

from kioskd.adapters.gemini.raw_calls import UNREADABLE
from kioskd.ports import (
    GenerationEnded,
    GoingAway,
    HandleIssued,
    Interrupted,
    Message,
    ReplyAudio,
    Said,
    ToolCall,
    ToolCallsCancelled,
    ToolsCalled,
    TurnEnded,
    UsageReported,
    pcm,
)

if TYPE_CHECKING:
    from google.genai.types import LiveServerContent, LiveServerMessage, LiveServerToolCall

GO_AWAY_S: Final = 60.0
"""What a goAway without a time is taken for: the service's usual notice. Nothing in it says that it is shorter, and
a connection that ends sooner is an ordinary loss."""

_NOTHING: Final = "…"


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
) -> tuple[Message, ...]:
    """Return what `message` holds: what was understood, then an interruption, since it voids what was said before;
    then the rest in order.

    A message is no union: content, notices and usage may share one. `odd` is told of each call that cannot be answered;
    the others are told all the same. `next_id` gives one to a call without, where the service takes answers without.

    Raises:
        ValueError: it holds audio in another format than the daemon's.
    """
    found: list[Message] = []
    if message.server_content is not None:
        found += _content(message.server_content)
    if message.tool_call is not None:
        found += _calls(message.tool_call, odd, next_id)
    cancelled = message.tool_call_cancellation
    if cancelled is not None and cancelled.ids:
        found.append(ToolCallsCancelled(tuple(cancelled.ids)))
    update = message.session_resumption_update
    if update is not None and update.resumable and update.new_handle:
        # Otherwise the session cannot be resumed right now, and the handle before stays the best there is.
        found.append(HandleIssued(SecretStr(update.new_handle)))
    if message.go_away is not None:
        found.append(GoingAway(_seconds(message.go_away.time_left)))
    usage = message.usage_metadata
    if usage is not None:
        # Billed, and counted apart: thoughts as output, what tools have answered as input.
        response_tokens = (usage.response_token_count or 0) + (usage.thoughts_token_count or 0)
        prompt_tokens = (usage.prompt_token_count or 0) + (usage.tool_use_prompt_token_count or 0)
        found.append(UsageReported(prompt_tokens, response_tokens))
    return tuple(found)


def turns_of(said: Sequence[Said]) -> list[tuple[str, str]]:
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


def _content(content: "LiveServerContent") -> list[Message]:
    found: list[Message] = []
    heard, spoken = content.input_transcription, content.output_transcription
    if heard is not None and heard.text:
        found.append(Said(by_visitor=True, text=heard.text))
    if spoken is not None and spoken.text:
        found.append(Said(by_visitor=False, text=spoken.text))
    if content.interrupted:
        found.append(Interrupted())  # what audio shares the message with it was not heard either
    elif content.model_turn is not None:
        for part in content.model_turn.parts or ():
            blob = part.inline_data
            if blob is not None and blob.data:
                _check_format(blob.mime_type)
                found.append(ReplyAudio(blob.data))
    if content.generation_complete:
        found.append(GenerationEnded())
    if content.turn_complete:
        found.append(TurnEnded())
    return found


def _calls(
    called: "LiveServerToolCall", odd: Callable[[str], None], next_id: Callable[[], str] | None
) -> list[Message]:
    calls: dict[str, ToolCall] = {}
    for call in called.function_calls or ():
        call_id = call.id or (next_id() if next_id is not None else "")
        if not call_id or not call.name:
            odd("function call without id or name")
        elif max(len(call_id), len(call.name)) > LONGEST_NAME:
            odd("function call with an endless id or name")
        else:
            arguments = call.args or {}
            fault = (
                "its arguments are no object; call it again with an object" if UNREADABLE in arguments else ""
            )
            found = ToolCall(call_id, call.name, {} if fault else arguments, fault)
            if calls.setdefault(call_id, found) != found:
                odd("function call with the id of another")
    return [ToolsCalled(tuple(calls.values()))] if calls else []


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
