"""Checks that the service accepts key, model and settings, in a real session of two seconds of silence."""

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
"""Longest duration of the session.

Dialing, setup, silence and hanging up have deadlines that add up to less.
"""

_FAULTS_OF_REMEDIES: Final[Mapping[Remedy, str]] = {
    Remedy.SETTINGS: "refused",
    Remedy.CREDENTIALS: "refused",
    Remedy.QUOTA: "quota",
    Remedy.CLOCK: "certificate-out-of-time",
    Remedy.STOP: "sdk-unknown",
}

_LATER_REMEDY: Final = (
    "try again in a minute; then see the service's status page, or ask who runs the network"
)
_QUOTA_REMEDY: Final = (
    "try again in a minute; Google AI Studio shows the quota of this key's project, and its other users"
)


async def session(context: CheckContext) -> Finding:
    """Prove that the service accepts the settings, with the key that the daemon will use."""
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
            # The message ends in what the daemon does: it tries again. A person can do something else.
            remedy = _LATER_REMEDY if name is None else _QUOTA_REMEDY
            return fault(name or "session-lost", split_remedy(str(lost))[0], remedy)
        return of_error(name, lost, _LATER_REMEDY)
    setup_s = round(setup_s, 2)
    frames = f"the service received {delivered} of {_FRAMES} frames of silence"
    said = f"{context.settings.service.model}: set up in {setup_s:.1f} s; {frames}"
    if trial.left_out:
        refused = "; ".join(f"{one.name}, set at {one.place} ({one.why})" for one in trial.left_out)
        said = f"{said}; the model cannot use these tools, as the service rejects them: {refused}"
        remedy = "simplify the parameters of these tools, or remove the tools"
        return note(said, remedy, setup_s=setup_s)
    if not delivered:
        return note(said, "try again: if the service receives sound late, it answers late", setup_s=setup_s)
    return ok(said, setup_s=setup_s)


async def try_service(
    settings: Settings,
    key: "SecretStr | None",
    clock: ports.Clock,
    *,
    tools: Sequence[ports.Tool] = (),
    trial: "ToolTrial | None" = None,
) -> tuple[float, int]:
    """Hold a session of two seconds of silence. Return the seconds of its setup, and the frames received.

    `tools` are declared, and `trial` finds those that the service rejects. Tool servers are not started.

    Raises:
        LinkLost: the service was not reached, or rejected something that the message names.
        ConfigError: the settings name something that cannot be used.
    """
    live = app.live(settings, key, lambda: tools, trial)
    await live.warm_up()
    began = clock.now()
    try:
        async with asyncio.timeout(_DEADLINE_S), live.connect(None) as connection:
            setup_s = clock.now() - began
            await beside(_send_silence(connection, clock), _receive(connection))
    except TimeoutError:
        words = f"the session did not end within {_DEADLINE_S:.0f} s: the service hangs; try again"
        raise LinkLost(words) from None
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
