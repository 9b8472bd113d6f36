"""All checks, in the order in which a fault of one explains what others would find."""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from kioskd.doctor import (
    access,
    audio,
    camera,
    clock,
    configuration,
    controls,
    credential,
    files,
    network,
    power,
    programs,
    session,
    sound_card_users,
    storage,
    unit,
)
from kioskd.doctor.context import CheckContext
from kioskd.doctor.finding import Finding, Verdict, of_error, skipped
from kioskd.errors import KioskError

CheckFunction = Callable[[CheckContext], Awaitable[Sequence[Finding]]]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that is proved, or found to be false."""

    name: str
    look: CheckFunction
    needs: tuple[str, ...] = ()
    """Checks without which this one could only find their faults again."""
    opens: bool = False
    """Whether it opens a device, which a daemon that runs holds."""


def in_thread(look: Callable[[CheckContext], Sequence[Finding]]) -> CheckFunction:
    """Return a check that reads files and runs programs, off the loop."""

    async def run_in_thread(context: CheckContext) -> Sequence[Finding]:
        return await asyncio.to_thread(look, context)

    return run_in_thread


CHECKS: Final = (
    Check("settings", in_thread(configuration.settings)),
    Check("libraries", in_thread(configuration.libraries), ("settings",)),
    Check("service", in_thread(unit.installed)),
    Check("sandbox", in_thread(unit.sandbox), ("service",)),
    Check("power", in_thread(power.power)),
    Check("temperature", in_thread(power.temperature)),
    Check("space", in_thread(storage.space)),
    Check("wear", storage.wear),
    Check("clock", in_thread(clock.clock)),
    Check("files", in_thread(files.files), ("settings",)),
    Check("key", in_thread(credential.credential), ("settings",)),
    Check("name", network.name, ("settings",)),
    Check("tls", network.tls, ("name",)),
    Check("session", session.session, ("libraries", "key", "tls")),
    Check("tools", programs.programs, ("settings",)),
    Check("groups", in_thread(access.groups), ("settings",)),
    Check("permissions", in_thread(access.permissions), ("groups",)),
    Check("cards", in_thread(sound_card_users.cards), ("settings",)),
    Check("microphone", audio.microphone, ("libraries", "cards"), opens=True),
    Check("speaker", audio.speaker, ("libraries", "cards"), opens=True),
    Check("echo", audio.echo, ("microphone", "speaker"), opens=True),
    Check("camera", camera.camera, ("libraries",), opens=True),
    Check("button", controls.buttons, ("libraries",), opens=True),
    Check("lamp", controls.lamps, ("libraries",), opens=True),
)


async def examine(
    context: CheckContext, tell: Callable[[Finding], None] = lambda _: None, checks: Sequence[Check] = CHECKS
) -> list[Finding]:
    """Do all checks one after the other; `tell` gets each finding as it is made.

    A check whose needs have a fault is left out, so that one fault is named once.
    """
    pid = await asyncio.to_thread(context.machine.daemon)
    blocked: set[str] = set()
    told = False
    findings: list[Finding] = []
    for check in checks:
        wanting = [need for need in check.needs if need in blocked]
        found: Sequence[Finding]
        if wanting:
            found = [skipped(f"comes after: {', '.join(wanting)}")]
        elif check.opens and pid is not None:
            remedy = (
                None
                if told
                else "sudo systemctl stop kioskd; sudo kioskd doctor; sudo systemctl start kioskd"
            )
            if trouble := await asyncio.to_thread(unit.reported_fault, context, check.name):
                found = [trouble]
            else:
                found, told = [skipped(f"kioskd runs (process {pid}) and holds it", remedy)], True
        else:
            found = await _run(check, context)
        if wanting or any(one.verdict is Verdict.FAULT for one in found):
            blocked.add(check.name)
        for one in found:
            findings.append(dataclasses.replace(one, check=check.name))
            tell(findings[-1])
    return findings


async def look(name: str, context: CheckContext) -> Sequence[Finding]:
    """Make one check, from where this process is."""
    return await _run(next(check for check in CHECKS if check.name == name), context)


async def _run(check: Check, context: CheckContext) -> Sequence[Finding]:
    inside = context.inside
    if check.opens and inside is not None and await asyncio.to_thread(inside.unavailable_reason) is None:
        quiet = () if context.person is not None else ("--yes",)
        return await inside.examine_inside(check.name, "--config", str(context.path), *quiet)
    try:
        return await check.look(context)
    except KioskError as error:
        return [of_error(f"{check.name}-failed", error, "see the journal: journalctl -u kioskd")]
