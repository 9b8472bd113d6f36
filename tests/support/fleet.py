"""A fleet for tests: its authority, the certificates of its devices, and a token service in this process."""

import asyncio
import datetime as dt
import ipaddress
import json
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from tests.support.fakes_devices import ManualClock, MemoryNotifier
from tests.support.until import until

from kioskd.adapters.gemini import DeviceIdentity
from kioskd.adapters.gemini.credentials import TokenCredentials
from kioskd.adapters.gemini.web import HttpClient
from kioskd.simulator import Reply, ServiceScript, Simulator
from kioskd.tokens import serve

MODEL: Final = "gemini-3.8-live"
DAY: Final = dt.timedelta(days=1)
PATIENCE_S: Final = 60.0
SILENT: Final = ServiceScript(replies=(Reply(silent=True),), tokens=True)

Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


class Wall:
    """A wall clock that a test sets."""

    def __init__(self, off: dt.timedelta = dt.timedelta()) -> None:
        self.off = off

    def now(self) -> dt.datetime:
        """Return the local time of this clock."""
        return (dt.datetime.now(dt.UTC) + self.off).astimezone()

    def seconds(self) -> float:
        """Return the same in seconds since the epoch."""
        return self.now().timestamp()


@dataclass(frozen=True, slots=True)
class Issued:
    """A device's certificate."""

    name: str
    certificate: Path
    key: Path
    serial: int

    def identity(self, proof: Any, ca_file: Path) -> DeviceIdentity:
        """Return what the daemon makes of its settings."""
        return DeviceIdentity(self.certificate, self.key, proof, ca_file)


