"""Knows devices by their certificates: in TLS, or by a JWT that the certificate's key has signed."""

import base64
import binascii
import datetime as dt
import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import jwt
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kioskd import regular_file
from kioskd.errors import ConfigError

log = logging.getLogger(__name__)

LONGEST_PROOF_S: Final = 60
"""Seconds for which a JWT may be valid."""
LONGEST_JWT: Final = 16_384

_LARGEST_BYTES: Final = 8 << 20
_CRL: Final = re.compile(rb"-----BEGIN X509 CRL-----.+?-----END X509 CRL-----", re.DOTALL)
_DATES_S: Final = 5
"""Seconds by which the clocks of a device and of this machine may differ."""
_LONGEST_ID: Final = 128


class UnknownDeviceError(Exception):
    """A device has not proved who it is. The text says why, for the journal alone."""


class IdentityFileError(ConfigError):
    """A file of the section identity cannot be used. `setting` names it, `what` gives cause and remedy."""

    def __init__(self, setting: str, path: Path, what: str) -> None:
        super().__init__(f"identity.{setting} = {path}: {what}")
        self.setting = setting
        self.what = what


@dataclass(frozen=True, slots=True)
class SignedProof:
    """A JWT that is in order, as far as this can be said without knowing earlier ones."""

    device: str
    identifier: str
    expires: float
    """Time in seconds since the epoch."""


