"""libasound, asked without PortAudio: whether a device can be opened, what a card is called, whether ALSA is configured.

Two things write to the list that these functions read: plugs, and PortAudio's own initialising. So they are called under
the lock of `library`, or in a process without streams.
"""

import ctypes
import functools
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from kioskd.adapters.portaudio import stderr
from kioskd.adapters.portaudio.devices import Direction

_LIBRARY: Final = "libasound.so.2"
_NONBLOCK: Final = 1
_SHIPPED: Final = ("usr/share/alsa/alsa.conf", "usr/share/alsa/alsa.conf.d/*.conf", "etc/alsa/conf.d/*.conf")
_DEFINED: Final = re.compile(r"^\s*pcm\.!?([\w-]+)", re.MULTILINE)
_CHOICES: Final = frozenset({"default", "pulse", "pipewire", "jack"})
"""Of what ALSA and its plugins come with: what a kiosk may well use. All of them lead to a sound server, or may."""
_MARK: Final = re.compile(r"_toplevel_:(\d+):\d+:(.*)")
_STREAM: Final = {Direction.OUT: 0, Direction.IN: 1}


@functools.cache
def library() -> ctypes.CDLL | None:
    """Return the library; None where PortAudio works without it."""
    try:
        return ctypes.CDLL(_LIBRARY)
    except OSError:
        return None


def open_error(name: str, direction: Direction) -> int | None:
    """Open a device and close it again. Return 0, or the errno that it was refused with; None without libasound.

    Blocks as long as the device's driver or sound server does; mostly for milliseconds.
    """
    alsa = library()
    if alsa is None:
        return None
    handle = ctypes.c_void_p()
    refused = alsa.snd_pcm_open(ctypes.byref(handle), name.encode(), _STREAM[direction], _NONBLOCK)
    if refused < 0:
        return -int(refused)
    alsa.snd_pcm_close(handle)
    return 0


def card_name(number: int) -> str:
    """Return what a card calls itself, which is how PortAudio's names begin; "" where it does not say."""
    alsa = library()
    said = ctypes.c_char_p()
    if alsa is None or alsa.snd_card_get_name(number, ctypes.byref(said)) < 0:
        return ""
    name = (said.value or b"").decode(errors="replace")
    ctypes.CDLL(None).free(said)
    return name


def config_fault(environ: Mapping[str, str]) -> str | None:
    """Return what is wrong with ALSA's configuration, and what to do; None where PortAudio can work with it.

    PortAudio ends the whole process by an assertion where the configuration defines neither `default` nor `dmix`, as one
    that is missing or empty does (BuildDeviceList in pa_linux_alsa.c of 19.6).
    """
    paths = environ.get("ALSA_CONFIG_PATH")
    for path in paths.split(":") if paths else ():
        if not Path(path).is_file():
            return f"ALSA_CONFIG_PATH={paths}: no such file; unset it, or put the file there"
        if not os.access(path, os.R_OK):
            return f"ALSA_CONFIG_PATH={paths}: cannot be read; unset it, or have the file be readable"
    alsa = library()
    if alsa is None:
        return None
    with stderr.captured("ALSA's configuration") as said:
        refused = alsa.snd_config_update()
    remedy = (
        f"mend {paths}, or unset ALSA_CONFIG_PATH"
        if paths
        else "sudo apt install --reinstall libasound2-data"
    )
    if refused < 0:
        # What it says last is about its own hooks; the file is named before.
        named = [line.partition(") ")[2] for line in said if "old or corrupted" in line]
        what = named[0].partition(" may be")[0] if named else (said[-1] if said else os.strerror(-refused))
        marks = filter(None, map(_MARK.search, said))
        where = next((f"line {mark[1]}: {mark[2]}" for mark in marks), "it is broken")
        return f"ALSA's configuration cannot be used: {what}: {where}; mend or remove that file"
    config = ctypes.c_void_p.in_dll(alsa, "snd_config")
    found = ctypes.c_void_p()
    if all(
        alsa.snd_config_search(config, name, ctypes.byref(found)) < 0
        for name in (b"pcm.default", b"pcm.dmix")
    ):
        missing = [line.partition("Cannot access file ")[2] for line in said if "Cannot access file" in line]
        what = f"{missing[0]} cannot be read" if missing else "it defines no pcm.default"
        return f"ALSA's configuration cannot be used: {what}; {remedy}"
    return None


def left_out_files(environ: Mapping[str, str]) -> list[str]:
    """Return the owner's files that ALSA leaves out without a word, because this user may not read them."""
    if environ.get("ALSA_CONFIG_PATH"):
        return []
    own = [Path(environ["HOME"], ".asoundrc")] if environ.get("HOME") else []
    paths = (Path("/etc/asound.conf"), *own)
    return [str(path) for path in paths if os.access(path, os.F_OK) and not os.access(path, os.R_OK)]


def plugins(root: Path = Path("/")) -> frozenset[str]:
    """Return the devices that ALSA's own files define, which convert or name channels: no cards, and no owner's choice."""
    found: set[str] = set()
    for path in (path for pattern in _SHIPPED for path in root.glob(pattern)):
        try:
            found.update(_DEFINED.findall(path.read_text(encoding="utf-8", errors="replace")))
        except OSError:
            continue
    return frozenset(found) - _CHOICES
