"""The tools that every kiosk has: they act on the kiosk itself."""

import datetime
import time
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Final, NoReturn, Protocol

from kioskd.tools.contract import Declaration, ToolResult, refused, stay

MOST_NOTES: Final = 50
LONGEST_TITLE: Final = 60
LONGEST_NOTE: Final = 500

_NOTHING: Final[Mapping[str, object]] = {"type": "object", "properties": {}, "additionalProperties": False}


class KioskControls(Protocol):
    """The kiosk, as far as its own tools may touch it."""

    @property
    def notes(self) -> MutableMapping[str, str]:
        """What was noted in this conversation, by title; empty when another begins."""

    def end_conversation(self) -> None:
        """Fall asleep when the reply that is being spoken has been heard."""

    def set_volume(self, percent: int) -> int:
        """Speak as loudly as asked, as far as the owner lets it; return the percentage that it has come to."""

    async def look(self) -> bytes | None:
        """Return a fresh JPEG; None: the model was given one in this turn already.

        Raises:
            DeviceLost: the camera does not deliver.
        """


DECLARATIONS: Final[Mapping[str, Declaration]] = {
    declaration.name: declaration
    for declaration in (
        Declaration(
            "end_conversation",
            "End this conversation, when the visitor says goodbye or wants to stop. Say goodbye first.",
            _NOTHING,
        ),
        Declaration(
            "set_volume",
            "Set how loudly you speak, when the visitor asks for it.",
            {
                "type": "object",
                "properties": {
                    "percent": {
                        "type": "integer",
                        "minimum": 0,
                        "maximum": 100,
                        "description": "0 silent, 100 loudest",
                    }
                },
                "required": ["percent"],
                "additionalProperties": False,
            },
            repeatable=True,
        ),
        Declaration(
            "look",
            "Take a picture with the kiosk's camera and see it, when the visitor wants to show you something.",
            _NOTHING,
            repeatable=True,
        ),
        Declaration(
            "time_and_place",
            "Tell the local date and time, and where this kiosk is.",
            _NOTHING,
            repeatable=True,
        ),
        Declaration(
            "remember_note",
            "Note something the visitor told you, for this conversation only. Without text it reads all notes back.",
            {
                "type": "object",
                "properties": {
                    "title": {"type": "string", "maxLength": LONGEST_TITLE},
                    "text": {"type": "string", "maxLength": LONGEST_NOTE},
                },
                "dependentRequired": {"text": ["title"]},
                "additionalProperties": False,
            },
            repeatable=True,
        ),
    )
}
"""Every built-in by its name."""


def _local_time() -> datetime.datetime:
    time.tzset()  # the time zone may have been set since
    return datetime.datetime.now().astimezone()


class BuiltinTools:
    """Those built-ins that the owner has not switched off. A `Kind`."""

    def __init__(
        self,
        names: Sequence[str],
        host: KioskControls,
        *,
        place: str | None = None,
        blocking: bool = False,
        now: Callable[[], datetime.datetime] = _local_time,
    ) -> None:
        """Offer `names`, all of them in `DECLARATIONS`. `now` has a time zone."""
        declared = (DECLARATIONS[name] for name in names)
        self.declarations = tuple(
            Declaration(one.name, one.description, one.parameters, blocking, one.repeatable)
            for one in declared
        )
        self._host, self._place, self._now = host, place, now

    async def settled(self) -> None:
        """Return at once."""

    async def run(self) -> NoReturn:
        """Do nothing: they need nothing between calls."""
        await stay()

    async def call(self, name: str, arguments: Mapping[str, object]) -> ToolResult:
        """Act on the kiosk."""
        match name, dict(arguments):
            case "end_conversation", _:
                self._host.end_conversation()
                return ToolResult("ok", "the conversation ends when you have finished speaking")
            case "set_volume", {"percent": int() | float() as percent}:
                return ToolResult("ok", "done", {"percent": self._host.set_volume(int(percent))})
            case "look", _:
                seen = await self._host.look()
                told = "you see the picture now" if seen else "you have it already: one picture a turn"
                return ToolResult("ok", told, picture=seen)
            case "time_and_place", _:
                return ToolResult("ok", "done", self._time_and_place())
            case "remember_note", noted:
                return self._remember(noted)
        raise LookupError(name)

    def _time_and_place(self) -> dict[str, object]:
        now = self._now()
        told = {
            "time": now.isoformat(timespec="minutes"),
            "weekday": f"{now:%A}",
            "time_zone": now.tzname() or "",
        }
        return {**told, "place": self._place} if self._place else {**told}

    def _remember(self, noted: Mapping[str, object]) -> ToolResult:
        notes = self._host.notes
        title, text = noted.get("title"), noted.get("text")
        if not isinstance(text, str):
            asked = dict(notes) if title is None else {each: notes[each] for each in notes if each == title}
            return (
                ToolResult("ok", "done", asked)
                if asked
                else ToolResult("no_results", "there is no such note")
            )
        assert isinstance(title, str)  # the schema's dependentRequired
        if title not in notes and len(notes) >= MOST_NOTES:
            return refused(f"there are {MOST_NOTES} notes already; use the title of one to replace it")
        notes[title] = text
        return ToolResult("ok", "noted until this conversation ends", {"notes": len(notes)})
