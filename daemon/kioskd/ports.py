"""What the daemon needs of the world: one small Protocol a thing, and the values that pass.

An adapter touches one outside thing and meets one of these; `tests/contract/` runs one suite over all who claim to.
Callbacks named `sink`, `on_…` are plain functions called in the event loop's thread; they return at once.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Final, Literal, NoReturn, Protocol

from pydantic import SecretStr

from kioskd.errors import Code
from kioskd.media import pcm

__all__ = [
    "DARK",
    "Button",
    "Camera",
    "Cancellable",
    "Clock",
    "Connection",
    "Edge",
    "GenerationEnded",
    "GoingAway",
    "HandleIssued",
    "Interrupted",
    "Keepsake",
    "Lamp",
    "Light",
    "Live",
    "Memory",
    "Message",
    "Microphone",
    "Network",
    "Notifier",
    "Preferences",
    "Prompts",
    "ReplyAudio",
    "Said",
    "Scheduling",
    "Sight",
    "Source",
    "Speaker",
    "TimeEvidence",
    "Tool",
    "ToolAnswer",
    "ToolCall",
    "ToolCallsCancelled",
    "ToolsCalled",
    "TurnEnded",
    "UsageReported",
    "Wrote",
    "pcm",
]


class Cancellable(Protocol):
    """Something that is going to happen."""

    def cancel(self) -> None:
        """Keep it from happening; does nothing when it has happened."""


class Clock(Protocol):
    """Time as the daemon sees it; tests move it by hand."""

    def now(self) -> float:
        """Return monotonic seconds from an arbitrary start."""

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Cancellable:
        """Call `callback` in the loop's thread after `seconds`, unless it is cancelled before."""


class TimeEvidence(Protocol):
    """What the machine knows of its own clock. Calls may read a file of the kernel's: they take no time."""

    def synchronised(self) -> bool:
        """Return whether a time server keeps the wall clock right, as far as the machine can tell."""

    def boot(self) -> tuple[str, float]:
        """Return a name for this run of the machine, and the seconds since it began, sleep included."""


class Microphone(Protocol):
    """A capture device, whatever its own rate and channels."""

    async def capture(self, sink: Callable[[bytes], None]) -> NoReturn:
        """Open the device and hand each frame to `sink` until cancelled.

        A frame is `pcm.FRAME_BYTES` long (20 ms, 16 kHz). Frames come in order, without gaps while the device
        gives none. Cancelling closes the device before it returns; another `capture` may follow.

        Raises:
            DeviceLost: the device is not there, went away, or has delivered nothing for a second.
        """


class Source(Protocol):
    """Where a speaker fetches what it plays."""

    def pull(self, byte_count: int) -> bytes:
        """Return exactly `byte_count` bytes (24 kHz): speech, or silence where there is none.

        Called from the device's own thread, every 10 ms; never blocks.
        """


class Speaker(Protocol):
    """A playback device, whatever its own rate and channels."""

    @property
    def latency_s(self) -> float:
        """Seconds from a `pull` to the air, as the device says while it plays; 0.0 before."""

    async def play(self, source: Source) -> NoReturn:
        """Open the device and play from `source` until cancelled.

        The device is fed without a pause (silence included), so it never starves. Cancelling closes the device
        before it returns; another `play` may follow.

        Raises:
            DeviceLost: the device is not there, went away, or has taken nothing for a second.
        """


@dataclass(frozen=True, slots=True)
class Edge:
    """A button went down or up."""

    down: bool
    at_s: float | None = None
    """When the kernel saw it, in seconds of CLOCK_MONOTONIC (`Clock.now`). None: the kernel did not say."""


class Button(Protocol):
    """Something a visitor presses. Debounced by the adapter; what a press means is not its business."""

    async def watch(self, on_edge: Callable[[Edge], None]) -> NoReturn:
        """Call `on_edge` first with how the button is, then at each press and release, until cancelled.

        Raises:
            DeviceLost: the line or device is not there, or went away.
        """

    def catch_up(self) -> None:
        """Report each edge that has happened and waits to be read, before this returns.

        A loop that starves may run a timer before it reads the edges that came first. The owner of
        that timer calls this before it judges. It does nothing while `watch` does not run, and a
        device that is gone raises from `watch` alone.
        """


@dataclass(frozen=True, slots=True)
class Light:
    """How a lamp looks at one moment."""

    state: str
    """What it tells, for lamps that have their own idea of a picture: a state shown to people."""
    red: float
    green: float
    blue: float
    """Each from 0 (dark) to 1 (as bright as the lamp can); brightness and rhythm are in it already."""
    code: str = ""
    """What is wrong, for the same lamps: a code, or nothing. The rhythm tells it already, where it is to be told."""
    overlay: str = ""
    """What lies over the state, for the same lamps, or nothing; the rhythm is its own already."""
    asking: str = ""
    """The tool that waits for a press of the button, with the overlay of that."""

    @property
    def level(self) -> float:
        """The brightness of a lamp without colours, 0 to 1."""
        return max(self.red, self.green, self.blue)


DARK = Light("starting", 0.0, 0.0, 0.0)


class Lamp(Protocol):
    """Whatever shows the state: a line, several, a kernel LED, a command."""

    def shine(self, light: Light) -> None:
        """Look like `light` from now on; returns at once. Remembered while the lamp is not driven."""

    async def run(self) -> NoReturn:
        """Drive the lamp until cancelled, then put it out.

        Raises:
            DeviceLost: the line is not there, or went away.
        """


