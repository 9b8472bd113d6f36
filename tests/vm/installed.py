"""A disk on which `scripts/install.sh` has installed kioskd."""

import dataclasses
import hashlib
import json
import tempfile
from pathlib import Path
from typing import Final, Literal

from tests.box.site import OWNER, WISHES, readme
from tests.support import rootfs, vm_image
from tests.support.box import Box
from tests.support.checkout import contents, source_files
from tests.support.machine import Answers, Machine
from tests.support.pictures import jpeg
from tests.support.rootfs import CHECKOUT
from tests.support.vm_image import SOURCE
from tests.vm.kiosk import CREDENTIAL, KEY, SETTINGS, YAML, Kiosk, kiosk, visitors_words

Way = Literal["machine", "container"]
"""Where the installer runs: in the virtual machine as the README says, or in a container on the same
files."""


@dataclasses.dataclass(frozen=True)
class Line:
    """A line of the README that was typed, and its output."""

    typed: str
    code: int
    seen: str
    seconds: float
    """Seconds by the machine's clock."""


INSTALL_S: Final = 3600.0
GUEST: Final = "/opt/guest"
_GUEST_FOLDER: Final = Path(__file__).parent / "guest"
_SERVICES: Final = ("devices.service", "simulator.socket", "room.service", "webcam.service", "pedal.service")
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
"""Parts of a checkout that the installer needs."""

_OWNER: Final = f"""\
echo 127.0.1.1 kiosk >> /etc/hosts
useradd --create-home --shell /bin/bash --groups sudo {OWNER}
echo '{OWNER} ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/owner
printf '#!/bin/sh\\ncat {WISHES} > "$1"\\n' > /usr/local/bin/nano; chmod 755 /usr/local/bin/nano
"""
"""Plays an owner who types the README's lines, and writes settings in an editor."""
_TYPED: Final = "typed.json"

_FILES: Final = {
    "/etc/systemd/system/devices.service": (
        "[Unit]\nAfter=systemd-modules-load.service\nBefore=sound.target kioskd.service\n"
        f"[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh {GUEST}/devices.sh\n"
        "[Install]\nWantedBy=multi-user.target\n"
    ),
    # The service of the host, at an address that its certificate names.
    "/etc/systemd/system/simulator.socket": (
        "[Socket]\nListenStream=127.0.0.1:8443\n[Install]\nWantedBy=sockets.target\n"
    ),
    "/etc/systemd/system/simulator.service": (
        "[Service]\nEnvironmentFile=/etc/simulator\n"
        "ExecStart=/usr/lib/systemd/systemd-socket-proxyd 10.0.2.2:${PORT}\n"
    ),
    "/etc/systemd/system/room.service": (
        "[Unit]\nAfter=devices.service\nBefore=kioskd.service\n"
        f"[Service]\nExecStart=/usr/bin/python3 {GUEST}/room.py {GUEST}/words\nRestart=always\n"
        # Something must play into the loopback card: otherwise the kiosk gets a buffer that the kernel's
        # clock is too coarse for.
        "ExecStartPost=/bin/sh -c 'until grep -q RUNNING /proc/asound/Mic/pcm0p/sub0/status; "
        "do sleep 0.2; done'\n"
        "[Install]\nWantedBy=multi-user.target\n"
    ),
    "/etc/systemd/system/webcam.service": (
        "[Unit]\nAfter=devices.service\nBefore=kioskd.service\n"
        f"[Service]\nExecStart=/usr/bin/python3 {GUEST}/webcam.py {GUEST}/scene.jpg 640 480 MJPG\n"
        "Restart=always\n"
        "[Install]\nWantedBy=multi-user.target\n"
    ),
    "/etc/systemd/system/pedal.service": (
        "[Unit]\nAfter=systemd-modules-load.service\nBefore=kioskd.service\n"
        f"[Service]\nExecStart=/usr/bin/python3 {GUEST}/pedal.py\n"
        "ExecStartPost=/bin/sh -c 'until grep -q Pedal /proc/bus/input/devices; do sleep 0.2; done; "
        "udevadm settle'\n"
        "[Install]\nWantedBy=multi-user.target\n"
    ),
}


