"""The context of all checks: an owner's settings, and the machine that they are for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, Self

from kioskd import app, ports
from kioskd.adapters.clock import SystemClock
from kioskd.doctor.inside import SandboxView
from kioskd.doctor.machine import Machine
from kioskd.settings.load import SettingsError, read, startup_faults
from kioskd.settings.model import Settings
from kioskd.yamlconf.document import Fault


class Technician(Protocol):
    """A person at the kiosk who presses buttons and watches lamps when doctor asks."""

    def show(self, text: str) -> None:
        """Show a line."""

    async def ask(self, question: str) -> bool | None:
        """Return the answer to a yes-or-no question; None if no answer comes in time."""


def this_machines_parts(settings: Settings) -> app.Parts:
    """Return the devices that `settings` name, without opening them.

    Raises:
        ConfigError: a device needs an optional library that is missing.
    """
    # No device needs the service's key.
    return app.real_parts(settings, {"GEMINI_API_KEY": "not-used"})


@dataclass(frozen=True, slots=True)
class CheckContext:
    """The settings, the machine and the options that all checks work with."""

    settings: Settings
    """The owner's settings; the defaults if the file has faults."""
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    machine: Machine = field(default_factory=Machine)
    path: Path = Path("/etc/kioskd/kioskd.yaml")
    faults: Sequence[Fault] = ()
    """The faults of the settings file."""
    person: Technician | None = None
    """The person who answers questions; None: doctor asks none."""
    clock: ports.Clock = field(default_factory=SystemClock)
    parts: Callable[[Settings], app.Parts] = this_machines_parts
    wear: bool = False
    """Whether to measure for a minute how much the daemon writes to the memory card."""
    inside: SandboxView | None = None
    """The sandbox in which devices are opened; None: this process opens them."""

    @classmethod
    def of(
        cls,
        path: Path,
        environ: Mapping[str, str],
        *,
        machine: Machine | None = None,
        person: Technician | None = None,
        wear: bool = False,
        inside: SandboxView | None = None,
    ) -> Self:
        """Return the context of the settings in `path`, with or without faults. Blocks."""
        settings = Settings()
        faults: Sequence[Fault] = ()
        try:
            loaded = read(path)
            settings, faults = loaded.settings, startup_faults(loaded, environ)
        except SettingsError as error:
            faults = error.faults
        return cls(settings, environ, machine or Machine(), path, faults, person, wear=wear, inside=inside)

    def only(self, *sections: str) -> app.Devices:
        """Return the devices of these sections of the settings; faults of other sections do not matter."""
        only = Settings.model_validate({name: getattr(self.settings, name) for name in sections})
        return self.parts(only).devices
