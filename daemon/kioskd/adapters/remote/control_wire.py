"""The protocol of the daemon's control socket: its path, and the limits of messages.

A request is one line of JSON, an object: `{"do": "volume", "percent": 40}`. If it has `bytes`, as many bytes
follow it: `{"do": "show", "bytes": 123456}`. The answer is one line of JSON, too, with `ok`; if that is
false, `why` has the reason in words. `watch` and `captions` are answered by one line after
another. A connection may carry
several requests, one by one.

`{"do": "say", "text": "...", "bytes": N}` queues an announcement, with a recording or without one. Its answer
has the `number` for `{"do": "said", "number": 7}`, which is answered when the announcement is over.

`{"do": "key", "key": "..."}` gives the daemon the service key. Only root and the daemon's own user may do
this, and the key is not repeated anywhere.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

LINE_BYTES: Final = 65_536
"""Most bytes of a request's line."""

ANSWER_BYTES: Final = 1_000_000
"""Most bytes of an answer's line."""

PICTURE_BYTES: Final = 20_000_000
"""Most bytes behind a request."""

NAME: Final = "control"
VARIABLE: Final = "KIOSKD_SOCKET"
SERVICE: Final = Path("/run/kioskd") / NAME
"""Path of the socket of the daemon that systemd runs."""


def daemon_socket(environ: Mapping[str, str]) -> Path | None:
    """Return the path of a daemon's socket; None if the environment names no directory for it."""
    if named := environ.get(VARIABLE):
        return Path(named)
    if runtime := environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]:
        return Path(runtime) / NAME
    return _of_user(environ)


def client_sockets(environ: Mapping[str, str]) -> list[Path]:
    """Return the paths where a client looks for the daemon's socket, best first."""
    if named := environ.get(VARIABLE):
        return [Path(named)]
    mine = _of_user(environ)
    return [SERVICE, *([mine] if mine is not None else [])]


def _of_user(environ: Mapping[str, str]) -> Path | None:
    """Return the socket's path for a daemon that a person runs by hand."""
    runtime = environ.get("XDG_RUNTIME_DIR")
    return Path(runtime) / "kioskd" / NAME if runtime else None
