"""A disk with kioskd on it, as `scripts/install.sh` has installed it in the machine."""

import hashlib
import tempfile
import time
from pathlib import Path
from typing import Final, Literal

from tests.support import rootfs, vm_image
from tests.support.box import Box
from tests.support.checkout import contents, source_files
from tests.support.machine import Machine
from tests.support.pictures import jpeg
from tests.support.rootfs import CHECKOUT
from tests.support.vm import VirtualMachine
from tests.support.vm_image import SOURCE
from tests.vm.kiosk import CREDENTIAL, KEY, SETTINGS, YAML, visitors_words

Way = Literal["machine", "container"]
"""Where the installer runs: in the virtual machine, or in a container, at once, on the same files."""

INSTALL_S: Final = 3600.0
GUEST: Final = "/opt/guest"
DROP_IN: Final = "/etc/systemd/system/kioskd.service.d/emulated.conf"
_LONGER: Final = "[Service]\nTimeoutStartSec=900\nWatchdogSec=300\nTimeoutStopSec=60\n"
"""The unit's own times are for a real Pi. Not for the installer, which waits for the watchdog to be fed."""
_GUEST_FOLDER: Final = Path(__file__).parent / "guest"
_SERVICES: Final = ("devices.service", "stand-in.socket", "room.service", "webcam.service", "pedal.service")
_SHARED, _CHECKOUT = "/opt/shared", "/opt/checkout"
_INSTALLED: Final = (
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "config",
    "daemon",
    "systemd",
    "scripts/install.sh",
    "scripts/completion.bash",
)
"""What the installer needs of a checkout."""

_FILES: Final = {
    "/etc/systemd/system/devices.service": (
        "[Unit]\nAfter=systemd-modules-load.service\nBefore=sound.target kioskd.service\n"
        f"[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh {GUEST}/devices.sh\n"
        "[Install]\nWantedBy=multi-user.target\n"
    ),
    # The service of this machine, seen at an address that its certificate names.
    "/etc/systemd/system/stand-in.socket": (
        "[Socket]\nListenStream=127.0.0.1:8443\n[Install]\nWantedBy=sockets.target\n"
    ),
    "/etc/systemd/system/stand-in.service": (
        "[Service]\nEnvironmentFile=/etc/stand-in\nExecStart=/usr/lib/systemd/systemd-socket-proxyd 10.0.2.2:${PORT}\n"
    ),
    "/etc/systemd/system/room.service": (
        "[Unit]\nAfter=devices.service\n"
        f"[Service]\nExecStart=/usr/bin/python3 {GUEST}/room.py {GUEST}/words\nRestart=always\n"
        "[Install]\nWantedBy=multi-user.target\n"
    ),
    "/etc/systemd/system/webcam.service": (
        "[Unit]\nAfter=devices.service\nBefore=kioskd.service\n"
        f"[Service]\nExecStart=/usr/bin/python3 {GUEST}/webcam.py {GUEST}/scene.jpg 640 480 MJPG\nRestart=always\n"
        "[Install]\nWantedBy=multi-user.target\n"
    ),
    "/etc/systemd/system/pedal.service": (
        "[Unit]\nAfter=systemd-modules-load.service\nBefore=kioskd.service\n"
        f"[Service]\nExecStart=/usr/bin/python3 {GUEST}/pedal.py\n"
        "ExecStartPost=/bin/sh -c 'until grep -q Pedal /proc/bus/input/devices; do sleep 0.2; done; udevadm settle'\n"
        "[Install]\nWantedBy=multi-user.target\n"
    ),
}


def installed(way: Way) -> Path:
    """Return a disk with kioskd on it, and `install.log` beside it, what the installer has printed. It is kept.

    In the machine it takes five minutes on an idle host, and twenty on a busy one; in a container, one.

    Raises:
        AssertionError: the installer failed, or the machine did.
        RootfsError: the image cannot be made.
    """
    said = hashlib.sha256(b"".join(visitors_words())).hexdigest()
    recipe: list[object] = [
        vm_image.image().name,
        contents(*_INSTALLED, "tests/vm/guest"),
        _FILES,
        _LONGER,
        YAML,
        KEY,
        said,
    ]
    make = _install_in_machine if way == "machine" else _install_in_container
    return rootfs.made(f"vm-installed-in-{way}", recipe, make) / "disk"


def _install_in_machine(folder: Path) -> None:
    image = vm_image.image()
    with VirtualMachine(image, image / "disk") as machine:
        machine.push(source_files(*_INSTALLED), CHECKOUT, SOURCE)
        _prepare(machine)
        machine.exec("systemctl", "start", *_SERVICES)
        (folder / "install.log").write_text(_run_installer(machine))
        machine.stop()
        machine.disk.rename(folder / "disk")


def _install_in_container(folder: Path) -> None:
    with tempfile.TemporaryDirectory(prefix=".disk-", dir=rootfs.cache()) as made:
        place = Path(made)
        box = Box(
            vm_image.root(), binds={place: _SHARED}, read_only={CHECKOUT: _CHECKOUT}, private_network=True
        )
        with box:
            names = "\0".join(str(path.relative_to(CHECKOUT)) for path in source_files(*_INSTALLED))
            box.sh(f"tar -C {_CHECKOUT} -cf - --null -T - | tar -C {SOURCE} -xf -", given=names)
            _prepare(box)
            (folder / "install.log").write_text(_run_installer(box))
            box.sh(
                f"systemctl stop kioskd; tar -C / --one-file-system --acls --xattrs -cf {_SHARED}/root.tar .",
                within_s=INSTALL_S,
            )
        system = place / "root"
        system.mkdir()
        rootfs.run(["tar", "-C", system, "--acls", "--xattrs", "-xf", place / "root.tar"])
        vm_image.make_disk(system, folder / "disk")


def _prepare(machine: Machine) -> None:
    """Have everything on the machine that belongs to it, and not to kioskd."""
    for path in _GUEST_FOLDER.iterdir():
        machine.write(f"{GUEST}/{path.name}", path.read_text())
    for name, text in {**_FILES, SETTINGS: YAML}.items():
        machine.write(name, text)
    machine.write_bytes(f"{GUEST}/words", b"".join(visitors_words()))
    machine.write_bytes(f"{GUEST}/scene.jpg", jpeg(640, 480))
    # Another one is there with each boot.
    machine.write("/etc/kioskd/ca.pem", Path("/etc/ssl/certs/ca-certificates.crt").read_text())
    machine.write("/etc/stand-in", "PORT=1\n")
    folder = Path(CREDENTIAL).parent
    machine.sh(f"mkdir -p {folder}; systemd-creds encrypt --name=gemini-api-key - {CREDENTIAL}", given=KEY)
    machine.sh(f"systemctl daemon-reload; systemctl enable -q {' '.join(_SERVICES)}")


def _run_installer(machine: Machine) -> str:
    """Run scripts/install.sh, and return what it printed, and how long it took."""
    began = time.monotonic()
    done = machine.exec("bash", "-c", f"{SOURCE}/scripts/install.sh 2>&1", check=False, within_s=INSTALL_S)
    log = f"{done.stdout}installed in {time.monotonic() - began:.0f} s\n"
    assert done.returncode == 0, f"install.sh: exit {done.returncode}:\n{log}"
    machine.write(DROP_IN, _LONGER)
    return log
