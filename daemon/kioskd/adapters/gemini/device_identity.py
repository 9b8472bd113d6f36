"""The device's certificate and key, by which the owner's token server knows this device."""

import base64
import re
import secrets
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from pydantic import SecretStr

from kioskd import regular_file
from kioskd.adapters.gemini.web import tls_context
from kioskd.errors import LinkLost, Remedy

SIGNED_S: Final = 50
"""Seconds for which a signed proof is valid. A server accepts a minute at most, and clocks differ a bit."""

_LARGEST_BYTES: Final = 1 << 16
_CERTIFICATE: Final = re.compile(rb"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class DeviceIdentity:
    """The files of the device's identity, and the way in which it is proved."""

    certificate: Path
    """The device's certificate, and those between it and the authority, as PEM."""
    key: Path
    """Its private key, as PEM."""
    proof: Literal["certificate", "signature"] = "certificate"
    """Whether the TLS connection proves the identity, or a signed JWT in the request. The latter also works
    where TLS ends before the server."""
    ca_file: Path | None = None
    """The authorities to trust; None for the system's and certifi's."""

    def proofs(self, audience: str, now: float) -> tuple[ssl.SSLContext | None, SecretStr | None]:
        """Return the TLS context that presents the certificate, or the JWT for the server at `audience`.

        `now` is in seconds since the epoch. The call reads the files, so it blocks.

        Raises:
            LinkLost: a file cannot be used; a renewal may mend it.
        """
        try:
            for path in (self.certificate, self.key):
                regular_file.check(path)  # OpenSSL would block on a pipe
            if self.proof == "signature":
                return None, self._signed(audience, now)
            context = tls_context(self.ca_file)
            context.load_cert_chain(self.certificate, self.key, password=_no_password)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            why = (
                getattr(error, "strerror", None) or getattr(error, "reason", None) or "not a P-256 key in PEM"
            )
            raise LinkLost(
                f"this device's certificate cannot be used ({why}); "
                "check service.token_certificate, and its key",
                remedy=Remedy.SETTINGS,
            ) from None
        return context, None

    def _signed(self, audience: str, now: float) -> SecretStr:
        from google.auth import jwt  # noqa: PLC0415 - only for this proof
        from google.auth.crypt import es256  # noqa: PLC0415 - as above

        chain = [
            base64.b64encode(base64.b64decode(body)).decode()
            for body in _CERTIFICATE.findall(regular_file.content(self.certificate, _LARGEST_BYTES))
        ]
        if not chain:
            raise ValueError(self.certificate)
        signer = es256.ES256Signer.from_string(regular_file.content(self.key, _LARGEST_BYTES))
        claims = {
            "aud": audience,
            "iat": int(now),
            "exp": int(now) + SIGNED_S,
            "jti": secrets.token_urlsafe(16),
        }
        signed: bytes = jwt.encode(signer, claims, header={"x5c": chain})  # type: ignore[no-untyped-call]
        return SecretStr(signed.decode())


def _no_password() -> str:
    # Without it OpenSSL would ask for the password of an encrypted key at the terminal.
    raise ValueError("the key is encrypted")
