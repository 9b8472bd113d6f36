"""What an owner can set of the tools that every kiosk has."""

from typing import Annotated, Final, Literal

from kioskd.tools.guard import Guard
from kioskd.yamlconf.value_types import Name, UnusedAt

BUILTINS: Final = ("end_conversation", "set_volume", "look", "time_and_place", "remember_note")


class BuiltinSettings(Guard):
    """The kiosk's own tools; each can be switched off."""

    kind: Literal["builtin"]
    """The kiosk's own tools, once in the list."""
    end_conversation: bool = True
    """Whether the model may end the conversation, when the visitor says goodbye."""
    set_volume: bool = True
    """Whether the model may change how loudly it speaks, when the visitor asks for it."""
    look: bool = True
    """Whether the model may take a picture, when the visitor wants to show something; only where there is a camera."""
    time_and_place: bool = True
    """Whether the model may ask for the date, the time and `place`."""
    place: Annotated[
        Name | None,
        UnusedAt(
            "time_and_place", False, "it is told by time_and_place, which is off; take out one of the two"
        ),
    ] = None
    """Where this kiosk is, in words; told with the time."""
    remember_note: bool = True
    """Whether the model may keep notes until the conversation ends."""

    @property
    def names(self) -> tuple[str, ...]:
        """Those that are switched on."""
        return tuple(name for name in BUILTINS if getattr(self, name))