class Sight(Protocol):
    """A camera that is running."""

    async def shoot(self) -> bytes:
        """Return a fresh picture: a JPEG of at most the configured size, upright, without metadata.

        Encoding happens off the loop. Safe to cancel.

        Raises:
            DeviceLost: the camera went away, or has delivered nothing for 5 s.
        """


class Camera(Protocol):
    """Something that sees. It runs only while somebody is in the context of `look`."""

    def look(self) -> AbstractAsyncContextManager[Sight]:
        """Start the camera and yield what it sees; stop it on the way out, so that its own light goes out.

        Entering ends within 10 s. May be entered again after it was left, as often as wanted: nothing is allocated
        anew then. One at a time.

        Raises:
            DeviceLost: the camera is not there, or does not start.
        """

    async def released(self) -> None:
        """Return when the camera is off: at once where nobody looks, and late, or never, where its stop hangs."""

    async def aclose(self) -> None:
        """Let go of what is kept open between looks; ends within 5 s. Nobody looks afterwards."""


class Notifier(Protocol):
    """The service manager. Every call returns at once, and does nothing where there is no manager."""

    @property
    def watchdog_s(self) -> float | None:
        """The manager's deadline between two signs of life, in seconds; None where it sets none."""

    def ready(self) -> None:
        """Say that the daemon can serve."""

    def status(self, text: str) -> None:
        """Say in words what the daemon is doing."""

    def alive(self) -> None:
        """Give one sign of life."""

    def reloading(self) -> None:
        """Say that new settings are being read; `ready` says that they hold, or that the old ones do."""

    def stopping(self) -> None:
        """Say that the daemon is on its way out."""


class Keepsake(Protocol):
    """What outlives a process that is killed in mid-conversation."""

    def recover(self) -> tuple[int, SecretStr] | None:
        """Return the number and handle of the conversation that another process left, and forget them."""

    def keep(self, conversation: int, handle: SecretStr) -> None:
        """Replace what is kept."""

    def forget(self) -> None:
        """Keep nothing."""


@dataclass(frozen=True, slots=True)
class Preferences:
    """What people have set by hand, and what is to hold after a restart, too."""

    volume: int | None = None
    """Percent; None as long as nobody has touched it."""
    muted: bool = False


class Memory(Protocol):
    """Where preferences outlive the process and the machine's run."""

    def load(self) -> Preferences:
        """Return what was saved last; the defaults where there is nothing, or nothing readable."""

    def save(self, preferences: Preferences) -> None:
        """Replace what is kept. Blocks.

        Raises:
            OSError: it cannot be written; what was kept before stays.
        """


class Prompts(Protocol):
    """What the kiosk has to say for itself when the service cannot: by code."""

    async def prepare(self) -> None:
        """Make ready what is to be said; takes seconds the first time. Trouble with it is said, and not raised."""

    def get(self, code: Code) -> bytes | None:
        """Return a prompt's sound, 24 kHz PCM; None where there is none (yet)."""

    async def question(self, name: str, words: str) -> bytes | None:
        """Return a question for a press aloud, 24 kHz PCM; None where it cannot be said, which is logged.

        `name`: of the tool that asks; `words`: the owner's own for it, or nothing. Cancelling ends it.
        """


class Network(Protocol):
    """This machine's way to the world."""

    async def watch(self, on_change: Callable[[], None]) -> NoReturn:
        """Call `on_change` when there is a way out that is new or back, until cancelled."""


@dataclass(frozen=True, slots=True)
class ReplyAudio:
    """A piece of the reply: 24 kHz PCM, of any length, earlier than it is wanted."""

    pcm: bytes


@dataclass(frozen=True, slots=True)
class GenerationEnded:
    """The model has said all of this reply (generationComplete)."""


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """The model's turn is over (turnComplete), after a reply, an interruption, or nothing at all."""

    rejected: str = ""
    """Why the service rejected the turn, in its own word (turnCompleteReason); empty for a turn that it did not."""


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The visitor spoke into the reply: what of it was not heard is void."""


@dataclass(frozen=True, slots=True)
class GoingAway:
    """The service will close this connection in `left_s` seconds (goAway)."""

    left_s: float


@dataclass(frozen=True, slots=True)
class HandleIssued:
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
class Said:
    """A piece of what was said, as the service has understood it (transcription). Shown by no repr and no log."""

    by_visitor: bool
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Wrote:
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
    | TurnEnded
    | Interrupted
    | GoingAway
    | HandleIssued
    | UsageReported
    | Said
    | Wrote
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
        self, handle: SecretStr | None, recall: Sequence[Said] = ()
    ) -> AbstractAsyncContextManager[Connection]:
        """Dial, set up, and yield a `Connection`; close it on the way out, within 2 s whatever the peer does.

        With a `handle` the session behind it goes on. Without one a new session begins, and is told first what was
        said before (`recall`, oldest first), without answering it. Entering ends within 20 s (10 s to open, 10 s to
        set up), or later where a refused setup is dialed again in another way. Cancelling leaves nothing open.

        Raises:
            LinkLost: the connection could not be made; its `remedy` says what may help.
            ConfigError: what the settings name cannot be used.
        """
