"""The site of an installed kiosk: a machine in its own network, a room with a person, and the service."""

import asyncio
import contextlib
import json
import re
import subprocess
import threading
import time
import wave
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
from tests.support import namespace, rootfs, slow
from tests.support import sound_server as virtual
from tests.support.box import Box, shared_folder
from tests.support.journal import PATIENCE_S
from tests.support.machine import Answers
from tests.support.namespace import Namespace
from tests.support.rootfs import CHECKOUT, Kind, Suite
from tests.support.sound_server import SoundServer

from kioskd.errors import Code
from kioskd.media import pcm
from kioskd.media.resample import Resampler
from kioskd.simulator import FaultAction, Reply, ScriptedFault, ServiceScript, Simulator

SOURCE: Final = "/opt/source"
WHEELS: Final = "/opt/wheels"
SOUND: Final = "/opt/sound"
INSTALL: Final = f"{SOURCE}/scripts/install.sh"
INSTALL_S: Final = 600.0
CREDENTIAL: Final = "/etc/credstore.encrypted/gemini-api-key"
HARMLESS: Final = frozenset({"clock-not-synchronised"})
"""Faults that doctor finds on each such machine: the clock of a container is set by its host."""
SETTINGS: Final = "/etc/kioskd/kioskd.yaml"
OWNER: Final = "pi"
WISHES: Final = "/run/wishes.yaml"
"""The file that replaces a file which the owner opens with `nano`."""
SAID: Final = "Hello, and welcome."
GREETING: Final = "Greet the visitor."
NOISE_LSB: Final = 40
SPEECH: Final = Path("/usr/share/sounds/alsa/Front_Center.wav")

FILES: Final = (
    r"find / -xdev \( -path /proc -o -path /sys -o -path /run -o -path /var/log -o -path /tmp -o -path /home "
    r"-o -path /root -o -path /opt/newer -o -path /opt/broken "
    r"-o -path '/var/tmp/systemd-private-*-systemd-*' -o -name __pycache__ \) "
    r"-prune -o -print | sort"
)
"""A script that prints all files of the machine, without homes, temporary files and the tests' own files."""

MACHINE: Final = f"""\
echo 127.0.1.1 kiosk >> /etc/hosts
useradd --create-home --shell /bin/bash --groups sudo {OWNER}
printf '%s\\n' '{OWNER} ALL=(ALL) NOPASSWD: ALL' 'Defaults env_keep += ALSA_CONFIG_PATH' > /etc/sudoers.d/here
echo 'export ALSA_CONFIG_PATH=/etc/asound.conf' > /etc/profile.d/here.sh
printf '[global]\\nno-index = true\\nfind-links = {WHEELS}\\n' > /etc/pip.conf
echo 'Acquire::Retries "0";' > /etc/apt/apt.conf.d/here
printf '#!/bin/sh\\ncat {WISHES} > "$1"\\n' > /usr/local/bin/nano; chmod 755 /usr/local/bin/nano
"""
"""A script that completes the machine to a new Raspberry Pi OS, with its owner and its site."""

YAML: Final = """\
# What the owner wrote stays as it is.
service: {{endpoint: "{endpoint}", ca_file: {ca_file}{service}}}
assistant: {{greeting: {greeting}}}
conversation: {{wake: [start], idle_s: 3600, longest_s: 3600}}
speaker: {{volume: {volume}}}
camera: {{source: "v4l2:Front"}}
controls: {{lamp: {{command: [/bin/sh, -c, "echo $0 > {lamp}"]}}}}
"""
LAMP: Final = "/run/kioskd/lamp"
HERE: Final = "[Service]\nEnvironment=ALSA_CONFIG_PATH=/etc/asound.conf\nWatchdogSec=4\nRestartSec=300ms\n"
"""A drop-in: the kernel has no sound card for ALSA's own configuration, and tests need a fast watchdog."""


Typed = Mapping[str, subprocess.CompletedProcess[str]]
"""Typed lines with their results."""


def left_out() -> str | None:
    """Return why a test that takes most of a minute is skipped; None if it runs."""
    return slow.left_out("most of a minute")


def missing() -> str | None:
    """Return why no kiosk can be installed here; None if it can."""
    return rootfs.missing() or virtual.missing() or namespace.missing()


