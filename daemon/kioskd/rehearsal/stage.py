"""What a rehearsal puts round the daemon: devices that keep what they heard and played, and who watches."""

import asyncio
from dataclasses import dataclass, replace

from pydantic import SecretStr

from kioskd import app
from kioskd.adapters.clock import SystemClock
from kioskd.adapters.memory import MemoryButton
from kioskd.adapters.systemd import notifier
from kioskd.ports import Clock
from kioskd.rehearsal.ear import KeepingSpeaker, KioskEar
from kioskd.rehearsal.notes import Notebook
from kioskd.rehearsal.visitor import KeepingMicrophone, VisitorMicrophone
from kioskd.rehearsal.witness import Witness
from kioskd.settings.model import Settings


@dataclass(frozen=True, slots=True)
class Stage:
    """One rehearsal's surroundings."""

    parts: app.Parts
    clock: Clock
    notebook: Notebook
    witness: Witness
    microphone: VisitorMicrophone | KeepingMicrophone
    speaker: KioskEar | KeepingSpeaker
    button: MemoryButton | None
    """What the script presses; None where a person does."""


def scripted_stage(settings: Settings, key: SecretStr | None) -> Stage:
    """Return a stage whose visitor is all script. Without a key, tokens are fetched where the settings say."""
    clock = SystemClock()
    notebook = Notebook(clock)
    microphone = VisitorMicrophone(clock)
    speaker = KioskEar(clock, notebook.ring)
    button = MemoryButton()
    parts = app.Parts(
        clock=clock,
        microphone=microphone,
        speaker=speaker,
        live=app.live(settings, key),
        notifier=notifier({}),
        button=button,
    )
    witness = Witness(notebook, lambda: len(microphone.track.frames))
    return Stage(parts, clock, notebook, witness, microphone, speaker, button)


def real_stage(settings: Settings, key: SecretStr | None) -> Stage:
    """Return a stage with this machine's devices, as the settings name them. For use within a running loop.

    Without a button in the settings the script presses one itself; without a key, tokens are fetched where they say.

    Raises:
        ConfigError: a library that a setting needs is missing.
    """
    loop = asyncio.get_running_loop()
    environ = {} if key is None else {"GEMINI_API_KEY": key.get_secret_value()}
    real = app.real_parts(settings, environ)
    clock = real.clock
    notebook = Notebook(clock)
    microphone = KeepingMicrophone(real.microphone, clock)
    speaker = KeepingSpeaker(real.speaker, clock, lambda: _ring(loop, notebook))
    button = MemoryButton() if real.button is None else None
    # The stand-in in any case, also where the owner's settings name tokens or an account of a real service.
    service = app.live(settings, key)
    parts = replace(real, microphone=microphone, speaker=speaker, live=service, button=button or real.button)
    witness = Witness(notebook, lambda: len(microphone.track.frames))
    return Stage(parts, clock, notebook, witness, microphone, speaker, button)


def _ring(loop: asyncio.AbstractEventLoop, notebook: Notebook) -> None:
    # The device's thread may outlive the loop by a period.
    if not loop.is_closed():
        loop.call_soon_threadsafe(notebook.ring)
