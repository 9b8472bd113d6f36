"""`kioskd devices`: lists the devices of this machine by the names that the configuration takes."""

import argparse
import json
from pathlib import Path
from typing import Any, Final

from kioskd.adapters.cameras.kinds import cameras_found
from kioskd.adapters.controls.kinds import listings
from kioskd.cli.output import say
from kioskd.doctor.inside import SandboxView
from kioskd.doctor.machine import Machine
from kioskd.errors import DeviceLost

_DEV: Final = Path("/dev")
_SYS: Final = Path("/sys")
_SOUND: Final = {"microphones": "microphone.device", "speakers": "speaker.device"}

MACHINE: Final = Machine()
"""The machine whose devices are listed."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of words")
    parser.add_argument(
        "--all", action="store_true", help="also list the plugins of ALSA (dmix, surround51, ...)"
    )
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> int:
    """Print the devices as the service sees them; return 0, also if there are none."""
    if args.here:
        print(json.dumps(_found(plugins=args.all)))
        return 0
    found = seen_by_service(plugins=args.all)
    if args.json:
        print(json.dumps(found, indent=2))
        return 0
    for kind, setting in _SOUND.items():
        print(f"{kind} ({setting}):")
        for device in found[kind]:
            default = "   (default)" if device["default"] else ""
            figures = f"{device['rate_hz']} Hz, channels: {device['channels']}"
            print(f"  {device['name']}   {device.get('fault') or figures}{default}")
        if not found[kind]:
            remedy = "plug one in; `aplay -l` and `arecord -l` show what ALSA sees"
            print(f"  none: {found['sound_fault'] or remedy}")
    unusable = [f"{name}   cannot be used: {fault}" for name, fault in found["camera_faults"].items()]
    sections = [("cameras", "camera.source", [*found["cameras"], *unusable], "none")]
    sections += [
        (one.title, one.setting, list(map(one.line, found[one.key])), one.none) for one in listings()
    ]
    for title, setting, lines, none in sorted(sections):
        print(f"{title} ({setting}):")
        for line in lines or [none]:
            say(f"  {line}")
    if found["outside"] is not None:
        print(f"The service's sandbox may hide some of these; this list ignores it: {found['outside']}.")
    return 0


def seen_by_service(*, plugins: bool) -> dict[str, Any]:
    """Return the devices in the form of the JSON output, on demand with the plugins of ALSA. Blocks for
    seconds.

    `outside` says why they are listed from outside the service's sandbox; None if they are listed from
    inside.
    """
    inside, found = SandboxView(MACHINE), None
    why = inside.unavailable_reason()
    if why is None:
        found = inside.list_inside("devices", "--here", *["--all"] * plugins)
        why = "no list came from inside; journalctl -n 30 may say why" if found is None else None
    found = _found(plugins=plugins) if found is None else found
    _name_holders(found, MACHINE.daemon())
    return found | {"outside": why}


def _found(*, plugins: bool) -> dict[str, Any]:
    usable, faults = cameras_found(_SYS)
    return {
        **_sound(plugins=plugins),
        "cameras": usable,
        "camera_faults": faults,
        **{listing.key: listing.find(_DEV, _SYS) for listing in listings()},
    }


def _sound(*, plugins: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"microphones": [], "speakers": [], "sound_fault": None}
    try:
        # Late: other devices must be listed where PyAudio does not work.
        from kioskd.adapters.portaudio import alsa, streams  # noqa: PLC0415 - see above
        from kioskd.adapters.portaudio.devices import Direction, capable, stable_name  # noqa: PLC0415 - see above

        devices, closed = streams.list_devices()
    except ImportError as error:
        return found | {"sound_fault": f"PyAudio cannot be loaded ({error}); install it as the README says"}
    except DeviceLost as error:
        return found | {"sound_fault": str(error)}
    hidden = frozenset[str]() if plugins else alsa.plugins()
    unusable: dict[str, Any] = {"default": False, "rate_hz": None, "channels": None}
    for kind, direction in (("microphones", Direction.IN), ("speakers", Direction.OUT)):
        found[kind] = [
            {
                "name": stable_name(device, devices),
                "default": direction in device.default_for,
                "rate_hz": device.rate_hz,
                "channels": device.channels(direction),
            }
            for device in capable(devices, direction)
            if device.full_name not in hidden
        ]
        found[kind] += [
            {"name": name, **unusable, "fault": why, "node": pcm.node}
            for pcm, name, why in closed
            if pcm.direction is direction
        ]
    return found


def _name_holders(found: dict[str, Any], daemon: int | None) -> None:
    """Name the programs that hold sound cards: this process may see programs that the service cannot see.

    `daemon` is the process of the kiosk itself, if it runs.
    """
    from kioskd.adapters.portaudio.sound_cards import holder, of_node  # noqa: PLC0415 - as above

    for device in (*found["microphones"], *found["speakers"]):
        pcm = of_node(device.pop("node", ""))
        by = holder(pcm) if pcm is not None else None
        if by is not None and by.pid == daemon:
            device["fault"] = f"in use by the kiosk itself (process {daemon})"
        elif by is not None:
            device["fault"] = f"in use by {by}; end that program, and find out what starts it"
