"""A machine with a real systemd as its first process, in a container that lasts for one test.

It boots a copy of a system from `tests.support.rootfs`; changes survive reboots of the box. It needs root,
but no systemd outside. Unlike a device, it does not enforce MemoryMax=, TasksMax= and LimitRTPRIO=, and has
no udev.
"""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.support.journal import PATIENCE_S, Journal
from tests.support.machine import Machine
from tests.support.rootfs import cache, carried, carried_environ

BOOT_S: Final = 60.0
ENTERED: Final = "pid mount uts ipc net cgroup"
REBOOT: Final = 133
"""Exit code of nspawn when the machine wants to reboot; see systemd-nspawn(1), --keep-unit."""

# It mounts a cgroup v2 tree for systemd in the box, and an overlay on the rootfs for all changes.
_ENTER: Final = """
set -e
layers=$1 place=$2 name=$3; shift 3
if [ "$(stat -fc %T /sys/fs/cgroup)" != cgroup2fs ]; then
  umount -R /sys/fs/cgroup
  mount -t cgroup2 none /sys/fs/cgroup
fi
mkdir "/sys/fs/cgroup/$name"
echo $$ > "/sys/fs/cgroup/$name/cgroup.procs"
mount -t overlay overlay -o "lowerdir=$layers,upperdir=$place/upper,workdir=$place/work" "$place/merged"
exec systemd-nspawn --directory="$place/merged" --machine="$name" "$@"
"""

_LANDLOCK: Final = "--system-call-filter=landlock_create_ruleset landlock_add_rule landlock_restrict_self"
"""System calls by which programs restrict themselves: nspawn forbids them, real machines do not."""

_CLEAN: Final = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
}


