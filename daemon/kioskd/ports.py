"""What the daemon needs of the world: one small Protocol a thing, and the values that pass.

An adapter touches one outside thing and meets one of these; `tests/contract/` runs one suite over all who claim to.
Callbacks named `sink`, `on_…` are plain functions called in the event loop's thread; they return at once.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import NoReturn, Protocol

from pydantic import SecretStr

from kioskd.media import pcm

__all__ = [
    "Button",
    "Cancellable",
    "Clock",
    "Connection",
    "GenerationEnded",
    "GoingAway",
    "HandleIssued",
    "Interrupted",
    "Keepsake",
    "Lamp",
    "Live",
    "Message",
    "Microphone",
    "Network",
    "Notifier",
    "ReplyAudio",
    "Said",
    "Source",
    "Speaker",
    "TurnEnded",
    "UsageReported",
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


class Button(Protocol):
    """Something a visitor presses. Debounced by the adapter."""

    async def watch(self, on_press: Callable[[], None]) -> NoReturn:
        """Call `on_press` at each press until cancelled.

        Raises:
            DeviceLost: the line or device is not there, or went away.
        """


class Lamp(Protocol):
    """Whatever shows the state."""

    def show(self, state: str) -> None:
        """Show `state`, one of the states shown to people; returns at once."""

    async def run(self) -> NoReturn:
        """Drive the light until cancelled, then put it out.

        Raises:
            DeviceLost: the line is not there, or went away.
        """


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


@dataclass(frozen=True, slots=True)
class UsageReported:
    """What the service will bill for the exchange it ends: tokens of the whole context in, and of the reply out."""

    prompt_tokens: int
    response_tokens: int


@dataclass(frozen=True, slots=True)
class Said:
    """A piece of what was said, as the service has understood it (transcription). Shown by no repr and no log."""

    by_visitor: bool
    text: str = field(repr=False)


Message = (
    ReplyAudio | GenerationEnded | TurnEnded | Interrupted | GoingAway | HandleIssued | UsageReported | Said
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

    async def end_audio(self) -> None:
        """Say that the microphone pauses (audioStreamEnd), so that nobody waits for the end of a sentence.

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
        set up). Cancelling leaves nothing open.

        Raises:
            LinkLost: the connection could not be made; its `remedy` says what may help.
            ConfigError: what the settings name cannot be used.
        """
