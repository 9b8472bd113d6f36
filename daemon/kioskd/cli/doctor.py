"""`kioskd doctor`: proves that each part works on this device, one line and one remedy each."""

import argparse
import asyncio
import functools
import json
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from kioskd import logs
from kioskd.cli import Exit, add_config, devices
from kioskd.cli.output import say, say_json
from kioskd.doctor import bundle
from kioskd.doctor.checks import examine, examine_one
from kioskd.doctor.context import CheckContext, Technician
from kioskd.doctor.finding import Finding, Verdict, fault
from kioskd.doctor.inside import SandboxView
from kioskd.doctor.machine import Machine
from kioskd.settings.load import SettingsError, default_path, read

ANSWER_S: Final = 30.0

MACHINE: Final = Machine()
"""The machine under examination."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add_config(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")
    parser.add_argument(
        "--yes", action="store_true", help="ask no questions, so that no person has to press or look"
    )
    parser.add_argument(
        "--wear", action="store_true", help="measure for a minute how much kioskd writes to the memory card"
    )
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="also write a bundle for a support ticket (.tar.gz)"
    )
    parser.add_argument("--look", metavar="CHECK", help=argparse.SUPPRESS)


def run(arguments: argparse.Namespace) -> int:
    """Check this machine; return 0 if there is no fault, else 1.

    Raises:
        KioskError: the report cannot be written.
    """
    # Libraries read a proxy, a key or a path of ALSA from the daemon's environment. The sandbox has it
    # already.
    for name, value in MACHINE.unit_environ().items() if arguments.look is None else ():
        os.environ.setdefault(name, value)
    # The findings name the faults; log lines would come in between.
    logs.set_up(logs.level(os.environ) if os.environ.get("KIOSKD_LOG") else logging.ERROR)
    path = default_path(arguments.config, os.environ)
    person = None if arguments.yes or not sys.stdin.isatty() else Terminal()
    if arguments.look is not None:
        print(json.dumps(bundle.report_of(_run(arguments.look, path, person))))
        return Exit.OK
    inside = SandboxView(MACHINE)
    context = CheckContext.of(
        path, os.environ, machine=MACHINE, person=person, wear=arguments.wear, inside=inside
    )
    findings = asyncio.run(examine(context, (lambda _: None) if arguments.json else _show))
    if arguments.json:
        say_json(bundle.report_of(findings))
    if arguments.report:
        found = functools.partial(devices.seen_by_service, plugins=True)
        names = bundle.write(arguments.report, context, findings, found)
        words = f"written with {', '.join(names)}; it holds no key and no speech"
        print(f"{arguments.report}: {words}", file=sys.stderr)
    wrong = sum(finding.verdict is Verdict.FAULT for finding in findings)
    if not arguments.json:
        print(f"\n{wrong} fault{'s' * (wrong != 1)} in {len(findings)} findings")
    return Exit.NOT_MET if wrong else Exit.OK


def _run(check: str, path: Path, person: Technician | None) -> Sequence[Finding]:
    """Run one check for a doctor that waits outside the sandbox."""
    try:
        settings = read(path).settings
    except SettingsError as error:
        said = f"the service cannot use its settings: {error.faults[0]}"
        return [fault("settings", said, "make the file readable for the user kioskd")]
    return asyncio.run(examine_one(check, CheckContext(settings, os.environ, MACHINE, path, person=person)))


class Terminal(Technician):
    """The person at this terminal. Questions go to stderr: stdout is for the findings."""

    def show(self, text: str) -> None:
        """Show a line."""
        print(f"       {text}", file=sys.stderr, flush=True)

    async def ask(self, question: str) -> bool | None:
        """Wait for y or n, at most half a minute; return None for any other answer."""
        print(f"       {question} [y/n] ", end="", file=sys.stderr, flush=True)
        loop, line = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(sys.stdin.fileno(), line.set)
        try:
            async with asyncio.timeout(ANSWER_S):
                await line.wait()
        except TimeoutError:
            print(file=sys.stderr)
            return None
        finally:
            loop.remove_reader(sys.stdin.fileno())
        # The terminal hands over whole lines, so this one is there.
        return {"y": True, "n": False}.get(sys.stdin.readline().strip().lower()[:1])


MARKS: Final = {
    Verdict.OK: "ok     ",
    Verdict.NOTE: "note   ",
    Verdict.FAULT: "FAULT  ",
    Verdict.SKIPPED: "skipped",
}
"""The word before a finding on the terminal, by its verdict."""


def _show(finding: Finding) -> None:
    say(f"{MARKS[finding.verdict]} {finding.check:<12} {finding.said}")
    if finding.remedy:
        say(f"{'':<20} -> {finding.remedy}")
    sys.stdout.flush()
