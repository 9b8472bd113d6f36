"""Settings of a kiosk among many: its name, and the broker through which an operator sees and moves it."""

from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints, ValidationInfo, field_validator

from kioskd.tools.kinds.value_types import BrokerAddress, CaFile, Credential, Insecure, no_credential
from kioskd.yamlconf.section import Section
from kioskd.yamlconf.value_types import Name, PathOnDisk, UnusedAt, form, said

KioskName = Annotated[
    str,
    form(
        r"[a-z0-9][a-z0-9_-]{0,62}",
        "is not a name of small letters, digits, - and _, at most 63; write one, for example hall-1",
    ),
]
"""A name that can be a part of a topic, of a host name, and of a certificate."""


class FleetBrokerSettings(Section):
    """The MQTT broker of the fleet. The kiosk reports to it, and takes commands from it."""

    broker: Annotated[BrokerAddress, Field(examples=["mqtts://control.example"])]
    """Address of the broker: mqtt://HOST or mqtt://HOST:PORT, or mqtts:// for TLS. The kiosk uses MQTT 5, or
    3.1.1 with an older broker. Its topics begin with kioskd/NAME, where NAME is `fleet.name`."""
    home_assistant: bool = True
    """Whether Home Assistant is told of this kiosk, by its MQTT device discovery. It then shows the kiosk
    with all its entities."""
    certificate: PathOnDisk | None = Field(default=None, examples=["/etc/kioskd/device.pem"])
    """Certificate of this device (PEM), by which the broker knows it, only for an mqtts:// `broker`."""
    key_file: Annotated[
        PathOnDisk | None, UnusedAt("certificate", None, "only certificate uses it; remove it")
    ] = Field(default=None, examples=["/etc/kioskd/device.key"])
    """Private key of `certificate` (PEM). The file must be readable by its owner only (chmod 600). If not
    set, it is the systemd credential device-key."""
    username: Annotated[Name, AfterValidator(no_credential)] | None = Field(default=None, examples=["hall-1"])
    """User name at the broker."""
    password_from: Annotated[
        Credential | None,
        UnusedAt("username", None, "a password needs a user; add username, or remove it"),
    ] = Field(default=None, examples=["credential:mqtt"])
    """Reference to the password, as credential:NAME, only with `username`. NAME is a systemd credential of
    the service, or the path of a file."""
    ca_file: CaFile | None = Field(default=None, examples=["fleet-ca.pem"])
    """File with certificates (PEM) to trust in place of the public ones, only for an mqtts:// `broker`."""
    insecure: Insecure = False
    """Whether the password is sent to another machine without encryption, so that others can read it."""

    @field_validator("certificate")
    @classmethod
    def _by_tls(cls, value: object, info: ValidationInfo) -> object:
        if value is not None and str(info.data.get("broker", "mqtts")).startswith("mqtt:"):
            raise said("has no effect: mqtt:// has no TLS; write mqtts:// as broker, or remove it")
        return value


class FleetSettings(Section):
    """A kiosk among many. Without this section the kiosk belongs to no fleet."""

    name: Annotated[KioskName, Field(examples=["hall-1"])]
    """Name of this kiosk in the fleet. No other kiosk has it. A broker can demand that it is also the name in
    the certificate."""
    title: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = Field(
        default=None, examples=["Entrance hall"]
    )
    """Name of this kiosk for people. If not set, it is `name`."""
    site: Annotated[str, StringConstraints(max_length=100)] = ""
    """Place of this kiosk, for example a building. Home Assistant suggests it as the area."""
    mqtt: FleetBrokerSettings | None = None
    """The MQTT broker of the fleet. The kiosk reports to it, and takes commands from it."""
