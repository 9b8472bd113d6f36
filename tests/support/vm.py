"""A virtual machine with its own kernel, for devices and limits that a container cannot have.

QEMU emulates every instruction (TCG), because test machines rarely have KVM. By its own clock the machine is
as fast as a Pi 3. That clock is slower than the host's. So each wait ends with an event, and its deadline
is generous.

The disk is an overlay on another disk, and is deleted with the machine. `kill` is a power cut: data that the
guest has not written to its disk is lost.
"""

import base64
import contextlib
import fcntl
import json
import os
import secrets
import shlex
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from tests.support.journal import Journal
from tests.support.machine import Machine
from tests.support.rootfs import cache

BOOT_S: Final = 400.0
"""Seconds allowed for a boot. With a load of 5 on the host it takes a minute."""
PATIENCE_S: Final = 180.0
"""Seconds allowed for a command or an event in the machine."""

_QEMU: Final = (
    "nice", "-n", "5",
    "qemu-system-x86_64", "-accel", "tcg,thread=single", "-icount", "shift=0,sleep=on",
    "-cpu", "max,-la57,-svm", "-smp", "1",
    "-nodefaults", "-vga", "none", "-display", "none", "-monitor", "none", "-no-reboot",
)  # fmt: skip
"""QEMU's command. The machine's time counts its instructions, one in 1 ns, and stops while the host is busy.

So a slow or busy host neither causes missed deadlines in the machine, nor stuttering sound. This needs a
single processor.
"""

_LIKE_A_PI: Final = "preempt=full"
"""Kernel option that Raspberry Pi's kernels use."""

_LIGHT: Final = "mitigations=off init_on_alloc=0 norandmaps"
"""Kernel options that halve the host's work. QEMU reuses a program's translation only at the same address."""


