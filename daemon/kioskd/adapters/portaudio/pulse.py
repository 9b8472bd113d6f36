"""libpulse, where ALSA leads to a PulseAudio server: kept from sharing memory with it.

ALSA's plugin holds on to a piece of shared memory between two reads that do not end with it. When the server dies
meanwhile, libpulse waits for that piece with its lock held, and the plugin waits for the lock: the microphone never
closes (memblock_wait in memblock.c of PulseAudio 16.1, pulse_read in pcm_pulse.c of ALSA's plugins). What comes through
a socket is not waited for. PulseAudio shares memory with programs of its own user only, PipeWire with none.
"""

import os
from collections.abc import MutableMapping
from pathlib import Path
from typing import Final

_VARIABLE: Final = "PULSE_CLIENTCONFIG"
_FILE: Final = "client.conf"
_SYSTEM: Final = Path("/etc/pulse", _FILE)


def share_no_memory(environ: MutableMapping[str, str]) -> None:
    """Have libpulse read the owner's settings, and then one of ours; before it first connects.

    It reads a single file, which an environment variable names: one of ours that includes the others.
    """
    ours = f"/proc/{os.getpid()}/fd/"
    if environ.get(_VARIABLE, "").startswith(ours):
        return
    lines = [*(f".include {path.absolute()}" for path in _settings(environ)), "enable-shm = no", ""]
    # Never closed: each connection reads it.
    file = os.memfd_create(_FILE, os.MFD_CLOEXEC)
    os.write(file, "\n".join(lines).encode("utf-8", "surrogateescape"))
    environ[_VARIABLE] = f"{ours}{file}"


def _settings(environ: MutableMapping[str, str]) -> list[Path]:
    """Return what libpulse would read by itself: the first file that it can, and those in the folder beside that."""
    if named := environ.get(_VARIABLE):
        places = [Path(named)]
    elif folder := environ.get("PULSE_CONFIG_PATH"):
        places = [Path(folder, _FILE), _SYSTEM]
    else:
        home = Path(environ.get("HOME", "/"))
        places = [home / ".pulse" / _FILE, home / ".config/pulse" / _FILE, _SYSTEM]
    # One that it cannot read would end its reading, before it comes to ours.
    first = next((path for path in places if os.access(path, os.R_OK)), None)
    if first is None:
        return []
    beside = sorted(first.with_name(f"{first.name}.d").glob("*.conf"))
    return [first, *(path for path in beside if os.access(path, os.R_OK))]
