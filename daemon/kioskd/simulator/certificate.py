"""Makes a certificate for a server on loopback, which only its own clients trust."""

import datetime as dt
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kioskd.errors import ConfigError

_VALID_FOR: Final = dt.timedelta(days=7)
# The clock of a device without a battery may be a little behind.
_BACKDATED: Final = dt.timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Certificate:
    """The files of one certificate, as PEM."""

    ca_file: Path
    """The authority that a client must trust."""
    chain_file: Path
    """The certificate that the server presents."""
    key_file: Path
    """The server's private key; readable by its owner only."""

    def server_context(self) -> ssl.SSLContext:
        """Return a TLS context that serves with this certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.chain_file, self.key_file)
        return context


def make_certificate(
    directory: Path,
    *,
    hosts: Sequence[str] = ("localhost", "127.0.0.1"),
    starts_in: dt.timedelta = -_BACKDATED,
) -> Certificate:
    """Make a certificate authority and a certificate for `hosts`, and write them to `directory`, which
    exists.

    The certificate becomes valid after `starts_in`. With a positive value it looks to a client as to a device
    whose clock is behind.

    Raises:
        ConfigError: trustme is not installed.
    """
    try:
        import trustme  # noqa: PLC0415  belongs to the extra `rehearsal`
    except ModuleNotFoundError:
        raise ConfigError(
            "simulator: trustme, which makes its certificate, is not installed; "
            "run sudo scripts/install.sh --extras rehearsal, or scripts/setup in a checkout"
        ) from None
    starts = dt.datetime.now(dt.UTC) + starts_in
    authority = trustme.CA(organization_name="kioskd simulator", path_length=0)
    issued = authority.issue_cert(*hosts, not_before=starts, not_after=starts + _VALID_FOR)
    made = Certificate(directory / "ca.pem", directory / "server.pem", directory / "server.key")
    made.ca_file.write_bytes(authority.cert_pem.bytes())
    made.chain_file.write_bytes(issued.cert_chain_pems[0].bytes())
    made.key_file.touch(mode=0o600)
    made.key_file.write_bytes(issued.private_key_pem.bytes())
    return made
