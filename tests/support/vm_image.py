"""The disk of a virtual machine: Debian with its own kernel, and the devices that a Raspberry Pi would have.

The machine stands for a Pi with a microphone, a speaker, a button, a lamp and cameras. Its kernel is
Debian's. Debian does not build gpio-sim and vimc, so these two modules are built here, and v4l2loopback with
them.

Everything is made once and stored in the folder of `tests.support.rootfs.cache`, under a name that changes
with the recipe. The disk has the wheels that the installer needs, and a Python environment for this
checkout's tests.
"""

import contextlib
import lzma
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.support import rootfs

NEEDED: Final = ("qemu-system-x86_64", "qemu-img", "mke2fs", "ssh", "ssh-keygen")

SOURCE: Final = "/opt/source"
"""Folder of the checkout in the machine."""
WHEELS: Final = "/opt/kiosk-wheels"
TESTS_PYTHON: Final = "/opt/tests/bin/python"
"""The Python that runs the tests of the checkout at `SOURCE`."""

_EDITION: Final = 1
"""Part of the recipe. Increase it to make new disks from the same parts."""
_GIGABYTES: Final = 8

_SYSTEM: Final = (
    "linux-image-amd64", "initramfs-tools", "udev", "kmod", "openssh-server", "python3-evdev",
    "python3-systemd", "lowdown", "libcamera-ipa", "v4l-utils",
)  # fmt: skip
_BUILD: Final = ("linux-source", "gcc", "make", "xz-utils", "libc6-dev")
"""Packages for building the modules only. The headers of the kernel's version are added to them."""
_DISK_MODULES: Final = ("virtio_pci", "virtio_blk", "virtio_net", "ext4", "crc32c_generic", "rtc-cmos")
"""Kernel modules for mounting the root. A small initrd saves seconds at each boot."""
_LATER_MODULES: Final = (
    "qemu_fw_cfg", "autofs4", "evdev", "uinput", "configfs", "gpio-sim", "snd-aloop", "vimc", "v4l2loopback",
)  # fmt: skip
"""Other kernel modules that are kept. udev would load all that fit any part of QEMU's machine."""
_LEFT_OUT: Final = ("mypy", "ruff", "types-", "pyroomacoustics", "scipy", "cython", "pytest-xdist")
"""Requirements of the extra `dev` that no test in the machine needs."""

_FILES: Final = {
    "etc/hostname": "kiosk\n",
    "etc/fstab": "/dev/vda / ext4 defaults 0 1\n",
    "etc/resolv.conf": "nameserver 10.0.2.3\n",
    "etc/systemd/network/20-kiosk.network": "[Match]\nName=en* eth*\n[Network]\nDHCP=yes\n",
    "etc/ssh/sshd_config.d/kiosk.conf": "PermitRootLogin yes\nUseDNS no\nUsePAM no\nMaxSessions 100\n",
    # Raspberry Pi OS has these rules: they set the group of each device.
    "etc/udev/rules.d/99-com.rules": (
        'SUBSYSTEM=="gpio", GROUP="gpio", MODE="0660"\n'
        'SUBSYSTEM=="dma_heap", GROUP="video", MODE="0660"\n'
        'SUBSYSTEM=="input", GROUP="input", MODE="0660"\n'
    ),
    # picamera2 opens the Pi's heap by name.
    "etc/tmpfiles.d/kiosk.conf": "L /dev/dma_heap/linux,cma - - - - system\n",
    "etc/modules-load.d/kiosk.conf": "uinput\nvimc\nconfigfs\ngpio-sim\nsnd-aloop\nvideodev\n",
    # One card that is a microphone and one that is a speaker, as two USB devices would be.
    "etc/modprobe.d/kiosk.conf": (
        "options snd-aloop enable=1,1 index=0,1 id=Mic,Spk pcm_substreams=1,1\n"
        "options v4l2loopback video_nr=20 card_label=Front exclusive_caps=1\n"
    ),
    "etc/pip.conf": f"[global]\nno-index = true\nfind-links = {WHEELS}\n",
    "etc/apt/apt.conf.d/kiosk": 'Acquire::Retries "0";\n',
    "etc/systemd/journald.conf.d/kiosk.conf": "[Journal]\nStorage=persistent\nSyncIntervalSec=1s\n",
}

_MASKED: Final = (
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "fstrim.timer",
)
"""Units that must not disturb tests."""

