"""What settings of different sections need of each other; looked at when the daemon starts with its own devices."""

from collections.abc import Iterator, Set
from typing import Final

from kioskd.live_models import profile
from kioskd.settings.model import Settings
from kioskd.tools.registry import kind_of
from kioskd.yamlconf.document import ValuePath

WAKING: Final = frozenset({"toggle", "hold", "wake", "look"})
"""What a button must do to wake the kiosk; look needs a camera, too."""
_CONFIRMING: Final = frozenset({"toggle", "hold", "wake"})
"""What a button must do for its press to be taken for a yes."""


def joint_faults(settings: Settings) -> Iterator[tuple[ValuePath, str]]:
    """Yield what cannot work, or goes unused, because of another section: where, and what is wrong.

    Not the concern of a rehearsal, which brings its own button and camera.
    """
    acts = {act for button in settings.controls.all_buttons for act in (button.does, button.double)}
    yield from _look_faults(settings)
    yield from _wake_faults(settings, acts if settings.camera.on else acts - {"look"})
    if "hold" in acts:
        yield from _talk_button_faults(settings)
    yield from _detector_faults(settings, held="hold" in acts)
    conversation = settings.conversation
    if conversation.interruptions == "allowed" and settings.microphone.half_duplex:
        yield (
            ("conversation", "interruptions"),
            "allowed goes unused: a half_duplex microphone is deaf to the visitor then; change that, or take this out",
        )
    yield from _scheduling_faults(settings)
    if not acts & _CONFIRMING:
        unasked = (
            "can never be given: no button here is pressed for yes; add one that does toggle, hold or wake"
        )
    elif not settings.controls.all_lamps:
        unasked = "asks nobody: it is a lamp that asks for the press, and none is set; add controls.lamp"
    else:
        return
    for index, tool in enumerate(settings.tools):
        if tool.confirm == "button":
            yield ("tools", index, "confirm"), unasked


def camera_is_unused(settings: Settings) -> bool:
    """Whether there is a camera that neither the model nor a visitor can have a picture of."""
    if not settings.camera.on or settings.camera.when != "request":
        return False
    asked = any("look" in (button.does, button.double) for button in settings.controls.all_buttons)
    return not asked and not any(kind_of(tool).looks(tool) for tool in settings.tools)


def _look_faults(settings: Settings) -> Iterator[tuple[ValuePath, str]]:
    what = "look does nothing: the camera is off; set camera.source, or have the button do something else"
    for place, button in () if settings.camera.on else settings.controls.placed_buttons.items():
        for name in ("does", "double"):
            if getattr(button, name) == "look":
                yield ("controls", *place, name), what


def _wake_faults(settings: Settings, acts: Set[str | None]) -> Iterator[tuple[ValuePath, str]]:
    conversation, place = settings.conversation, ("conversation", "wake")
    if "button" in conversation.wake and not settings.controls.all_buttons:
        yield (
            place,
            "button cannot wake the kiosk: no button is set; add controls.button.source, or use [start]",
        )
    elif "button" in conversation.wake and not acts & WAKING:
        yield place, "button cannot wake the kiosk: none of them does that; set does to toggle, hold or wake"
    for call in ("voice", "wakeword"):
        if call in conversation.wake and "hold" in acts and settings.assistant.greeting is None:
            yield (
                place,
                f"{call} wakes for nothing: what is said without the held button is not sent; take it out, or set a greeting",
            )


def _scheduling_faults(settings: Settings) -> Iterator[tuple[ValuePath, str]]:
    model = settings.service.model
    functions, remedy = profile(model).functions, "take it out, or choose another model"
    for index, tool in enumerate(settings.tools):
        if functions == "blocking_only" and tool.scheduling is not None:
            yield ("tools", index, "scheduling"), f"goes unused: {model} waits for every tool; {remedy}"
        if functions == "non_blocking_only" and tool.blocking:
            yield ("tools", index, "blocking"), f"cannot be: {model} waits for no tool; {remedy}"


def _talk_button_faults(settings: Settings) -> Iterator[tuple[ValuePath, str]]:
    unused = "goes unused: a button that is held to talk ends the turn; take it out"
    for name, value, what in (
        ("pace", "slow", unused),
        (
            "turn_taking",
            "local",
            "local goes unused: a button that is held to talk says whose turn it is; take this out",
        ),
        (
            "uplink",
            "continuous",
            "cannot be continuous: a button that is held to talk opens the uplink; take this out",
        ),
    ):
        if getattr(settings.conversation, name) == value:
            yield ("conversation", name), what
    if settings.conversation.silence_ms is not None:
        yield ("conversation", "silence_ms"), unused


def _detector_faults(settings: Settings, *, held: bool) -> Iterator[tuple[ValuePath, str]]:
    conversation = settings.conversation
    if not held and conversation.turn_taking == "service":
        return
    what = (
        "goes unused: it is for the service's own detector, which does not take the turns here; take it out"
    )
    for name in ("speech_start", "speech_end", "padding_ms"):
        if getattr(conversation, name) is not None:
            yield ("conversation", name), what
