"""A simulated USB pedal named Pedal. SIGUSR1 presses KEY_SPACE for a moment, and SIGTERM unplugs it."""

import signal
import time
from types import FrameType

from evdev import UInput, ecodes

PRESSED_S = 0.2


def main() -> None:
    """Stay plugged in until the process ends."""
    pedal = UInput({ecodes.EV_KEY: [ecodes.KEY_SPACE]}, name="Pedal")

    def press(_number: int, _frame: FrameType | None) -> None:
        for value in (1, 0):
            pedal.write(ecodes.EV_KEY, ecodes.KEY_SPACE, value)
            pedal.syn()
            time.sleep(PRESSED_S * value)

    signal.signal(signal.SIGUSR1, press)
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
