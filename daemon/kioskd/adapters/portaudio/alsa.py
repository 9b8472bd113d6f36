"""Questions to libasound itself: whether a device can be opened, a card's name, whether ALSA is configured.

Plugging and PortAudio's start change libasound's list of cards while these functions read it. So call them
under the lock of `library`, or in a process without streams.
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
"""Names that ALSA's files define and that an owner may choose as device: each may lead to a sound server."""
_MARK: Final = re.compile(r"_toplevel_:(\d+):\d+:(.*)")
_STREAM: Final = {Direction.OUT: 0, Direction.IN: 1}


@functools.cache
def library() -> ctypes.CDLL | None:
    """Return libasound; None if PortAudio works without it."""
    try:
        return ctypes.CDLL(_LIBRARY)
    except OSError:
        return None


def open_error(name: str, direction: Direction) -> int | None:
    """Open a device and close it again. Return 0 or the errno of the refusal; None without libasound.

    Blocks as long as the device's driver or sound server does, mostly for milliseconds.
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


def playback_route(name: str) -> tuple[int | None, str]:
    """Return the number of the card that a playback device leads to, and ALSA's id of the device there.

    The number is None if it leads to no card, but for example to a sound server. OSError: the device cannot
    be opened now, so its way is unknown. Blocks like `open_error`.
    """
    alsa = library()
    if alsa is None:
        raise OSError("libasound is missing")
    handle, info = ctypes.c_void_p(), ctypes.c_void_p()
    refused = alsa.snd_pcm_open(ctypes.byref(handle), name.encode(), _STREAM[Direction.OUT], _NONBLOCK)
    if refused < 0:
        raise OSError(-refused, os.strerror(-refused))
    try:
        alsa.snd_pcm_info_malloc(ctypes.byref(info))
        refused = alsa.snd_pcm_info(handle, info)
        if refused < 0:
            raise OSError(-refused, os.strerror(-refused))
        card = alsa.snd_pcm_info_get_card(info)
        alsa.snd_pcm_info_get_id.restype = ctypes.c_char_p
        pcm_id = (alsa.snd_pcm_info_get_id(info) or b"").decode(errors="replace")
    finally:
        alsa.snd_pcm_info_free(info)
        alsa.snd_pcm_close(handle)
    return (None if card < 0 else card), pcm_id


def card_name(number: int) -> str:
    """Return a card's own name, with which PortAudio's names begin; "" if it has none."""
    alsa = library()
    said = ctypes.c_char_p()
    if alsa is None or alsa.snd_card_get_name(number, ctypes.byref(said)) < 0:
        return ""
    name = (said.value or b"").decode(errors="replace")
    ctypes.CDLL(None).free(said)
    return name


def config_fault(environ: Mapping[str, str]) -> str | None:
    """Return the fault in ALSA's configuration, and what to do; None if PortAudio can work with it.

    If the configuration defines neither `default` nor `dmix`, PortAudio ends the whole process by an
    assertion (BuildDeviceList in pa_linux_alsa.c of 19.6). A missing or empty configuration file does the
    same.
    """
    paths = environ.get("ALSA_CONFIG_PATH")
    for path in paths.split(":") if paths else ():
        if not Path(path).is_file():
            return f"ALSA_CONFIG_PATH={paths}: {path} does not exist; unset it, or create the file"
        if not os.access(path, os.R_OK):
            return (
                f"ALSA_CONFIG_PATH={paths}: kioskd may not read {path}; unset it, or make the file readable"
            )
    alsa = library()
    if alsa is None:
        return None
    with stderr.captured("ALSA's configuration") as said:
        refused = alsa.snd_config_update()
    remedy = (
        f"correct {paths}, or unset ALSA_CONFIG_PATH"
        if paths
        else "run `sudo apt install --reinstall libasound2-data`"
    )
    if refused < 0:
        # ALSA's last message is about its own hooks; an earlier one names the file.
        named = [line.partition(") ")[2] for line in said if "old or corrupted" in line]
        what = named[0].partition(" may be")[0] if named else (said[-1] if said else os.strerror(-refused))
        marks = filter(None, map(_MARK.search, said))
        where = next((f"line {mark[1]}: {mark[2]}" for mark in marks), "it is broken")
        return f"ALSA's configuration cannot be used: {what}: {where}; correct or remove that file"
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
    """Return the owner's configuration files that ALSA silently ignores, as they are unreadable."""
    if environ.get("ALSA_CONFIG_PATH"):
        return []
    own = [Path(environ["HOME"], ".asoundrc")] if environ.get("HOME") else []
    paths = (Path("/etc/asound.conf"), *own)
    return [str(path) for path in paths if os.access(path, os.F_OK) and not os.access(path, os.R_OK)]


def plugins(root: Path = Path("/")) -> frozenset[str]:
    """Return the devices of ALSA's own files that convert or name channels: not cards, not the owner's."""
    found: set[str] = set()
    for path in (path for pattern in _SHIPPED for path in root.glob(pattern)):
        try:
            found.update(_DEFINED.findall(path.read_text(encoding="utf-8", errors="replace")))
        except OSError:
            continue
    return frozenset(found) - _CHOICES
