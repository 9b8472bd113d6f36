"""Longer deadlines for a machine that is slower than any Pi, such as an emulated one.

The factor is KIOSKD_PATIENCE in the environment, 1 by default.
"""

import asyncio
import os
from collections.abc import Callable
from typing import Final

import pytest

FACTOR: Final = float(os.environ.get("KIOSKD_PATIENCE", "1"))

_WAITS_OF_THREADS: Final = (
    "kioskd.adapters.cameras.picamera_device.WAIT_S",
    "kioskd.adapters.cameras.thread.STOP_S",
    "kioskd.adapters.cameras.v4l2.WAIT_S",
    "kioskd.adapters.portaudio.device_thread.CLOSE_S",
)
"""Deadlines of the adapters that do not use `asyncio.timeout`."""


def patient(seconds: float) -> float:
    """Return a longer deadline, for waits without `asyncio.timeout`."""
    return seconds * FACTOR


def stretch(patch: pytest.MonkeyPatch, factor: float = FACTOR) -> None:
    """Multiply all deadlines of tests and daemon by `factor` until `patch` is undone."""
    real: Callable[[float | None], asyncio.Timeout] = asyncio.timeout
    patch.setattr(asyncio, "timeout", lambda delay: real(delay and delay * factor))
    for name in _WAITS_OF_THREADS:
        module, _, constant = name.rpartition(".")
        before: float = getattr(__import__(module, fromlist=[constant]), constant)
        patch.setattr(name, before * factor)
