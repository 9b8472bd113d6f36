"""Commands of remote control. The socket decides who is allowed to send them."""

import asyncio
import contextlib
import logging
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from typing import Final, NoReturn

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
from kioskd.errors import ConfigError, KioskError
from kioskd.flow.audio.level_meters import LevelMeters
from kioskd.flow.controls.kiosk_view import AnnouncementWish, KioskView, SubjectsView
from kioskd.flow.reporting.journal import described, wrong
from kioskd.flow.reporting.metrics import MetricCounts
from kioskd.ports import Clock, FollowCaptions, SendLine

log = logging.getLogger(__name__)

STEP_S: Final = 2.0
"""The most seconds that the core gets for one event. It needs a millisecond."""

RELOAD_S: Final = 40.0
"""The most seconds to read new settings and to try them. A Pi needs seconds to load a library."""

TICK_S: Final = 0.1
WATCHERS: Final = 4
"""The most members of the group that watch, and the most owners: half of their places at the socket.

So there is always a place to ask for the status.
"""

QUESTION_CHARS: Final = 4000

SHOWN_KEYS: Final = 10
"""The most names of subjects that a message lists."""
_TAG: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*")
_CLOCK_TIME: Final = re.compile("(?:[01][0-9]|2[0-3]):[0-5][0-9]")

LOG_LEVELS: Final = ("debug", "info", "warning")


class RequestRefused(Exception):
    """The request cannot be done now. The message says why, and what to do."""


