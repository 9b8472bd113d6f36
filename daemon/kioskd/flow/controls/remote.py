"""Requests from outside -> what the kiosk does and says of itself. Who may ask, and how, is the socket's business."""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Final, Protocol

from pydantic import SecretStr

from kioskd import __version__, sanitize
from kioskd.core.effects import Effect
from kioskd.core.events import (
    Device,
    Event,
    MuteRequested,
    ReplySilenced,
    SettingsChanged,
    SleepRequested,
    SnapshotRequested,
    TextSubmitted,
    WakeCause,
    Woken,
)
from kioskd.core.machine import State
from kioskd.core.troubles import Trouble, broken
from kioskd.errors import ConfigError
from kioskd.flow.audio.level_meters import LevelMeters
from kioskd.flow.reporting.journal import described, wrong
from kioskd.flow.reporting.metrics import MetricCounts
from kioskd.ports import Clock, MetricFamily, SendLine

log = logging.getLogger(__name__)

STEP_S: Final = 2.0
"""How long the core may take to go through one event; it takes a millisecond."""

RELOAD_S: Final = 40.0
"""How long reading new settings may take, with a trial of what they need. A Pi loads a library in seconds."""

TICK_S: Final = 0.1
WATCHERS: Final = 4
"""Half of the places at the socket, for members and for owners each: who only asks for the status still gets in."""

QUESTION_CHARS: Final = 4000

LOG_LEVELS: Final = ("debug", "info", "warning")


class KioskView(Protocol):
    """The kiosk, as far as somebody at a distance may touch it."""

    @property
    def words(self) -> str:
        """What the service manager is told of the state."""

    @property
    def camera(self) -> str:
        """`none`, `missing`, `off` or `on`."""

    @property
    def tools_left_out(self) -> Sequence[Mapping[str, str]]:
        """The tools that the service refuses, so that the kiosk serves without them: name, place and why."""

    @property
    def held_s(self) -> float:
        """Seconds of sound that wait to be sent."""

    @property
    def volume(self) -> int:
        """Percent."""

    @property
    def log_level(self) -> str:
        """One of `LOG_LEVELS`."""

    def post(self, event: Event) -> None:
        """Tell the core."""

    def tell(self, what: str | bytes) -> bool:
        """Say a text to the model, or show it a JPEG; False: too many wait already, or it is asleep."""

    async def looked(self) -> str:
        """Wait for what becomes of a look that was asked for; return why nothing is shown, or nothing. Ends in 10 s."""

    def set_volume(self, percent: int) -> int:
        """Set the volume as far as the owner lets it; return what it has come to."""

    def set_log_level(self, name: str) -> None:
        """Log from there up, until the next start."""

    async def reload(self) -> Sequence[str]:
        """Take the settings over from their file; return those, as SECTION.NAME, that hold only after a restart.

        Raises:
            ConfigError: the file has faults, a line each; the old settings hold.
        """

    def take_key(self, key: SecretStr) -> None:
        """Have the service opened with this key from the next dial on, in place of the stored one.

        Raises:
            ConfigError: it cannot be one, or the service is not opened by a stored key.
        """

    def families(self) -> list[MetricFamily]:
        """Return all there is to say in numbers."""

    def render(self, families: Iterable[MetricFamily]) -> str:
        """Return Prometheus' text of them; called in a thread."""

    def recent(self, number: int) -> tuple[list[dict[str, str]], int]:
        """Return the journal's lines after line `number`, and the newest one's number."""


class RequestRefused(Exception):
    """It cannot be done now; the message says why, and what to do."""


