"""Settings of the tools that come with every kiosk."""

from typing import Annotated, Final, Literal

from pydantic import Field

from kioskd.tools.guard import Guard
from kioskd.yamlconf.value_types import Name, UnusedAt

BUILTINS: Final = (
    *("end_conversation", "set_volume", "look", "time_and_place", "remember_note"),
    *("more_time", "choose_profile"),
)


class BuiltinSettings(Guard):
    """The kiosk's own tools. Each can be switched off."""

    kind: Literal["builtin"]
    """Kind of this entry: the kiosk's own tools. The list of tools can have one such entry."""
    end_conversation: bool = True
    """Whether the model is allowed to end the conversation when the visitor says goodbye."""
    set_volume: bool = True
    """Whether the model is allowed to change the volume when the visitor asks for it, within
    `speaker.volume_floor` and `speaker.volume_ceiling`."""
    look: bool = True
    """Whether the model is allowed to take a picture when the visitor wants to show something. It needs a
    camera."""
    time_and_place: bool = True
    """Whether the model is allowed to ask for the date, the time and `place`."""
    place: Annotated[
        Name | None,
        UnusedAt("time_and_place", False, "only time_and_place tells the model; remove one of the two"),
    ] = Field(default=None, examples=["the shoe shop in Mill Street"])
    """Words that say where this kiosk is, only with `time_and_place: true`."""
    remember_note: bool = True
    """Whether the model is allowed to keep notes until the conversation ends."""
    more_time: bool = True
    """Whether the model is allowed to put off the end of the conversation when the visitor asks for more
    time. It needs `conversation.extensions`."""
    choose_profile: bool = True
    """Whether the model is allowed to choose another profile when the visitor asks for one, for example for
    easy language. It needs `assistant.profiles`."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the tools that are switched on."""
        return tuple(name for name in BUILTINS if getattr(self, name))