class RemoteControl:
    """Answers the requests from the control socket."""

    def __init__(
        self,
        kiosk: KioskView,
        tally: MetricCounts,
        meters: LevelMeters,
        clock: Clock,
        *,
        fit: Callable[[bytes], Awaitable[bytes]],
        captions: FollowCaptions | None = None,
    ) -> None:
        """`fit` converts a picture for the service, or raises ValueError with the cause. `captions`: None if
        they are off.
        """
        self._captions = captions
        self._kiosk = kiosk
        self._tally = tally
        self._meters = meters
        self._clock = clock
        self._fit = fit
        self._watchers: Counter[bool] = Counter()
        """The clients that watch, by whether they are owners. Owners have places of their own."""
        self._metered = 0
        """The clients that are sent the levels."""
        self._decoding = asyncio.Lock()
        """Only one picture is decoded at a time: two large ones do not fit into a small machine's memory."""
        self._waiting: dict[int, tuple[Event, asyncio.Future[State]]] = {}

    def observe(
        self, _now: float, event: Event, _before: State, after: State, _effects: tuple[Effect, ...]
    ) -> None:
        """Note the state after an event of ours; see `engine.Observer`. Call it after the `MetricCounts`."""
        if (waiting := self._waiting.pop(id(event), None)) is not None and not waiting[1].done():
            waiting[1].set_result(after)

    async def handle(
        self, request: Mapping[str, object], attachment: bytes, answer: SendLine, *, privileged: bool
    ) -> None:
        """Do a request, and answer it. `privileged`: it comes from root or the daemon's own user."""
        try:
            match request:
                case {"do": "status"}:
                    told = self.status()
                case {"do": "metrics"}:
                    told = {
                        "text": await asyncio.to_thread(
                            self._kiosk.metrics.render, self._kiosk.metrics.families()
                        )
                    }
                case {"do": "watch"}:
                    with self._place_to_watch(privileged=privileged):
                        await self._watch(answer)
                    return
                case {"do": "captions"}:
                    with self._place_to_watch(privileged=privileged):
                        await self._follow_captions(answer)
                    return
                case {"do": "say"}:
                    told = dict(await self._say(request, attachment))
                case {"do": "said", "number": int(number)}:
                    await self._said(number)
                    told = {}
                case _:
                    told = await self._act(request, attachment, privileged=privileged)
        except RequestRefused as refusal:
            await answer({"ok": False, "why": str(refusal)})
        else:
            await answer({"ok": True, **told})

    def status(self) -> dict[str, object]:
        """Return the status: words for people, numbers for programs. No speech, no picture, no secret."""
        tally, kiosk = self._tally, self._kiosk
        features = kiosk.features
        state, now = tally.state, self._clock.now()
        awake = state.turn.awake
        up_s = None if tally.up_since is None else round(now - tally.up_since, 1)
        ends_in_s = features.time.ends_in_s()
        return {
            "state": str(tally.show.shown),
            "code": tally.show.code and str(tally.show.code),
            "words": kiosk.display.words,
            "troubles": [described(each) for each in tally.show.troubles],
            "conversation": state.turn.conversation if awake else None,
            "turn": tally.turn if awake else None,
            "profile": features.time.profile,
            "ends_in_s": None if ends_in_s is None else round(ends_in_s, 1),
            "link": {
                "phase": state.link.phase.name.lower(),
                "epoch": state.link.epoch,
                "age_s": up_s,
                "held_s": round(kiosk.uplink.held_s, 2),
                "tries": state.link.tries,
            },
            "microphone": _microphone(state),
            "speaker": "missing" if Device.SPEAKER in state.missing else "working",
            "camera": kiosk.pictures.status,
            "subject": _key(features.subjects),
            "presence": None if features.presence is None else features.presence.status,
            "captions": "off" if self._captions is None else "on",
            "announcements": features.announcements.status(),
            "tools_left_out": kiosk.tools.left_out(),
            "tool_conditions": list(kiosk.tools.conditions()),
            "fleet": None if features.fleet is None else {"connected": features.fleet.connected},
            "volume": kiosk.volume.percent,
            "muted": state.muted,
            "uptime_s": round(now - tally.started_at, 1),
            "version": __version__,
            "log_level": kiosk.journal.log_level,
            "counts": {family.name: family.flat for family in kiosk.metrics.families()},
        }

    async def _act(
        self, request: Mapping[str, object], attachment: bytes, *, privileged: bool
    ) -> dict[str, object]:
        told: dict[str, object] = {}
        match request:
            case {"do": "wake"}:
                await self._wake(request.get("about"), request.get("profile"))
            case {"do": "sleep"}:
                await self._step(SleepRequested())
            case {"do": "hush"}:
                await self._step(ReplySilenced())
            case {"do": "mute" | "unmute" as do}:
                await self._step(MuteRequested(muted=do == "mute"))
            case {"do": "volume", "percent": int(percent)} if type(percent) is int:
                told = {"volume": self._kiosk.volume.set_volume(percent)}
            case {"do": "ask", "text": str(text)}:
                await self._ask(text.strip())
            case {"do": "show"}:
                told = {"jpeg_bytes": await self._show(attachment)}
            case {"do": "look"}:
                await self._look()
            case {"do": "log", "level": str(level)} if level in LOG_LEVELS:
                self._kiosk.journal.set_log_level(level)
            case {"do": "reload"}:
                told = await self._reload()
            case {"do": "key", "key": str(key)}:
                await self._take_key(SecretStr(key), privileged=privileged)
            case _:
                raise RequestRefused(
                    "kioskd does not know this request; do the command and the daemon have the same version?"
                )
        log.info("command from the control socket: do=%s", request["do"])
        return {"state": str(self._tally.show.shown), "words": self._kiosk.display.words, **told}

    async def _wake(self, line: object, profile: object) -> None:
        """Wake the kiosk, as `kioskd wake` does, which may choose a subject and a profile."""
        names, subjects = self._kiosk.features.time.names, self._kiosk.features.subjects
        if profile is not None and profile not in names:
            known = f"use one of {', '.join(names)}" if names else "the settings have none"
            raise RequestRefused(f"there is no such profile: {known} (assistant.profiles)")
        event = Woken(WakeCause.REMOTE)
        if line is not None:
            if subjects is None:
                raise RequestRefused("the kiosk has no subjects; add subjects to the configuration")
            if (called := subjects.call(str(line), WakeCause.REMOTE)) is not None:
                event = called
            else:
                known = ", ".join(subjects.keys[:SHOWN_KEYS])
                more = ", ..." if len(subjects.keys) > SHOWN_KEYS else ""
                raise RequestRefused(f"no subject has this name; write one of {known}{more}")
        chosen = None if profile is None else str(profile)
        _must_be_awake(await self._step(replace(event, profile=chosen)))

    async def _ask(self, text: str) -> None:
        text = sanitize.text(text)
        if not 0 < len(text) <= QUESTION_CHARS:
            raise RequestRefused(f"write a question of 1 to {QUESTION_CHARS} characters")
        # The core first: a question to a kiosk that does not wake would otherwise reach its next visitor.
        _must_be_awake(await self._step(TextSubmitted()))
        self._tell(text)

    async def _say(self, request: Mapping[str, object], recording: bytes) -> Mapping[str, object]:
        match request:
            case {"text": str(text)} if text.strip() or recording:
                pass
            case _:
                raise RequestRefused("write the words to speak, or send a recording")
        language, at = request.get("language"), request.get("at")
        if not (language is None or (isinstance(language, str) and _TAG.fullmatch(language))):
            raise RequestRefused("the language is not a language tag; write, for example, en-GB")
        if not (at is None or (isinstance(at, str) and _CLOCK_TIME.fullmatch(at))):
            raise RequestRefused("the time is not a time of day; write HH:MM, for example 17:45")
        wish = AnnouncementWish(
            text.strip(), recording or None, language=language, at=at, now=request.get("now") is True
        )
        try:
            return await self._kiosk.features.announcements.say(wish)
        except KioskError as error:
            raise RequestRefused(str(error)) from None

    async def _said(self, number: int) -> None:
        try:
            why = await self._kiosk.features.announcements.ended(number)
        except KioskError as error:
            raise RequestRefused(str(error)) from None
        if why:
            raise RequestRefused(f"the announcement was not spoken to its end: {why}")

    async def _look(self) -> None:
        if self._kiosk.pictures.status == "none":
            raise RequestRefused("the kiosk has no camera; set camera.source in the configuration")
        _must_be_awake(await self._step(SnapshotRequested()))
        if why := await self._kiosk.pictures.snapshot_result():
            raise RequestRefused(f"the model did not get the picture: {why}")

    async def _show(self, attachment: bytes) -> int:
        if not attachment:
            raise RequestRefused("the request holds no picture")
        try:
            async with self._decoding:
                jpeg = await self._fit(attachment)
        except ValueError as error:
            raise RequestRefused(f"the model did not get the picture: {error}") from error
        _must_be_awake(await self._step(Woken(WakeCause.REMOTE)))
        self._tell(jpeg)
        return len(jpeg)

    async def _reload(self) -> dict[str, object]:
        """Return the result of a reload. A file with faults is no error here: the file was read, as asked."""
        try:
            async with asyncio.timeout(RELOAD_S):
                return {"later": list(await self._kiosk.owner.reload()), "faults": []}
        except ConfigError as error:
            return {"later": [], "faults": str(error).splitlines()}
        except TimeoutError:
            raise RequestRefused(
                f"the settings were not read within {RELOAD_S:.0f} s; see the journal"
            ) from None

    async def _take_key(self, key: SecretStr, *, privileged: bool) -> None:
        if not privileged:
            raise RequestRefused(
                "only root and the daemon's own user can change the key; run sudo kioskd key"
            )
        try:
            self._kiosk.owner.take_key(key)
        except ConfigError as error:
            raise RequestRefused(str(error)) from None
        # A rejected service is dialed at once. A conversation takes the new key in a quiet moment.
        await self._step(SettingsChanged())

    def _tell(self, what: str | bytes) -> None:
        if not self._kiosk.tell(what):
            _must_be_awake(self._tally.state)
            raise RequestRefused(
                "too many questions and pictures wait for the service; try again when it has answered"
            )

    async def _step(self, event: Event) -> State:
        """Post an event to the core, and return the state after it."""
        after: asyncio.Future[State] = asyncio.get_running_loop().create_future()
        late = self._clock.call_later(STEP_S, lambda: _give_up(after))
        self._waiting[id(event)] = event, after
        try:
            self._kiosk.post(event)
            return await after
        finally:
            late.cancel()
            self._waiting.pop(id(event), None)

    @contextlib.contextmanager
    def _place_to_watch(self, *, privileged: bool) -> Iterator[None]:
        """Take one of the places of the clients that watch, for the time of the block."""
        if self._watchers[privileged] >= WATCHERS:
            raise RequestRefused(f"{WATCHERS} other clients watch already; stop one of them")
        self._watchers[privileged] += 1
        try:
            yield
        finally:
            self._watchers[privileged] -= 1

    async def _watch(self, answer: SendLine) -> NoReturn:
        """Send the status ten times a second, until the client leaves."""
        self._metered += 1
        self._meters.watch(on=True)
        seen = 0
        try:
            while True:
                lines, seen = self._kiosk.journal.recent(seen)
                await answer({"ok": True, **self.status(), "levels": self._meters.levels, "events": lines})
                await self._clock.sleep(TICK_S)
        finally:
            self._metered -= 1
            if not self._metered:
                self._meters.watch(on=False)

    async def _follow_captions(self, answer: SendLine) -> NoReturn:
        """Send the captions, until the client leaves."""
        if self._captions is None:
            raise RequestRefused(
                "captions are off; set captions.stream: true in the configuration, and restart kioskd"
            )
        await self._captions(lambda message: answer({"ok": True, **message}))


def _key(subjects: SubjectsView | None) -> str | None:
    """Return the name of the present subject; None if there is none."""
    current = None if subjects is None else subjects.current
    return None if current is None else current.key


def _must_be_awake(state: State) -> None:
    """Raise if the kiosk did not wake.

    Raises:
        RequestRefused: the cause, and what to do.
    """
    if state.turn.awake:
        return
    if state.muted:
        raise RequestRefused("the kiosk is muted; run kioskd unmute first")
    if code := broken(state) or state.closed:
        what = state.opens if code is state.closed else ""
        raise RequestRefused(f"the kiosk cannot wake: {wrong(Trouble(code, what))} (code {code})")
    raise RequestRefused("the kiosk fell asleep at once; see the journal")


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
