"""What a room is full of while nobody speaks to the kiosk. Samples are floats at 16 kHz."""

from typing import Final

import numpy as np
from tests.room.sounds import Samples, noise

from kioskd.media import pcm

KINDS: Final = ("white", "pink", "fan", "babble", "clicks", "switched")
"""Three of machines, a crowd of a dozen people, then: knocks, ticks and clinks, one a second over a soft hiss; a machine
that starts and stops every ten seconds, 10 to 25 dB louder than the room."""

STEADY: Final = ("white", "pink", "fan", "babble", "clicks")
"""Those that have one level, so that speech can be so many dB above it."""


def room_noise(kind: str, seconds: float, chance: np.random.Generator) -> Samples:
    """Return a noise of level 0 dB of full scale.

    Raises:
        ValueError: there is no such noise.
    """
    count = round(seconds * pcm.UPLINK_HZ)
    match kind:
        case "white":
            made = chance.standard_normal(count)
        case "clicks":
            made = _clicks(count, chance)
        case "switched":
            made = _switched(count, chance)
        case _:
            return noise(kind, seconds, chance)
    return np.asarray(made / np.sqrt(np.mean(np.square(made))))


def _clicks(count: int, chance: np.random.Generator) -> Samples:
    """One a second: a tick of a sample, a knock on the table, or something that is struck and rings."""
    made = 0.003 * chance.standard_normal(count)
    length = pcm.UPLINK_HZ // 5
    times = np.arange(length)
    at = 0
    while (at := at + int(chance.uniform(0.1, 2.0) * pcm.UPLINK_HZ)) + length < count:
        loud = chance.uniform(0.1, 0.5)
        match chance.integers(3):
            case 0:
                made[at : at + 2] += [2 * loud, -loud]
            case 1:
                made[at : at + length] += chance.normal(0, loud, length) * np.exp(
                    -times / chance.uniform(30, 300)
                )
            case _:
                hz = chance.uniform(200, 2000)
                ringing = np.sin(2 * np.pi * hz * times / pcm.UPLINK_HZ)
                made[at : at + length] += loud * ringing * np.exp(-times / chance.uniform(100, 500))
    return np.asarray(made)


def _switched(count: int, chance: np.random.Generator) -> Samples:
    """Ten seconds off, ten seconds on: another machine each time."""
    made = 0.01 * chance.standard_normal(count)
    on = 10 * pcm.UPLINK_HZ
    for at in range(on, count - on, 2 * on):
        kind = ("white", "pink", "fan")[chance.integers(3)]
        made[at : at + on] += chance.uniform(0.03, 0.2) * room_noise(kind, 10, chance)
    return np.asarray(made)
