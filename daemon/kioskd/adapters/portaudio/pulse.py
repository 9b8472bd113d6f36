"""Settings for libpulse, if ALSA uses a PulseAudio server: it must not share memory with the server.

Between two reads that stop inside a block, ALSA's plugin holds that block of shared memory. If the server
dies then, libpulse holds its lock and waits for the block (memblock_wait in memblock.c of PulseAudio 16.1).
The plugin waits for that lock (pulse_read in pcm_pulse.c of ALSA's plugins), and the microphone never
closes. Sound that comes through a socket does not have this wait. PulseAudio shares memory with programs of
its own user only, PipeWire with none.
"""

import os
from collections.abc import MutableMapping
from pathlib import Path
from typing import Final

_VARIABLE: Final = "PULSE_CLIENTCONFIG"
_FILE: Final = "client.conf"
_SYSTEM: Final = Path("/etc/pulse", _FILE)


def share_no_memory(environ: MutableMapping[str, str]) -> None:
    """Make libpulse read the owner's settings and `enable-shm = no`, before it first connects.

    libpulse reads one file, whose path is in an environment variable. So a file in memory is named there,
    which includes the owner's files.
    """
    ours = f"/proc/{os.getpid()}/fd/"
    if environ.get(_VARIABLE, "").startswith(ours):
        return
    lines = [*(f".include {path.absolute()}" for path in _settings(environ)), "enable-shm = no", ""]
    # Never closed, as each connection reads it.
    file = os.memfd_create(_FILE, os.MFD_CLOEXEC)
    os.write(file, "\n".join(lines).encode("utf-8", "surrogateescape"))
    environ[_VARIABLE] = f"{ours}{file}"


def _settings(environ: MutableMapping[str, str]) -> list[Path]:
    """Return the files that libpulse would read by itself: a main file, and those in its `.d` folder."""
    if named := environ.get(_VARIABLE):
        places = [Path(named)]
    elif folder := environ.get("PULSE_CONFIG_PATH"):
        places = [Path(folder, _FILE), _SYSTEM]
    else:
        home = Path(environ.get("HOME", "/"))
        places = [home / ".pulse" / _FILE, home / ".config/pulse" / _FILE, _SYSTEM]
    # An unreadable file would make libpulse stop before it reads `enable-shm = no`.
    first = next((path for path in places if os.access(path, os.R_OK)), None)
    if first is None:
        return []
    beside = sorted(first.with_name(f"{first.name}.d").glob("*.conf"))
    return [first, *(path for path in beside if os.access(path, os.R_OK))]