class Box(Machine):
    """Machine in a container, booted on entry and removed on exit.

    `binds` maps folders and files of this machine to their paths in the box; `read_only` does the same
    without writing. Paths under /tmp do not work, as the box has its own; a sandboxed service has its own
    /var/tmp, too. The box shares the network of its caller (see `tests.support.namespace`), or has only
    loopback with `private_network`. `online` gives it the settings that this machine uses to reach the
    package index and the mirror. `layer`: a folder that `keep` wrote.
    """

    def __init__(
        self,
        system: Path,
        *,
        layer: Path | None = None,
        binds: Mapping[Path, str] | None = None,
        read_only: Mapping[Path, str] | None = None,
        online: bool = False,
        private_network: bool = False,
    ) -> None:
        self._layers = ":".join(map(str, [layer, system] if layer else [system]))
        self._online = online
        self._options = ["--private-network"] if private_network else []
        for option, paths in (("--bind", binds), ("--bind-ro", read_only)):
            self._options += [f"{option}={outside}:{inside}" for outside, inside in (paths or {}).items()]
        if online:
            self._options += [f"--bind-ro={path}" for path in carried()]
        self._environ = _CLEAN | (carried_environ() if online else {})
        self._stack = contextlib.ExitStack()
        self._boot_stack = contextlib.ExitStack()
        """Resources that are closed at each reboot."""
        self._place = Path()
        self._nspawn: subprocess.Popen[bytes]
        self._leader = 0
        self.journal: Journal
        """Journal since the last boot. An older one can still be read by a caller that holds it."""

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self._place = cache() / f"box-{secrets.token_hex(4)}"
            self._place.mkdir()
            stack.callback(shutil.rmtree, self._place)
            for part in ("upper", "work", "merged"):
                (self._place / part).mkdir()
            stack.callback(self._halt)
            self._boot()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()

    def down(self) -> None:
        """Shut the machine down, and delete it."""
        self._stack.close()

    def keep(self, layer: Path) -> None:
        """Shut the machine down, and move all changes on its disk to `layer`. It cannot boot again."""
        self._halt()
        (self._place / "upper").rename(layer)

    def reboot(self, *, read_only: bool = False) -> None:
        """Reboot the machine. With `read_only` its disk is read-only, except for systemd's folders in memory.

        Raises:
            AssertionError: it did not go down, or did not come up.
        """
        self.exec("systemctl", "--no-block", "reboot")
        self.rebooted(read_only=read_only)

    def rebooted(self, *, read_only: bool = False, within_s: float = PATIENCE_S) -> None:
        """Wait until the machine has rebooted by itself.

        Raises:
            AssertionError: it did not go down, or did not come up.
        """
        until = time.monotonic() + within_s
        while (ended := self._nspawn.poll()) is None:
            assert time.monotonic() < until, f"no reboot in {within_s} s:\n{self.journal.text()[-4000:]}"
            self.journal.go_on()
            time.sleep(0.05)
        assert ended == REBOOT, f"no reboot: the machine ended with {ended}"
        self._halt()
        self._boot(*["--read-only"] * read_only)

    def _inside(self, command: Sequence[str | Path]) -> list[str]:
        namespaces = [f"--{name}" for name in ENTERED.split()]
        return ["nsenter", f"--target={self._leader}", *namespaces, "--", *map(str, command)]

    def _halt(self) -> None:
        self._boot_stack.close()

    def _boot(self, *options: str) -> None:
        name = self._place.name
        with contextlib.ExitStack() as stack:
            stack.callback(_remove_cgroup, name)
            console = stack.enter_context((self._place / "console").open("wb"))
            heard = self._place / "notify"
            heard.unlink(missing_ok=True)
            # Closed when the machine is up: nspawn, and with it the machine, would wait for a reader of its
            # messages.
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
                told.bind(str(heard))
                told.settimeout(0.2)
                self._nspawn = subprocess.Popen(
                    # The machine must end when this process ends.
                    ["setpriv", "--pdeathsig=KILL", "unshare", "--mount", "--propagation=private",
                     "bash", "-c", _ENTER, "box", self._layers, self._place, name,
                     "--boot", "--register=no", "--keep-unit", "--console=pipe", "--resolv-conf=off",
                     "--timezone=off", "--notify-ready=yes", "--link-journal=no", _LANDLOCK,
                     *self._options, *options],
                    stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True,
                    env=_CLEAN | {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1", "NOTIFY_SOCKET": str(heard)},
                )  # fmt: skip
                stack.callback(self._end)
                self._await_boot(told)
            following = subprocess.Popen(
                self._inside(["journalctl", "--boot", "--follow", "--lines=all", "--output=json"]),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                start_new_session=True,
                env=self._environ,
            )
            self.journal = Journal(following)
            stack.callback(self.journal.stop)
            self._boot_stack = stack.pop_all()

    def _await_boot(self, told: socket.socket) -> None:
        until = time.monotonic() + BOOT_S
        ready = False
        while not ready:
            if self._nspawn.poll() is not None or time.monotonic() > until:
                said = (self._place / "console").read_text(errors="replace")[-3000:]
                raise AssertionError(f"the box did not boot: {said}")
            with contextlib.suppress(TimeoutError):
                fields = dict(line.partition("=")[::2] for line in told.recv(4096).decode().splitlines())
                self._leader = int(fields.get("X_NSPAWN_LEADER_PID", self._leader))
                ready = "READY" in fields

    def _end(self) -> None:
        """Halt the machine if it runs; kill it if it does not halt in time."""
        self._nspawn.send_signal(signal.SIGTERM)
        try:
            self._nspawn.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._nspawn.kill()
            self._nspawn.wait(PATIENCE_S)


def _remove_cgroup(name: str) -> None:
    """Kill all processes left in the machine, and remove its cgroup."""
    for tree in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified"):
        group = Path(tree, name)
        if not group.exists():
            continue
        (group / "cgroup.kill").write_text("1")
        until = time.monotonic() + PATIENCE_S
        for folder, _, _ in os.walk(group, topdown=False):
            while True:
                try:
                    Path(folder).rmdir()
                    break
                except OSError:  # a process in it has not ended yet
                    if time.monotonic() > until:
                        raise
                    time.sleep(0.05)


@contextlib.contextmanager
def shared_folder(prefix: str) -> Iterator[Path]:
    """Yield a folder that can be bound into a box, and that all its users can read."""
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir="/run"))
    try:
        folder.chmod(0o755)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
