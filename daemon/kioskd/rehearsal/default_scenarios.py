"""The scenarios of a rehearsal without --scenario: a scripted conversation, or a conversation with a person.

The words of a person are unknown, so the expectations cover only the acts that the script asks for. Settings
of the microphone and the conversation are the owner's. But the kiosk waits longer, as a person has to read.
"""

from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Final

from kioskd.app.policy import uplink_mode
from kioskd.core.policy import UplinkMode
from kioskd.rehearsal.scenario import Expectation, Scenario, Step, Wait, load_scenario
from kioskd.settings.cross_checks import WAKING
from kioskd.settings.model import Settings
from kioskd.simulator import Reply, ServiceScript

TURNS: Final = 2
"""Number of times that the person is asked to speak."""

AT_MOST_S: Final = 30.0
"""Longest time in seconds for a person to do what the script asks, without the time for reading."""

IDLE_S: Final = 60.0
"""Seconds for which the kiosk waits for a person who reads; the owner's own setting may be too short."""

REPLIES: Final = (
    "I have heard you. This is my first answer.",
    "I have heard you again. Everything works. Goodbye.",
)


def demo(settings: Settings) -> Scenario:
    """Return the scenario for a kiosk with these settings. Blocks.

    The visitor holds the talk button, or presses the first button that wakes. Without such a button the
    script wakes the kiosk as `kioskd wake` does.
    """
    does = {number: button.does for number, button in enumerate(settings.controls.all_buttons, 1)}
    held = next((number for number, deed in does.items() if deed == "hold"), None)
    # If the settings have no button, the environment adds a plain one.
    pressed = next(
        (number for number, deed in does.items() if deed in ("toggle", "wake")), None if does else 1
    )
    name = "demo.yaml" if held is None else "demo-hold.yaml"
    with resources.as_file(resources.files("kioskd.rehearsal") / name) as file:
        scenario = load_scenario(file)
    steps = tuple(_with_button(step, held or pressed) for step in scenario.visitor)
    # If only speech is sent, the uplink begins with the visitor's speech and not with the wake.
    silent = uplink_mode(settings) is UplinkMode.VOICE
    expect = tuple(one for one in scenario.expect if not (silent and one.what == "wake_to_uplink_ms"))
    return scenario.model_copy(update={"visitor": steps, "expect": expect})


def _with_button(step: Step, button: int | None) -> Step:
    """Return `step` with this button in place of its own; without a button, a step that wakes the kiosk."""
    touched = next((name for name in ("press", "hold", "release") if getattr(step, name) is not None), None)
    if touched is None:
        return step
    return Step(command="wake") if button is None else step.model_copy(update={touched: button})


def guided(settings: Settings) -> Scenario:
    """Return the scenario for a person in front of a kiosk with these settings."""
    greeting = settings.assistant.greeting is not None
    replies = (*(("Hello, and welcome.",) if greeting else ()), *REPLIES)
    return Scenario(
        name="A conversation with you: do what the lines with >>> say",
        settings=Settings.model_validate(
            {
                "conversation": {"idle_s": IDLE_S, "follow_up_s": IDLE_S},
                "limits": {"quiet_hours": ()},
            }
        ),
        visitor=tuple(_steps(settings, greeting=greeting)),
        service=ServiceScript(replies=tuple(Reply(text=words) for words in replies)),
        expect=(
            Expectation(what="conversations", at_least=1),
            Expectation(what="replies_heard", at_least=TURNS + greeting),
        ),
        longest_s=300.0,
    )


def _steps(settings: Settings, *, greeting: bool) -> Iterator[Step]:
    held = uplink_mode(settings) is UplinkMode.HELD
    if not held:
        yield from _waking(settings)
        if greeting:
            yield Step(please="listen: it greets you")
            yield Step(wait=Wait(for_="greeting_heard", at_most_s=AT_MOST_S))
        else:
            yield Step(wait=Wait(for_="listening", at_most_s=AT_MOST_S))
    for turn in range(TURNS):
        what = "something" if turn == 0 else "something else"
        if held:
            yield Step(please=f"press {_button(settings, 'hold')} and hold it, say {what}, and release it")
        else:
            yield Step(please=f"say {what} now, for example a short question")
        yield Step(wait=Wait(for_="reply_began", at_most_s=AT_MOST_S))
        yield Step(please="listen …")
        yield Step(wait=Wait(for_="reply_heard", at_most_s=AT_MOST_S))
    yield Step(please="that was all, thank you: the conversation ends now")
    yield Step(command="sleep")
    yield Step(wait=Wait(for_="asleep", at_most_s=AT_MOST_S))


def _waking(settings: Settings) -> Iterator[Step]:
    wake = settings.conversation.wake
    if "start" in wake:
        return
    if button := _button(settings, *sorted(WAKING - {"hold"})):
        yield Step(please=f"press {button} now")
    elif "wakeword" in wake:
        word = Path(settings.conversation.wakeword[0]).stem.replace("_", " ")
        yield Step(please=f"say “{word}” now, to wake the kiosk")
    elif "voice" in wake:
        yield Step(please="say something now, as a voice wakes the kiosk")
    else:
        yield Step(command="wake")


def _button(settings: Settings, *does: str) -> str:
    """Return words for the first button that does one of `does`; an empty text if there is none."""
    buttons = settings.controls.all_buttons
    source = next((each.source for each in buttons if each.does in does), "")
    if not source:
        return ""
    return "the button" if len(buttons) == 1 else f"the button {source}"
