"""Paths in the settings, and those of them that the sandbox of the systemd service hides."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from pydantic import BaseModel

from kioskd.settings.buttons_lamps import LampSettings
from kioskd.settings.model import Settings
from kioskd.tools.program_settings import ProgramSettings
from kioskd.tools.registry import credential_files
from kioskd.tools.tool_kind import program_of
from kioskd.yamlconf.document import ValuePath

_HOMES: Final = ("/home", "/root", "/run/user")
_TEMPORARY: Final = ("/tmp", "/var/tmp")  # noqa: S108 - nothing is written there
_HIDES: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "ProtectHome": (("yes", "tmpfs"), _HOMES),
    "PrivateTmp": (("yes", "disconnected"), _TEMPORARY),
}
"""Properties of the unit that hide folders: the values with which they do, and the folders
(systemd.exec(5))."""
_SHOWS: Final = ("BindPaths", "BindReadOnlyPaths")
"""Properties of the unit that show a path within a hidden folder."""
PROPERTIES: Final = (*_HIDES, *_SHOWS)
"""Properties of the unit that `ServiceSandbox.of_unit` reads."""

_MOUNTS: Final = Path("/proc/self/mountinfo")
_INACCESSIBLE: Final = "/systemd/inaccessible/"
_PRIVATE: Final = "/systemd-private-"
"""Names in mountinfo of the mounts by which systemd hides a folder (seen with systemd 252 and 257)."""

_OPTIONAL: Final = ("speaker", "camera", "privacy")
"""Sections whose folders a kiosk can do without. It logs that one is missing, and serves."""


@dataclass(frozen=True, slots=True)
class ServiceSandbox:
    """Folders that a service cannot see."""

    hidden: Mapping[str, str]
    """Each hidden folder, with the property of the unit that hides it."""
    shown: Sequence[str] = ()
    """Paths within those folders that the service sees all the same."""

    @classmethod
    def of_unit(cls, properties: Mapping[str, str]) -> Self:
        """Return the sandbox of a unit with these `PROPERTIES`, as `systemctl show` prints them."""
        bound = [word for name in _SHOWS for word in properties.get(name, "").split()]
        return cls(
            {
                place: setting
                for setting, (values, places) in _HIDES.items()
                if properties.get(setting) in values
                for place in places
            },
            # SOURCE, SOURCE:DESTINATION or SOURCE:DESTINATION:OPTIONS. A minus before it: it is optional.
            [(word.lstrip("-").split(":") * 2)[1] for word in bound],
        )

    @classmethod
    def of_process(cls, mounts: Path = _MOUNTS) -> Self:
        """Return the sandbox of this process. It is empty if systemd hides nothing from the process."""
        hidden = {}
        try:
            lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            lines = []
        for line in lines:
            root, point, kind = _mount(line)
            if point in _HOMES and (root.startswith(_INACCESSIBLE) or kind == "tmpfs"):
                hidden[point] = "ProtectHome"
            elif point in _TEMPORARY and _PRIVATE in root:
                hidden[point] = "PrivateTmp"
        return cls(hidden)

    def hides(self, path: Path) -> str | None:
        """Return the reason why `path`, with links followed, is hidden. None: it is not hidden."""
        real = Path(os.path.realpath(path))
        if any(real.is_relative_to(place) for place in self.shown):
            return None
        for place, setting in self.hidden.items():
            if real.is_relative_to(place):
                return f"the service's sandbox hides {place} from it ({setting}=)"
        return None


def paths(settings: Settings) -> Iterator[tuple[ValuePath, Path]]:
    """Yield the place and the path of each file, folder, and program with a path in the settings."""
    yield from _paths(settings, ())
    if (folder := settings.camera.parsed.folder) is not None:
        yield ("camera", "source"), folder


def secret_files(settings: Settings) -> list[Path]:
    """Return the files that no program of a tool is allowed to read: keys, and the folders of stored
    conversations."""
    service, privacy = settings.service, settings.privacy
    files = [service.key_file, service.credentials_file, service.token_key_file]
    if (broker := settings.fleet_broker) is not None:
        files.append(broker.key_file)
    files += [record.folder for record in (privacy.transcripts, privacy.recordings) if record is not None]
    return [*(path for path in files if path is not None), *credential_files(settings.tools)]


def named(loc: ValuePath) -> str:
    """Return a place in the settings as people write it, for example tools[0].argv."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).lstrip(".")


