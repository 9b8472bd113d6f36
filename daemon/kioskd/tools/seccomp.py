"""A filter of system calls: it allows only some families of sockets, and no access to other processes.

The filter is classic BPF, as seccomp(2) takes it. It applies to the thread and everything that it starts.
System calls of any other architecture are rejected.
"""

import ctypes
import os
import platform
import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_SET_NO_NEW_PRIVS, _SET_SECCOMP, _MODE_FILTER = 38, 22, 2
_LOAD_WORD, _JUMP_EQUAL, _JUMP_SET, _RETURN = 0x20, 0x15, 0x45, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_NUMBER_AT, _ARCH_AT, _FIRST_ARGUMENT_AT = 0, 4, 16
_X32: Final = 0x40000000


@dataclass(frozen=True, slots=True)
class _Machine:
    audit: int
    socket: int
    forbidden: Sequence[int]
    """Forbidden system calls.

    On other processes: ptrace, process_vm_*, process_madvise, pidfd_getfd. In general: keys, bpf, perf,
    userfaultfd, io_uring.
    """


_MACHINES: Final = {
    "x86_64": _Machine(
        0xC000003E, 41, (101, 310, 311, 440, 438, 248, 249, 250, 321, 298, 323, 425, 426, 427)
    ),
    "aarch64": _Machine(
        0xC00000B7, 198, (117, 270, 271, 440, 438, 217, 218, 219, 280, 241, 282, 425, 426, 427)
    ),
}


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def known() -> bool:
    """Return whether there is a filter for this machine."""
    return platform.machine() in _MACHINES and sys.maxsize > 1 << 32  # no 32-bit Python on a 64-bit kernel


def restrict(families: Sequence[int]) -> None:
    """Allow this thread, and everything that it starts, only sockets of `families`, for good.

    A pair of connected sockets (socketpair) is always allowed.

    Raises:
        OSError: the kernel rejects it, or there is no filter for this machine.
    """
    machine = _MACHINES.get(platform.machine())
    if machine is None or not known():
        raise OSError(0, f"there is no filter of system calls for {platform.machine()}")
    code = _filter(machine, families)
    buffer = ctypes.create_string_buffer(code, len(code))
    program = _Program(len(code) // 8, ctypes.cast(buffer, ctypes.c_void_p))
    libc = ctypes.CDLL(None, use_errno=True)
    none = ctypes.c_ulong(0)
    if libc.prctl(_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), none, none, none) or libc.prctl(
        _SET_SECCOMP, ctypes.c_ulong(_MODE_FILTER), ctypes.byref(program), none, none
    ):
        number = ctypes.get_errno()
        raise OSError(number, f"the kernel rejects the filter of system calls: {os.strerror(number)}")


def _filter(machine: _Machine, families: Sequence[int]) -> bytes:
    """Return the BPF program that filters system calls. Jumps hold the number of instructions to skip."""
    refuse = (_RETURN, 0, 0, _ERRNO | 1)  # EPERM
    allow = (_RETURN, 0, 0, _ALLOW)
    lines = [(_LOAD_WORD, 0, 0, _ARCH_AT), (_JUMP_EQUAL, 1, 0, machine.audit), refuse]
    lines += [(_LOAD_WORD, 0, 0, _NUMBER_AT), (_JUMP_SET, 0, 1, _X32), refuse]
    for number in machine.forbidden:
        lines += [(_JUMP_EQUAL, 0, 1, number), refuse]
    lines += [(_JUMP_EQUAL, 1, 0, machine.socket), allow, (_LOAD_WORD, 0, 0, _FIRST_ARGUMENT_AT)]
    for family in families:
        lines += [(_JUMP_EQUAL, 0, 1, family), allow]
    lines.append(refuse)
    return b"".join(struct.pack("HBBI", *line) for line in lines)
