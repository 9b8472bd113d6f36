"""Checks that buttons and lamps can be opened, and, with a person there to press and look, that they work."""

import asyncio
from collections.abc import Sequence
from typing import Final

from kioskd import app, ports
from kioskd.doctor.context import CheckContext
from kioskd.doctor.finding import Finding, fault, of_error, ok, skipped
from kioskd.doctor.sound import together
from kioskd.errors import DeviceLost

MOST_EDGES: Final = 1000
"""Edges of a button that wait. A device that sends more is no button, and the later ones are dropped."""

PRESS_S: Final = 20.0
_FIRST_EDGE_S: Final = 0.5
"""The time for a line to report its level, or to fail."""
_BLINKS: Final = 3
"""One without a person: it shows that the lamp can be driven."""
_BLINK_S: Final = 0.4


async def buttons(context: CheckContext) -> Sequence[Finding]:
    """Prove that each is at rest, and can be pressed."""
    if not context.settings.controls.all_buttons:
        return [skipped("none is set (controls.button)")]
    return [await _button(context, each) for each in context.only("controls").buttons]


async def lamps(context: CheckContext) -> Sequence[Finding]:
    """Prove that each can be lit, and is seen to blink."""
    settings = context.settings.controls.all_lamps
    if not settings:
        return [skipped("none is set (controls.lamp)")]
    names = [f"lamp {one.source or ' '.join(one.command or ())}" for one in settings]
    return [
        await _lamp(context, name, lit.lamp)
        for name, lit in zip(names, context.only("controls").lamps, strict=True)
    ]


async def _button(context: CheckContext, spec: app.ButtonSpec) -> Finding:
    edges: asyncio.Queue[bool] = asyncio.Queue(MOST_EDGES)
    found: list[Finding] = []
    over = asyncio.Event()

    def note(edge: ports.Edge) -> None:
        if not edges.full():
            edges.put_nowait(edge.down)

    async def follow() -> None:
        if await _next(edges, _FIRST_EDGE_S):
            said = f"{spec.name}: reads as pressed while nobody presses it"
            remedy = "let go of it; else see its wiring, `pull` and `active` under controls.button"
            found.append(fault("button-stuck", said, remedy))
        elif context.person is None:
            found.append(ok(f"{spec.name}: opens, and is at rest; nobody was asked to press it"))
        else:
            context.person.show(f"Press and let go of the {spec.name} within {PRESS_S:.0f} s.")
            found.append(_press_finding(spec.name, await _next(edges, PRESS_S, wanted=True)))
        over.set()

    try:
        await together(spec.button.watch(note), follow(), until=over)
    except DeviceLost as lost:
        return of_error("button-missing", lost, "see `kioskd devices`")
    return found[0]


def _press_finding(name: str, pressed: bool) -> Finding:
    if pressed:
        return ok(f"{name}: opens, and was pressed")
    return fault(
        "button-not-pressed",
        f"{name}: no press came",
        "see its wiring (line and ground), its line's number, `pull` and `active` under controls.button",
    )


async def _next(edges: "asyncio.Queue[bool]", seconds: float, *, wanted: bool | None = None) -> bool:
    """Return the next edge, or the next one that is `wanted`; False where none comes in time."""
    try:
        async with asyncio.timeout(seconds):
            while True:
                edge = await edges.get()
                if wanted in (None, edge):
                    return edge
    except TimeoutError:
        return False


async def _lamp(context: CheckContext, name: str, lamp: ports.Lamp) -> Finding:
    over = asyncio.Event()

    async def blink() -> None:
        for _ in range(_BLINKS if context.person is not None else 1):
            for level in (1.0, 0.0):
                lamp.shine(ports.Light("listening", level, level, level) if level else ports.DARK)
                await context.clock.sleep(_BLINK_S)
        over.set()

    if context.person is not None:
        context.person.show(f"Look at the {name}: it blinks {_BLINKS} times now.")
    try:
        await together(lamp.run(), blink(), until=over)
    except DeviceLost as lost:
        return of_error("lamp-missing", lost, "see `kioskd devices`")
    seen = await context.person.ask(f"Did the {name} blink?") if context.person is not None else None
    if seen is False:
        return fault(
            "lamp-dark",
            f"{name}: can be driven, and was not seen to blink",
            "see its wiring and resistor, its line's number, and `active` under controls.lamp",
        )
    return ok(
        f"{name}: can be driven" + (", and was seen to blink" if seen else "; nobody was asked to look")
    )
