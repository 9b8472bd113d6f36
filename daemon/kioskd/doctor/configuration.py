"""Checks that the settings can be read, and that the libraries that they need are installed."""

import importlib.util
from collections.abc import Sequence
from typing import Final

from kioskd.adapters.source import Library
from kioskd.doctor import unit
from kioskd.doctor.context import CheckContext
from kioskd.doctor.finding import Finding, fault, note, ok, split_remedy
from kioskd.settings.load import notes
from kioskd.settings.model import Settings


def settings(context: CheckContext) -> Sequence[Finding]:
    """Prove that the daemon would start with this file."""
    if context.faults:
        return [
            fault("settings", where, remedy or "see config/kioskd.yaml, the reference")
            for where, remedy in (split_remedy(str(one)) for one in context.faults)
        ]
    if (trouble := unit.reported_fault(context, "settings")) is not None:
        return [trouble]
    # The check of the key tells of a key that cannot be seen from here.
    remarks = [one for one in notes(context.settings, context.environ) if not one.startswith("service key")]
    return [note(*split_remedy(one)) for one in remarks] or [ok(f"{context.path}: no faults")]


def libraries(context: CheckContext) -> Sequence[Finding]:
    """Prove that the Python libraries that the settings need can be found."""
    missing = [(module, how) for module, how in _needed(context.settings) if not _is_here(module)]
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