_MODULES: Final = (
    r"""
set -e
kernel=$(ls /lib/modules)
cd /opt/build
tar -xf /usr/src/linux-source-*.tar.xz --strip-components=1 --wildcards \
  '*/drivers/gpio/gpio-sim.c' '*/kernel/irq/irq_sim.c' '*/drivers/media/test-drivers/vimc'
mkdir gpio vimc v4l2
cp drivers/gpio/gpio-sim.c gpio/gpio-sim-main.c
# irq_to_desc is not exported to modules; generic_handle_irq_safe does the same.
sed -e '/^EXPORT_SYMBOL_GPL/d' -e 's/handle_simple_irq(irq_to_desc(irqnum))/"""
    r"""generic_handle_irq_safe(irqnum)/' \
  kernel/irq/irq_sim.c > gpio/irq_sim.c
printf 'obj-m := gpio-sim.o\ngpio-sim-y := gpio-sim-main.o irq_sim.o\n' > gpio/Makefile
cp drivers/media/test-drivers/vimc/*.[ch] vimc
# libcamera has its sensor give 1920 x 1080, which costs an emulated processor more"""
    r""" than a second for each picture.
sed -i -e '/VIMC_FRAME_MAX_WIDTH/s/4096/640/' -e '/VIMC_FRAME_MAX_HEIGHT/s/2160/480/' vimc/vimc-common.h
grep -q 'MAX_WIDTH.*640' vimc/vimc-common.h
{ echo 'obj-m := vimc.o'; echo """
    r""""vimc-y := $(cd vimc && ls *.c | sed 's/\.c$/.o/' | tr '\n' ' ')"; } > vimc/Makefile
apt-get download -q=2 v4l2loopback-dkms
dpkg-deb -x v4l2loopback-dkms_*.deb dkms
cp dkms/usr/src/v4l2loopback-*/*.[ch] v4l2
echo 'obj-m := v4l2loopback.o' > v4l2/Makefile
for part in gpio vimc v4l2; do make -s -C "/lib/modules/$kernel/build" M="/opt/build/$part" modules; done
strip --strip-debug */*.ko
"""
)


def missing() -> str | None:
    """Return why the machine cannot be made and booted here; None if it can."""
    absent = [name for name in NEEDED if shutil.which(name) is None]
    if absent:
        return f"missing: {', '.join(absent)}; run scripts/test-vm, which installs them"
    return rootfs.missing()


def image() -> Path:
    """Return a folder with `disk` (raw), `kernel`, `initrd`, and `id`, the SSH key of the machine.

    Making it takes about five minutes, and needs Debian's mirror and the package index.

    Raises:
        RootfsError: it cannot be made.
    """
    system = root()
    return rootfs.made(
        "vm-image", [_EDITION, system.name, _GIGABYTES], lambda folder: _make_image(folder, system)
    )


def root() -> Path:
    """Return the folder with the disk's files. A container can boot it, too, without its kernel.

    Raises:
        RootfsError: it cannot be made.
    """
    system, wheels = _system(), rootfs.wheels("trixie")
    recipe: list[object] = [
        _EDITION, system.name, wheels.name, _tests_need(), _FILES, _MASKED, _DISK_MODULES, _LATER_MODULES
    ]  # fmt: skip
    return rootfs.made("vm-root", recipe, lambda folder: _make_root(folder, system, wheels))


def make_disk(system: Path, disk: Path) -> None:
    """Create a raw disk with the files of the folder `system`.

    Raises:
        RootfsError: it cannot be made.
    """
    disk.touch()
    os.truncate(disk, _GIGABYTES * 2**30)
    rootfs.run(["mke2fs", "-q", "-t", "ext4", "-d", system, disk])


def _system() -> Path:
    """Return a root folder with a kernel, and the modules that Debian's kernel lacks."""
    camera = rootfs.rootfs("camera", "trixie")
    recipe: list[object] = [_EDITION, camera.name, _SYSTEM, _BUILD, _MODULES, _DISK_MODULES]
    return rootfs.made("vm-system", recipe, lambda folder: _make_system(folder, camera))


