"""A Debian system in a folder, like a device before kioskd is installed, and kioskd's wheels for it.

Both are made once, from this machine's Debian mirror and package index, and stored in
`${KIOSKD_BOX_CACHE:-/var/cache/kioskd-box}`. Their names change with what they are made from. They are never
changed afterwards: `Box` boots a copy.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, Literal

Suite = Literal["bookworm", "trixie"]
Kind = Literal["plain", "camera"]

NEEDED: Final = ("mmdebstrap", "systemd-nspawn", "unshare", "nsenter", "setpriv", "chroot")
CHECKOUT: Final = Path(__file__).parents[2]
LOCKS: Final = CHECKOUT / "scripts" / "locks"
PYTHON: Final[dict[Suite, str]] = {"bookworm": "3.11", "trixie": "3.13"}

_BASE: Final = (
    "systemd", "systemd-sysv", "dbus", "libpam-systemd", "procps", "ca-certificates", "sudo", "iproute2",
    "python3", "python3-venv", "python3-pyaudio", "libasound2-plugins", "espeak-ng", "alsa-utils",
    "libfaketime", "man-db",
)  # fmt: skip
_LEFT_TO_THE_INSTALLER: Final = ("python3-systemd", "python3-evdev", "lowdown", "git")
"""Packages in apt's cache only. Tests install them without a network, as the installer or an owner does."""

_CAMERA: Final = ("python3-libcamera", "python3-numpy", "python3-pil", "python3-piexif", "python3-prctl")
_PICAMERA2: Final = ("picamera2==0.3.38", "simplejpeg", "videodev2")
"""Packages for `import picamera2` that the package index has as wheels.

Those for its video files and neural cameras are left out (av and OpenEXR are 130 MB).
"""
_DNG: Final = "pidng==4.0.9"
"""A package without a wheel, whose Python part is used unbuilt.

Only its optional compression of raw files needs a compiler, which would take longer than all the rest.
"""
_SCREEN: Final = """\
class _Format:
    def __getattr__(self, name):
        return self


PixelFormat = _Format()
"""
"""The names that picamera2 imports from pykms, Raspberry Pi's package for screens."""
_VIRTUAL_CAMERA: Final = """\
"Kiosk":
  supported_formats:
  - {width: 640, height: 480, frame_rates: [30, 60]}
  - {width: 1280, height: 720, frame_rates: [15, 30]}
  test_pattern: "bars"
  location: "CameraLocationFront"
  model: "Kiosk"
"""
_EDITION: Final = 1
"""Part of the recipe. Increase it to make new systems from the same parts."""

_KEPT: Final = 3
"""Number of folders per name that are kept, those used last. Each new recipe makes a new one."""

_LONGEST_S: Final = 600.0


class RootfsError(Exception):
    """A system could not be made. The message says which step failed, and how."""


def missing() -> str | None:
    """Return why no system can be made and booted here; None if one can."""
    absent = [name for name in NEEDED if shutil.which(name) is None]
    if absent:
        return f"missing: {', '.join(absent)}; run `apt install mmdebstrap systemd-container`"
    if os.geteuid() != 0:
        return "only root can boot a system in a container"
    if _mirror() is None:
        return "/etc/apt/sources.list and sources.list.d name no Debian mirror; add one"
    return None


def rootfs(kind: Kind = "plain", suite: Suite = "trixie") -> Path:
    """Return the folder of a system; makes it first if needed (a minute; 90 s for a camera).

    `camera` is `plain` with libcamera, its virtual camera, and picamera2 in the system's Python, as on
    Raspberry Pi OS.

    Raises:
        RootfsError: it cannot be made, most often because the mirror cannot be reached.
    """
    recipe: list[object] = [_EDITION, suite, _mirror(), _BASE, _LEFT_TO_THE_INSTALLER]
    if kind == "plain":
        return made(f"rootfs-{suite}-plain", recipe, lambda folder: _make_rootfs(folder, suite))
    plain = rootfs("plain", suite)
    recipe += [_CAMERA, _PICAMERA2, _DNG, _SCREEN, _VIRTUAL_CAMERA]
    return made(f"rootfs-{suite}-camera", recipe, lambda folder: _add_camera(folder, plain))


def wheels(suite: Suite = "trixie") -> Path:
    """Return a folder with all wheels that a kiosk may need, as the lock says.

    Raises:
        RootfsError: it cannot be made, most often because the package index cannot be reached.
    """

    def fill(folder: Path) -> None:
        run([sys.executable, CHECKOUT / "scripts/wheels", f"--python={PYTHON[suite]}", folder])

    locks = [path.read_text() for path in sorted(LOCKS.glob("*.txt")) if path.stem not in ("dev", "tools")]
    return made(f"wheels-{suite}", locks, fill)


def carried() -> list[Path]:
    """Return the paths that a system must share with this machine to reach package index and mirror."""
    settings = run(["python3", "-m", "pip", "config", "list"])
    named = [Path(path) for path in re.findall(r"(?<![:/\w])(?:file://)?(/[\w./-]+)", settings)]
    folders = {Path(*path.parts[:3]) for path in named if path.is_dir()}
    files = {path for path in named if path.is_file()}
    files |= {path for path in (Path("/etc/pip.conf"), Path("/etc/resolv.conf")) if path.is_file()}
    return sorted(folders | files)


def carried_environ() -> dict[str, str]:
    """Return the environment variables that lead to package index and mirror."""
    names = re.compile(r"(?i)(PIP_.*|.*_proxy|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE)$")
    return {name: value for name, value in os.environ.items() if names.match(name)}