class VirtualMachine(Machine):
    """Virtual machine, booted on entry and removed on exit.

    `files` are written, with their text, before any service starts. `clock` is the time of the hardware clock
    at boot, such as `1970-01-02T00:00:00`. With `read_only` the root file system is mounted read-only.
    """

    patience_s = PATIENCE_S

    def __init__(
        self,
        image: Path,
        disk: Path,
        *,
        files: Mapping[str, str] | None = None,
        memory_mb: int = 1536,
        clock: str | None = None,
        read_only: bool = False,
    ) -> None:
        """`image`: the folder from `vm_image.image`; `disk`: the qcow2 or raw file to start from."""
        self._image, self._below = image, disk
        self._files = files or {}
        self._memory_mb = memory_mb
        self._set_clock, self._read_only = clock, read_only
        self._environ = dict(os.environ)
        self._stack = contextlib.ExitStack()
        self._place = Path()
        self._qemu: subprocess.Popen[bytes] | None = None
        self._port = 0
        self.booted_in_s = 0.0
        """Seconds that the last boot took."""
        self.journal: Journal
        """The journal since the last boot."""

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            stack.enter_context(_only_one())
            self._place = cache() / f"vm-{secrets.token_hex(4)}"
            self._place.mkdir()
            stack.callback(shutil.rmtree, self._place)
            overlay(self._below, self.disk)
            stack.callback(self.kill)
            self.boot()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def disk(self) -> Path:
        """The file with all data that this machine has written."""
        return self._place / "disk.qcow2"

    @property
    def console(self) -> str:
        """The text that the kernel and systemd have printed since the boot."""
        return (self._place / "console").read_text(errors="replace")

    @property
    def control(self) -> Path:
        """The daemon's control socket on the host: faster than the command line in the machine."""
        return self._place / "control"

    @property
    def clock(self) -> float:
        """The machine's own time, in seconds since its boot."""
        return float(self.exec("cat", "/proc/uptime").stdout.split()[0])

    def boot(self, *, clock: str | None = None, read_only: bool = False) -> None:
        """Start the machine; return when it runs commands.

        Raises:
            AssertionError: it did not come up.
        """
        assert self._qemu is None, "the machine runs already"
        began = time.monotonic()
        self._port = _free_port()
        mode = "ro fstab=no" if read_only or self._read_only else "rw"
        clock = clock or self._set_clock
        credentials = self._place / "tmpfiles.extra"
        credentials.write_text("".join(_file_line(path, text) for path, text in self._files.items()))
        with (self._place / "qemu.log").open("wb") as said:
            self._qemu = subprocess.Popen(
                [*_QEMU, "-m", str(self._memory_mb),
                 "-nic", f"user,model=virtio-net-pci,hostfwd=tcp:127.0.0.1:{self._port}-:22",
                 "-kernel", self._image / "kernel", "-initrd", self._image / "initrd",
                 "-append", f"console=ttyS0 root=/dev/vda {mode} quiet {_LIKE_A_PI} {_LIGHT}",
                 "-serial", f"file:{self._place / 'console'}",
                 "-fw_cfg", f"name=opt/io.systemd.credentials/tmpfiles.extra,file={credentials}",
                 *(["-rtc", f"base={clock}"] if clock else []),
                 "-drive", f"file={self.disk},format=qcow2,if=virtio,cache=writeback"],
                stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True,
            )  # fmt: skip
        self._await_ssh()
        self._follow_journal()
        self.booted_in_s = time.monotonic() - began

    def kill(self) -> None:
        """Cut the power."""
        if self._qemu is None:
            return
        self._qemu.kill()
        self._ended()

    def stop(self) -> None:
        """Shut the machine down in an orderly way.

        Raises:
            AssertionError: it was still on after `BOOT_S`.
        """
        assert self._qemu is not None, "the machine does not run"
        self.exec("systemctl", "--no-block", "poweroff", check=False)
        try:
            self._qemu.wait(BOOT_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the machine did not shut down: {self.console[-3000:]}") from None
        self._ended()

    def power_cut(self, *, clock: str | None = None, read_only: bool = False) -> None:
        """Cut the power and boot again, with the data that had reached the disk."""
        self.kill()
        self.boot(clock=clock, read_only=read_only)

    def ask(self, request: Mapping[str, object], within_s: float = PATIENCE_S) -> Any:
        """Send a request to the daemon's control socket, and return its answer."""
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(within_s)
            link.connect(str(self.control))
            link.sendall(json.dumps(request).encode() + b"\n")
            line = link.makefile().readline()
        assert line, "the daemon has hung up"
        return json.loads(line)

    def push(self, source: Sequence[Path], base: Path, target: str) -> None:
        """Copy these files, which are below `base`, to the folder `target` in the machine."""
        names = "\0".join(str(path.relative_to(base)) for path in source)
        packed = subprocess.run(
            ["tar", "-C", base, "-cf", "-", "--null", "-T", "-"],
            input=names.encode(), capture_output=True, check=True,
        )  # fmt: skip
        self._with_bytes(["tar", "-C", target, "-xf", "-"], packed.stdout)

    def pull(self, path: str) -> bytes:
        """Return the bytes of a file in the machine."""
        return self._with_bytes(["cat", path])

    def _with_bytes(self, command: Sequence[str], data: bytes = b"") -> bytes:
        """Run a command with `data` as its input, and return its output."""
        done = subprocess.run(
            self._inside(command), input=data, capture_output=True, check=False, timeout=self.patience_s
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    @contextlib.contextmanager
    def running(self, *command: str | Path) -> Iterator[subprocess.Popen[str]]:
        """Run a command in the machine beside the block, and kill it afterwards."""
        with subprocess.Popen(
            self._at_terminal(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, start_new_session=True,
        ) as process:  # fmt: skip
            try:
                yield process
            finally:
                process.kill()

    def _inside(self, command: Sequence[str | Path]) -> list[str]:
        return [*self._ssh(), "root@127.0.0.1", shlex.join(map(str, command))]

    def _at_terminal(self, command: Sequence[str | Path]) -> list[str]:
        # The terminal sends the command a hangup when the connection ends.
        return [*self._ssh(), "-tt", "root@127.0.0.1", shlex.join(map(str, command))]

    def _ssh(self) -> list[str]:
        return [
            "ssh", "-q", "-i", str(self._image / "id"), "-p", str(self._port), "-S", str(self._place / "ssh"),
            "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes",
            "-o", "ConnectTimeout=60", "-o", "ServerAliveInterval=30", "-o", "ServerAliveCountMax=20",
        ]  # fmt: skip

    def _await_ssh(self) -> None:
        """Open the one connection that all commands share, and through it the daemon's control socket."""
        assert self._qemu is not None
        until = time.monotonic() + BOOT_S
        for stale in ("ssh", "control"):
            (self._place / stale).unlink(missing_ok=True)
        shared = ["-f", "-N", "-M", "-L", f"{self.control}:/run/kioskd/control", "root@127.0.0.1"]
        while True:
            done = subprocess.run(
                [*self._ssh(), *shared], check=False, timeout=BOOT_S, stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            if done.returncode == 0:
                return
            if self._qemu.poll() is not None or time.monotonic() > until:
                said = (self._place / "qemu.log").read_text(errors="replace")
                raise AssertionError(f"the machine did not come up: {said}\n{self.console[-3000:]}")
            time.sleep(1)

    def _follow_journal(self) -> None:
        following = subprocess.Popen(
            self._inside(["journalctl", "--boot", "--follow", "--lines=all", "--output=json"]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        self.journal = Journal(following)

    def _ended(self) -> None:
        """Clean up after the machine is off."""
        assert self._qemu is not None
        self._qemu.wait(PATIENCE_S)
        self._qemu = None
        subprocess.run([*self._ssh(), "-O", "exit", "root@127.0.0.1"], check=False, capture_output=True)
        if hasattr(self, "journal"):
            self.journal.stop()


def overlay(below: Path, new: Path) -> None:
    """Create a disk that starts as `below`. `below` must not change afterwards."""
    with below.open("rb") as file:
        kind = "qcow2" if file.read(4) == b"QFI\xfb" else "raw"
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-b", below, "-F", kind, new],
        check=True,
        capture_output=True,
    )


@contextlib.contextmanager
def _only_one() -> Iterator[None]:
    """Hold a lock, so that one machine runs here at a time: two would starve each other."""
    with (cache() / ".vm.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _file_line(path: str, text: str) -> str:
    """Return the line that makes systemd-tmpfiles write this file; see tmpfiles.d(5)."""
    return f"f+~ {path} 0644 root root - {base64.b64encode(text.encode()).decode()}\n"


def _free_port() -> int:
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        port: int = tried.getsockname()[1]
    return port