class Service:
    """The simulator in its own thread, so that a test can wait for the machine and the simulator in turn."""

    def __init__(self, script: ServiceScript) -> None:
        self._seen: Counter[str] = Counter()
        self._more = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="service")
        self.simulator = Simulator(script, observe=self._observe)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.simulator.__aenter__(), self._loop).result(PATIENCE_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        leaving = self.simulator.__aexit__(None, None, None)
        asyncio.run_coroutine_threadsafe(leaving, self._loop).result(PATIENCE_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_S)
        self._loop.close()

    def add(self, fault: ScriptedFault) -> None:
        """Add a fault for the next connection."""
        self._loop.call_soon_threadsafe(self.simulator.add_fault, fault)

    def seen(self, kind: str) -> int:
        """Return the number of events of this kind so far; `Simulator` lists the kinds."""
        with self._more:
            return self._seen[kind]

    @contextlib.contextmanager
    def sees(self, kind: str, times: int = 1, within_s: float = PATIENCE_S) -> Iterator[None]:
        """At the end of the block, wait until this number of events occurred since its beginning."""
        before = self.seen(kind)
        yield
        with self._more:
            if not self._more.wait_for(lambda: self._seen[kind] >= before + times, within_s):
                now = self._seen[kind] - before
                raise AssertionError(f"the service saw {kind} {now} of {times} times in {within_s} s")

    def hang_up(self) -> None:
        """End the connection on the side of the service now, which would notice the loss a little later."""
        self._loop.call_soon_threadsafe(self.simulator.inject, FaultAction(do="abort"))

    def _observe(self, kind: str, _data: dict[str, object]) -> None:
        with self._more:
            self._seen[kind] += 1
            self._more.notify_all()


class Person:
    """A person in a room that is never quite silent."""

    def __init__(self, sound: SoundServer) -> None:
        self._sound = sound
        self._gone = threading.Event()
        with wave.open(str(SPEECH)) as file:
            resampler = Resampler(file.getframerate(), pcm.UPLINK_HZ)
            self._words = resampler.process(file.readframes(file.getnframes()), last=True)
        self._breath = threading.Thread(target=self._breathe, name="room")

    def __enter__(self) -> Self:
        self._breath.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._gone.set()
        self._breath.join(PATIENCE_S)

    def speak(self) -> None:
        """Say something, and return after the last word."""
        self._sound.inject(self._words)

    def _breathe(self) -> None:
        noise = np.random.default_rng(7).integers(-NOISE_LSB, NOISE_LSB, pcm.UPLINK_HZ, np.int16).tobytes()
        while not self._gone.is_set():
            # It ends when the microphone is unplugged, and begins again with the next one.
            with contextlib.suppress(BrokenPipeError), self._sound.injector(latency_ms=500) as air:
                assert air.stdin
                with contextlib.suppress(BrokenPipeError):
                    while not self._gone.is_set():
                        air.stdin.write(noise)
                air.kill()
            self._gone.wait(0.2)


@dataclass(frozen=True, slots=True)
class Site:
    """All of it."""

    box: Box
    network: Namespace
    sound: SoundServer
    person: Person
    service: Service

    def has_been_prepared(self, settings: str | None = None) -> None:
        """Put the owner's settings and key on the machine before kioskd."""
        self.box.write(SETTINGS, settings or self.settings())
        self.box.sh(
            f"mkdir -p /etc/credstore.encrypted; systemd-creds encrypt --name=gemini-api-key - {CREDENTIAL}",
            given=self.key,
        )

    @property
    def key(self) -> str:
        """The key for the service."""
        return self.service.simulator.key.get_secret_value()

    def types(
        self,
        line: str,
        answers: Answers | None = None,
        *,
        source: str = SOURCE,
        within_s: float = PATIENCE_S,
    ) -> subprocess.CompletedProcess[str]:
        """Type a line at the owner's terminal, in a checkout; see `Machine.typed`."""
        return self.box.typed(
            *("runuser", "--login", OWNER, "--command", f"cd {source} && {line}"),
            answers=answers,
            within_s=within_s,
        )

    def settings(
        self, volume: int = 100, *, endpoint: str | None = None, ca_file: str = "ca.pem", service: str = ""
    ) -> str:
        """Return a YAML for the service that is here, or at `endpoint`; `service` is more of that section."""
        return YAML.format(
            endpoint=endpoint or self.service.simulator.endpoint,
            ca_file=ca_file,
            service=f", {service}" * bool(service),
            greeting=GREETING,
            volume=volume,
            lamp=LAMP,
        )

    def reload(self, settings: str) -> None:
        """Give the daemon other settings, and wait until it uses them.

        Not on the older Debian, which does not wait.
        """
        self.box.write(SETTINGS, settings)
        self.box.exec("systemctl", "reload", "kioskd")

    @contextlib.contextmanager
    def misspelt(self) -> Iterator[None]:
        """Write a settings file with a mistake in line 5."""
        self.box.write(SETTINGS, self.settings().replace("volume", "volum"))
        try:
            yield
        finally:
            self.box.write(SETTINGS, self.settings())

    def install(self, *options: str, source: str = SOURCE, succeeds: bool = True) -> str:
        """Run the installer of `source`, and return all that it printed."""
        done = self.box.exec(
            *("bash", "-c", '"$@" 2>&1', "install", f"{source}/scripts/install.sh", *options),
            within_s=INSTALL_S,
            check=False,
        )
        assert (done.returncode == 0) is succeeds, f"exit {done.returncode}:\n{done.stdout}"
        return done.stdout

    def serves(self, within_s: float = PATIENCE_S) -> None:
        """Wait until the kiosk is in a conversation, and reports no fault."""
        self.shows("In conversation: listening", within_s)

    def answers(self) -> None:
        """Say something, and wait until the kiosk has answered aloud."""
        self.serves()
        place = self.box.journal.now
        with self.service.sees("reply_sent"):
            self.person.speak()
        self.box.journal.wait(
            lambda entry: re.match(r"turn \d+: the visitor spoke \d", str(entry["MESSAGE"])) is not None,
            since=place,
        )

    def is_wrong(self, code: Code, *faults: str) -> None:
        """Wait until the daemon reports this fault, and check that doctor reports it, too, and no other."""
        self.shows(f"(code {code})")
        said, found = self.says(), self.doctor()
        assert said["code"] == code, said
        assert found == HARMLESS | set(faults), found

    def says(self) -> dict[str, Any]:
        """Return the daemon's own status, as `kioskd status` prints it."""
        said: dict[str, Any] = json.loads(self.box.exec("kioskd", "status", "--json").stdout)
        return said

    def doctor(self) -> set[str]:
        """Return the names of the faults that doctor finds."""
        done = self.box.exec("kioskd", "doctor", "--yes", "--json", check=False)
        found = {one["fault"] for one in json.loads(done.stdout)["findings"]} - {None}
        assert done.returncode == bool(found), done.stdout
        return found

    @property
    def lamp(self) -> str:
        """The last order to the lamp."""
        return self.box.read(LAMP).strip()

    def shows(self, words: str, within_s: float = PATIENCE_S) -> None:
        """Wait until the daemon is up with these words in its status; systemd reports no change of them."""
        until = time.monotonic() + within_s
        while (
            words not in (status := self.box.show("StatusText")) or self.box.show("ActiveState") != "active"
        ):
            said = self.box.journal.text("kioskd.service")
            assert time.monotonic() < until, f"shows: {status}; journal:\n{said[-3000:]}"
            time.sleep(0.1)


@contextlib.contextmanager
def bare(
    kind: Kind = "plain",
    suite: Suite = "trixie",
    *,
    script: ServiceScript | None = None,
    read_only: Mapping[Path, str] | None = None,
    layer: Path | None = None,
) -> Iterator[Site]:
    """Yield a machine without kioskd, but with sound and the service's certificate.

    `script` is the script of the service. `read_only` lists further files of the host (see `Box`). `layer` is
    the stored disk of such a machine.
    """
    system, wheels = rootfs.rootfs(kind, suite), rootfs.wheels(suite)
    with (
        namespace.namespace() as network,
        shared_folder("kioskd-sound-") as folder,
        SoundServer(folder) as sound,
        Person(sound) as person,
        Service(script or ServiceScript(replies=(Reply(text=SAID),))) as service,
        Box(
            system,
            layer=layer,
            binds={folder: SOUND},
            read_only={wheels: WHEELS, CHECKOUT: SOURCE, **(read_only or {})},
        ) as box,
    ):
        if layer is None:
            box.sh(MACHINE)
        box.write("/etc/asound.conf", (folder / "asound.conf").read_text().replace(str(folder), SOUND))
        box.write("/etc/kioskd/ca.pem", service.simulator.ca_file.read_text())
        box.write("/etc/systemd/system/kioskd.service.d/here.conf", HERE)
        yield Site(box, network, sound, person, service)


@contextlib.contextmanager
def site(suite: Suite = "trixie") -> Iterator[Site]:
    """Yield a machine that is ready for the installer, with sound, settings and key."""
    with bare(suite=suite) as it:
        it.has_been_prepared()
        yield it


def readme(chapter: str) -> list[str]:
    """Return the lines that a chapter of the README has people type, without changes of the folder."""
    text = (CHECKOUT / "README.md").read_text().partition(f"\n## {chapter}\n")[2].partition("\n## ")[0]
    return [line for line in _typed_lines(text) if not line.startswith("cd ")]


def manual(topic: str) -> list[str]:
    """Return the lines that a chapter of the manual has people type."""
    return _typed_lines((CHECKOUT / f"daemon/kioskd/manual/{topic}.md").read_text())


def _typed_lines(text: str) -> list[str]:
    return [line for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]


def version_of(source: Path = CHECKOUT) -> str:
    """Return the version that a checkout names."""
    found = re.search(r'__version__ = "(.+)"', (source / "daemon/kioskd/__init__.py").read_text())
    assert found
    return found[1]
