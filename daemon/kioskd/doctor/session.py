"""Checks that the service takes the key, the model and the settings, by a real session of two seconds of silence."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, NoReturn

from kioskd import app, ports
from kioskd.doctor import credential
from kioskd.doctor.context import CheckContext
from kioskd.doctor.finding import Finding, fault, note, of_error, ok, split_remedy
from kioskd.doctor.sound import beside
from kioskd.errors import LinkLost, Remedy
from kioskd.media import pcm
from kioskd.settings.model import Settings
from kioskd.tools.build import described

if TYPE_CHECKING:
    from pydantic import SecretStr

    from kioskd.adapters.gemini import ToolTrial

SILENCE_S: Final = 2.0
_FRAMES: Final = round(SILENCE_S * 1000 / pcm.FRAME_MS)
_DEADLINE_S: Final = 30.0
"""Dialing, setup, the silence and hanging up have deadlines of their own; all together take less."""

_FAULTS_OF_REMEDIES: Final[Mapping[Remedy, str]] = {
    Remedy.SETTINGS: "refused",
    Remedy.CREDENTIALS: "refused",
    Remedy.QUOTA: "quota",
    Remedy.CLOCK: "certificate-out-of-time",
    Remedy.STOP: "sdk-unknown",
}


_LATER_REMEDY: Final = (
    "try again in a minute; if it stays so, ask whoever looks after the network, or the service's status page"
)
_QUOTA_REMEDY: Final = "see in Google AI Studio how much this key's project may use, and what else uses it; try again in a minute"


async def session(context: CheckContext) -> Finding:
    """Prove it with the key that the daemon will use."""
    key, _ = await asyncio.to_thread(credential.found, context)
    from kioskd.adapters.gemini import ToolTrial  # noqa: PLC0415 - slow to load

    declared = described(context.settings.tools)
    places = {declaration.name: place for declaration, place in declared}
    trial = ToolTrial(lambda name: places.get(name, "conversation.search"))
    tools = [declaration for declaration, _ in declared]
    try:
        setup_s, delivered = await try_service(context.settings, key, context.clock, tools=tools, trial=trial)
    except LinkLost as lost:
        name = _FAULTS_OF_REMEDIES.get(lost.remedy)
        if lost.remedy is Remedy.QUOTA or name is None:
            # The daemon tries again by itself, and the message ends in that; a person can do something else.
            remedy = _LATER_REMEDY if name is None else _QUOTA_REMEDY
            return fault(name or "session-lost", split_remedy(str(lost))[0], remedy)
        return of_error(name, lost, _LATER_REMEDY)
    setup_s = round(setup_s, 2)
    said = f"{context.settings.service.model}: set up in {setup_s:.1f} s, and took {delivered} of {_FRAMES} frames of silence"
    if trial.left_out:
        refused = "; ".join(f"{one.name}, set at {one.place} ({one.why})" for one in trial.left_out)
        said = f"{said}, without tools that the service refuses: {refused}"
        remedy = "simplify the parameters of these tools, or take them out"
        return note(said, remedy, setup_s=setup_s)
    if not delivered:
        return note(said, "try again: a service that is slow to take sound answers late", setup_s=setup_s)
    return ok(said, setup_s=setup_s)


async def try_service(
    settings: Settings,
    key: "SecretStr | None",
    clock: ports.Clock,
    *,
    tools: Sequence[ports.Tool] = (),
    trial: "ToolTrial | None" = None,
) -> tuple[float, int]:
    """Hold a session of two seconds of silence. Return the seconds until it was set up, and the frames taken.

    `tools` are declared, and `trial` finds out which of them the service refuses. Tool servers are not started for it.

    Raises:
        LinkLost: the service was not reached, or turned something down; the message says what.
        ConfigError: the settings name what cannot be used.
    """
    live = app.live(settings, key, lambda: tools, trial)
    await live.warm_up()
    began = clock.now()
    try:
        async with asyncio.timeout(_DEADLINE_S), live.connect(None) as connection:
            setup_s = clock.now() - began
            await beside(_send_silence(connection, clock), _receive(connection))
    except TimeoutError:
        raise LinkLost(f"no end after {_DEADLINE_S:.0f} s: the service hangs; try again") from None
    return setup_s, connection.delivered


async def _send_silence(connection: ports.Connection, clock: ports.Clock) -> None:
    await connection.begin_audio()
    for _ in range(_FRAMES):
        await connection.send_audio(bytes(pcm.FRAME_BYTES))
        await clock.sleep(pcm.FRAME_MS / 1000)
    await connection.end_audio()


async def _receive(connection: ports.Connection) -> NoReturn:
    while True:
        await connection.receive()
