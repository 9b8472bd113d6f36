"""A machine with a real systemd as its first process, in a container that is gone when the test is.

It starts from one of `tests.support.rootfs`; what happens in it happens to a copy. Root only; no systemd needed outside.
Not as on a device: MemoryMax=, TasksMax= and LimitRTPRIO= bind nothing there, and there is no udev.
"""

import contextlib
import json
import os
import secrets
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from tests.support.rootfs import cache, carried, carried_environ

BOOT_S: Final = 60.0
PATIENCE_S: Final = 30.0
ENTERED: Final = "pid mount uts ipc net cgroup"

Entry = Mapping[str, Any]
"""One line of the journal, with its fields; see systemd.journal-fields(7)."""

# A mount namespace of one's own with a pure cgroup tree (systemd in the box takes no other), and the rootfs with a
# layer on top that takes the changes.
_ENTER: Final = """
set -e
root=$1 place=$2 name=$3; shift 3
[ "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs ] || { umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup; }
mkdir "/sys/fs/cgroup/$name"
echo $$ > "/sys/fs/cgroup/$name/cgroup.procs"
mount -t overlay overlay -o "lowerdir=$root,upperdir=$place/upper,workdir=$place/work" "$place/merged"
exec systemd-nspawn --directory="$place/merged" --machine="$name" "$@"
"""

_CLEAN: Final = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
}


