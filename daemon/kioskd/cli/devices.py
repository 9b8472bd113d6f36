"""`kioskd devices`: what this machine has, by the names that the YAML takes."""

import argparse
import json
from pathlib import Path
from typing import Any, Final

from kioskd.errors import DeviceLost

_DEV: Final = Path("/dev")
_SYS: Final = Path("/sys")


_NAMED: Final = {
    "cameras": "camera.source",
    "input_devices": 'controls.button.source: "evdev:NAME/KEY"',
    "leds": 'controls.lamp.source: "led:NAME"',
    "pwm_chips": 'controls.lamp.source: "pwm:CHIP/CHANNEL"',
}
"""What is nothing but a name, and the setting that takes it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments to `parser`."""
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of words")


def run(args: argparse.Namespace) -> int:
    """Print what this machine has; return 0, even where there is nothing."""
    found = {
        **_sound(),
        **_cameras(),
        "gpio_chips": _gpio_chips(),
        "input_devices": _inputs(),
        "leds": _names(_SYS / "class/leds"),
        "pwm_chips": _names(_SYS / "class/pwm"),
    }
    if args.json:
        print(json.dumps(found, indent=2))
        return 0
    for kind, setting in (("microphones", "microphone.device"), ("speakers", "speaker.device")):
        print(f"{kind} ({setting}):")
        for device in found[kind]:
            default = "   (default)" if device["default"] else ""
            print(f"  {device['name']}   {device['rate_hz']} Hz, channels: {device['channels']}{default}")
        if not found[kind]:
            print(
                f"  none: {found['sound_fault'] or 'plug one in; `aplay -l` and `arecord -l` show what ALSA sees'}"
            )
    print('GPIO chips (controls.*.source: "gpio:CHIP/LINE"):')
    for chip in found["gpio_chips"]:
        lines = f"lines: {chip['lines']}" if chip["fault"] is None else f"cannot be opened: {chip['fault']}"
        print(f"  {chip['name']}   {chip['label'] or 'no label'}, {lines}")
    if not found["gpio_chips"]:
        print("  none: this machine has no /dev/gpiochip*")
    for kind, setting in _NAMED.items():
        print(f"{kind.replace('_', ' ')} ({setting}):")
        for name in found[kind]:
            print(f"  {name}")
        faults = found["camera_faults"] if kind == "cameras" else {}
        for name, fault in faults.items():
            print(f"  {name}   cannot be used: {fault}")
        if not found[kind] and not faults:
            print("  none")
    return 0


def _sound() -> dict[str, Any]:
    empty: dict[str, Any] = {"microphones": [], "speakers": []}
    try:
        # Here, and not above: other commands must work where PyAudio does not.
        from kioskd.adapters import portaudio  # noqa: PLC0415 - see above
        from kioskd.adapters.portaudio_devices import Direction, capable, stable_name  # noqa: PLC0415 - see above

        devices = portaudio.list_devices()
    except ImportError as error:
        return empty | {"sound_fault": f"PyAudio cannot be loaded ({error}); install it as the README says"}
    except DeviceLost as error:
        return empty | {"sound_fault": str(error)}
    return {
        kind: [
            {
                "name": stable_name(device, devices),
                "default": direction in device.default_for,
                "rate_hz": device.rate_hz,
                "channels": device.channels(direction),
            }
            for device in capable(devices, direction)
        ]
        for kind, direction in (("microphones", Direction.IN), ("speakers", Direction.OUT))
    } | {"sound_fault": None}


def _cameras() -> dict[str, Any]:
    """Return `camera.source` for each camera, and for those that cannot be used the reason.

    A Pi's are asked for only where they can be: it takes a second.
    """
    from kioskd.adapters import picamera, v4l2  # noqa: PLC0415 - only this command needs them

    usable, faults = picamera.cameras(), {}
    if (fault := picamera.fault(_SYS)) is not None:
        faults["picamera"] = fault
    for camera in v4l2.cameras():
        name, fault = f"v4l2:{camera.name}", v4l2.why(camera)
        if not fault:
            usable.append(name)
        elif name not in usable:
            faults[name] = fault
    return {"cameras": usable, "camera_faults": faults}


def _inputs() -> list[str]:
    from kioskd.adapters.evdev_inputs import inputs  # noqa: PLC0415 - only this command needs it

    return sorted({device.name for device in inputs()})


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def _gpio_chips() -> list[dict[str, Any]]:
    paths = sorted(_DEV.glob("gpiochip*"))
    if not paths:
        return []
    import gpiod  # noqa: PLC0415 - only where there is a chip

    chips: list[dict[str, Any]] = []
    for path in paths:
        try:
            with gpiod.Chip(str(path)) as chip:
                info = chip.get_info()
        except OSError as error:
            chips.append(
                {"name": path.name, "label": None, "lines": None, "fault": error.strerror or str(error)}
            )
        else:
            chips.append({"name": info.name, "label": info.label, "lines": info.num_lines, "fault": None})
    return chips