def installed(way: Way) -> Path:
    """Return a disk with kioskd on it. The disk is kept, and beside it the typed lines with their outputs;
    see `typed`.

    Raises:
        AssertionError: the installer failed, or the machine did.
        RootfsError: the image cannot be made.
    """
    said = hashlib.sha256(b"".join(visitors_words())).hexdigest()
    recipe: list[object] = [
        vm_image.image().name,
        contents(*_INSTALLED, "tests/vm/guest"),
        _FILES,
        _OWNER,
        readme("Install"),
        YAML,
        KEY,
        said,
    ]
    make = _install_in_machine if way == "machine" else _install_in_container
    return rootfs.made(f"vm-installed-in-{way}", recipe, make) / "disk"


def typed(disk: Path) -> list[Line]:
    """Return the lines that were typed in the machine to install kioskd on this disk."""
    return [Line(**line) for line in json.loads((disk.parent / _TYPED).read_text())]


def _install_in_machine(folder: Path) -> None:
    image = vm_image.image()
    with kiosk(image, image / "disk") as it:
        machine = it.machine
        machine.push(source_files(*_INSTALLED), CHECKOUT, SOURCE)
        _prepare(machine)
        machine.sh(_OWNER)
        machine.write(WISHES, YAML)
        machine.exec("systemctl", "start", *_SERVICES)
        lines = [_type(it, line) for line in readme("Install")]
        (folder / _TYPED).write_text(json.dumps([dataclasses.asdict(line) for line in lines]))
        machine.stop()
        machine.disk.rename(folder / "disk")


def _type(it: Kiosk, line: str) -> Line:
    """Type a line as the owner, and do what the program asks for: press, step, speak, say yes."""
    answers: Answers = {
        "Service key: ": KEY,
        "[y/n] ": "y",
        "let go of the button gpio:pi/17": it.press,
        "let go of the button evdev:Pedal/KEY_SPACE": it.step,
    }
    began = it.machine.clock
    done = it.machine.typed(
        *("runuser", "--login", OWNER, "--command", f"cd {SOURCE} && {line}"),
        answers=answers,
        within_s=INSTALL_S,
    )
    return Line(line, done.returncode, done.stdout, round(it.machine.clock - began, 1))


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
            # Certificate and port are new at each boot.
            authorities = Path("/etc/ssl/certs/ca-certificates.crt").read_text()
            for path, text in {
                SETTINGS: YAML,
                "/etc/kioskd/ca.pem": authorities,
                "/etc/simulator": "PORT=1\n",
            }.items():
                box.write(path, text)
            parent = Path(CREDENTIAL).parent
            box.sh(
                f"mkdir -p {parent}; systemd-creds encrypt --name=gemini-api-key - {CREDENTIAL}", given=KEY
            )
            box.exec("bash", "-c", f"{SOURCE}/scripts/install.sh", within_s=INSTALL_S)
            box.sh(
                f"systemctl stop kioskd; tar -C / --one-file-system --acls --xattrs -cf {_SHARED}/root.tar .",
                within_s=INSTALL_S,
            )
        system = place / "root"
        system.mkdir()
        rootfs.run(["tar", "-C", system, "--acls", "--xattrs", "-xf", place / "root.tar"])
        vm_image.make_disk(system, folder / "disk")


def _prepare(machine: Machine) -> None:
    """Put everything on the machine that is not part of kioskd."""
    for path in _GUEST_FOLDER.iterdir():
        machine.write(f"{GUEST}/{path.name}", path.read_text())
    for name, text in _FILES.items():
        machine.write(name, text)
    machine.write_bytes(f"{GUEST}/words", b"".join(visitors_words()))
    machine.write_bytes(f"{GUEST}/scene.jpg", jpeg(640, 480))
    machine.sh(f"systemctl daemon-reload; systemctl enable -q {' '.join(_SERVICES)}")
