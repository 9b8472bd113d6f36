"""Builds the token service from its settings, and runs it until it is told to stop."""

import asyncio
import datetime as dt
import logging
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from pydantic import SecretStr

from kioskd import regular_file
from kioskd.adapters.gemini.minting import MintConfig, TokenMint
from kioskd.errors import ConfigError, KioskError
from kioskd.ports import Clock, Notifier
from kioskd.secret_files import KeyMissingError, check_private, read
from kioskd.settings.credentials import service_key
from kioskd.settings.load import SettingsError
from kioskd.settings.service import ServiceSettings
from kioskd.tokens.budgets import TokenBudgets
from kioskd.tokens.certificates import DeviceCertificates
from kioskd.tokens.desk import TokenDesk
from kioskd.tokens.rights import TokenRegister, read_register
from kioskd.tokens.settings import TokenListenSettings, TokenServiceSettings
from kioskd.tokens.web import TokenWebServer, application, server

log = logging.getLogger(__name__)

LOOK_S: Final = 5.0
"""Seconds between two looks at the files. A revocation or a changed row counts after that time at most."""

TLS_CREDENTIAL: Final = "tokens-tls-key"
"""Name of the systemd credential with the private key of the service's certificate."""

_LARGEST_KEY: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class TokenParts:
    """The token service's connections with the world."""

    clock: Clock
    wall: Callable[[], dt.datetime]
    """Returns the local time, with its zone."""
    notifier: Notifier


@dataclass(slots=True)
class TokenService:
    """A token service that is built, and not started yet."""

    path: Path
    desk: TokenDesk
    certificates: DeviceCertificates
    mint: TokenMint
    budgets: TokenBudgets
    web: TokenWebServer
    tls: ssl.SSLContext | None
    tls_files: tuple[Path, Path] | None

    def stop(self) -> None:
        """End `run` soon. Requests that are being answered have three seconds."""
        self.web.should_exit = True


def build(path: Path, environ: Mapping[str, str], parts: TokenParts) -> TokenService:
    """Return the service of the YAML in `path`. It blocks for half a second.

    Raises:
        ConfigError: the YAML, the key or a certificate has a fault.
        KioskError: the day's counts cannot be kept.
    """
    register = read_register(path)
    settings = register.settings
    key = minting_key(settings, environ)
    files = tls_files(settings.listen, environ)
    certificates = DeviceCertificates(settings.identity.ca_file, settings.identity.crl_file)
    tls = None if files is None else _tls_context(files, settings)
    mint = TokenMint(
        MintConfig(key, settings.service.endpoint, settings.service.ca_file, settings.service.proxy),
        wall=lambda: parts.wall().astimezone(dt.UTC),
    )
    budgets = TokenBudgets(settings.state_folder)
    desk = TokenDesk(register, mint, budgets, clock=parts.clock, wall=parts.wall)
    made = application(settings, desk, certificates, lambda: parts.wall().timestamp())
    web = server(settings.listen, made, tls)
    return TokenService(path, desk, certificates, mint, budgets, web, tls, files)


async def run(service: TokenService, parts: TokenParts) -> None:
    """Serve until `service.stop()` is called.

    Raises:
        KioskError: the port cannot be used.
    """
    web = service.web
    listen = service.desk.register.settings.listen
    failed: list[Exception] = []
    try:
        async with asyncio.TaskGroup() as tasks:
            serving = tasks.create_task(_served(web, listen))
            watching = tasks.create_task(_watch(service, parts))
            serving.add_done_callback(lambda _done: watching.cancel())
    except* KioskError as errors:
        failed += errors.exceptions
    finally:
        await service.mint.close()
        await asyncio.to_thread(service.budgets.close)
    if failed:
        raise failed[0]


async def _served(web: TokenWebServer, listen: TokenListenSettings) -> None:
    try:
        await web.serve()
    except SystemExit:
        # uvicorn has logged why. It ends the process by itself, and this program wants its own exit code.
        raise KioskError(
            f"token service: {listen.address} port {listen.port} cannot be used; "
            "set listen.address and listen.port to free ones of this machine"
        ) from None


