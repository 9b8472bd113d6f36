"""The tools that every kiosk has, which act on the kiosk itself."""

import datetime
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final

from kioskd.tools.contract import Declaration, FixedTool, ToolResult, refused
from kioskd.tools.kinds.builtin.settings import BuiltinSettings
from kioskd.tools.tool_kind import KioskControls

MOST_NOTES: Final = 50
LONGEST_TITLE: Final = 60
LONGEST_NOTE: Final = 500
NO_NOTE: Final = ToolResult("no_results", "there is no such note")

_NOTHING: Final[Mapping[str, object]] = {"type": "object", "properties": {}, "additionalProperties": False}
_PERCENT: Final = {"type": "integer", "minimum": 0, "maximum": 100, "description": "0 silent, 100 loudest"}
_TITLE: Final = {"type": "string", "maxLength": LONGEST_TITLE}
_NOTE: Final = {"type": "string", "maxLength": LONGEST_NOTE}

_ALL: Final = (
    Declaration(
        "end_conversation",
        "End this conversation, when the visitor says goodbye or wants to stop. Say goodbye first.",
        _NOTHING,
    ),
    Declaration(
        "set_volume",
        "Set how loudly you speak, when the visitor asks for it.",
        {**_NOTHING, "properties": {"percent": _PERCENT}, "required": ["percent"]},
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
        "Note something the visitor told you, for this conversation only. Without text it returns the notes.",
        {
            **_NOTHING,
            "properties": {"title": _TITLE, "text": _NOTE},
            "dependentRequired": {"text": ["title"]},
        },
        repeatable=True,
    ),
    Declaration(
        "more_time",
        "Put off the end of this conversation, when the kiosk has told you of that end and the visitor asks "
        "for more time.",
        _NOTHING,
    ),
    Declaration(
        "choose_profile",
        "Change how you speak with this visitor, when they ask for it or clearly need it. The answer tells "
        "you how to speak from then on. The profile default undoes it.",
        {**_NOTHING, "properties": {"profile": {"type": "string"}}, "required": ["profile"]},
        repeatable=True,
    ),
)
DECLARATIONS: Final[Mapping[str, Declaration]] = {declaration.name: declaration for declaration in _ALL}
"""Each built-in tool by its name."""


def _with(declaration: Declaration, profiles: Sequence[str]) -> Declaration:
    """Return the declaration with the profiles that this kiosk has."""
    if declaration.name != "choose_profile":
        return declaration
    names = {"profile": {"type": "string", "enum": list(profiles)}}
    return replace(declaration, parameters={**declaration.parameters, "properties": names})


def _more(left_s: float | None) -> ToolResult:
    if left_s is None:
        why = "no end is near, the visitor has had all extensions, or the end is a limit of the day"
        return refused(f"there is no more time to give now: {why}")
    return ToolResult("ok", "the conversation goes on", {"seconds": round(left_s)})


def _local_time() -> datetime.datetime:
    time.tzset()  # picks up a changed time zone
    return datetime.datetime.now().astimezone()


class BuiltinTools(FixedTool):
    """The built-in tools that the owner has not switched off."""

    def __init__(
        self,
        settings: BuiltinSettings,
        host: KioskControls,
        *,
        useless: Collection[str] = (),
        profiles: Sequence[str] = (),
        now: Callable[[], datetime.datetime] = _local_time,
    ) -> None:
        """Offer the tools that are switched on, without those that are `useless` on this kiosk.

        `profiles` are those that the model can choose. `now` must return a time with a time zone.
        """
        declared = [DECLARATIONS[name] for name in settings.names if name not in useless]
        super().__init__(*(replace(_with(each, profiles), blocking=settings.blocking) for each in declared))
        self._host, self._place, self._now = host, settings.place, now

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
                message = "you see the picture now" if seen else "you have the picture of this turn already"
                return ToolResult("ok", message, picture=seen)
            case "time_and_place", _:
                return ToolResult("ok", "done", self._time_and_place())
            case "remember_note", noted:
                return self._remember(noted)
            case "more_time" | "choose_profile", given:
                return await self._for_visitor(given)
        raise LookupError(name)

    async def _for_visitor(self, given: Mapping[str, object]) -> ToolResult:
        """Change the visitor's profile, if the call names one; give more time otherwise."""
        if isinstance(profile := given.get("profile"), str):
            return ToolResult("ok", "done", {"instructions": self._host.choose_profile(profile)})
        return _more(await self._host.more_time())

    def _time_and_place(self) -> dict[str, object]:
        now, place = self._now(), {"place": self._place} if self._place else {}
        clock_time = now.isoformat(timespec="minutes")
        return {"time": clock_time, "weekday": f"{now:%A}", "time_zone": now.tzname() or "", **place}

    def _remember(self, noted: Mapping[str, object]) -> ToolResult:
        notes = self._host.notes
        title, text = noted.get("title"), noted.get("text")
        if not isinstance(text, str):
            asked = dict(notes) if title is None else {each: notes[each] for each in notes if each == title}
            return ToolResult("ok", "done", asked) if asked else NO_NOTE
        assert isinstance(title, str)  # the schema's dependentRequired ensures it
        if title not in notes and len(notes) >= MOST_NOTES:
            return refused(f"there are {MOST_NOTES} notes already; use the title of one to replace it")
        notes[title] = text
        return ToolResult("ok", "noted until this conversation ends", {"notes": len(notes)})
