"""The parts of a kiosk that may go away."""

import enum


class Device(enum.Enum):
    """The parts that may go away. Without the first two the kiosk is not one."""

    MICROPHONE = "microphone"
    SPEAKER = "speaker"
    BUTTON = "button"
    LAMP = "lamp"
    CAMERA = "camera"
