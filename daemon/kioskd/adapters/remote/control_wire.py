"""What the daemon's control socket and its clients agree on: where it is, and how long a message may be.

A request is one line of JSON, an object: `{"do": "volume", "percent": 40}`. Bytes may follow it where it says how many:
`{"do": "show", "bytes": 123456}`. The answer is one line of JSON, too, with `ok`; where that is false, `why` says why in
words. `watch` is answered with line after line. A connection may carry several requests, one after another.

`{"do": "key", "key": "..."}` hands the service's key over: taken from root and the daemon's own user only, and repeated
nowhere.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

LINE_BYTES: Final = 65_536
"""The most that a request's line may have."""

ANSWER_BYTES: Final = 1_000_000
"""The most that an answer's line may have."""

PICTURE_BYTES: Final = 20_000_000
"""The most that may follow a request."""

NAME: Final = "control"
VARIABLE: Final = "KIOSKD_SOCKET"
SERVICE: Final = Path("/run/kioskd") / NAME
"""Where the daemon that systemd runs has its socket."""


def daemon_socket(environ: Mapping[str, str]) -> Path | None:
    """Return where a daemon puts its socket; None where there is no place for one."""
    if named := environ.get(VARIABLE):
        return Path(named)
    if runtime := environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]:
        return Path(runtime) / NAME
    return _of_user(environ)


def client_sockets(environ: Mapping[str, str]) -> list[Path]:
    """Return where to look for a daemon's socket, best first."""
    if named := environ.get(VARIABLE):
        return [Path(named)]
    mine = _of_user(environ)
    return [SERVICE, *([mine] if mine is not None else [])]


def _of_user(environ: Mapping[str, str]) -> Path | None:
    """Return the place of a daemon that a person runs by hand."""
    runtime = environ.get("XDG_RUNTIME_DIR")
    return Path(runtime) / "kioskd" / NAME if runtime else None
