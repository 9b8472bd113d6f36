"""That the settings can be read, and the libraries that they need are installed."""

import importlib.util
from collections.abc import Sequence
from typing import Final

from kioskd.adapters.source import Library
from kioskd.doctor import unit
from kioskd.doctor.context import CheckContext
from kioskd.doctor.finding import Finding, fault, note, ok
from kioskd.settings.load import notes
from kioskd.settings.model import Settings


def settings(patient: CheckContext) -> Sequence[Finding]:
    """Prove that the daemon would start with this file."""
    if patient.faults:
        return [
            fault("settings", where, remedy or "see config/kioskd.yaml, the reference")
            for where, remedy in (_parted(str(one)) for one in patient.faults)
        ]
    if (trouble := unit.reported_fault(patient, "settings")) is not None:
        return [trouble]
    remarks = [
        # A key that cannot be seen from here is the affair of the check for it.
        _note(remark)
        for remark in notes(patient.settings, patient.environ)
        if not remark.startswith("service key")
    ]
    return remarks or [ok(f"{patient.path}: no faults")]


def libraries(patient: CheckContext) -> Sequence[Finding]:
    """Prove that what the settings need of Python's libraries can be found."""
    missing = [(module, how) for module, how in _needed(patient.settings) if not _is_here(module)]
    return [fault("library-missing", f"{module}: cannot be imported", how) for module, how in missing] or [
        ok("all that the settings need are here")
    ]


_PYAUDIO: Final = "sudo apt install python3-pyaudio, in an environment that sees the system's packages; or run scripts/install.sh"


_AGAIN: Final = "sudo scripts/install.sh, again"


def _extra(name: str) -> str:
    return f"{_AGAIN}: it installs what the settings need; in an environment of your own: pip install 'kioskd[{name}]'"


def _remedy(library: Library) -> str:
    if library.debian:
        return f"sudo apt install {library.debian}, in an environment that sees the system's packages"
    return _extra(library.extra) if library.extra else _AGAIN


def _needed(settings: Settings) -> Sequence[tuple[str, str]]:
    wanted = (
        ("pyaudio", _PYAUDIO, True),
        ("google.genai", _AGAIN, True),
        ("soxr", _AGAIN, True),
        ("livekit.rtc", _extra("echo"), settings.microphone.cancels),
        *((library.module, _remedy(library), True) for library in settings.libraries),
        ("pymicro_wakeword", _extra("wakeword"), "wakeword" in settings.conversation.wake),
    )
    return [(module, how) for module, how, needed in wanted if needed]


def _is_here(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:  # of the package that it is part of
        return False


def _parted(line: str) -> tuple[str, str]:
    said, _, remedy = line.rpartition("; ")
    return (said, remedy) if said else (line, "")


def _note(remark: str) -> Finding:
    said, remedy = _parted(remark)
    return note(said, remedy or None)
