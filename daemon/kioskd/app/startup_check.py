"""Checks without starting whether a start would succeed: for `kioskd check`, and before a reload."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from kioskd.app.devices import startup_faults_of_devices
from kioskd.settings.load import SettingsError, load_to_run, read
from kioskd.settings.model import Settings
from kioskd.yamlconf.document import Fault

_NAMED: Final = re.compile(
    r"(?P<section>[a-z]+)\.(?P<name>[a-z_]+)(?: = (?P<value>[^:]*))?: (?P<what>.*)", re.DOTALL
)
"""The form of a fault's text that begins with its setting."""


def tried(path: Path, environ: Mapping[str, str]) -> Settings:
    """Return the settings in `path` if a start here would succeed. Blocks: it loads their libraries.

    Raises:
        SettingsError: the file has faults, or needs things that this machine lacks. It names all.
    """
    settings = load_to_run(path, environ)
    if faults := unfit(path, settings):
        raise SettingsError(faults)
    return settings


def unfit(path: Path, settings: Settings) -> tuple[Fault, ...]:
    """Return faults for all that the settings need and this machine lacks. `path` is their file."""
    found = startup_faults_of_devices(settings)
    if not found:
        return ()
    document = read(path).document
    others = []
    for what in found:
        if (named := _NAMED.fullmatch(what)) is None:
            others.append(Fault(str(path), 0, 0, "", what))
        else:
            value = f"{named['value']}: " if named["value"] else ""
            document.fault((named["section"], named["name"]), f"{value}{named['what']}")
    return (*others, *document.faults)
