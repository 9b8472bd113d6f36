"""What the checks look at: an owner's settings, and the machine that they are for."""

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
    """Somebody who stands before the kiosk."""

    def tell(self, text: str) -> None:
        """Show a line."""

    async def asks(self, question: str) -> bool | None:
        """Return the answer to a question, yes or no; None where none comes in time."""


def this_machines_parts(settings: Settings) -> app.Parts:
    """Return the devices that `settings` name. Nothing is opened yet.

    Raises:
        ConfigError: an optional library is missing that one of them needs.
    """
    # The service is another matter, and so its key is not wanted here.
    return app.real_parts(settings, {"GEMINI_API_KEY": "not-used"})


@dataclass(frozen=True, slots=True)
class CheckContext:
    """What all checks look at."""

    settings: Settings
    """The defaults where `faults` has any."""
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    machine: Machine = field(default_factory=Machine)
    path: Path = Path("/etc/kioskd/kioskd.yaml")
    faults: Sequence[Fault] = ()
    """What is wrong with the file."""
    person: Technician | None = None
    """None where nobody is to be asked."""
    clock: ports.Clock = field(default_factory=SystemClock)
    parts: Callable[[Settings], app.Parts] = this_machines_parts
    wear: bool = False
    """Whether to take a minute to see what is written to the card."""
    inside: SandboxView | None = None
    """Where devices are looked at from; None: from where this process is."""

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
        """Return the context of the settings in `path`, sound or not. Blocks."""
        settings = Settings()
        faults: Sequence[Fault] = ()
        try:
            loaded = read(path)
            settings, faults = loaded.settings, startup_faults(loaded, environ)
        except SettingsError as error:
            faults = error.faults
        return cls(settings, environ, machine or Machine(), path, faults, person, wear=wear, inside=inside)

    def only(self, *sections: str) -> app.Devices:
        """Return the devices of the named sections of the settings, so that one that fails keeps nobody from the others."""
        only = Settings.model_validate({name: getattr(self.settings, name) for name in sections})
        return self.parts(only).devices
