"""Builds what speaks the owner's announcements, when the first one is needed."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kioskd.app.parts import Parts
from kioskd.core.effects import Announce, Effect
from kioskd.core.events import Event
from kioskd.core.levels import State
from kioskd.errors import ConfigError, KioskError
from kioskd.flow.audio.downlink import Downlink
from kioskd.flow.controls.kiosk_view import AnnouncementWish
from kioskd.flow.runtime.workers import Worker
from kioskd.settings.announcements import DAYS, LONGEST, ScheduledAnnouncement, VoiceSettings, within
from kioskd.settings.model import Settings
from kioskd.settings.sandbox import secret_files

if TYPE_CHECKING:
    from kioskd.flow.announcements.announcer import Announcement, Announcer
    from kioskd.flow.announcements.timetable import Timetable
    from kioskd.ports import Clock
    from kioskd.prompts.announcement_voice import AnnouncementVoice
    from kioskd.prompts.voice_program import VoiceProgram

log = logging.getLogger(__name__)

MOST_LATER: Final = 5
"""The most announcements of `kioskd say --at` that wait for their time. Their sound is in memory."""


def voice(settings: Settings, clock: "Clock") -> "AnnouncementVoice":
    """Return the voice of announcements."""
    from kioskd.prompts.announcement_voice import AnnouncementVoice  # noqa: PLC0415 - only if used

    return AnnouncementVoice(voice_program(settings, clock))


def voice_program(settings: Settings, clock: "Clock") -> "VoiceProgram | None":
    """Return the owner's voice program; None if espeak-ng speaks."""
    program = settings.announcements.voice
    if program is None:
        return None
    from kioskd.prompts.voice_program import VoiceProgram  # noqa: PLC0415 - only if used
    from kioskd.tools.program import Program  # noqa: PLC0415 - as above
    from kioskd.tools.sandbox import ProgramSandbox  # noqa: PLC0415 - as above

    box = None
    if program.sandbox:
        hidden = tuple(secret_files(settings))
        box = ProgramSandbox(program.reads, program.writes, program.network, hidden)
    return VoiceProgram(Program(_argv(program), Path("/"), {}, box), clock)


def _argv(program: VoiceSettings) -> list[str]:
    from kioskd.tools.program_settings import program as found  # noqa: PLC0415 - only if used

    first, *words = program.argv
    return [found(program.argv) or first, *words]


def recordings(settings: Settings) -> None:
    """Read each recording of the schedule once. Blocks.

    Raises:
        ConfigError: one cannot be used.
    """
    files = [each.file for each in settings.announcements.schedule if each.file is not None]
    if not files:
        return
    from kioskd.media.wav import UnfitWav  # noqa: PLC0415 - brings numpy
    from kioskd.prompts.announcement_voice import LONGEST_S  # noqa: PLC0415 - the same
    from kioskd.prompts.speech import read_wav  # noqa: PLC0415 - the same

    for file in files:
        try:
            read_wav(file, LONGEST_S)
        except FileNotFoundError:
            raise ConfigError(f"announcements.schedule: {file} is not there; correct the path") from None
        except UnfitWav as error:
            raise ConfigError(f"announcements.schedule: {file} {error}") from None


@dataclass(frozen=True, slots=True)
class _Made:
    """The parts that only a kiosk with an announcement has."""

    voice: "AnnouncementVoice"
    announcer: "Announcer"
    timetable: "Timetable"


