"""Names the devices that a kiosk can lose."""

import enum


class Device(enum.Enum):
    """Kind of device. Without a microphone and a speaker no conversation is possible."""

    MICROPHONE = "microphone"
    SPEAKER = "speaker"
    BUTTON = "button"
    LAMP = "lamp"
    CAMERA = "camera"
