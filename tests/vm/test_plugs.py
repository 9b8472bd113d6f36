"""Each part with a plug is pulled and put back, while the kiosk sleeps, listens and speaks."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import pytest
from tests.vm.kiosk import UNDERSTOOD, Kiosk

STATES: Final = ("asleep", "listening", "speaking")


@dataclass(frozen=True)
class Part:
    """A part with a plug."""

    name: str
    """Name of the part in the journal."""
    unplug: Callable[[Kiosk], None]
    replug: Callable[[Kiosk], None]
    works: Callable[[Kiosk], None]
    """Uses the part, and fails if it does not work. The kiosk is asleep before and after."""
    in_use: bool = True
    """Whether the daemon uses it all the time, and so notices its loss at once."""


def converses(kiosk: Kiosk) -> None:
    """Have a conversation in which both sides are heard."""
    kiosk.wakes()
    assert kiosk.heard() > UNDERSTOOD
    kiosk.sleeps()


def wakes_by_button(kiosk: Kiosk) -> None:
    """Press the button, see the lamp, and sleep again."""
    kiosk.wakes()
    kiosk.lights()
    kiosk.sleeps()


def wakes_by_pedal(kiosk: Kiosk) -> None:
    """Step on the pedal, and sleep again."""
    with kiosk.service.sees("setup_complete", within_s=kiosk.machine.patience_s):
        kiosk.step()
    kiosk.sleeps()


def looks(kiosk: Kiosk) -> None:
    """Have the kiosk look, and see a picture come."""
    with kiosk.service.sees("picture", within_s=kiosk.machine.patience_s):
        kiosk.does("look")
    kiosk.sleeps()


PARTS: Final = (
    Part("microphone", lambda it: it.unplug("Mic"), lambda it: it.replug("Mic"), converses),
    Part("speaker", lambda it: it.unplug("Spk"), lambda it: it.replug("Spk"), converses),
    Part("button gpio:pi/17", Kiosk.unplug_chip, Kiosk.replug_chip, wakes_by_button),
    Part("button evdev:Pedal/KEY_SPACE", Kiosk.unplug_pedal, Kiosk.replug_pedal, wakes_by_pedal),
    Part("camera v4l2:Front", Kiosk.unplug_webcam, Kiosk.replug_webcam, looks, in_use=False),
)


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_a_part_that_is_pulled_and_put_back_works_again(here: Kiosk, part: Part, state: str) -> None:
    restarts = here.restarts
    if state != "asleep":
        here.does("wake")
        here.shows("In conversation: listening")
    if state == "speaking":
        here.speaks()
    place = here.machine.journal.now
    part.unplug(here)
    if part.in_use:
        here.loses(part.name, place)
        part.replug(here)
        here.regains(part.name, place)
    else:
        assert not here.machine.ask({"do": "look"})["ok"]
        part.replug(here)
    if here.says()["conversation"] is not None:
        here.sleeps()
    part.works(here)
    assert here.restarts == restarts, here.machine.journal.text("kioskd.service", place)