class AnnouncementHost:
    """The announcements of a running kiosk; an `AnnouncementControl`.

    Before the first announcement it only remembers the core's state.
    """

    def __init__(
        self,
        settings: Settings,
        parts: Parts,
        post: Callable[[Event], None],
        downlink: Downlink,
    ) -> None:
        self._settings = settings
        self._devices = parts.devices
        self._post = post
        self._downlink = downlink
        self.caption: Callable[[str, str], None] = lambda _text, _language: None
        """Gets the words and the language of each announcement when it begins, to show them."""
        self._state = State()
        self._rendering = asyncio.Lock()
        """Only one voice speaks into memory at a time: a neural one needs much of it."""
        self._made: _Made | None = None

    @property
    def workers(self) -> Mapping[str, Worker]:
        """The task of the schedule; none without a schedule."""
        return {"announcements": self._follow_schedule} if self._settings.announcements.schedule else {}

    def observe(
        self, now: float, event: Event, before: State, after: State, effects: tuple[Effect, ...]
    ) -> None:
        """Note one step; see `engine.Observer`."""
        self._state = after
        if self._made is not None:
            self._made.announcer.observe(now, event, before, after, effects)

    def announce(self, effect: Announce) -> None:
        """Begin the announcement that waits longest."""
        self._parts().announcer.speak(effect)

    def status(self) -> Mapping[str, object] | None:
        """See `AnnouncementControl`."""
        if self._made is None:
            return None
        coming = self._made.timetable.next
        return {
            "waiting": self._made.announcer.waiting,
            "next": coming and coming.isoformat(" ", "minutes"),
            "planned": len(self._made.timetable),
        }

    async def say(self, wish: AnnouncementWish) -> Mapping[str, object]:
        """See `AnnouncementControl`."""
        await asyncio.to_thread(_load)
        made = self._parts()
        if wish.at is not None:
            self._check_time(wish.at, now=wish.now)
        what = await self._ready(wish.text, wish.recording, wish.language, source="command", now=wish.now)
        if wish.at is None:
            return {"number": made.announcer.put(what)}
        self._check_time(wish.at, now=wish.now)  # others may have come meanwhile
        due = made.timetable.add(_minute(wish.at), partial(self._put_late, what), once=True)
        return {"at": due.isoformat(" ", "minutes")}

    async def ended(self, number: int) -> str:
        """See `AnnouncementControl`."""
        return await self._parts().announcer.ended(number)

    def _parts(self) -> _Made:
        if self._made is None:
            from kioskd.flow.announcements.announcer import Announcer  # noqa: PLC0415 - only if used
            from kioskd.flow.announcements.timetable import Timetable  # noqa: PLC0415 - the same

            clock = self._devices.clock
            announcer = Announcer(
                self._post,
                clock,
                state=lambda: self._state,
                play=partial(self._downlink.announce, volume=self._settings.announcements.volume),
                quiet=self._quiet,
                caption=self.caption,
            )
            timetable = Timetable(clock, self._devices.wall, self._devices.time)
            self._made = _Made(voice(self._settings, clock), announcer, timetable)
        return self._made

    async def _ready(
        self,
        text: str,
        recording: bytes | Path | None,
        language: str | None,
        *,
        source: str,
        now: bool = False,
    ) -> "Announcement":
        """Return an announcement with its sound. Raises KioskError."""
        from kioskd.flow.announcements.announcer import (  # noqa: PLC0415 - only if used
            Announcement,
            AnnouncementRefused,
        )

        if len(text) > LONGEST:
            raise AnnouncementRefused(f"write a text of at most {LONGEST} characters")
        made, tag = self._parts(), language or self._settings.assistant.first_language
        async with self._rendering:
            if recording is not None:
                sound = await made.voice.load(recording)
            else:
                sound = await made.voice.read(text, tag)
        return Announcement(sound, text, tag, source, now)

    def _check_time(self, at: str, *, now: bool) -> None:
        """Raise AnnouncementRefused if nothing can be planned for the time `at`."""
        from kioskd.flow.announcements.announcer import AnnouncementRefused  # noqa: PLC0415 - only if used

        timetable, announcements = self._parts().timetable, self._settings.announcements
        if not timetable.clock_is_set:
            raise AnnouncementRefused(
                "no time server has set this machine's clock yet; see timedatectl, or leave --at out"
            )
        if not now and any(within(at, hours) for hours in announcements.quiet_hours):
            raise AnnouncementRefused(
                f"{at} lies in the quiet hours for announcements (announcements.quiet_hours); "
                "choose another time, or speak all the same with --now"
            )
        if len(timetable) - len(announcements.schedule) >= MOST_LATER:
            raise AnnouncementRefused(
                f"{MOST_LATER} announcements wait for their time already; "
                "put this one into announcements.schedule"
            )

    def _put_late(self, what: "Announcement") -> None:
        try:
            self._parts().announcer.put(what)
        except KioskError as error:
            log.warning("announcement left out: source=%s %s", what.source, error)

    async def _follow_schedule(self) -> None:
        await asyncio.to_thread(_load)
        schedule, timetable = self._settings.announcements.schedule, self._parts().timetable
        due: asyncio.Queue[ScheduledAnnouncement] = asyncio.Queue(len(schedule))
        for each in schedule:
            days = frozenset(DAYS.index(day) for day in each.days)
            timetable.add(_minute(each.at), partial(_enqueue, due, each), days=days)
        while True:
            await self._speak(await due.get())

    async def _speak(self, entry: ScheduledAnnouncement) -> None:
        try:
            what = await self._ready(entry.say or "", entry.file, entry.language, source="schedule")
            self._parts().announcer.put(what)
        except KioskError as error:
            log.warning("announcement left out: source=schedule at=%s %s", entry.at, error)

    def _quiet(self) -> bool:
        hours = self._settings.announcements.quiet_hours
        return bool(hours) and any(within(f"{self._devices.wall():%H:%M}", span) for span in hours)


def _load() -> None:
    """Import all that speaks. It brings numpy, which takes a small machine a second."""
    import kioskd.flow.announcements.announcer  # noqa: PLC0415 - only if used
    import kioskd.flow.announcements.timetable  # noqa: PLC0415 - the same
    import kioskd.prompts.announcement_voice  # noqa: PLC0415, F401 - the same


def _enqueue(due: "asyncio.Queue[ScheduledAnnouncement]", entry: ScheduledAnnouncement) -> None:
    if due.full():
        log.warning("announcement left out: source=schedule at=%s earlier ones are not ready", entry.at)
    else:
        due.put_nowait(entry)


def _minute(clock: str) -> int:
    return int(clock[:2]) * 60 + int(clock[3:])
