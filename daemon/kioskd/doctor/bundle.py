"""What to send along with a question: versions, findings, settings, devices, journal. No secrets, no speech.

Of the settings only what is known to be harmless is copied; all other texts become their lengths. From everything else,
the key and whatever looks like one is cut out.
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
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence, Set
from pathlib import Path
from typing import Final

from kioskd import __version__
from kioskd.adapters.sudo_user import as_asker
from kioskd.doctor import credential
from kioskd.doctor.context import CheckContext
from kioskd.doctor.finding import Finding, Verdict
from kioskd.doctor.machine import UNIT, Machine
from kioskd.errors import KioskError

JOURNAL_LINES: Final = 500

_PACKAGES: Final = (
    *(
        "google-genai",
        "websockets",
        "pydantic",
        "numpy",
        "soxr",
        "pyaudio",
        "systemd-python",
        "webrtcvad-wheels",
    ),
    *("gpiod", "evdev", "livekit", "picamera2", "mcp"),
)

HARMLESS: Final = frozenset(
    {
        *(
            "provider",
            "model",
            "api_version",
            "location",
            "media_resolution",
            "voice",
            "language",
            "thinking",
        ),
        *("wake", "wakeword", "turn_taking", "pace", "uplink", "speech_start", "speech_end", "interruptions"),
        *("device", "echo", "cues", "source", "when", "does", "double", "pull", "active", "from", "to"),
        *("transcripts", "recordings", "quiet_hours"),
    }
)
"""Settings whose texts are choices, names of devices, or times: they say nothing of anybody."""

_OF_TOOLS: Final = frozenset({"kind"})
"""What a tool calls and sends is the owner's affair."""

_SECRET: Final = re.compile(
    r"AIza[\w-]{10,}|\bAQ\.[\w-]{10,}|\bya29\.\S+|auth_tokens/\S+|(?<=://)[^/\s@]+@"
    r"|(?=[\w+/=-]*[A-Z])(?=[\w+/=-]*[a-z])(?=[\w+/=-]*\d)[\w+=-]{24,}"
    r"|(?i:(?<=bearer )\S+|(?<=authorization: )\S.*)"
)
"""Google's keys and tokens, passwords in addresses, and long runs of capitals, small letters and digits."""


def report_of(findings: Sequence[Finding]) -> dict[str, object]:
    """Return the findings as JSON has them."""
    return {
        "ok": all(one.verdict is not Verdict.FAULT for one in findings),
        "findings": [
            {
                "check": one.check,
                "verdict": one.verdict.value,
                "fault": one.fault,
                "said": one.said,
                "remedy": one.remedy,
                "figures": dict(one.figures),
            }
            for one in findings
        ],
    }


def write(
    path: Path,
    context: CheckContext,
    findings: Sequence[Finding],
    devices: Callable[[], Mapping[str, object]],
) -> list[str]:
    """Write the bundle to `path`, and return the names in it. Blocks for seconds.

    It belongs to the user who has called sudo, and only they can read it.

    Args:
        path: a .tar.gz; a file that is there is replaced, and a link is refused.
        context: what was examined.
        findings: what was found.
        devices: lists this machine's devices by their names.

    Raises:
        KioskError: it cannot be written.
    """
    known = [secret for secret in credential.secrets(context).values() if secret]
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
            _write_file(path, packed.getbuffer())
    except OSError as error:
        raise KioskError(f"report {path}: cannot be written: {error.strerror}; name another place") from None
    return list(parts)


def redacted(value: object, name: str = "", harmless: Set[str] = HARMLESS) -> object:
    """Return settings without texts that are not known to be harmless: of those only the length is left."""
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
    """Return `text` without the secrets that are known, and without what looks like one."""
    for secret in known:
        text = text.replace(secret, "…")
    return _SECRET.sub("…", text)


def _write_file(path: Path, data: memoryview) -> None:
    """Put a file in place as a whole. The draft's name is nobody's to foresee, and no link is followed."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISREG(path.lstat().st_mode):
            raise OSError(errno.EEXIST, "what is there is no file")
    handle, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(draft).replace(path)
    except OSError:
        Path(draft).unlink(missing_ok=True)
        raise


def _settings_set(context: CheckContext) -> dict[str, object]:
    if context.faults:
        return {"faults": len(context.faults)}
    return context.settings.model_dump(mode="json", by_alias=True, exclude_unset=True)


def _versions(machine: Machine) -> dict[str, object]:
    release = dict(
        line.split("=", 1) for line in (machine.text("/etc/os-release") or "").splitlines() if "=" in line
    )
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
        return f"{command[0]} cannot be run here"
    said = "\n".join(text for text in (ran.out, ran.err) if text)
    return said or f"{command[0]} said nothing (exit {ran.code}); only root and the group adm see all of it"


def _add_text(archive: tarfile.TarFile, name: str, text: str) -> None:
    data = text.encode()
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = len(data), 0o600, int(time.time())
    archive.addfile(entry, io.BytesIO(data))
