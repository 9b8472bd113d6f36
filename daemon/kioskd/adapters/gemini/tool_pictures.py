"""Ways in which a tool's pictures reach the model in the turn that asked for them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from kioskd.adapters.gemini import functions
from kioskd.errors import LinkLost, Remedy
from kioskd.ports import ToolAnswer

if TYPE_CHECKING:
    from google.genai import types

_REFUSAL_S: Final = 3.0
"""Seconds. If the service ends a session within this time after an answer with a picture, the picture is the
reason."""

PictureDelivery = Literal["in_answer", "as_turn", "as_frame"]
"""Ways to bring a picture into the very turn that asked for it:

- `in_answer`: as a part of the function's response, so that the model has it when it reacts to the response.
  Google documents this for models from Gemini 3 on (multimodal function responses); 2.5 rejects it.
- `as_turn`: the call is answered silently, and the picture follows as a written turn, which the model answers
  aloud. Seen to work with 2.5. Two other ways were seen to fail there. A frame of video waits for the next
  turn. Written content that asks for no answer arrives after the model's reaction. On 3.8 such content even
  cancels a call that the model waits for, as any new input does.
- `as_frame`: as a frame of video, which the model sees in its next turn. For a model that rejects both other
  ways.
"""


@dataclass(frozen=True, slots=True)
class AnswerPlan:
    """Messages to send for a list of answers: frames of video, then the responses, then a written turn."""

    responses: "Sequence[types.FunctionResponse]"
    pictures: Sequence[bytes] = ()
    """All pictures of the answers, as JPEG."""
    frames: Sequence[bytes] = ()
    """Pictures that are sent before the responses, as frames of video."""
    turn: Sequence[bytes] = ()
    """Pictures that are sent after the responses, as a written turn."""
    aloud: bool = False
    """Whether the model is to answer that turn."""


class ToolPictures:
    """Plans the answers of one connection, and notices if the service rejects a picture in an answer."""

    def __init__(
        self,
        delivery: PictureDelivery,
        resolution: functions.Resolution | None,
        blocking_tools: frozenset[str],
        now: Callable[[], float],
    ) -> None:
        """`blocking_tools`: the tools that the model waits for. `now` returns the time in seconds."""
        self.refused = False
        """Whether the service ended the session right after an answer with a picture."""
        self._delivery = delivery
        self._resolution = resolution
        self._blocking_tools = blocking_tools
        self._now = now
        self._sent_at: float | None = None

    def plan(self, answers: Sequence[ToolAnswer]) -> AnswerPlan:
        """Return what to send for `answers`."""
        pictures = [answer.picture for answer in answers if answer.picture is not None]
        turn = pictures if self._delivery == "as_turn" else ()
        responses = [
            functions.response(
                answer,
                non_blocking=answer.name not in self._blocking_tools,
                silent=bool(turn),
                with_picture=self._delivery == "in_answer",
                resolution=self._resolution,
            )
            for answer in answers
        ]
        if pictures and self._delivery == "in_answer":
            self._sent_at = self._now()
        return AnswerPlan(
            responses,
            pictures,
            frames=pictures if self._delivery == "as_frame" else (),
            turn=turn,
            aloud=any(answer.scheduling != "silent" for answer in answers),
        )

    def explained(self, lost: LinkLost) -> LinkLost:
        """Return `lost`; if a picture in an answer was the cause, a loss whose remedy is a fresh session."""
        if self._sent_at is None or self._now() - self._sent_at > _REFUSAL_S:
            return lost
        if lost.remedy not in {Remedy.FRESH, Remedy.SETTINGS}:
            return lost
        self.refused = True
        return LinkLost(str(lost), remedy=Remedy.FRESH)