class DeviceCertificates:
    """The authority of the fleet's certificates, and the list of those that it has revoked."""

    def __init__(self, ca_file: Path, crl_file: Path | None) -> None:
        """Read the files. It blocks.

        Raises:
            IdentityFileError: a file cannot be used.
        """
        self._crl_file = crl_file
        self._authorities = _authorities(ca_file)
        self._revoked: frozenset[tuple[bytes, int]] = frozenset()
        self._stamp: tuple[int, ...] | None = None
        if crl_file is not None:
            self._stamp = _stamp(crl_file)
            self._revoked = _revoked(crl_file, self._authorities)

    def refresh(self) -> None:
        """Read the list of revoked certificates again if its file has changed. It blocks.

        If the new file cannot be used, the old list stays in force.
        """
        if self._crl_file is None or (stamp := _stamp(self._crl_file)) == self._stamp:
            return
        self._stamp = stamp
        try:
            self._revoked = _revoked(self._crl_file, self._authorities)
        except IdentityFileError as error:
            log.warning("revocations not read, the old list stays in force: %s", error)
        else:
            log.info("revocations read: certificates=%d", len(self._revoked))

    def device(self, der: bytes) -> str:
        """Return the name in a certificate that TLS has verified.

        Raises:
            UnknownDeviceError: it is revoked, or has no name.
        """
        try:
            return self._name(x509.load_der_x509_certificate(der))
        except ValueError as error:
            raise UnknownDeviceError(f"certificate cannot be read: {error}") from None

    def signed(self, token: str, audience: str, now: float) -> SignedProof:
        """Return what a JWT proves. Its header holds the device's certificate (x5c).

        `now` is in seconds since the epoch.

        Raises:
            UnknownDeviceError: the JWT, its certificate or its signature is not valid now.
        """
        if len(token) > LONGEST_JWT:
            raise UnknownDeviceError("JWT is too long")
        try:
            certificate = x509.load_der_x509_certificate(_leaf(jwt.get_unverified_header(token)))
            name = self._name(certificate)
            self._verify(certificate, dt.datetime.fromtimestamp(now, dt.UTC))
            key = certificate.public_key()
            if not isinstance(key, ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey):
                raise UnknownDeviceError("certificate has a key of another kind than P-256 or Ed25519")
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=["ES256", "EdDSA"],
                audience=audience,
                # The times are checked below, by the clock of the caller.
                options={
                    "require": ["aud", "exp", "iat", "jti"],
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
        except (jwt.PyJWTError, ValueError, TypeError, UnsupportedAlgorithm) as error:
            # PyJWT's own texts name no secrets, but may repeat parts of the token.
            raise UnknownDeviceError(f"JWT is not valid: {type(error).__name__}") from None
        return _in_time(name, claims, now)

    def _name(self, certificate: x509.Certificate) -> str:
        if (certificate.issuer.public_bytes(), certificate.serial_number) in self._revoked:
            raise UnknownDeviceError("certificate is revoked")
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        if len(names) != 1:
            raise UnknownDeviceError("certificate has no common name (CN), or several")
        return str(names[0].value)

    def _verify(self, certificate: x509.Certificate, now: dt.datetime) -> None:
        """Raise UnknownDeviceError if the authority has not issued it for a client at this time."""
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            raise UnknownDeviceError("certificate is not valid at this time")
        for authority in self._authorities:
            try:
                certificate.verify_directly_issued_by(authority)
            except (ValueError, TypeError, InvalidSignature):
                continue
            break
        else:
            raise UnknownDeviceError("certificate is from another authority")
        try:
            usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        except x509.ExtensionNotFound:
            return
        if ExtendedKeyUsageOID.CLIENT_AUTH not in usage:
            raise UnknownDeviceError("certificate is not for clients")


def _in_time(name: str, claims: dict[str, Any], now: float) -> SignedProof:
    issued, expires, identifier = claims["iat"], claims["exp"], claims["jti"]
    if not (isinstance(issued, int | float) and isinstance(expires, int | float)):
        raise UnknownDeviceError("JWT has times that are no numbers")
    if not (isinstance(identifier, str) and 0 < len(identifier) <= _LONGEST_ID):
        raise UnknownDeviceError("JWT has no usable identifier (jti)")
    if expires - issued > LONGEST_PROOF_S:
        raise UnknownDeviceError(f"JWT is valid for more than {LONGEST_PROOF_S} s")
    if issued > now + _DATES_S:
        raise UnknownDeviceError("JWT is from the future: one of the two clocks is wrong")
    if expires <= now:
        raise UnknownDeviceError("JWT has expired: it is old, or one of the two clocks is wrong")
    return SignedProof(name, identifier, float(expires))


def _leaf(header: dict[str, Any]) -> bytes:
    """Return the first certificate of a JWT's header. Raises ValueError if there is none."""
    chain = header.get("x5c")
    first = chain[0] if isinstance(chain, list) and chain else None
    if not isinstance(first, str):
        raise ValueError("no x5c")  # noqa: TRY004 - callers handle one type of error
    try:
        return base64.b64decode(first, validate=True)
    except binascii.Error as error:
        raise ValueError("no base64") from error


def _authorities(path: Path) -> list[x509.Certificate]:
    where = "ca_file"
    try:
        return x509.load_pem_x509_certificates(_content(where, path))
    except ValueError:
        what = "holds no certificate; write the authority's certificate in PEM"
        raise IdentityFileError(where, path, what) from None


def _revoked(path: Path, authorities: list[x509.Certificate]) -> frozenset[tuple[bytes, int]]:
    """Return the revoked certificates in a file, each by its issuer and its number."""
    where = "crl_file"
    found: set[tuple[bytes, int]] = set()
    try:
        lists = [x509.load_pem_x509_crl(block) for block in _CRL.findall(_content(where, path))]
    except ValueError:
        what = "holds a list that cannot be read; write it again in PEM"
        raise IdentityFileError(where, path, what) from None
    if not lists:
        raise IdentityFileError(where, path, "holds no list of revoked certificates; write one in PEM")
    for each in lists:
        signers = [one for one in authorities if one.subject == each.issuer]
        if not any(_signed_by(each, one) for one in signers):
            what = "is not signed by the authority in identity.ca_file; sign it with that"
            raise IdentityFileError(where, path, what)
        found |= {(each.issuer.public_bytes(), entry.serial_number) for entry in each}
    return frozenset(found)


def _content(where: str, path: Path) -> bytes:
    try:
        return regular_file.content(path, _LARGEST_BYTES)
    except OSError as error:
        what = f"cannot be read ({error.strerror}); correct the path or its permissions"
        raise IdentityFileError(where, path, what) from None


def _signed_by(revocations: x509.CertificateRevocationList, authority: x509.Certificate) -> bool:
    try:
        return revocations.is_signature_valid(authority.public_key())  # type: ignore[arg-type]  # others raise
    except (TypeError, UnsupportedAlgorithm):
        return False


def _stamp(path: Path) -> tuple[int, ...] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