def cache() -> Path:
    """Return the cache folder, which may be deleted at any time when no test runs."""
    return Path(os.environ.get("KIOSKD_BOX_CACHE", "/var/cache/kioskd-box"))


def _mirror() -> str | None:
    """Return the first Debian archive in apt's sources."""
    sources = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
    text = "\n".join(path.read_text() for path in sources if path.is_file())
    found = re.search(
        r"^(?:URIs:\s*|deb\s+(?:\[[^]]*\]\s+)?)(https?://\S*/debian)/?(?:\s|$)", text, re.MULTILINE
    )
    return found[1] if found else None


def locked(*groups: str) -> list[str]:
    """Return the locked versions of these groups, as requirements without hashes."""
    text = "".join((LOCKS / f"{group}.txt").read_text() for group in groups)
    return sorted(set(re.findall(r"^[a-z][^\\\n]*==[^\\\n]*[^\\\s]", text, re.MULTILINE)))


def made(name: str, recipe: Sequence[object], make: Callable[[Path], None]) -> Path:
    """Return the folder of this name and recipe; `make(folder)` fills it if it does not exist."""
    digest = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:12]
    folder = cache() / f"{name}-{digest}"
    with _locked(name):
        if not folder.exists():
            with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=cache()) as place:
                new = Path(place) / "new"
                new.mkdir()
                make(new)
                new.rename(folder)
        os.utime(folder)
        folders = sorted(cache().glob(f"{name}-*"), key=lambda each: each.stat().st_mtime)
        for old in folders[:-_KEPT]:
            shutil.rmtree(old, ignore_errors=True)
    return folder


@contextlib.contextmanager
def _locked(name: str) -> Iterator[None]:
    """Hold a lock, so that one process on this machine makes this at a time."""
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make_rootfs(folder: Path, suite: Suite) -> None:
    mirror = _mirror()
    run(
        ["mmdebstrap", "--variant=minbase", "--mode=root", "--skip=cleanup/apt/lists",
         f"--include={','.join(_BASE)}",
         "--aptopt=Acquire::Languages \"none\"", "--aptopt=APT::Install-Recommends \"false\"",
         *(f"--dpkgopt=path-exclude=/usr/share/{part}/*" for part in ("man", "locale", "doc")),
         suite, str(folder), f"deb {mirror} {suite} main"]
    )  # fmt: skip
    (folder / "etc/hostname").write_text("kiosk\n")
    with borrowed(folder):
        run(
            ["chroot", folder, "apt-get", "install", "-q=2", "-y", "--download-only", *_LEFT_TO_THE_INSTALLER]
        )


def _add_camera(folder: Path, plain: Path) -> None:
    run(["cp", "-a", f"{plain}/.", folder])
    [pip] = folder.glob(
        "usr/share/python-wheels/pip-*.whl"
    )  # from python3-venv; a wheel can be run without installing
    run_pip: list[str | Path] = ["chroot", folder, "python3", f"/{pip.relative_to(folder)}/pip", "-q"]
    with borrowed(folder):
        run(["chroot", folder, "apt-get", "install", "-q=2", "-y", "--no-install-recommends", *_CAMERA])
        run([*run_pip, "install", "--break-system-packages", "--only-binary=:all:", "--no-deps", *_PICAMERA2])
        run([*run_pip, "download", "--no-binary=:all:", "--no-deps", "-d", "/opt/dng", _DNG])
    [archive] = (folder / "opt/dng").iterdir()
    run(["tar", "-xf", archive, "-C", archive.parent])
    [dng] = archive.parent.glob("*/src/pidng")
    [packages] = folder.glob("usr/local/lib/python3.*/dist-packages")
    dng.rename(packages / "pidng")
    shutil.rmtree(archive.parent)
    (packages / "pykms.py").write_text(_SCREEN)
    virtual = folder / "usr/share/libcamera/pipeline/virtual"
    virtual.mkdir(parents=True, exist_ok=True)
    (virtual / "virtual.yaml").write_text(_VIRTUAL_CAMERA)


@contextlib.contextmanager
def layered(system: Path) -> Iterator[Path]:
    """Yield a copy of `system` that can be changed, and remove it afterwards."""
    with tempfile.TemporaryDirectory(prefix=".layer-", dir=cache()) as place:
        upper, work, merged = (Path(place) / name for name in ("upper", "work", "merged"))
        for part in (upper, work, merged):
            part.mkdir()
        run(
            [
                "mount",
                "-t",
                "overlay",
                "overlay",
                "-o",
                f"lowerdir={system},upperdir={upper},workdir={work}",
                merged,
            ]
        )
        try:
            yield merged
        finally:
            run(["umount", "-R", merged])


@contextlib.contextmanager
def borrowed(system: Path) -> Iterator[None]:
    """Give programs in `system` this machine's way to package index and mirror."""
    with contextlib.ExitStack() as stack:
        for path in [*carried(), Path("/proc")]:
            there = system / path.relative_to("/")
            if path.is_dir():
                there.mkdir(parents=True, exist_ok=True)
            elif not there.exists():
                there.parent.mkdir(parents=True, exist_ok=True)
                there.touch()
            run(["mount", "--bind", path, there])
            stack.callback(run, ["umount", there])
        yield


def run(command: Sequence[str | Path]) -> str:
    """Run a command and return its output.

    Raises:
        RootfsError: it failed, or did not end within ten minutes.
    """
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_LONGEST_S,
            env=os.environ | {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise RootfsError(f"{command[0]} did not end within {_LONGEST_S:.0f} s") from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-2000:]
        raise RootfsError(f"{' '.join(map(str, command))[:200]}: exit {done.returncode}: {said}")
    return done.stdout
