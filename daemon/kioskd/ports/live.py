"""Interface of the Live service: a connection, its messages, and the tools that the model may use."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from pydantic import SecretStr


@dataclass(frozen=True, slots=True)
class ReplyAudio:
    """A piece of the reply: 24 kHz PCM of any length, usually ahead of its time."""

    pcm: bytes


@dataclass(frozen=True, slots=True)
class GenerationEnded:
    """The model has generated this whole reply (generationComplete)."""


@dataclass(frozen=True, slots=True)
class TurnComplete:
    """The model's turn is over (turnComplete), after a reply, an interruption, or nothing at all."""

    rejected: str = ""
    """The service's reason for rejecting the turn (turnCompleteReason); empty: it did not reject it."""


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The visitor spoke into the reply: its unheard rest is void."""


@dataclass(frozen=True, slots=True)
class GoAway:
    """The service will close this connection in `left_s` seconds (goAway)."""

    left_s: float


@dataclass(frozen=True, slots=True)
class ResumptionUpdate:
    """A new resumption handle; earlier ones are void."""

    handle: SecretStr


MOST_TOKENS: Final = 10_000_000
"""The most tokens of one exchange; a greater number is an error of the service."""


@dataclass(frozen=True, slots=True)
class UsageReported:
    """Usage billed for the exchange just ended: tokens of the whole context in, tokens of the reply out."""

    prompt_tokens: int
    response_tokens: int

    @property
    def plausible(self) -> bool:
        """Whether one exchange can have cost this: both numbers are within `MOST_TOKENS`."""
        return 0 <= self.prompt_tokens <= MOST_TOKENS and 0 <= self.response_tokens <= MOST_TOKENS


@dataclass(frozen=True, slots=True)
class SpokenText:
    """A piece of speech, as the service has transcribed it. No repr and no log shows it."""

    by_visitor: bool
    text: str = field(repr=False)
    language: str = ""
    """The BCP-47 tag of its language, or empty where the service gave none."""


@dataclass(frozen=True, slots=True)
class ReplyText:
    """A piece of the reply that came as text instead of sound. No repr and no log shows it."""

    text: str = field(repr=False)


Scheduling = Literal["silent", "when_idle", "interrupt"]
"""Use of a non-blocking tool's answer by the model: never aloud, once the model is silent, or at once."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model wants to run a tool. `id` is valid in this connection."""

    id: str
    name: str
    arguments: Mapping[str, object] = field(repr=False)
    """JSON as the model wrote it, unchecked."""
    fault: str = ""
    """Reason, in words for the model, why the call cannot be run; it becomes the answer. Empty: it can."""


@dataclass(frozen=True, slots=True)
class ToolsCalled:
    """Calls of one message, in order."""

    calls: Sequence[ToolCall]


@dataclass(frozen=True, slots=True)
class ToolCallsCancelled:
    """The model no longer waits for these calls (toolCallCancellation): stop them, and do not answer."""

    ids: Sequence[str]


@dataclass(frozen=True, slots=True)
class ToolAnswer:
    """Answer to a call. Each call gets one answer, over the connection by which it came."""

    id: str
    name: str
    result: Mapping[str, object] = field(repr=False)
    """JSON: `status`, `retryable`, `message`, and the data."""
    scheduling: Scheduling | None = None
    """None for a blocking tool."""
    picture: bytes | None = field(default=None, repr=False)
    """A JPEG that the model sees in the same turn as this answer."""


class Tool(Protocol):
    """A function that the model is allowed to call."""

    @property
    def name(self) -> str:
        """Name for the model: letters, digits and _, at most 64."""

    @property
    def description(self) -> str:
        """Description for the model."""

    @property
    def parameters(self) -> Mapping[str, object]:
        """JSON Schema of the arguments; its type is object."""

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
        """Whether it resumed the session of its handle."""

    @property
    def delivered(self) -> int:
        """Number of frames of `send_audio` that the service has taken in, by the best evidence there is.

        It counts from the connection's first frame and never falls. It rises while the connection is used,
        and is final after its context was left. Later frames may be sent again over the next connection. So a
        counted frame is never lost, and an uncounted one is never heard twice.
        """

    async def receive(self) -> Sequence[Message]:
        """Return the parts of the service's next message in order; the list may be empty.

        Safe to cancel: nothing is lost. Only one caller at a time. Keep calling: unread messages stall the
        connection.

        Raises:
            LinkLost: the connection is over, or the service has been silent for too long.
        """

    async def send_audio(self, frame: bytes) -> None:
        """Send one frame of 16 kHz PCM.

        Raises:
            LinkLost: the connection is over, or did not take the frame within 5 s.
        """

    async def begin_audio(self) -> None:
        """Tell the service that the visitor begins to speak (activityStart), if the kiosk itself decides on
        turns.

        Raises:
            LinkLost: as `send_audio`.
        """

    async def end_audio(self) -> None:
        """Tell the service that the microphone pauses, so that it does not wait for the end of a sentence.

        The message is audioStreamEnd if the service decides on turns, and activityEnd if the kiosk does.

        Raises:
            LinkLost: as `send_audio`.
        """

    @property
    def backlog(self) -> int:
        """Bytes that were sent and have not left this machine yet; more than a frame or two is congestion."""

    @property
    def written(self) -> int:
        """Bytes ever sent over the connection."""

    @property
    def arrived(self) -> int:
        """Bytes of `written` that the peer has acknowledged. The rest waits here, in a modem, or
        on its way.
        """

    async def send_picture(self, jpeg: bytes) -> None:
        """Send one picture, which the service adds to the visitor's turn (see its turn coverage).

        Raises:
            LinkLost: as `send_audio`.
        """

    async def show_pictures(self, jpegs: Sequence[bytes]) -> None:
        """Add pictures to the model's context for all later turns, without a request to answer.

        Raises:
            LinkLost: as `send_audio`.
        """

    async def answer(self, answers: Sequence[ToolAnswer]) -> None:
        """Answer calls that came by this connection.

        The turn that the answer belongs to sees its picture, whatever the model's rule for pictures in
        mid-turn.

        Raises:
            LinkLost: as `send_audio`.
        """

    async def send_text(self, text: str) -> None:
        """Send `text` as the visitor's turn; the model answers aloud.

        Raises:
            LinkLost: as `send_audio`.
        """


class Live(Protocol):
    """The Live service."""

    async def check(self) -> None:
        """Read credentials and certificates once, outside the loop's thread. It loads no client library.

        Raises:
            ConfigError: there are no credentials, or a file named in the settings cannot be used.
        """

    async def warm_up(self) -> None:
        """Do once, outside the loop's thread, everything that would delay the first `connect`: `check`,
        imports, models.

        Raises:
            ConfigError: as `check`.
        """

    def connect(
        self, handle: SecretStr | None, recall: Sequence[SpokenText] = ()
    ) -> AbstractAsyncContextManager[Connection]:
        """Dial, set up, and yield a `Connection`; close it on leaving, within 2 s whatever the peer does.

        A `handle` resumes its session. Without one a new session begins, and first gets the transcript of the
        old one (`recall`, oldest first), without answering it. Entering ends within 20 s (10 s to open, 10 s
        to set up). It takes longer if a refused setup is dialed again in another way. Cancelling leaves
        nothing open.

        Raises:
            LinkLost: the connection could not be made; its `remedy` says what may help.
            ConfigError: a file named in the settings cannot be used.
        """
