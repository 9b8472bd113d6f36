"""Which Live service, and how to reach it."""

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
    "provider", "gemini", "it is for provider vertex, and this is gemini; take it out"
)
_OF_GEMINI: Final = UnusedAt(
    "provider", "vertex", "it is for provider gemini, and this is vertex; take it out"
)


class ServiceSettings(Section):
    """Which Live service, and how to reach it. The key itself never stands in this file."""

    provider: Provider = "gemini"
    """Who runs the service: gemini (the Gemini Developer API) or vertex (Google Cloud)."""
    model: Name = NEWEST
    """The Live model. The default is the one that is generally available and has no shutdown date."""
    api_version: ApiVersion | None = None
    """Version of the service's interface. Without it: the one that is known to serve provider and model. With token_url
    both versions that take tokens are tried."""
    project: Annotated[Project | None, Field(validate_default=True), _OF_VERTEX] = None
    """Google Cloud project (vertex, which cannot do without)."""
    location: Annotated[Location | None, _OF_VERTEX] = None
    """Google Cloud location (vertex). Without it: global, which is wherever there is room."""
    credentials_file: Annotated[PathOnDisk | None, _OF_VERTEX] = None
    """Service account's credentials in JSON (vertex), readable by the daemon's own user only. Without it: Google's
    application default credentials."""
    token_url: Annotated[Https | None, _OF_GEMINI] = None
    """https address of the owner's server that mints ephemeral tokens, so that the device holds no key (gemini)."""
    key_file: Annotated[PathOnDisk | None, _OF_GEMINI] = None
    """File that holds the key (gemini), readable by its owner only. Without it: the systemd credential gemini-api-key,
    then the environment's GEMINI_API_KEY, then GOOGLE_API_KEY."""
    endpoint: Https | None = None
    """https address of a gateway to use in the service's place. Without it: the service itself."""
    ca_file: PathOnDisk | None = None
    """Certificates (PEM) to trust in place of the public ones, for a gateway with its own."""
    proxy: HttpProxy | None = None
    """Address of an HTTP proxy (CONNECT) for all of this. Without it: the environment's https_proxy, if any."""
    renew_s: Annotated[float, Range(5, 780, "the service ends connections at ten to fifteen minutes")] = 540.0
    """Seconds after which a connection is renewed unasked, in the next quiet moment or a minute later. The default
    is a minute before the service ends them; few seconds are for rehearsals."""
    media_resolution: Literal["low", "medium", "high"] | None = None
    """How closely the model looks at pictures: low takes 64 tokens a picture, medium and high 256. Without it the service
    decides."""

    @field_validator("project")
    @classmethod
    def _vertex_has_a_project(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None and info.data.get("provider") == "vertex":
            raise said("is missing: vertex serves within a Google Cloud project; add project: NAME")
        return value

    @field_validator("key_file")
    @classmethod
    def _without_tokens(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if value is not None and info.data.get("token_url") is not None:
            raise said("goes unused: with token_url the device holds no key; take out one of the two")
        return value
