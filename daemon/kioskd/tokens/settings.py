"""Settings of the token service: its YAML file, and the rights of each device in it."""

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, ValidationInfo, field_validator

from kioskd.yamlconf.section import Section
from kioskd.yamlconf.value_types import (
    ApiVersion,
    HttpProxy,
    Https,
    Language,
    Name,
    OwnerText,
    PathOnDisk,
    Range,
    UnusedAt,
    VoiceName,
    at_each,
    form,
    said,
)

LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")

DeviceName = Annotated[
    str,
    form(
        "[A-Za-z0-9][A-Za-z0-9._-]{0,63}",
        "is not a name; write letters, digits, dots, _ and -, for example kiosk-07",
    ),
]


class TokenListenSettings(Section):
    """The address at which devices ask for tokens."""

    address: Name = "0.0.0.0"  # noqa: S104 - the devices are elsewhere, and show a certificate
    """Address to listen at. Without `certificate` it must be an address of this machine alone."""
    port: Annotated[int, Range(0, 65_535, "it is the number of a port")] = 8443
    """Port to listen at. 0 is any free one, which the journal names. The path of the address in the devices'
    `service.token_url` does not matter."""
    certificate: PathOnDisk | None = None
    """Certificate of this server (PEM), with those between it and the authority. Without one the service
    speaks plain HTTP, for a TLS proxy on this machine. A new file is taken over within seconds."""
    key_file: Annotated[
        PathOnDisk | None, UnusedAt("certificate", None, "only certificate uses it; remove it")
    ] = None
    """Private key of `certificate` (PEM). If not set, it is the systemd credential tokens-tls-key."""


