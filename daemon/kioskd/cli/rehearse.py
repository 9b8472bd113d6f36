"""`kioskd rehearse`: runs the whole daemon against a simulator of the service, and reports how it went."""

import argparse
import asyncio
import datetime
import functools
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from kioskd import logs
from kioskd.cli import Exit, add_config
from kioskd.rehearsal.default_scenarios import demo, guided
from kioskd.rehearsal.report import FILES
from kioskd.rehearsal.run import given, rehearse
from kioskd.rehearsal.scenario import load_scenario
from kioskd.rehearsal.summary import Summary
from kioskd.settings.load import load
from kioskd.settings.model import Settings

MEASURED = (
    ("wake to uplink", "wake_to_uplink_ms", "ms"),
    ("end of speech to sound", "end_of_speech_to_sound_ms", "ms"),
    ("barge-in to silence", "barge_in_to_silence_ms", "ms"),
    ("press to silence", "press_to_silence_ms", "ms"),
    ("first word lost", "first_word_lost_ms", "ms"),
    ("uplink received", "uplink_sent_ms", "ms"),
    ("uplink lost", "uplink_lost_ms", "ms"),
    ("uplink received twice", "uplink_duplicated_ms", "ms"),
    ("longest gap in the uplink", "uplink_gap_ms", "ms"),
    ("longest gap in a reply", "reply_gap_ms", "ms"),
    ("tool calls", "tool_calls", ""),
    ("conversations", "conversations", ""),
    ("turns", "turns", ""),
    ("replies heard", "replies_heard", ""),
    ("connections", "connections", ""),
    ("stop signal to exit", "stop_ms", "ms"),
)
"""Rows of the table of measured values: words, name in the summary, unit."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add_config(parser, "every setting at its default")
    parser.add_argument(
        "--scenario",
        type=Path,
        metavar="FILE",
        help="the script of the visitor (default: a short conversation)",
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder of the report (default: ./out/rehearsal-TIME)"
    )
    parser.add_argument(
        "--devices",
        choices=("scripted", "real"),
        default="scripted",
        help="scripted (default): recordings and a scripted button; real: yours, and you are the visitor",
    )
    parser.add_argument("--json", action="store_true", help="print summary.json instead of words")


def run(arguments: argparse.Namespace) -> int:
    """Rehearse, print progress and results, and return 0 if all expectations are met.

    Raises:
        KioskError: the rehearsal could not be held.
    """
    logs.set_up(logs.level({"KIOSKD_LOG": "warning"} | os.environ))
    settings = _settings(arguments.config)
    folder = arguments.out or Path("out", f"rehearsal-{datetime.datetime.now().astimezone():%Y%m%d-%H%M%S}")
    real = arguments.devices == "real"
    if arguments.scenario:
        scenario = load_scenario(arguments.scenario)
    else:
        scenario = guided(settings) if real else demo(settings)
    if not arguments.json:
        print(f"{scenario.name}\n")
        if changed := sorted(_changed(given(settings), given(scenario.settings))):
            print(f"this scenario replaces your own settings of: {', '.join(changed)}\n", flush=True)
    tell = _teller(real=real, json=arguments.json)
    rehearsed = asyncio.run(rehearse(settings, scenario, folder, real_devices=real, tell=tell))
    summary = rehearsed.summary
    print(summary.model_dump_json(indent=2) if arguments.json else "\n".join(_report(summary, folder)))
    return Exit.OK if summary.met else Exit.NOT_MET


def _settings(config: Path | None) -> Settings:
    """Return the owner's settings; without --config and $KIOSKD_CONFIG the defaults."""
    named = config or os.environ.get("KIOSKD_CONFIG")
    return load(Path(named)) if named else Settings()


def _changed(own: Mapping[str, Any], scenario: Mapping[str, Any], section: str = "") -> Iterator[str]:
    """Yield the names of the owner's settings to which the scenario gives other values."""
    for name, value in scenario.items():
        if name not in own or own[name] == value:
            continue
        if isinstance(value, Mapping):
            yield from _changed(own[name], value, f"{section}{name}.")
        else:
            yield f"{section}{name}"


def _teller(*, real: bool, json: bool) -> Callable[[str], None]:
    """Return the printer of progress.

    A person at real devices needs it, also if a program reads the output.
    """
    if json and not real:
        return lambda _line: None
    return functools.partial(print, file=sys.stderr if json else sys.stdout, flush=True)


def _report(summary: Summary, folder: Path) -> Iterator[str]:
    yield "\nmeasured"
    for words, name, unit in MEASURED:
        value = getattr(summary, name)
        if value is not None:
            every = getattr(summary, f"{name}_all", ())
            several = f"   (median of {', '.join(f'{one:g}' for one in every)})" if len(every) > 1 else ""
            yield f"  {words:24}{value:>8g} {unit}{several}".rstrip()
    yield "\nexpected"
    for expectation in summary.expectations:
        yield f"  {'✓' if expectation.met else '✗'} {expectation.text}"
    yield "\nwritten"
    for name in FILES:
        yield f"  {folder / name}"