class Journal:
    """What is written to the box's journal, as it is written."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._entries: list[Entry] = []
        self._more = threading.Condition()
        self._reader = threading.Thread(target=self._read, name="journal", daemon=True)
        self._reader.start()

    @property
    def now(self) -> int:
        """The place behind the last line so far, for `wait(since=…)` and `text(since=…)`."""
        with self._more:
            return len(self._entries)

    def text(self, unit: str | None = None, since: int = 0) -> str:
        """Return the messages, one a line, of one unit or all."""
        with self._more:
            entries = self._entries[since:]
        return "\n".join(_message(entry) for entry in entries if unit is None or _is_of(unit, entry))

    def wait(
        self, wanted: str | Callable[[Entry], bool], *, unit: str = "kioskd.service", since: int = 0,
        within_s: float = PATIENCE_S,
    ) -> Entry:  # fmt: skip
        """Return the first line of `unit` (its own, or systemd's about it) that has these words, or fits otherwise.

        Raises:
            AssertionError: none came in time; with the unit's last lines.
        """
        fits = wanted if callable(wanted) else lambda entry: wanted in _message(entry)
        until = time.monotonic() + within_s
        seen = since
        with self._more:
            while True:
                for entry in self._entries[seen:]:
                    if _is_of(unit, entry) and fits(entry):
                        return entry
                seen = max(seen, len(self._entries))
                if not self._more.wait_for(lambda: len(self._entries) > seen, until - time.monotonic()):  # noqa: B023 - called at once
                    break
        raise AssertionError(f"not in the journal: {wanted}; its end:\n{self.text(unit, since)[-4000:]}")

    def stop(self) -> None:
        """Read no more."""
        os.killpg(self._process.pid, signal.SIGKILL)  # nsenter, and its child
        self._process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        if self._process.stdout:
            self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            entry = json.loads(line)
            with self._more:
                self._entries.append(entry)
                self._more.notify_all()


def _message(entry: Entry) -> str:
    message = entry.get("MESSAGE")
    return message if isinstance(message, str) else bytes(message or b"").decode(errors="replace")


def _is_of(unit: str, entry: Entry) -> bool:
    return unit in (entry.get("_SYSTEMD_UNIT"), entry.get("UNIT"), entry.get("OBJECT_SYSTEMD_UNIT"))


class Box:
    """The machine, booted on entering, gone after leaving.

    `binds` are folders and files of this machine, and where they are seen in the box (not under /tmp, which is another
    there; a sandboxed service has its own /var/tmp too); `read_only` likewise. The box is in the network of whoever
    boots it (see `tests.support.namespace`), or with `private_network` in one of its own, of loopback alone. `online`
    gives it all that this machine uses to reach the package index and the mirror. `environ` comes on top of every
    command's environment.
    """

    def __init__(
        self,
        system: Path,
        *,
        binds: Mapping[Path, str] | None = None,
        read_only: Mapping[Path, str] | None = None,
        online: bool = False,
        private_network: bool = False,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._system = system
        self._online = online
        self._options = ["--private-network"] if private_network else []
        for option, paths in (("--bind", binds), ("--bind-ro", read_only)):
            self._options += [f"{option}={outside}:{inside}" for outside, inside in (paths or {}).items()]
        if online:
            self._options += [f"--bind-ro={path}" for path in carried()]
        self._environ = _CLEAN | (carried_environ() if online else {}) | dict(environ or {})
        self._stack = contextlib.ExitStack()
        self._place = Path()
        self._leader = 0
        self.journal: Journal
        """Everything since the boot."""

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self._boot(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()

    def down(self) -> None:
        """Shut the machine down, and remove all of it."""
        self._stack.close()

    def exec(
        self,
        *command: str | Path,
        check: bool = True,
        given: str | None = None,
        environ: Mapping[str, str] | None = None,
        within_s: float = PATIENCE_S,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as root, with `given` as its input; it is killed when it has not ended in time.

        Raises:
            AssertionError: with `check`, it ended with another code than 0; with all that it printed.
        """
        words = " ".join(map(str, command))
        pipe = subprocess.PIPE
        with subprocess.Popen(
            self._inside(command), stdin=pipe, stdout=pipe, stderr=pipe, text=True, start_new_session=True,
            env=self._environ | dict(environ or {}),
        ) as process:  # fmt: skip
            try:
                printed, complained = process.communicate(given or "", within_s)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)  # nsenter, and its child, which holds the pipes
                printed, complained = process.communicate()
                raise AssertionError(f"{words}: not over in {within_s} s:\n{printed}\n{complained}") from None
        if check and process.returncode:
            raise AssertionError(f"{words}: exit {process.returncode}:\n{printed}\n{complained}")
        return subprocess.CompletedProcess(process.args, process.returncode, printed, complained)

    def sh(self, script: str, **options: Any) -> str:
        """Run a script in the box's shell as root, and return what it printed."""
        return self.exec("bash", "-euo", "pipefail", "-c", script, **options).stdout

    def typed(self, *command: str | Path, prompt: str, answer: str) -> subprocess.CompletedProcess[str]:
        """Run a command as root at a terminal, type `answer` when it has asked `prompt`, and return what was seen there.

        Raises:
            AssertionError: it did not ask, or had not ended in time.
        """
        seen, typed = b"", False
        until = time.monotonic() + PATIENCE_S
        ours, theirs = os.openpty()
        try:
            with subprocess.Popen(
                ["setsid", "--ctty", *self._inside(command)], stdin=theirs, stdout=theirs, stderr=theirs,
                env=self._environ,
            ) as process:  # fmt: skip
                os.close(theirs)
                try:
                    while select.select([ours], [], [], max(0.0, until - time.monotonic()))[0]:
                        try:
                            seen += os.read(ours, 4096)
                        except OSError:  # nobody is at the other end any more
                            break
                        if not typed and prompt.encode() in seen:
                            os.write(ours, f"{answer}\n".encode())
                            typed = True
                    process.wait(max(0.1, until - time.monotonic()))
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    raise AssertionError(f"{command}: not over in {PATIENCE_S} s:\n{seen!r}") from None
        finally:
            os.close(ours)
        return subprocess.CompletedProcess(process.args, process.returncode, seen.decode(errors="replace"))

    def write(self, path: str | Path, text: str, mode: str = "644") -> None:
        """Write a file in the box, and the folders it is in."""
        self.sh(f"mkdir -p '{Path(path).parent}'; cat > '{path}'; chmod {mode} '{path}'", given=text)

    def read(self, path: str | Path) -> str:
        """Return what is in a file in the box."""
        return self.exec("cat", path).stdout

    def show(self, name: str, unit: str = "kioskd.service") -> str:
        """Return a property of a unit, as systemd shows it."""
        return self.exec("systemctl", "show", "--value", f"--property={name}", unit).stdout.strip()

    def _inside(self, command: Sequence[str | Path]) -> list[str]:
        namespaces = [f"--{name}" for name in ENTERED.split()]
        return ["nsenter", f"--target={self._leader}", *namespaces, "--", *map(str, command)]

    def _boot(self, stack: contextlib.ExitStack) -> None:
        name = f"box-{secrets.token_hex(4)}"
        self._place = cache() / name
        self._place.mkdir()
        stack.callback(shutil.rmtree, self._place)
        for part in ("upper", "work", "merged"):
            (self._place / part).mkdir()
        stack.callback(_remove_cgroup, name)
        console = stack.enter_context((self._place / "console").open("wb"))
        # Closed when the machine is up: nspawn waits for whoever does not read what it tells, and the machine for it.
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
            told.bind(str(self._place / "notify"))
            told.settimeout(0.2)
            nspawn = subprocess.Popen(
                # Whatever becomes of us, nothing of it stays.
                ["setpriv", "--pdeathsig=KILL", "unshare", "--mount", "--propagation=private", "bash", "-c", _ENTER, "box",
                 self._system, self._place, name,
                 "--boot", "--register=no", "--keep-unit", "--console=pipe", "--resolv-conf=off", "--timezone=off",
                 "--notify-ready=yes", "--link-journal=no", *self._options],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True,
                env=_CLEAN | {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1", "NOTIFY_SOCKET": str(self._place / "notify")},
            )  # fmt: skip
            stack.callback(self._end, nspawn)
            self._await_boot(nspawn, told)
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

    def _await_boot(self, nspawn: subprocess.Popen[bytes], told: socket.socket) -> None:
        until = time.monotonic() + BOOT_S
        ready = False
        while not ready:
            if nspawn.poll() is not None or time.monotonic() > until:
                said = (self._place / "console").read_text(errors="replace")[-3000:]
                raise AssertionError(f"the box did not boot: {said}")
            with contextlib.suppress(TimeoutError):
                fields = dict(line.partition("=")[::2] for line in told.recv(4096).decode().splitlines())
                self._leader = int(fields.get("X_NSPAWN_LEADER_PID", self._leader))
                ready = "READY" in fields

    def _end(self, nspawn: subprocess.Popen[bytes]) -> None:
        """Have the machine halt; pull its plug if it does not."""
        nspawn.send_signal(signal.SIGTERM)
        try:
            nspawn.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            nspawn.kill()
            nspawn.wait(PATIENCE_S)


def _remove_cgroup(name: str) -> None:
    """Kill whatever is left in the machine, and remove the account of it."""
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
                except OSError:  # somebody in it is still about to be gone
                    if time.monotonic() > until:
                        raise
                    time.sleep(0.05)


@contextlib.contextmanager
def shared_folder(prefix: str) -> Iterator[Path]:
    """Yield a folder that can be bound into a box, readable by everybody in it."""
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir="/run"))
    try:
        folder.chmod(0o755)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