async def _watch(service: TokenService, parts: TokenParts) -> NoReturn:
    """Report that the service is ready. Then take changed files over, and give signs of life."""
    await service.web.listening.wait()
    register = service.desk.register
    log.info("token service ready: port=%d devices=%d", service.web.port, len(register.devices))
    parts.notifier.ready()
    content = await asyncio.to_thread(_content, register, service.path)
    keys = await asyncio.to_thread(_content_of, service.tls_files or ())
    while True:
        parts.notifier.alive()
        parts.notifier.status(f"Serving {len(service.desk.register.devices)} devices")
        await parts.clock.sleep(LOOK_S)
        await asyncio.to_thread(service.certificates.refresh)
        now = await asyncio.to_thread(_content, service.desk.register, service.path)
        if now != content:
            content = now
            await asyncio.to_thread(_take_over, service)
            content = await asyncio.to_thread(_content, service.desk.register, service.path)
        if service.tls is not None and service.tls_files is not None:
            found = await asyncio.to_thread(_content_of, service.tls_files)
            if found != keys:
                keys = found
                await asyncio.to_thread(_renew, service.tls, service.tls_files)


def _take_over(service: TokenService) -> None:
    """Use the rows and limits of the changed YAML. With a fault in it, the old ones stay in force."""
    try:
        register = read_register(service.path)
    except SettingsError as error:
        for fault in error.faults:
            log.warning("settings not taken over, the old ones stay in force: %s", fault)
        return
    old = service.desk.register.settings
    for name in ("listen", "identity", "service", "state_folder"):
        if getattr(register.settings, name) != getattr(old, name):
            log.warning("setting needs a restart: %s", name)
    service.desk.replace(register)
    log.info("settings taken over: devices=%d", len(register.devices))


def _renew(tls: ssl.SSLContext, files: tuple[Path, Path]) -> None:
    try:
        tls.load_cert_chain(*files, password=_no_password)
    except (OSError, ValueError) as error:
        log.warning("certificate not taken over, the old one stays: error=%s", error)
    else:
        log.info("certificate taken over: file=%s", files[0])


def _content(register: TokenRegister, path: Path) -> tuple[object, ...]:
    rows = (*register.settings.groups, *register.settings.devices)
    files = sorted({row.tools_file for row in rows if row.tools_file is not None})
    return _content_of((path, *files))


def _content_of(files: tuple[Path, ...]) -> tuple[object, ...]:
    """Return what changes when one of the files does."""
    found: list[object] = []
    for path in files:
        try:
            status = path.stat()
        except OSError:
            found.append(None)
        else:
            found.append((status.st_ino, status.st_mtime_ns, status.st_size))
    return tuple(found)


def minting_key(settings: TokenServiceSettings, environ: Mapping[str, str]) -> SecretStr:
    """Return the service's key.

    Raises:
        KeyUnusableError: there is none, or it cannot be used.
    """
    key = service_key(ServiceSettings(key_file=settings.service.key_file), environ)
    assert key is not None  # only an account or tokens replace it
    return key


def tls_files(listen: TokenListenSettings, environ: Mapping[str, str]) -> tuple[Path, Path] | None:
    """Return the certificate of this server and its key; None: it speaks plain HTTP.

    Raises:
        KeyMissingError: there is no key.
        KeyUnusableError: the key cannot be read, or is open to other users.
    """
    if listen.certificate is None:
        return None
    if listen.key_file is not None:
        _, mode = read("listen.key_file", listen.key_file, _LARGEST_KEY)
        check_private("listen.key_file", mode)
        return listen.certificate, listen.key_file
    folder = environ.get("CREDENTIALS_DIRECTORY")
    credential = Path(folder, TLS_CREDENTIAL) if folder else None
    if credential is None or not credential.exists():
        raise KeyMissingError(
            "listen.key_file",
            f"is not set, and there is no systemd credential {TLS_CREDENTIAL}; "
            f"set it, or store the key in /etc/credstore.encrypted/{TLS_CREDENTIAL}",
        )
    return listen.certificate, credential


def _tls_context(files: tuple[Path, Path], settings: TokenServiceSettings) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # A resumed TLS session would not look at the certificate's dates again.
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    try:
        for path in files:
            regular_file.check(path)  # OpenSSL would block on a pipe
        context.load_cert_chain(*files, password=_no_password)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or getattr(error, "reason", None) or "it is encrypted"
        raise ConfigError(
            f"listen.certificate = {files[0]}: cannot be used with its key ({why}); "
            "write a certificate and its private key in PEM"
        ) from None
    if settings.identity.proof == "certificate":
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(settings.identity.ca_file)
    return context


def _no_password() -> str:
    # Without it OpenSSL would ask for the password of an encrypted key at the terminal.
    raise ValueError("the key is encrypted")
