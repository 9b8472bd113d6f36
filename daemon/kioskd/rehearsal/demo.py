"""What is rehearsed when nobody names a scenario: one conversation, with the button that the owner's settings have for it."""

from importlib import resources

from kioskd.app.policy import talk
from kioskd.core.policy import UplinkMode
from kioskd.rehearsal.scenario import Scenario, Step, load_scenario
from kioskd.settings.model import Settings


def demo(settings: Settings) -> Scenario:
    """Return the scenario for a kiosk with these settings. Blocks.

    Its visitor holds the button that is held to talk, or presses the first one that wakes. Where no button does either,
    it is as if `kioskd wake` were typed.
    """
    does = {number: button.does for number, button in enumerate(settings.controls.all_buttons, 1)}
    held = next((number for number, deed in does.items() if deed == "hold"), None)
    # Without any button the environment has a plain one.
    pressed = next(
        (number for number, deed in does.items() if deed in ("toggle", "wake")), None if does else 1
    )
    name = "demo.yaml" if held is None else "demo-hold.yaml"
    with resources.as_file(resources.files("kioskd.rehearsal") / name) as file:
        scenario = load_scenario(file)
    steps = tuple(_with(step, held or pressed) for step in scenario.visitor)
    # Where only speech is sent, nothing is before somebody speaks.
    silent = talk(settings) is UplinkMode.VOICE
    expect = tuple(one for one in scenario.expect if not (silent and one.what == "wake_to_uplink_ms"))
    return scenario.model_copy(update={"visitor": steps, "expect": expect})


def _with(step: Step, button: int | None) -> Step:
    """Return `step`, done with that button."""
    touched = next((name for name in ("press", "hold", "release") if getattr(step, name) is not None), None)
    if touched is None:
        return step
    return Step(command="wake") if button is None else step.model_copy(update={touched: button})
