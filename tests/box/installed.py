"""A machine on which kioskd was installed as the README says, line by line. It is made once for all tests."""

import json
import subprocess
from pathlib import Path
from typing import Final, Self

from tests.box import site
from tests.box.site import FILES, INSTALL_S, WISHES, Site, Typed, bare, readme
from tests.support import rootfs
from tests.support.checkout import contents

_INSTALLED: Final = (
    *("pyproject.toml", "config", "daemon", "systemd"),
    *("scripts/install.sh", "scripts/completion.bash"),
)
"""Parts of a checkout that affect its installation."""
_WAITS: Final = "/etc/systemd/system/kioskd.service.d/waits.conf"


class Installed:
    """The stored disk of such a machine, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.layer = folder / "layer"
        """Changes on its disk; see `Box`. Its daemon waits for `start`."""
        self._before, self._typed = folder / "before.json", folder / "typed.json"

    @classmethod
    def found(cls) -> Self:
        """Return the machine, and make it if it does not exist yet.

        Raises:
            AssertionError: kioskd was not installed, or does not serve.
            RootfsError: the system under it cannot be made.
        """
        parts = [rootfs.rootfs().name, rootfs.wheels().name, site.MACHINE, site.YAML, site.HERE]
        parts += readme("Install")
        return cls(
            rootfs.made("installed", [*parts, contents(*_INSTALLED)], lambda folder: cls(folder).make())
        )

    @property
    def files_before(self) -> set[str]:
        """The files of the machine before the installation, without the owner's files for kioskd."""
        return set(json.loads(self._before.read_text()))

    @property
    def typed(self) -> Typed:
        """The output of each line of the README's chapter, typed by the owner."""
        seen = json.loads(self._typed.read_text())
        return {line: subprocess.CompletedProcess(line, code, text) for line, (code, text) in seen.items()}

    def make(self) -> None:
        """Install kioskd, once for all tests."""
        with bare() as it:
            before = [path for path in it.box.sh(FILES).splitlines() if "kioskd" not in path]
            self._before.write_text(json.dumps(before))
            seen = {line: (done.returncode, done.stdout) for line, done in _type(it).items()}
            self._typed.write_text(json.dumps(seen))
            it.box.write(_WAITS, "[Unit]\nConditionPathExists=/run/never\n")
            it.box.keep(self.layer)


def serve(it: Site) -> None:
    """Make a daemon that was installed on another machine serve on this one, with its service and key."""
    it.has_been_prepared()
    with it.service.sees("reply_sent"):
        start(it)
    it.serves()  # it has been heard, too


def start(it: Site) -> None:
    """Start a daemon that was installed on another machine."""
    it.box.sh(f"rm {_WAITS}; systemctl daemon-reload; systemctl start kioskd")


def _type(it: Site) -> Typed:
    """Type the lines of the chapter as its owner would."""
    it.box.write(WISHES, it.settings())
    answers = {"Service key: ": it.key, " [y/n] ": "y"}
    with it.service.sees("reply_sent"):
        seen = {line: it.types(line, answers, within_s=INSTALL_S) for line in readme("Install")}
    it.serves()
    return seen
