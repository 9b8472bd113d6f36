"""How the pictures that a tool took reach the model in the turn that asked for them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from kioskd.adapters.gemini import functions
from kioskd.errors import LinkLost, Remedy
from kioskd.ports import ToolAnswer

if TYPE_CHECKING:
    from google.genai import types

_REFUSAL_S: Final = 3.0
"""A session given up so soon after a picture in an answer was given up for it."""

PictureDelivery = Literal["in_answer", "as_turn", "as_frame"]
"""What gets a picture into the very turn that asked for it:

- `in_answer`: a part of the function's response, so that what the response sets off has it by construction.
  Google documents it for the models from Gemini 3 on (multimodal function responses); 2.5 refuses it.
- `as_turn`: the call is answered silently, and the picture follows as a written turn, which is answered aloud.
  Seen to work with 2.5, as neither of these does: a frame of video, which waits for the next turn; written
  content that asks for no answer, which the model does not have when the response reaches it (and which, on
  3.8, as any new input, cancels a call that holds the model up).
- `as_frame`: a frame of video, for the next turn at least, and for a model that refuses both.
"""


@dataclass(frozen=True, slots=True)
class AnswerPlan:
    """What to send for a list of answers: frames of video, then the responses, then a written turn."""

    responses: "Sequence[types.FunctionResponse]"
    pictures: Sequence[bytes] = ()
    """All pictures of the answers, as JPEG."""
    frames: Sequence[bytes] = ()
    """Those of them that go ahead of the responses as frames of video."""
    turn: Sequence[bytes] = ()
    """Those of them that follow the responses as a written turn."""
    aloud: bool = False
    """Whether the model is to answer that turn."""


class ToolPictures:
    """Plans the answers of one connection, and notices when the service refuses a picture in one."""

    def __init__(
        self,
        delivery: PictureDelivery,
        resolution: functions.Resolution | None,
        blocking_tools: frozenset[str],
        now: Callable[[], float],
    ) -> None:
        """`blocking_tools`: the model waits for these. `now` returns the time in seconds."""
        self.refused = False
        """Whether the service gave the session up as soon as an answer held a picture."""
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
        """Return `lost`, or a loss that a fresh session mends where a picture in an answer was the cause."""
        if self._sent_at is None or self._now() - self._sent_at > _REFUSAL_S:
            return lost
        if lost.remedy not in {Remedy.FRESH, Remedy.SETTINGS}:
            return lost
        self.refused = True
        return LinkLost(str(lost), remedy=Remedy.FRESH)
