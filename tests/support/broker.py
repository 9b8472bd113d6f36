"""A real mosquitto on its own port."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.fleet import Authority

MOSQUITTO: Final = shutil.which("mosquitto")


def missing() -> str | None:
    """Return why no broker can run here; None if one can."""
    return None if MOSQUITTO else "mosquitto is not installed"


@dataclass(slots=True)
class Broker:
    """Broker that can be stopped and started again."""

    port: int
    config: Path
    scheme: str = "mqtt"
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Address of the broker, as the settings take it."""
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start the broker, and return when it accepts connections."""
        assert MOSQUITTO is not None
        self.process = subprocess.Popen(
            [MOSQUITTO, "-c", str(self.config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until = time.monotonic() + 10
        while time.monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
        raise TimeoutError("mosquitto accepts no connections")

    def stop(self) -> None:
        """Stop the broker."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@contextmanager
def broker(
    folder: Path, *, password: str | None = None, authority: Authority | None = None
) -> Iterator[Broker]:
    """Run a broker with its files in `folder`.

    With a `password` it accepts only the user `kiosk`. With an `authority` it speaks TLS, and knows each
    kiosk by the name in its certificate. A kiosk may use its own topics only.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    lines = [f"listener {port} 127.0.0.1", "persistence false", "user root"]
    if authority is not None:
        own = authority.issue("broker", hosts=["127.0.0.1"])
        rights = folder / "rights"
        rights.write_text(
            "pattern readwrite kioskd/%u/#\npattern write homeassistant/device/kioskd-%u/config\n"
            "user operator\ntopic readwrite #\n",
            encoding="utf-8",
        )
        lines += [
            *(f"cafile {authority.ca_file}", f"certfile {own.certificate}", f"keyfile {own.key}"),
            *(f"crlfile {authority.crl_file}", "require_certificate true", "use_identity_as_username true"),
            *("allow_anonymous false", f"acl_file {rights}"),
        ]
    elif password is None:
        lines.append("allow_anonymous true")
    else:
        users = folder / "users"
        subprocess.run(["mosquitto_passwd", "-b", "-c", str(users), "kiosk", password], check=True)
        lines += ["allow_anonymous false", f"password_file {users}"]
    config = folder / "mosquitto.conf"
    config.write_text("\n".join(lines) + "\n", encoding="utf-8")
    running = Broker(port, config, "mqtt" if authority is None else "mqtts")
    running.start()
    try:
        yield running
    finally:
        running.stop()