class RemoteControl:
    """The one who is asked."""

    def __init__(
        self,
        desk: KioskView,
        tally: MetricCounts,
        meters: LevelMeters,
        clock: Clock,
        *,
        fit: Callable[[bytes], Awaitable[bytes]],
    ) -> None:
        """`fit` makes a picture from outside one for the service, or raises ValueError that says why not."""
        self._desk = desk
        self._tally = tally
        self._meters = meters
        self._clock = clock
        self._fit = fit
        self._watchers: Counter[bool] = Counter()
        """By whether they are owners, who have places of their own."""
        self._decoding = asyncio.Lock()
        """One picture at a time: two large ones would not fit into a small machine's memory."""
        self._waiting: dict[int, tuple[Event, asyncio.Future[State]]] = {}

    def observe(
        self, _now: float, event: Event, _before: State, after: State, _effects: tuple[Effect, ...]
    ) -> None:
        """See what came of an event of ours; see `engine.Observer`. To be told after the `MetricCounts`."""
        if (waiting := self._waiting.pop(id(event), None)) is not None and not waiting[1].done():
            waiting[1].set_result(after)

    async def handle(
        self, request: Mapping[str, object], attachment: bytes, answer: SendLine, *, privileged: bool
    ) -> None:
        """Do what is asked, and answer. `privileged`: by root or the daemon's own user, not by a member of the group."""
        try:
            match request:
                case {"do": "status"}:
                    told = self.status()
                case {"do": "metrics"}:
                    told = {"text": await asyncio.to_thread(self._desk.render, self._desk.families())}
                case {"do": "watch"}:
                    await self._watch(answer, privileged=privileged)
                    return
                case _:
                    told = await self._act(request, attachment, privileged=privileged)
        except RequestRefused as refusal:
            await answer({"ok": False, "why": str(refusal)})
        else:
            await answer({"ok": True, **told})

    def status(self) -> dict[str, object]:
        """Return what there is to know: words for people, numbers for programs. No speech, no picture, no secret."""
        tally, desk = self._tally, self._desk
        state, now = tally.state, self._clock.now()
        awake = state.turn.awake
        up_s = None if tally.up_since is None else round(now - tally.up_since, 1)
        return {
            "state": str(tally.show.shown),
            "code": tally.show.code and str(tally.show.code),
            "words": desk.words,
            "troubles": [described(each) for each in tally.show.troubles],
            "conversation": state.turn.conversation if awake else None,
            "turn": tally.turn if awake else None,
            "link": {
                "phase": state.link.phase.name.lower(),
                "epoch": state.link.epoch,
                "age_s": up_s,
                "held_s": round(desk.held_s, 2),
                "tries": state.link.tries,
            },
            "microphone": _microphone(state),
            "speaker": "missing" if Device.SPEAKER in state.missing else "working",
            "camera": desk.camera,
            "tools_left_out": desk.tools_left_out,
            "volume": desk.volume,
            "muted": state.muted,
            "uptime_s": round(now - tally.started_at, 1),
            "version": __version__,
            "log_level": desk.log_level,
            "counts": {family.name: family.flat for family in desk.families()},
        }

    async def _act(
        self, request: Mapping[str, object], attachment: bytes, *, privileged: bool
    ) -> dict[str, object]:
        told: dict[str, object] = {}
        match request:
            case {"do": "wake"}:
                _must_be_awake(await self._step(Woken(WakeCause.REMOTE)))
            case {"do": "sleep"}:
                await self._step(SleepRequested())
            case {"do": "hush"}:
                await self._step(ReplySilenced())
            case {"do": "mute" | "unmute" as do}:
                await self._step(MuteRequested(muted=do == "mute"))
            case {"do": "volume", "percent": int(percent)} if type(percent) is int:
                told = {"volume": self._desk.set_volume(percent)}
            case {"do": "ask", "text": str(text)}:
                await self._ask(text.strip())
            case {"do": "show"}:
                told = {"jpeg_bytes": await self._show(attachment)}
            case {"do": "look"}:
                await self._look()
            case {"do": "log", "level": str(level)} if level in LOG_LEVELS:
                self._desk.set_log_level(level)
            case {"do": "reload"}:
                told = await self._reload()
            case {"do": "key", "key": str(key)}:
                await self._take_key(SecretStr(key), privileged=privileged)
            case _:
                raise RequestRefused(
                    "not a request that this kioskd knows; is the command of another version?"
                )
        log.info("asked at the control socket: do=%s", request["do"])
        return {"state": str(self._tally.show.shown), "words": self._desk.words, **told}

    async def _ask(self, text: str) -> None:
        text = sanitize.text(text)
        if not 0 < len(text) <= QUESTION_CHARS:
            raise RequestRefused(f"a question has 1 to {QUESTION_CHARS} characters")
        # First the core: what is told to a kiosk that does not wake would be said to its next visitor.
        _must_be_awake(await self._step(TextSubmitted()))
        self._tell(text)

    async def _look(self) -> None:
        if self._desk.camera == "none":
            raise RequestRefused("there is no camera; set camera.source in the configuration")
        _must_be_awake(await self._step(SnapshotRequested()))
        if why := await self._desk.looked():
            raise RequestRefused(f"not shown: {why}")

    async def _show(self, attachment: bytes) -> int:
        if not attachment:
            raise RequestRefused("there is no picture in the request")
        try:
            async with self._decoding:
                jpeg = await self._fit(attachment)
        except ValueError as error:
            raise RequestRefused(f"not shown: {error}") from error
        _must_be_awake(await self._step(Woken(WakeCause.REMOTE)))
        self._tell(jpeg)
        return len(jpeg)

    async def _reload(self) -> dict[str, object]:
        """Return what came of it. The faults of a file are no refusal: it was read, as asked."""
        try:
            async with asyncio.timeout(RELOAD_S):
                return {"later": list(await self._desk.reload()), "faults": []}
        except ConfigError as error:
            return {"later": [], "faults": str(error).splitlines()}
        except TimeoutError:
            raise RequestRefused(
                f"the settings were not read within {RELOAD_S:.0f} s; see the journal"
            ) from None

    async def _take_key(self, key: SecretStr, *, privileged: bool) -> None:
        if not privileged:
            raise RequestRefused("a key is taken from root and the daemon's own user only; sudo kioskd key")
        try:
            self._desk.take_key(key)
        except ConfigError as error:
            raise RequestRefused(str(error)) from None
        # What was refused is tried at once; a conversation moves to a connection with the new key in a quiet moment.
        await self._step(SettingsChanged())

    def _tell(self, what: str | bytes) -> None:
        if not self._desk.tell(what):
            _must_be_awake(self._tally.state)
            raise RequestRefused(
                "too many questions and pictures wait for the service; try again when it has answered"
            )

    async def _step(self, event: Event) -> State:
        """Tell the core, and return the state that follows."""
        after: asyncio.Future[State] = asyncio.get_running_loop().create_future()
        late = self._clock.call_later(STEP_S, lambda: _give_up(after))
        self._waiting[id(event)] = event, after
        try:
            self._desk.post(event)
            return await after
        finally:
            late.cancel()
            self._waiting.pop(id(event), None)

    async def _watch(self, answer: SendLine, *, privileged: bool) -> None:
        """Say how it stands ten times a second, until the client leaves."""
        if self._watchers[privileged] >= WATCHERS:
            raise RequestRefused(f"{WATCHERS} others watch already")
        self._watchers[privileged] += 1
        self._meters.watch(on=True)
        seen = 0
        try:
            while True:
                lines, seen = self._desk.recent(seen)
                await answer({"ok": True, **self.status(), "levels": self._meters.levels, "events": lines})
                await self._clock.sleep(TICK_S)
        finally:
            self._watchers[privileged] -= 1
            if not self._watchers.total():
                self._meters.watch(on=False)


def _must_be_awake(state: State) -> None:
    """Say why the kiosk did not wake, if it did not.

    Raises:
        Refused: why.
    """
    if state.turn.awake:
        return
    if state.muted:
        raise RequestRefused("it is muted; kioskd unmute ends that")
    if code := broken(state) or state.closed:
        what = state.opens if code is state.closed else ""
        raise RequestRefused(f"it cannot: {wrong(Trouble(code, what))} (code {code})")
    raise RequestRefused("it fell asleep at once; see the journal")


def _give_up(after: "asyncio.Future[State]") -> None:
    if not after.done():
        after.set_exception(
            RequestRefused(f"the daemon did not react within {STEP_S:.0f} s; see its journal")
        )


def _microphone(state: State) -> str:
    if Device.MICROPHONE in state.missing:
        return "missing"
    if state.muted:
        return "closed"
    return "silent" if state.deaf else "working"
