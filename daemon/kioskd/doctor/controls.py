"""Checks that buttons, readers, the presence sensor and lamps can be opened.

If a person presses, scans and watches, it also proves that they work.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from kioskd import app, ports
from kioskd.doctor.context import CheckContext, Technician
from kioskd.doctor.finding import Finding, fault, of_error, ok, skipped
from kioskd.doctor.sound import beside
from kioskd.errors import DeviceLost

MOST_EDGES: Final = 1000
"""Edges of a button that are kept until they are read. Further edges are dropped: no button sends as many."""

PRESS_S: Final = 20.0
_FIRST_EDGE_S: Final = 0.5
"""Seconds for a line to report its level, or to fail."""
_BLINKS: Final = 3
"""Blinks that a person watches. Without a person one blink shows that the lamp can be driven."""
_BLINK_S: Final = 0.4


async def buttons(context: CheckContext) -> Sequence[Finding]:
    """Prove that each button is at rest, and can be pressed."""
    if not context.settings.controls.all_buttons:
        return [skipped("no button is set (controls.button)")]
    return [await _button(context, each) for each in context.only("controls").buttons]


async def readers(context: CheckContext) -> Sequence[Finding]:
    """Prove that each reader can be opened, and that a line arrives from it."""
    if not context.settings.controls.readers:
        return [skipped("no reader is set (controls.readers)")]
    return [await _reader(context, each) for each in context.only("controls").readers]


async def presence(context: CheckContext) -> Finding:
    """Prove that the presence sensor can be opened, say what it sees, and that it sees a person come."""
    spec = context.only("controls").presence if context.settings.controls.presence else None
    if spec is None:
        return skipped("no sensor is set (controls.presence)")
    edges: asyncio.Queue[bool] = asyncio.Queue(MOST_EDGES)
    try:
        return await beside(_approach(context.person, spec.name, edges), spec.sensor.watch(_into(edges)))
    except DeviceLost as lost:
        return of_error("presence-missing", lost, "`kioskd devices` lists what is here")


async def lamps(context: CheckContext) -> Sequence[Finding]:
    """Prove that each lamp can be lit, and that a person sees it blink."""
    settings = context.settings.controls.all_lamps
    if not settings:
        return [skipped("no lamp is set (controls.lamp)")]
    names = [f"lamp {one.source or ' '.join(one.command or ())}" for one in settings]
    specs = context.only("controls").lamps
    return [await _lamp(context, name, spec.lamp) for name, spec in zip(names, specs, strict=True)]


async def _button(context: CheckContext, spec: app.ButtonSpec) -> Finding:
    edges: asyncio.Queue[bool] = asyncio.Queue(MOST_EDGES)
    try:
        return await beside(_press(context.person, spec.name, edges), spec.button.watch(_into(edges)))
    except DeviceLost as lost:
        return of_error("button-missing", lost, "`kioskd devices` lists what is here")


def _into(edges: "asyncio.Queue[bool]") -> Callable[[ports.Edge], None]:
    """Return a function that puts edges into a queue until it is full."""

    def note(edge: ports.Edge) -> None:
        if not edges.full():
            edges.put_nowait(edge.down)

    return note


async def _press(person: Technician | None, name: str, edges: "asyncio.Queue[bool]") -> Finding:
    if await _next(edges, _FIRST_EDGE_S):
        remedy = "release it; else check its wiring, and `pull` and `active` under controls.button"
        return fault("button-stuck", f"{name}: reads as pressed, although no press was asked for", remedy)
    if person is None:
        return ok(f"{name}: opens, and is not pressed; doctor asked for no press")
    person.show(f"Press and release the {name} within {PRESS_S:.0f} s.")
    if await _next(edges, PRESS_S, wanted=True):
        return ok(f"{name}: opens, and a press arrived")
    remedy = (
        "check its wiring (line, ground), the line's number, and `pull` and `active` under controls.button"
    )
    return fault("button-not-pressed", f"{name}: opens, but no press arrived", remedy)


async def _reader(context: CheckContext, spec: app.ReaderSpec) -> Finding:
    scanned = asyncio.Event()

    async def scan() -> Finding:
        if context.person is None:
            await context.clock.sleep(_FIRST_EDGE_S)
            return ok(f"{spec.name}: opens; doctor asked for no scan")
        context.person.show(f"Show a code or a tag to the {spec.name} within {PRESS_S:.0f} s.")
        try:
            async with asyncio.timeout(PRESS_S):
                await scanned.wait()
        except TimeoutError:
            remedy = "let the reader type Enter after each line, as its manual says, and try a code of yours"
            return fault("reader-silent", f"{spec.name}: opens, but no line arrived", remedy)
        return ok(f"{spec.name}: opens, and a line arrived")

    try:
        return await beside(scan(), spec.reader.watch(lambda _line: scanned.set()))
    except DeviceLost as lost:
        return of_error("reader-missing", lost, "`kioskd devices` lists what is here")


async def _approach(person: Technician | None, name: str, edges: "asyncio.Queue[bool]") -> Finding:
    seen = await _next(edges, _FIRST_EDGE_S)
    if seen or person is None:
        return ok(f"{name}: opens, and sees {'a person' if seen else 'no person'} now")
    person.show(f"Step before the {name} within {PRESS_S:.0f} s.")
    if await _next(edges, PRESS_S, wanted=True):
        return ok(f"{name}: opens, and saw you come")
    remedy = "check its wiring and its range, and `active` and `pull` under controls.presence"
    return fault("presence-unseen", f"{name}: opens, but saw no person come", remedy)


async def _next(edges: "asyncio.Queue[bool]", seconds: float, *, wanted: bool | None = None) -> bool:
    """Return the next edge, or the next one that equals `wanted`; False if none comes in time."""
    try:
        async with asyncio.timeout(seconds):
            while True:
                edge = await edges.get()
                if wanted in (None, edge):
                    return edge
    except TimeoutError:
        return False


async def _lamp(context: CheckContext, name: str, lamp: ports.Lamp) -> Finding:
    person = context.person

    async def blink() -> None:
        for _ in range(1 if person is None else _BLINKS):
            for light in (ports.Light("listening", 1.0, 1.0, 1.0), ports.DARK):
                lamp.shine(light)
                await context.clock.sleep(_BLINK_S)

    if person is not None:
        person.show(f"Watch the {name}: it blinks {_BLINKS} times now.")
    try:
        await beside(blink(), lamp.run())
    except DeviceLost as lost:
        return of_error("lamp-missing", lost, "`kioskd devices` lists what is here")
    seen = None if person is None else await person.ask(f"Did the {name} blink?")
    if seen is False:
        remedy = "check its wiring and resistor, the line's number, and `active` under controls.lamp"
        return fault("lamp-dark", f"{name}: can be driven, but you did not see it blink", remedy)
    return ok(f"{name}: can be driven{', and you saw it blink' if seen else '; no person watched it'}")