@dataclass(slots=True)
class Authority:
    """The authority of a fleet, with its list of revoked certificates."""

    folder: Path
    name: str = "fleet"
    revoked: list[int] = field(default_factory=list)
    _key: ec.EllipticCurvePrivateKey = field(init=False)
    _certificate: x509.Certificate = field(init=False)

    def __post_init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        name, now = _name(f"{self.name} authority"), dt.datetime.now(dt.UTC)
        self._certificate = (
            x509.CertificateBuilder(name, name, self._key.public_key(), x509.random_serial_number())
            .not_valid_before(now - DAY)
            .not_valid_after(now + 100 * DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        self.ca_file.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))
        self.revoke()

    @property
    def ca_file(self) -> Path:
        """The authority's own certificate."""
        return self.folder / f"{self.name}-ca.pem"

    @property
    def crl_file(self) -> Path:
        """The list of revoked certificates."""
        return self.folder / f"{self.name}-crl.pem"

    def revoke(self, *issued: Issued) -> None:
        """Write the list again, with these certificates on it, too."""
        self.revoked += [each.serial for each in issued]
        now = dt.datetime.now(dt.UTC)
        builder = x509.CertificateRevocationListBuilder(self._certificate.subject, now - DAY, now + DAY)
        for serial in self.revoked:
            entry = x509.RevokedCertificateBuilder(serial, now - DAY).build()
            builder = builder.add_revoked_certificate(entry)
        pem = builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        draft = self.crl_file.with_suffix(".new")
        draft.write_bytes(pem)
        draft.replace(self.crl_file)

    def issue(
        self,
        name: str,
        *,
        hosts: Sequence[str] = (),
        starts: dt.timedelta = -DAY,
        ends: dt.timedelta = DAY,
        key: Key | None = None,
    ) -> Issued:
        """Return a certificate: for a device, or with `hosts` for a server."""
        own = key or ec.generate_private_key(ec.SECP256R1())
        now, serial = dt.datetime.now(dt.UTC), x509.random_serial_number()
        purpose = ExtendedKeyUsageOID.SERVER_AUTH if hosts else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = (
            x509.CertificateBuilder(self._certificate.subject, _name(name), own.public_key(), serial)
            .not_valid_before(now + starts)
            .not_valid_after(now + ends)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
        )
        if hosts:
            names = x509.SubjectAlternativeName([_host(each) for each in hosts])
            builder = builder.add_extension(names, critical=False)
        made = Issued(name, self.folder / f"{name}.pem", self.folder / f"{name}.key", serial)
        certificate = builder.sign(self._key, hashes.SHA256())
        made.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        made.key.touch(mode=0o600)
        made.key.write_bytes(
            own.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return made


@dataclass(slots=True)
class TokenHost:
    """A control host: its authority, its YAML, and the token service once it runs."""

    authority: Authority
    server: Issued
    """The certificate of the token service itself."""
    simulator: Simulator
    clock: ManualClock
    wall: Wall
    path: Path
    settings: dict[str, Any]
    service: serve.TokenService | None = None
    notifier: MemoryNotifier = field(default_factory=MemoryNotifier)

    @property
    def url(self) -> str:
        """The devices' `service.token_url`."""
        return f"https://127.0.0.1:{self.settings['listen']['port']}/kiosk"

    def write(self, **changes: Any) -> None:
        """Write the YAML with these sections. YAML reads JSON."""
        self.settings |= changes
        draft = self.path.with_suffix(".new")
        draft.write_text(json.dumps(self.settings), encoding="utf-8")
        draft.replace(self.path)

    def credentials(
        self,
        device: Issued | None,
        proof: str = "certificate",
        *,
        model: str = MODEL,
        wall: Wall | None = None,
    ) -> TokenCredentials:
        """Return the daemon's own client of token servers, as it runs on a device."""
        web = HttpClient(ssl.create_default_context(cafile=self.authority.ca_file))
        return TokenCredentials(
            self.url,
            model,
            web,
            identity=device.identity(proof, self.authority.ca_file) if device else None,
            wall=(wall or self.wall).seconds,
        )

    async def token(self, device: Issued, proof: str = "certificate", **more: Any) -> str:
        """Return a token that the device was given."""
        found = await self.credentials(device, proof, **more).fetch()
        return found.secret.get_secret_value()

    async def look(self) -> None:
        """Let the service look at its files once, and wait until it has done so."""
        looks = self.notifier.told.count("alive")
        await self.clock.advance(serve.LOOK_S)
        await until(lambda: self.notifier.told.count("alive") > looks)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[serve.TokenService]:
        """Run the token service in this process until the block ends."""
        parts = serve.TokenParts(self.clock, self.wall.now, self.notifier)
        self.service = await asyncio.to_thread(serve.build, self.path, self.environ, parts)
        running = asyncio.create_task(serve.run(self.service, parts))
        listening = asyncio.create_task(self.service.web.listening.wait())
        try:
            async with asyncio.timeout(PATIENCE_S):
                await asyncio.wait([running, listening], return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                await running
            # From its first sign of life on, the service waits for its next look.
            await until(lambda: "alive" in self.notifier.told)
            yield self.service
        finally:
            self.service.stop()
            listening.cancel()
            async with asyncio.timeout(PATIENCE_S):
                await asyncio.wait([running])
        await running

    @property
    def environ(self) -> dict[str, str]:
        """The environment of the service, with the key of the Live service."""
        return {"GEMINI_API_KEY": self.simulator.key.get_secret_value()}


@asynccontextmanager
async def token_host(
    folder: Path,
    devices: Sequence[dict[str, Any]],
    *,
    script: ServiceScript = SILENT,
    wall: Wall | None = None,
    proof: str = "certificate",
    **sections: Any,
) -> AsyncIterator[TokenHost]:
    """Run a simulator, and yield a control host that mints its tokens. Its service is not started."""
    authority = Authority(folder)
    clock = wall or Wall()
    server = authority.issue("tokens.example", hosts=("127.0.0.1",))
    async with asyncio.timeout(120), Simulator(script, wall=clock.seconds) as simulator:
        port = free_port()
        identity: dict[str, Any] = {
            "proof": proof,
            "ca_file": str(authority.ca_file),
            "crl_file": str(authority.crl_file),
        }
        if proof == "signature":
            identity["audience"] = f"https://127.0.0.1:{port}/kiosk"
        settings = {
            "listen": {
                "address": "127.0.0.1",
                "port": port,
                "certificate": str(server.certificate),
                "key_file": str(server.key),
            },
            "identity": identity,
            "service": {"endpoint": simulator.minting_endpoint, "ca_file": str(simulator.ca_file)},
            "state_folder": str(folder / "state"),
            "devices": list(devices),
        }
        host = TokenHost(authority, server, simulator, ManualClock(), clock, folder / "tokens.yaml", settings)
        host.write(**sections)
        yield host


def free_port() -> int:
    """Return a port of loopback that is free now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _host(name: str) -> x509.GeneralName:
    return x509.IPAddress(ipaddress.ip_address(name)) if name[0].isdigit() else x509.DNSName(name)


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
