"""Derives the troubles from the state alone: `troubles(state, policy)`, so no trouble can be forgotten.

Lamp, status, journal and metrics all use this list. A trouble begins with the step that puts it into the
list. It ends with the step that takes it out. Each code appears at most once.
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
"""All codes, the most severe first. A button that alone can wake the kiosk moves behind the first four."""

OUTAGES: Final = frozenset(links.CODES.values())
"""Codes of causes that keep the service away."""

CLOSED: Final = frozenset({Code.BUDGET, Code.HOURS})
"""Codes of the owner's rules, which close a kiosk that is in order."""

TOLD: Final = frozenset(SPOKEN) - {Code.SPEAKER}
"""Codes that the kiosk speaks to a visitor. Without a speaker nothing can be heard."""

DEVICES: Final = {
    Device.MICROPHONE: Code.MICROPHONE,
    Device.SPEAKER: Code.SPEAKER,
    Device.BUTTON: Code.BUTTON,
    Device.LAMP: Code.LAMP,
    Device.CAMERA: Code.CAMERA,
}
"""Code of each kind of device that is missing."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that is wrong."""

    code: Code
    what: str = ""
    """Names of the devices, the reason, or the time at which the kiosk opens again; empty if unknown."""


def troubles(state: "State", policy: Policy) -> tuple[Trouble, ...]:
    """Return all troubles, the most severe first. A closed or missing microphone stays as deaf as it was."""
    found = {trouble.code: trouble for trouble in _found(state)}
    codes = [code for code in ORDER if code in found]
    if unwakeable(state, policy):
        codes.remove(Code.BUTTON)
        codes.insert(sum(code in ORDER[:4] for code in codes), Code.BUTTON)
    return tuple(found[code] for code in codes)


def unwakeable(state: "State", policy: Policy) -> bool:
    """Return whether no visitor can wake the kiosk, because all buttons that could are missing."""
    return bool(policy.wake_buttons) and policy.wake_buttons <= set(state.missing.get(Device.BUTTON, ()))


def broken(state: "State") -> Code | None:
    """Return the code of a missing or silent device without which no conversation makes sense.

    A microphone that was muted on purpose is no such trouble.
    """
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
