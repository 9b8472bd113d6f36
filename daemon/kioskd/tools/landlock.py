"""Landlock, the kernel's sandbox for programs without privileges.

Linux has it since version 5.13, but it must be switched on.

The numbers come from linux/landlock.h. The libraries for it are only a few months old, and it needs just
three calls. Source: https://docs.kernel.org/userspace-api/landlock.html.
"""

import ctypes
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION: Final = 1
_PATH_BENEATH: Final = 1
_NO_NEW_PRIVS: Final = 38
"""PR_SET_NO_NEW_PRIVS: from then on set-user-id programs give no new privileges."""

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_TRUNCATE, _IOCTL_DEV = 1 << 14, 1 << 15
_READ: Final = _EXECUTE | _READ_FILE | _READ_DIR
_OF_A_FILE: Final = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_RIGHTS: Final = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
"""Rights on files, by the version of Landlock; later versions have those of version 5."""
_TCP: Final = 0b11
"""Binding and connecting TCP sockets, from version 4 on."""
_SCOPES: Final = 0b11
"""Abstract sockets of other processes, and signals to them, from version 6 on."""

_libc = ctypes.CDLL(None, use_errno=True)


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def version() -> int:
    """Return the version of Landlock that the kernel has switched on; 0 if it has none."""
    found: int = _libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION))
    return max(found, 0)


def restrict(reads: Iterable[Path], writes: Iterable[Path], *, network: bool) -> None:
    """Restrict this thread, and everything that it starts, to these files and folders, for good.

    Without `network` TCP is forbidden. Paths that do not exist are left out.

    Raises:
        OSError: the kernel rejects it.
    """
    abi = version()
    files = _RIGHTS[min(abi, 5)] if abi else 0
    ruleset = _Ruleset(files, 0 if network or abi < 4 else _TCP, _SCOPES if abi >= 6 else 0)
    size = ctypes.c_size_t(24 if abi >= 6 else 16 if abi >= 4 else 8)
    descriptor = _called(_CREATE_RULESET, ctypes.byref(ruleset), size, ctypes.c_uint32(0))
    try:
        for paths, allowed in ((reads, _READ), (writes, files)):
            for path in paths:
                _allow(descriptor, path, allowed & files)
        if _libc.prctl(_NO_NEW_PRIVS, ctypes.c_ulong(1), *(ctypes.c_ulong(0),) * 3):
            raise OSError(ctypes.get_errno(), "the kernel rejects PR_SET_NO_NEW_PRIVS")
        _called(_RESTRICT_SELF, ctypes.c_int(descriptor), ctypes.c_uint32(0))
    finally:
        os.close(descriptor)


def _allow(ruleset: int, path: Path, allowed: int) -> None:
    try:
        parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(parent).st_mode):
            allowed &= _OF_A_FILE
        rule = _PathBeneath(allowed, parent)
        _called(
            _ADD_RULE,
            ctypes.c_int(ruleset),
            ctypes.c_int(_PATH_BENEATH),
            ctypes.byref(rule),
            ctypes.c_uint32(0),
        )
    finally:
        os.close(parent)


def _called(number: int, *arguments: object) -> int:
    result: int = _libc.syscall(number, *arguments)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"the kernel rejects Landlock: {os.strerror(code)}")
    return result
