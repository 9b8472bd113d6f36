"""A throw-away certificate for a server on loopback: made at start, trusted by one client, gone at the end."""

import datetime as dt
import ipaddress
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LASTS = dt.timedelta(days=7)
# A device without a clock of its own may be a little behind; the certificate is a little older than now.
_HEAD_START = dt.timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Certificate:
    """The files of one certificate, as PEM."""

    ca_file: Path
    """What a client trusts."""

    chain_file: Path
    """What the server shows."""

    key_file: Path
    """The server's private key; readable by its owner only."""

    def server_context(self) -> ssl.SSLContext:
        """Return a TLS context that serves with this certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.chain_file, self.key_file)
        return context

    def client_context(self) -> ssl.SSLContext:
        """Return a TLS context that trusts this certificate and no other."""
        return ssl.create_default_context(cafile=self.ca_file)


def make_certificate(
    directory: Path,
    *,
    names: Sequence[str] = ("localhost",),
    addresses: Sequence[str] = ("127.0.0.1",),
    starts_in: dt.timedelta = -_HEAD_START,
) -> Certificate:
    """Make a certificate authority and a server certificate, and write them to `directory`.

    `names` and `addresses` are what a client may dial. With a positive `starts_in` the server certificate is
    not valid yet, as all are for a device whose clock is behind.
    """
    now = dt.datetime.now(dt.UTC)
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kioskd rehearsal CA")])
    ca = (
        _builder(ca_name, ca_name, ca_key.public_key(), now - _HEAD_START, now + _LASTS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kioskd rehearsal")])
    spoken_for: list[x509.GeneralName] = [x509.DNSName(entry) for entry in names]
    spoken_for += [x509.IPAddress(ipaddress.ip_address(entry)) for entry in addresses]
    leaf = (
        _builder(name, ca_name, key.public_key(), now + starts_in, now + starts_in + _LASTS)
        .add_extension(x509.SubjectAlternativeName(spoken_for), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        # Python 3.13 checks strictly, and wants the two identifiers.
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False
        )
        .sign(ca_key, hashes.SHA256())
    )
    made = Certificate(directory / "ca.pem", directory / "server.pem", directory / "server.key")
    made.ca_file.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    made.chain_file.write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
    made.key_file.touch(mode=0o600)
    made.key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return made


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    starts: dt.datetime,
    ends: dt.datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(starts)
        .not_valid_after(ends)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