def hidden_faults(settings: Settings, sandbox: ServiceSandbox | None) -> Iterator[tuple[ValuePath, str]]:
    """Yield each hidden path that the service cannot start without: its place, and the fault.

    With `sandbox` None, this process must see the paths.
    """
    for loc, _, why in _hidden(paths(settings), sandbox):
        if loc[0] not in _OPTIONAL:
            yield loc, f"cannot be read by the service: {why}; move it to /etc/kioskd, and write its new path"


def hidden_notes(settings: Settings, sandbox: ServiceSandbox | None) -> Iterator[str]:
    """Yield a line for each hidden path that the service can do without."""
    for loc, path, why in _hidden(paths(settings), sandbox):
        if loc[0] in _OPTIONAL:
            remedy = "write a folder elsewhere, for example below /var/lib/kioskd"
            yield f"{named(loc)}: the service cannot read {path}: {why}; {remedy}"
    for loc, path, why in _hidden(_arguments(settings), sandbox):
        remedy = "move it to /etc/kioskd, and write its new path"
        yield f"{named(loc)}: the program of this tool cannot read {path}: {why}; {remedy}"


def _hidden(
    candidates: Iterable[tuple[ValuePath, Path]], sandbox: ServiceSandbox | None
) -> Iterator[tuple[ValuePath, Path, str]]:
    places = [place for _, where in _HIDES.values() for place in where]
    there = [
        (loc, path)
        for loc, path in candidates
        if any(Path(os.path.realpath(path)).is_relative_to(place) for place in places)
    ]
    if not there:
        return
    found = sandbox or ServiceSandbox.of_process()
    for loc, path in there:
        # A path that this process sees is not hidden from it.
        if (why := found.hides(path)) and (sandbox is not None or not os.path.lexists(path)):
            yield loc, path, why


def _paths(value: object, loc: ValuePath) -> Iterator[tuple[ValuePath, Path]]:
    if isinstance(value, Path):
        yield loc, value
    elif isinstance(value, BaseModel):
        for field in type(value).model_fields:
            yield from _paths(getattr(value, field), (*loc, field))
        for name in ("argv", "command"):
            words = getattr(value, name, None) if isinstance(value, ProgramSettings | LampSettings) else None
            if words and "/" in words[0]:
                yield (*loc, name), Path(words[0])
    elif isinstance(value, tuple):
        for number, one in enumerate(value):
            yield from _paths(one, (*loc, number))
    elif isinstance(value, dict):
        for name, one in value.items():
            yield from _paths(one, (*loc, name))


def _arguments(settings: Settings) -> Iterator[tuple[ValuePath, Path]]:
    """Yield the paths among the arguments of programs, for example a script after its interpreter."""
    commands: list[tuple[ValuePath, Sequence[str]]] = [
        (("controls", "lamp", "command"), lamp.command or ()) for lamp in settings.controls.all_lamps
    ]
    for index, tool in enumerate(settings.tools):
        if (program := program_of(tool)) is not None:
            commands.append((("tools", index, "argv"), program.words))
    for loc, words in commands:
        yield from ((loc, Path(word)) for word in words[1:] if word.startswith("/"))


def _mount(line: str) -> tuple[str, str, str]:
    """Return root, mount point and file system type of a line of mountinfo (proc(5))."""
    before, _, after = line.partition(" - ")
    words = before.split()
    return (words[3], words[4], after.partition(" ")[0]) if len(words) > 4 else ("", "", "")
