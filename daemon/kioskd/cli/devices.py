"""`kioskd devices`: what this machine has, by the names that the YAML takes."""

import argparse
import json
from pathlib import Path
from typing import Any, Final

from kioskd.adapters.cameras.kinds import cameras_found
from kioskd.adapters.controls.kinds import listings
from kioskd.cli.output import say
from kioskd.cli.sound_list import name_holders, show, sound
from kioskd.doctor.inside import SandboxView
from kioskd.doctor.machine import Machine

_DEV: Final = Path("/dev")
_SYS: Final = Path("/sys")


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
    unusable = [f"{name}   cannot be used: {fault}" for name, fault in found["camera_faults"].items()]
    sections = [("cameras", "camera.source", [*found["cameras"], *unusable], "none")]
    sections += [
        (one.title, one.setting, list(map(one.line, found[one.key])), one.none) for one in listings()
    ]
    for title, setting, lines, none in sorted(sections):
        print(f"{title} ({setting}):")
        for line in lines or [none]:
            say(f"  {line}")
    if why is not None:
        print(f"Seen from outside the service's sandbox: {why}.")
    return 0


def _found(*, plugins: bool) -> dict[str, Any]:
    usable, faults = cameras_found(_SYS)
    return {
        **sound(plugins=plugins),
        "cameras": usable,
        "camera_faults": faults,
        **{listing.key: listing.find(_DEV, _SYS) for listing in listings()},
    }
