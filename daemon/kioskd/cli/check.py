"""`kioskd check`: the configuration, read exactly as `run` would, with every fault in it."""

import argparse
import dataclasses
import json
import os

from kioskd.cli import Exit, add_config
from kioskd.settings.controls import LampSettings
from kioskd.settings.load import Fault, SettingsError, default_path, load_to_run, notes
from kioskd.settings.model import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add_config(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")


def run(arguments: argparse.Namespace) -> int:
    """Print what is wrong, or a short summary of what is set."""
    path = default_path(arguments.config, os.environ)
    faults: tuple[Fault, ...] = ()
    lines: list[str] = []
    remarks: list[str] = []
    try:
        settings = load_to_run(path, os.environ)
    except SettingsError as err:
        faults = err.faults
        lines = [str(fault) for fault in faults]
    else:
        remarks = notes(settings, os.environ)
        lines = [f"{path}: ok", *_summary(settings), *(f"  note: {note}" for note in remarks)]
    if arguments.json:
        report = {
            "ok": not faults,
            "faults": [dataclasses.asdict(fault) for fault in faults],
            "notes": remarks,
        }
        lines = [json.dumps(report, indent=2, ensure_ascii=False)]
    print("\n".join(lines))
    return Exit.CONFIGURATION if faults else Exit.OK


def _summary(settings: Settings) -> list[str]:
    conversation, controls = settings.conversation, settings.controls
    source = {"button": f" ({controls.button.source})" if controls.button else ""}
    wake = ", ".join(f"{way}{source.get(way, '')}" for way in conversation.wake)
    return [
        f"  wake        {wake}; sleeps after {conversation.idle_s:g} s of silence, {conversation.longest_s:g} s at most",
        f"  model       {settings.service.model}, voice {settings.assistant.voice}, {settings.assistant.language}",
        f"  microphone  {settings.microphone.device}, echo {settings.microphone.echo}",
        f"  speaker     {settings.speaker.device}, volume {settings.speaker.volume}",
        f"  lamp        {_lamp(controls.lamp)}",
    ]


def _lamp(lamp: LampSettings | None) -> str:
    if lamp is None:
        return "none"
    return lamp.source or f"by the command {lamp.command[0] if lamp.command else ''}"
