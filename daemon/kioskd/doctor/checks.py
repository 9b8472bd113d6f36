"""All checks, in order: a fault that an early check finds explains faults that later ones would find."""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from kioskd.doctor import (
    access,
    announcements,
    audio,
    camera,
    captions,
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

Findings = Finding | Sequence[Finding]


@dataclass(frozen=True, slots=True)
class Check:
    """A check, which proves that one part of the kiosk works."""

    name: str
    run: Callable[[CheckContext], Findings | Awaitable[Findings]]
    """The function of the check.

    A plain one reads files and runs programs: it blocks, and runs in a thread.
    """
    needs: tuple[str, ...] = ()
    """Names of checks that must find no fault first: this one would only find their faults again."""
    opens_device: bool = False
    """Whether it opens a device; a running daemon holds its devices."""


CHECKS: Final = (
    Check("settings", configuration.settings),
    Check("libraries", configuration.libraries, ("settings",)),
    Check("bytecode", configuration.bytecode),
    Check("service", unit.installed),
    Check("sandbox", unit.sandbox, ("service",)),
    Check("power", power.power),
    Check("temperature", power.temperature),
    Check("space", storage.space),
    Check("wear", storage.wear),
    Check("clock", clock.clock),
    Check("files", files.files, ("settings",)),
    Check("key", credential.credential, ("settings",)),
    Check("name", network.name, ("settings",)),
    Check("tls", network.tls, ("name",)),
    Check("session", session.session, ("libraries", "key", "tls")),
    Check("tools", programs.programs, ("settings",)),
    Check("announcements", announcements.announcements, ("settings",)),
    Check("groups", access.groups, ("settings",)),
    Check("permissions", access.permissions, ("groups",)),
    Check("captions", captions.captions, ("settings",)),
    Check("cards", sound_card_users.cards, ("settings",)),
    Check("microphone", audio.microphone, ("libraries", "cards"), opens_device=True),
    Check("speaker", audio.speaker, ("libraries", "cards"), opens_device=True),
    Check("echo", audio.echo, ("microphone", "speaker"), opens_device=True),
    Check("camera", camera.camera, ("libraries",), opens_device=True),
    Check("button", controls.buttons, ("libraries",), opens_device=True),
    Check("reader", controls.readers, ("libraries",), opens_device=True),
    Check("presence", controls.presence, ("libraries",), opens_device=True),
    Check("lamp", controls.lamps, ("libraries",), opens_device=True),
)

_STOP_REMEDY: Final = "sudo systemctl stop kioskd; sudo kioskd doctor; sudo systemctl start kioskd"


async def examine(
    context: CheckContext, tell: Callable[[Finding], None] = lambda _: None, checks: Sequence[Check] = CHECKS
) -> list[Finding]:
    """Run all checks one after the other; `tell` gets each finding at once.

    A check whose needs have a fault is skipped, so that one fault is reported once.
    """
    pid = await asyncio.to_thread(context.machine.daemon)
    blocked: set[str] = set()
    remedy: str | None = _STOP_REMEDY
    findings: list[Finding] = []
    for check in checks:
        failed_needs = [need for need in check.needs if need in blocked]
        found: Sequence[Finding]
        if failed_needs:
            found = [skipped(f"waits until this is mended: {', '.join(failed_needs)}")]
        elif check.opens_device and pid is not None:
            if trouble := await asyncio.to_thread(unit.reported_fault, context, check.name):
                found = [trouble]
            else:
                found, remedy = [skipped(f"in use by the running kioskd (process {pid})", remedy)], None
        else:
            found = await _run(check, context)
        if failed_needs or any(one.verdict is Verdict.FAULT for one in found):
            blocked.add(check.name)
        for one in found:
            findings.append(dataclasses.replace(one, check=check.name))
            tell(findings[-1])
    return findings


async def examine_one(name: str, context: CheckContext) -> Sequence[Finding]:
    """Run one check in this process."""
    return await _run(next(check for check in CHECKS if check.name == name), context)


async def _run(check: Check, context: CheckContext) -> Sequence[Finding]:
    inside = context.inside
    if (
        check.opens_device
        and inside is not None
        and await asyncio.to_thread(inside.unavailable_reason) is None
    ):
        quiet = () if context.person is not None else ("--yes",)
        return await inside.examine_inside(check.name, "--config", str(context.path), *quiet)
    try:
        found = await asyncio.to_thread(check.run, context)
        if isinstance(found, Awaitable):
            found = await found
    except KioskError as error:
        found = of_error(f"{check.name}-failed", error, "journalctl -u kioskd may say more")
    return [found] if isinstance(found, Finding) else found