def _make_system(folder: Path, camera: Path) -> None:
    rootfs.run(["cp", "-a", f"{camera}/.", folder])
    (folder / "usr/share/libcamera/pipeline/virtual/virtual.yaml").unlink()  # vimc is the camera here
    with _installable(folder):
        rootfs.run(
            ["chroot", folder, "apt-get", "install", "-q=2", "-y", "--no-install-recommends", *_SYSTEM]
        )
    [kernel] = (folder / "lib/modules").iterdir()
    with (folder / "etc/initramfs-tools/modules").open("a") as listed:
        listed.write("".join(f"{name}\n" for name in _DISK_MODULES))
    (folder / "etc/initramfs-tools/conf.d/kiosk").write_text("MODULES=list\nCOMPRESS=gzip\n")
    with rootfs.layered(folder) as place, _installable(place):
        (place / "opt/build").mkdir()
        headers = f"linux-headers-{kernel.name}"
        rootfs.run(
            ["chroot", place, "apt-get", "install", "-q=2", "-y", "--no-install-recommends", headers, *_BUILD]
        )
        rootfs.run(["chroot", place, "sh", "-c", _MODULES])
        built = {module.name: module.read_bytes() for module in (place / "opt/build").glob("*/*.ko")}
    updates = kernel / "updates"
    updates.mkdir(exist_ok=True)
    for name, module in built.items():
        (updates / name).write_bytes(module)
    rootfs.run(["chroot", folder, "depmod", "-a", kernel.name])
    with rootfs.borrowed(folder):
        rootfs.run(["chroot", folder, "update-initramfs", "-u", "-k", kernel.name])


@contextlib.contextmanager
def _installable(system: Path) -> Iterator[None]:
    """Let apt install in `system` from this machine's mirror, without starting services there."""
    policy = system / "usr/sbin/policy-rc.d"
    with rootfs.borrowed(system):
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
        try:
            yield
        finally:
            policy.unlink()


def _tests_need() -> list[str]:
    """Return the requirements of this checkout's tests, as far as they run in the machine."""
    return [text for text in rootfs.locked("kioskd", "dev") if not text.startswith(_LEFT_OUT)]


def _make_root(folder: Path, system: Path, wheels: Path) -> None:
    rootfs.run(["cp", "-a", f"{system}/.", folder])
    tests = Path(TESTS_PYTHON).parents[1]
    with rootfs.borrowed(folder):
        rootfs.run(["chroot", folder, "python3", "-m", "venv", "--system-site-packages", tests])
        pip: list[str | Path] = ["chroot", folder, f"{tests}/bin/pip", "install", "-q", "--only-binary=:all:"]
        rootfs.run([*pip, *_tests_need()])
    [packages] = (folder / "opt/tests/lib").glob("python3.*/site-packages")
    (packages / "kioskd.pth").write_text(f"{SOURCE}/daemon\n")
    shutil.copytree(wheels, folder / WHEELS.lstrip("/"))
    (folder / SOURCE.lstrip("/")).mkdir()
    for name, text in _FILES.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        file.write_text(text)
    rootfs.run(["chroot", folder, "systemctl", "enable", "-q", "systemd-networkd", "ssh"])
    rootfs.run(["chroot", folder, "systemctl", "mask", "-q", *_MASKED])
    rootfs.run(["chroot", folder, "groupadd", "--system", "--force", "gpio"])
    _keep_modules(folder)
    key = folder / "root/.ssh/id"
    key.parent.mkdir(mode=0o700, exist_ok=True)
    rootfs.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key])
    shutil.copy(key.with_suffix(".pub"), key.parent / "authorized_keys")


def _keep_modules(system: Path) -> None:
    """Delete the modules that the machine does not need, and unpack the rest, which saves it seconds."""
    [kernel] = (system / "lib/modules").iterdir()
    listed = rootfs.run(
        ["chroot", system, "modprobe", "--set-version", kernel.name, "--show-depends", "--all",
         *_DISK_MODULES, *_LATER_MODULES]
    )  # fmt: skip
    needed = {Path(words[1]).name for line in listed.splitlines() if (words := line.split())[0] == "insmod"}
    for module in kernel.rglob("*.ko*"):
        if module.name in needed and module.suffix == ".xz":
            module.with_suffix("").write_bytes(lzma.decompress(module.read_bytes()))
        if module.name not in needed or module.suffix == ".xz":
            module.unlink()
    rootfs.run(["chroot", system, "depmod", "-a", kernel.name])


def _make_image(folder: Path, system: Path) -> None:
    for name, pattern in (
        ("kernel", "boot/vmlinuz-*"),
        ("initrd", "boot/initrd.img-*"),
        ("id", "root/.ssh/id"),
    ):
        [found] = system.glob(pattern)
        shutil.copy(found, folder / name)
    make_disk(system, folder / "disk")
