"""What is wrong: `troubles(state, policy)`, derived from the state alone, so that no trouble can be forgotten.

Lamp, status, journal and metrics all go by it. A trouble begins with the step after which it is in the list, and ends
with the step after which it is not. There is one trouble for each code at most.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kioskd.core import link as links
from kioskd.core.events import Device
from kioskd.core.link_state import LinkTrouble
from kioskd.core.policy import Policy
from kioskd.errors import SPOKEN, Code

if TYPE_CHECKING:
    from kioskd.core.levels import State

ORDER: Final = (
    Code.MICROPHONE,
    Code.SPEAKER,
    Code.DEAF,
    Code.SETTINGS,
    Code.BUDGET,
    Code.HOURS,
    Code.CLOCK,
    Code.WAY,
    Code.SERVICE,
    Code.QUOTA,
    Code.STORAGE,
    Code.FILE,
    Code.BUTTON,
    Code.LAMP,
    Code.CAMERA,
)
"""All codes, the most severe first. A missing button goes before them all but the first four where nothing else wakes."""

OUTAGES: Final = frozenset(links.CODES.values())
"""What keeps the service away."""

CLOSED: Final = frozenset({Code.BUDGET, Code.HOURS})
"""The owner's rules have closed the kiosk: nothing is out of order."""

TOLD: Final = frozenset(SPOKEN) - {Code.SPEAKER}
"""What a visitor is told in words. Without a speaker nothing can be heard."""

DEVICES: Final = {
    Device.MICROPHONE: Code.MICROPHONE,
    Device.SPEAKER: Code.SPEAKER,
    Device.BUTTON: Code.BUTTON,
    Device.LAMP: Code.LAMP,
    Device.CAMERA: Code.CAMERA,
}
"""The code of each device that is missing."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that is wrong."""

    code: Code
    what: str = ""
    """The names of the devices, the reason, or the time at which the kiosk opens again; empty where nothing is known."""


def troubles(state: "State", policy: Policy) -> tuple[Trouble, ...]:
    """Return all that is wrong, the most severe first. A microphone that is closed or missing is as deaf as it last was."""
    found = {trouble.code: trouble for trouble in _found(state)}
    codes = [code for code in ORDER if code in found]
    if unwakeable(state, policy):
        codes.remove(Code.BUTTON)
        codes.insert(sum(code in ORDER[:4] for code in codes), Code.BUTTON)
    return tuple(found[code] for code in codes)


def unwakeable(state: "State", policy: Policy) -> bool:
    """Return whether no visitor can wake the kiosk, since all buttons that could are missing."""
    return bool(policy.wake_buttons) and policy.wake_buttons <= set(state.missing.get(Device.BUTTON, ()))


def broken(state: "State") -> Code | None:
    """Return what keeps any conversation from making sense; a microphone that is meant to be closed does not."""
    if Device.MICROPHONE in state.missing and not state.muted:
        return Code.MICROPHONE
    if Device.SPEAKER in state.missing:
        return Code.SPEAKER
    return Code.DEAF if state.deaf and not state.muted else None


def _found(state: "State") -> Iterator[Trouble]:
    for device, names in state.missing.items():
        yield Trouble(DEVICES[device], ", ".join(names))
    if state.deaf:
        yield Trouble(Code.DEAF)
    link = state.link
    if link.trouble is LinkTrouble.REFUSED:
        yield Trouble(Code.SETTINGS)
    yield from map(Trouble, link.wrong)
    if state.closed is not None:
        yield Trouble(state.closed, state.opens)
    if state.unkept:
        yield Trouble(Code.STORAGE, state.unkept)
    if state.refused:
        yield Trouble(Code.FILE, state.refused)
