"""Settings of the connection to the Live service."""

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, ValidationInfo, field_validator

from kioskd.live_models import NEWEST, Provider
from kioskd.yamlconf.section import Section
from kioskd.yamlconf.value_types import (
    ApiVersion,
    HttpProxy,
    Https,
    Location,
    Name,
    PathOnDisk,
    Project,
    Range,
    UnusedAt,
    said,
)

_OF_VERTEX: Final = UnusedAt(
    "provider", "gemini", "only provider: vertex uses it; remove it, or set provider to vertex"
)
_OF_GEMINI: Final = UnusedAt(
    "provider", "vertex", "only provider: gemini uses it; remove it, or set provider to gemini"
)
_OF_TOKENS: Final = UnusedAt("token_url", None, "only token_url uses it; remove it, or set token_url")


class ServiceSettings(Section):
    """The connection to the Live service. Never write the service key into this file: other users can read
    it."""

    provider: Provider = "gemini"
    """Provider of the service. gemini is the Gemini Developer API, opened by a key or by tokens.
    vertex is Google Cloud."""
    model: Name = NEWEST
    """Name of the Live model. The default is generally available and has no shutdown date.
    `kioskd check` knows the limits of each model. It rejects other settings that do not fit the model."""
    api_version: ApiVersion | None = Field(default=None, examples=["v1beta"])
    """Version of the service's interface. If not set, provider and model decide: v1beta for gemini, v1alpha
    for extended thinking, v1beta1 for vertex. With `token_url` the daemon tries v1beta first, and then
    v1alpha. A token opens only the version that it was minted for."""
    project: Annotated[Project | None, Field(validate_default=True, examples=["my-project"]), _OF_VERTEX] = (
        None
    )
    """Name of the Google Cloud project. Provider vertex needs it, and provider gemini does not use it."""
    location: Annotated[Location | None, _OF_VERTEX] = Field(default=None, examples=["europe-west4"])
    """Google Cloud location where the model runs, only for provider vertex. If not set, it is global, which
    means any location with free capacity."""
    credentials_file: Annotated[PathOnDisk | None, _OF_VERTEX] = Field(
        default=None, examples=["service-account.json"]
    )
    """JSON file with the credentials of a service account, only for provider vertex. The file must be
    readable by the daemon's own user only (chmod 600). If not set, the daemon uses Google's application
    default credentials. The daemon renews the account's tokens before each connection."""
    token_url: Annotated[Https | None, _OF_GEMINI] = Field(
        default=None, examples=["https://tokens.example/kiosk"]
    )
    """Address (https) of your own server that mints an ephemeral token for each connection, only for provider
    gemini. Then the device holds no key. The server gets POST `{"model": "gemini-3.8-live"}`. It answers
    `{"token": "auth_tokens/..."}`, or `{"name": ...}` as the service itself does when it mints one. HTTP 401
    means that the server does not know this device. HTTP 429 means that it is busy, and Retry-After says for
    how many seconds. HTTP 403 means that it does not allow this device or the model. HTTP 5xx means that it
    has trouble. The daemon takes any other refusal for a wrong address. `kioskd tokens serve` is such a
    server."""
    token_certificate: Annotated[PathOnDisk | None, _OF_TOKENS] = Field(
        default=None, examples=["/etc/kioskd/device.pem"]
    )
    """Certificate of this device (PEM) for the token server at `token_url`. If not set, the server gets
    neither a certificate nor a bearer. A renewed certificate counts from the next connection on."""
    token_key_file: Annotated[
        PathOnDisk | None,
        UnusedAt("token_certificate", None, "only token_certificate uses it; remove it"),
    ] = Field(default=None, examples=["/etc/kioskd/device.key"])
    """Private key of `token_certificate` (PEM, P-256 for `token_proof: signature`). The file must be readable
    by its owner only (chmod 600). If not set, it is the systemd credential device-key."""
    token_proof: Annotated[
        Literal["certificate", "signature"] | None,
        UnusedAt("token_certificate", None, "only token_certificate uses it; remove it"),
    ] = Field(default=None, examples=["signature"])
    """Way in which this device proves to the token server who it is. certificate: it shows
    `token_certificate` in the TLS connection. signature: it sends a JWT as a bearer, which its key has signed
    and which is valid for a minute. The latter also works where TLS ends before the token server. If not
    set, it is certificate."""
    key_file: Annotated[PathOnDisk | None, _OF_GEMINI] = Field(default=None, examples=["/etc/kioskd/key"])
    """File that holds the service key, only for provider gemini and without `token_url`. The file must be
    readable by its owner only (chmod 600). If not set, the daemon looks in three places, in this order: the
    systemd credential gemini-api-key, the environment variable GEMINI_API_KEY, the environment variable
    GOOGLE_API_KEY."""
    endpoint: Https | None = Field(default=None, examples=["https://gateway.example"])
    """Address (https) of a gateway. If not set, the daemon connects to the service itself."""
    ca_file: PathOnDisk | None = Field(default=None, examples=["gateway-ca.pem"])
    """File with certificates (PEM) to trust in place of the public ones. It counts for the gateway, for your
    token server, and for Google's sign-in."""
    proxy: HttpProxy | None = Field(default=None, examples=["http://proxy.example:3128"])
    """Address of an HTTP proxy (CONNECT) for all connections of this section. If not set, the daemon uses
    https_proxy and no_proxy of its environment, if they are set."""
    renew_s: Annotated[float, Range(5, 780, "the service ends connections at ten to fifteen minutes")] = 540.0
    """Seconds after which the daemon moves the session to a new connection. It does so in the next quiet
    moment, or a minute later at the latest. The visitor does not notice. The default is a minute before the
    service ends a connection, announced or not. Small values are for rehearsals."""
    media_resolution: Literal["low", "medium", "high"] | None = Field(default=None, examples=["low"])
    """Detail in which the model looks at pictures: low takes 64 tokens a picture, medium and high take 256.
    If not set, the service decides."""

    @field_validator("project")
    @classmethod
    def _vertex_has_a_project(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None and info.data.get("provider") == "vertex":
            raise said("is missing: provider vertex needs a Google Cloud project; add project: NAME")
        return value

    @field_validator("key_file")
    @classmethod
    def _without_tokens(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if value is not None and info.data.get("token_url") is not None:
            raise said("has no effect: with token_url the device holds no key; remove one of the two")
        return value