class DeviceProofSettings(Section):
    """How the service knows a device. The name of a device is the common name (CN) of its certificate."""

    proof: Literal["certificate", "signature"] = "certificate"
    """certificate: the device shows its certificate in the TLS connection. signature: it sends a JWT that its
    key has signed, for a service behind a TLS proxy. Devices choose the same by `service.token_proof`."""
    ca_file: PathOnDisk
    """The fleet's certificate authority (PEM). Each device's certificate must be issued by it directly."""
    crl_file: PathOnDisk | None = None
    """List of revoked certificates (PEM), from the same authority. The service reads it again within seconds
    of a change. If the new file is unusable, the old list stays in force."""
    audience: Annotated[
        Https | None, UnusedAt("proof", "certificate", "only proof: signature uses it; remove it")
    ] = Field(default=None, validate_default=True)
    """The devices' `service.token_url`, letter by letter. A JWT for another address is refused."""

    @field_validator("audience")
    @classmethod
    def _needed_for_signatures(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None and info.data.get("proof") == "signature":
            raise said("is missing: proof: signature needs it; write the devices' service.token_url")
        return value


class MintingSettings(Section):
    """The way to the Live service."""

    key_file: PathOnDisk | None = None
    """File that holds the service key. If not set, the service looks in the same places as the daemon: the
    systemd credential gemini-api-key, then GEMINI_API_KEY and GOOGLE_API_KEY."""
    endpoint: Https | None = None
    """Address of a gateway. If not set, it is Google's."""
    ca_file: PathOnDisk | None = None
    """File with certificates (PEM) to trust in place of the public ones, for the gateway."""
    proxy: HttpProxy | None = None
    """Address of an HTTP proxy (CONNECT). If not set, the service uses https_proxy of its environment."""


class TokenLimitSettings(Section):
    """Limits of requests. A device over a limit gets HTTP 429, with the seconds to wait."""

    device_per_minute: Annotated[int, Range(1, 600, "a device needs one for each connection")] = 12
    """Tokens that one device gets in a minute."""
    all_per_minute: Annotated[int, Range(1, 100_000, "it must let one device pass")] = 600
    """Tokens that all devices together get in a minute."""
    all_per_day: Annotated[int, Range(0, 10_000_000, "0 is no limit")] = 0
    """Tokens that all devices together get in a day. 0 is no limit."""


class RightsSettings(Section):
    """The rights that a token gives. A setting that is missing in a device's row comes from its group."""

    enabled: bool | None = None
    """Whether the devices get tokens. false in a group or in a device's row refuses them (HTTP 403)."""
    model: Name | None = None
    """The only model. If set nowhere, it is the newest one that this version knows."""
    api_version: ApiVersion | None = None
    """Version of the service's interface. If set nowhere, the model decides: v1beta or v1alpha."""
    voice: VoiceName | None = None
    """The only voice. If set nowhere, the device's own settings decide."""
    instructions: OwnerText | None = None
    """The only instructions. If set nowhere, the device's own settings decide."""
    languages: tuple[Language, ...] | None = None
    """Languages that the model may speak. They are added to `instructions`."""
    tools: Literal["own", "none"] | None = None
    """own: the device's settings decide which tools the model gets. none: it gets no tool."""
    tools_file: PathOnDisk | None = None
    """The only tools: the output of `kioskd tools list --json` on a device that has them."""
    longest_s: Annotated[float, Range(60, 7_200, "the service keeps sessions for two hours")] | None = None
    """Seconds that a conversation lasts at most, as `conversation.longest_s` of the devices. A token's
    connection lasts a minute longer. If set nowhere, it is 600."""
    connections_per_day: Annotated[int, Range(0, 100_000, "0 is no limit")] | None = None
    """Connections that each device gets in a day; each needs a token. 0 is no limit. If set nowhere, it is
    300. The count outlives a restart of this service."""


class TokenGroupRow(RightsSettings):
    """The rights of several devices."""

    name: DeviceName
    """Name of the group, for `group` in the rows of devices."""


class TokenDeviceRow(RightsSettings):
    """The rights of one device. A device without a row gets no token (HTTP 401)."""

    name: DeviceName
    """Common name (CN) of the device's certificate."""
    group: DeviceName | None = None
    """Group that has the settings which are missing here."""


class TokenServiceSettings(Section):
    """All settings of the token service."""

    listen: TokenListenSettings = TokenListenSettings()
    identity: DeviceProofSettings
    service: MintingSettings = MintingSettings()
    limits: TokenLimitSettings = TokenLimitSettings()
    state_folder: PathOnDisk = Path("/var/lib/kioskd-tokens")
    """Folder for the counts of the day."""
    groups: tuple[TokenGroupRow, ...] = ()
    """Groups of devices with the same rights, a row each."""
    devices: tuple[TokenDeviceRow, ...] = ()
    """Devices that may ask for tokens, a row each. Any other device is refused."""

    @field_validator("identity")
    @classmethod
    def _tls_where_needed(cls, value: DeviceProofSettings, info: ValidationInfo) -> DeviceProofSettings:
        listen = info.data.get("listen")
        if listen is None or listen.certificate is not None:
            return value
        faults = []
        if value.proof == "certificate":
            faults.append((("proof",), "certificate needs TLS here; set listen.certificate"))
        elif listen.address not in LOOPBACK:
            what = "signature without listen.certificate needs a TLS proxy on this machine"
            faults.append((("proof",), f"{what}; set listen.address to 127.0.0.1"))
        if faults:
            raise at_each(faults)
        return value

    @field_validator("groups", "devices")
    @classmethod
    def _each_name_once(
        cls, rows: tuple[TokenGroupRow | TokenDeviceRow, ...], info: ValidationInfo
    ) -> tuple[TokenGroupRow | TokenDeviceRow, ...]:
        groups = {row.name for row in info.data.get("groups", ())}
        faults: list[tuple[tuple[str | int, ...], str]] = []
        seen: set[str] = set()
        for number, row in enumerate(rows):
            if row.name in seen:
                faults.append(((number, "name"), f"{row.name} has another row; remove one of the two"))
            seen.add(row.name)
            if row.tools is not None and row.tools_file is not None:
                faults.append(((number, "tools"), "has no effect with tools_file; remove one of the two"))
            group = getattr(row, "group", None)
            if group is not None and group not in groups and "groups" in info.data:
                what = f"there is no group {group}; correct it, or add the group"
                faults.append(((number, "group"), what))
        if faults:
            raise at_each(faults)
        return rows
