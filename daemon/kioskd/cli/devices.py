"""`kioskd devices`: what this machine has, by the names that the YAML takes."""

import argparse
import json
from pathlib import Path
from typing import Any, Final

from kioskd.cli.output import say
from kioskd.cli.sound_list import name_holders, show, sound
from kioskd.doctor.inside import SandboxView
from kioskd.doctor.machine import Machine

_DEV: Final = Path("/dev")
_SYS: Final = Path("/sys")


_NAMED: Final = {
    "cameras": "camera.source",
    "input_devices": 'controls.button.source: "evdev:NAME/KEY"',
    "leds": 'controls.lamp.source: "led:NAME"',
    "pwm_chips": 'controls.lamp.source: "pwm:CHIP/CHANNEL"',
}
"""What is nothing but a name, and the setting that takes it."""


MACHINE: Final = Machine()
"""Whose devices are listed."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments to `parser`."""
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of words")
    parser.add_argument(
        "--all", action="store_true", help="list the plugins of ALSA too (dmix, surround51, ...)"
    )
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> int:
    """Print what this machine has, as the service sees it; return 0, even where there is nothing."""
    if args.here:
        print(json.dumps(_found(plugins=args.all)))
        return 0
    inside, found = SandboxView(MACHINE), None
    why = inside.unavailable_reason()
    if why is None:
        found = inside.list_inside("devices", "--here", *["--all"] * args.all)
        why = "the look from inside ended without a list; see journalctl -n 30" if found is None else None
    found = _found(plugins=args.all) if found is None else found
    name_holders(found, MACHINE.daemon())
    found["outside"] = why
    if args.json:
        print(json.dumps(found, indent=2))
        return 0
    show(found)
    print('GPIO chips (controls.*.source: "gpio:CHIP/LINE"):')
    for chip in found["gpio_chips"]:
        lines = f"lines: {chip['lines']}" if chip["fault"] is None else f"cannot be opened: {chip['fault']}"
        say(f"  {chip['name']}   {chip['label'] or 'no label'}, {lines}")
    if not found["gpio_chips"]:
        print("  none: this machine has no /dev/gpiochip*")
    for kind, setting in _NAMED.items():
        print(f"{kind.replace('_', ' ')} ({setting}):")
        for name in found[kind]:
            say(f"  {name}")
        faults = found["camera_faults"] if kind == "cameras" else {}
        for name, fault in faults.items():
            say(f"  {name}   cannot be used: {fault}")
        if not found[kind] and not faults:
            print("  none")
    if why is not None:
        print(f"Seen from outside the service's sandbox: {why}.")
    return 0


def _found(*, plugins: bool) -> dict[str, Any]:
    return {
        **sound(plugins=plugins),
        **_cameras(),
        "gpio_chips": _gpio_chips(),
        "input_devices": _inputs(),
        "leds": _names(_SYS / "class/leds"),
        "pwm_chips": _names(_SYS / "class/pwm"),
    }


def _cameras() -> dict[str, Any]:
    """Return `camera.source` for each camera, and for those that cannot be used the reason.

    A Pi's are asked for only where they can be: it takes a second.
    """
    from kioskd.adapters.cameras import picamera, v4l2  # noqa: PLC0415 - only this command needs them

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
    from kioskd.adapters.controls.evdev_inputs import inputs  # noqa: PLC0415 - only this command needs it

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
