"""The Live service: one connection to it, what it says, and the tools that the model may call."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from pydantic import SecretStr


@dataclass(frozen=True, slots=True)
class ReplyAudio:
    """A piece of the reply: 24 kHz PCM, of any length, earlier than it is wanted."""

    pcm: bytes


@dataclass(frozen=True, slots=True)
class GenerationEnded:
    """The model has said all of this reply (generationComplete)."""


@dataclass(frozen=True, slots=True)
class TurnComplete:
    """The model's turn is over (turnComplete), after a reply, an interruption, or nothing at all."""

    rejected: str = ""
    """Why the service rejected the turn, in its own word (turnCompleteReason); empty for a turn that it did not."""


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The visitor spoke into the reply: what of it was not heard is void."""


@dataclass(frozen=True, slots=True)
class GoAway:
    """The service will close this connection in `left_s` seconds (goAway)."""

    left_s: float


@dataclass(frozen=True, slots=True)
class ResumptionUpdate:
    """A new resumption handle; the ones before it are void."""

    handle: SecretStr


MOST_TOKENS: Final = 10_000_000
"""More in one exchange is an error of the service."""


@dataclass(frozen=True, slots=True)
class UsageReported:
    """What the service will bill for the exchange it ends: tokens of the whole context in, and of the reply out."""

    prompt_tokens: int
    response_tokens: int

    @property
    def plausible(self) -> bool:
        """Whether one exchange can have cost this: no context has as many tokens as the bound."""
        return 0 <= self.prompt_tokens <= MOST_TOKENS and 0 <= self.response_tokens <= MOST_TOKENS


@dataclass(frozen=True, slots=True)
class SpokenText:
    """A piece of what was said, as the service has understood it (transcription). Shown by no repr and no log."""

    by_visitor: bool
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ReplyText:
    """A piece of the reply that came as text and not as sound. Shown by no repr and no log."""

    text: str = field(repr=False)


Scheduling = Literal["silent", "when_idle", "interrupt"]
"""When the model takes up the answer of a tool that did not hold it up: never aloud, when it is silent, at once."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model wants something done. `id` belongs to this connection."""

    id: str
    name: str
    arguments: Mapping[str, object] = field(repr=False)
    """JSON as the model wrote it, unchecked."""
    fault: str = ""
    """Why it cannot be carried out, whatever it asks for, in words for the model. It is answered with this."""


@dataclass(frozen=True, slots=True)
class ToolsCalled:
    """Calls that came in one message, in order."""

    calls: Sequence[ToolCall]


@dataclass(frozen=True, slots=True)
class ToolCallsCancelled:
    """Nobody waits for these any more (toolCallCancellation): they are to be stopped, and not answered."""

    ids: Sequence[str]


@dataclass(frozen=True, slots=True)
class ToolAnswer:
    """What came of a call. Each call is answered once, over the connection that it came by."""

    id: str
    name: str
    result: Mapping[str, object] = field(repr=False)
    """JSON: `status`, `retryable`, `message`, and the data."""
    scheduling: Scheduling | None = None
    """None for a tool that held the model up (blocking)."""
    picture: bytes | None = field(default=None, repr=False)
    """A JPEG that the model shall see in the very turn that this answers."""


class Tool(Protocol):
    """Something that the model may have done."""

    @property
    def name(self) -> str:
        """What the model calls it: letters, digits and _, at most 64."""

    @property
    def description(self) -> str:
        """What the model is told of it."""

    @property
    def parameters(self) -> Mapping[str, object]:
        """JSON Schema of an object: what arguments it takes."""

    @property
    def blocking(self) -> bool:
        """Whether the model waits for the answer before it says anything more."""


Message = (
    ReplyAudio
    | GenerationEnded
    | TurnComplete
    | Interrupted
    | GoAway
    | ResumptionUpdate
    | UsageReported
    | SpokenText
    | ReplyText
    | ToolsCalled
    | ToolCallsCancelled
)


class Connection(Protocol):
    """One connection to the Live service, set up and ready."""

    @property
    def resumed(self) -> bool:
        """Whether it goes on with the session of the handle it was dialed with."""

    @property
    def delivered(self) -> int:
        """How many of the frames given to `send_audio` the service has taken in, by the best evidence there is.

        Counted from the connection's first frame; never falls. Rises while the connection is used, and is final when
        its context has been left. Frames after it may be sent again over the next connection: what is counted is not
        lost, and what is not counted is not heard twice.
        """

    async def receive(self) -> Sequence[Message]:
        """Return what the next message of the service holds, in order; maybe nothing.

        Safe to cancel: nothing is lost. One caller at a time. Must be called on and on: unread messages stall
        the connection.

        Raises:
            LinkLost: the connection is over, or the service has been silent for longer than it may.
        """

    async def send_audio(self, frame: bytes) -> None:
        """Send one frame of 16 kHz PCM.

        Raises:
            LinkLost: the connection is over, or did not take the frame within 5 s.
        """

    async def begin_audio(self) -> None:
        """Say that the visitor begins to speak (activityStart), where turns are taken by ourselves; else do nothing.

        Raises:
            LinkLost: as `send_audio`.
        """

    async def end_audio(self) -> None:
        """Say that the microphone pauses, so that nobody waits for the end of a sentence.

        That is audioStreamEnd where the service hears itself whose turn it is, and activityEnd where we say it.

        Raises:
            LinkLost: as `send_audio`.
        """

    @property
    def backlog(self) -> int:
        """Bytes that were sent and have not left this machine yet; more than a frame or two is congestion."""

    @property
    def written(self) -> int:
        """Bytes that were sent over the connection, ever."""

    @property
    def arrived(self) -> int:
        """How many of `written` the other end has acknowledged. The rest waits here, in a modem, or is on its way."""

    async def send_picture(self, jpeg: bytes) -> None:
        """Send one picture: the service sees it with the visitor's turn (see its turn coverage).

        Raises:
            LinkLost: as `send_audio`.
        """

    async def show_pictures(self, jpegs: Sequence[bytes]) -> None:
        """Put pictures into the model's memory, to be seen in every later turn, without having it answer.

        Raises:
            LinkLost: as `send_audio`.
        """

    async def answer(self, answers: Sequence[ToolAnswer]) -> None:
        """Answer calls that came by this connection.

        An answer's picture is put before the model so that the turn in question sees it, whatever the model's own
        rule for pictures sent in mid-turn.

        Raises:
            LinkLost: as `send_audio`.
        """

    async def send_text(self, text: str) -> None:
        """Say `text` to the model as the visitor's turn; it answers aloud.

        Raises:
            LinkLost: as `send_audio`.
        """


class Live(Protocol):
    """The Live service."""

    async def warm_up(self) -> None:
        """Do once, off the loop, what would delay the first `connect`: imports, certificates, models.

        Raises:
            ConfigError: what the settings name cannot be used (a missing CA file, say).
        """

    def connect(
        self, handle: SecretStr | None, recall: Sequence[SpokenText] = ()
    ) -> AbstractAsyncContextManager[Connection]:
        """Dial, set up, and yield a `Connection`; close it on the way out, within 2 s whatever the peer does.

        With a `handle` the session behind it goes on. Without one a new session begins, and is told first what was
        said before (`recall`, oldest first), without answering it. Entering ends within 20 s (10 s to open, 10 s to
        set up), or later where a refused setup is dialed again in another way. Cancelling leaves nothing open.

        Raises:
            LinkLost: the connection could not be made; its `remedy` says what may help.
            ConfigError: what the settings name cannot be used.
        """
