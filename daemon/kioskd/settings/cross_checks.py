"""Checks of settings that depend on another section, for a daemon that starts with its own devices."""

from collections.abc import Iterator, Set
from typing import Final

from kioskd.live_models import profile
from kioskd.settings.conversation import DEFAULT_PROFILE
from kioskd.settings.model import Settings
from kioskd.tools.registry import kind_of
from kioskd.yamlconf.document import ValuePath
from kioskd.yamlconf.value_types import shown

WAKING: Final = frozenset({"toggle", "hold", "wake", "look"})
"""Actions of a button that wake the kiosk. look also needs a camera."""
_CONFIRMING: Final = frozenset({"toggle", "hold", "wake"})
"""Actions of a button whose press confirms a tool call."""


def joint_faults(settings: Settings) -> Iterator[tuple[ValuePath, str]]:
    """Yield the place and the fault of each setting that another section makes useless or impossible.

    A rehearsal does not need this check, because it has its own button and camera.
    """
    acts = {act for button in settings.controls.all_buttons for act in (button.does, button.double)}
    yield from _look_faults(settings)
    yield from _wake_faults(settings, acts if settings.camera.on else acts - {"look"})
    if "hold" in acts:
        yield from _talk_button_faults(settings)
    yield from _detector_faults(settings, held="hold" in acts)
    conversation = settings.conversation
    if conversation.interruptions == "allowed" and settings.microphone.half_duplex:
        what = "has no effect: with microphone.echo: half_duplex the kiosk does not listen while it speaks"
        yield ("conversation", "interruptions"), f"{what}; set echo to cancel or hardware, or remove this"
    yield from _scheduling_faults(settings)
    yield from _profile_faults(settings)
    yield from _extension_faults(settings, acts)
    if not acts & _CONFIRMING:
        unasked = "needs a button that can confirm; add a button whose does is toggle, hold or wake"
    elif not settings.controls.all_lamps:
        unasked = "needs a lamp, which asks the visitor for the press; add controls.lamp"
    else:
        return
    for index, tool in enumerate(settings.tools):
        if tool.confirm == "button":
            yield ("tools", index, "confirm"), unasked


def camera_is_unused(settings: Settings) -> bool:
    """Return whether neither the model nor a visitor can get a picture from the camera that is set."""
    if not settings.camera.on or settings.camera.when != "request":
        return False
    asked = any("look" in (button.does, button.double) for button in settings.controls.all_buttons)
    return not asked and not any(kind_of(tool).looks(tool) for tool in settings.tools)


def _look_faults(settings: Settings) -> Iterator[tuple[ValuePath, str]]:
    what = "look needs a camera; set camera.source, or write another action"
    for place, button in () if settings.camera.on else settings.controls.placed_buttons.items():
        for name in ("does", "double"):
            if getattr(button, name) == "look":
                yield ("controls", *place, name), what


def _wake_faults(settings: Settings, acts: Set[str | None]) -> Iterator[tuple[ValuePath, str]]:
    conversation, place = settings.conversation, ("conversation", "wake")
    if "button" in conversation.wake and not settings.controls.all_buttons:
        yield (
            place,
            "button cannot wake the kiosk: no button is set; add controls.button.source, or write [start]",
        )
    elif "button" in conversation.wake and not acts & WAKING:
        yield (
            place,
            "button cannot wake the kiosk: no button has a waking action; set does to toggle, hold or wake",
        )
    yield from _sensor_faults(settings)
    for call in ("voice", "wakeword"):
        if call in conversation.wake and "hold" in acts and settings.assistant.greeting is None:
            what = "the kiosk sends sound only while the talk button is held; remove it, or set a greeting"
            yield place, f"{call} is useless: {what}"


def _sensor_faults(settings: Settings) -> Iterator[tuple[ValuePath, str]]:
    controls, wake = settings.controls, settings.conversation.wake
    presence = controls.presence
    if "reader" in wake and not controls.readers:
        yield ("conversation", "wake"), "reader cannot wake the kiosk: add controls.readers, or remove it"
    if "presence" in wake and (presence is None or not presence.greets):
        what = "presence cannot wake the kiosk: set controls.presence with greets: true, or remove it"
        yield ("conversation", "wake"), what
    if controls.readers and not settings.subjects:
        yield ("controls", "readers"), "has no effect: no line has a subject; add subjects, or remove it"
    if presence is None or not presence.greets:
        return
    place = ("controls", "presence", "greets")
    if presence.greeting is None and settings.assistant.greeting is None:
        what = "needs a greeting; add greeting here or to assistant, or write greets: false"
        yield place, what
    if "start" in wake:
        yield place, "has no effect: with conversation.wake: [start] the kiosk is awake; write greets: false"


def _profile_faults(settings: Settings) -> Iterator[tuple[ValuePath, str]]:
    names = {DEFAULT_PROFILE, *settings.assistant.profiles}
    for place, button in settings.controls.placed_buttons.items():
        if button.profile is not None and button.profile not in names:
            what = f"{shown(button.profile)} is no profile; write one of {', '.join(sorted(names))}"
            yield ("controls", *place, "profile"), f"{what}, or add it to assistant.profiles"


def _extension_faults(settings: Settings, acts: Set[str | None]) -> Iterator[tuple[ValuePath, str]]:
    extensions = settings.conversation.extensions
    if extensions is None or not extensions.most:
        return
    by_word = any("more_time" in kind_of(tool).names(tool) for tool in settings.tools)
    if not (by_word or acts & {"toggle", "wake"}):
        what = "has no effect: nobody can ask for more time; add a button whose does is toggle or wake"
        yield ("conversation", "extensions"), f"{what}, or add tools: [{{kind: builtin}}]"


def _scheduling_faults(settings: Settings) -> Iterator[tuple[ValuePath, str]]:
    model = settings.service.model
    functions, remedy = profile(model).functions, "remove it, or set another service.model"
    for index, tool in enumerate(settings.tools):
        if functions == "blocking_only" and tool.scheduling is not None:
            yield ("tools", index, "scheduling"), f"has no effect: {model} waits for every tool; {remedy}"
        if functions == "non_blocking_only" and tool.blocking:
            yield ("tools", index, "blocking"), f"is not possible: {model} never waits for a tool; {remedy}"


def _talk_button_faults(settings: Settings) -> Iterator[tuple[ValuePath, str]]:
    unused = "has no effect: the visitor's turn ends when the talk button is released; remove it"
    for name, value, what in (
        (
            "turn_taking",
            "local",
            "has no effect: a button that is held to talk decides whose turn it is; remove this",
        ),
        (
            "uplink",
            "continuous",
            "cannot be continuous: the kiosk sends only while the talk button is held; remove this",
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
        "has no effect: it is for the service's detector, and the kiosk decides on the turns here; remove it"
    )
    for name in ("speech_start", "speech_end", "padding_ms"):
        if getattr(conversation, name) is not None:
            yield ("conversation", name), what
