"""Authentication: the request paths of the Live service, and the keys and tokens that they accept."""

import hmac
import re
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import SecretStr
from websockets.datastructures import Headers

from kioskd.simulator.ephemeral_tokens import PREFIX, EphemeralTokens, TokenTerms

Backend = Literal["developer", "vertex"]
AuthResult = Literal["accepted", "no_key", "wrong_key"]

# No Live service has been seen under /v1; a client that dials it must notice.
_DEVELOPER: Final = re.compile(
    r"/{1,2}ws/google\.ai\.generativelanguage\.(?P<version>v1alpha|v1beta)"
    r"\.GenerativeService\.BidiGenerateContent(?P<constrained>Constrained)?"
)
_VERTEX: Final = re.compile(
    r"/{1,2}ws/google\.cloud\.aiplatform\.(?P<version>v1beta1)\.LlmBidiService/BidiGenerateContent"
)


@dataclass(frozen=True, slots=True)
class ApiEndpoint:
    """A method of the service in one version of its interface."""

    backend: Backend
    version: str
    constrained: bool = False
    """Whether it accepts ephemeral tokens only."""


@dataclass(frozen=True, slots=True)
class Authentication:
    """The outcome of a check of credentials."""

    result: AuthResult
    terms: TokenTerms | None = None
    """The terms of the ephemeral token that was shown, if it was one of the service's."""


def find_endpoint(target: str) -> ApiEndpoint | None:
    """Return the endpoint that a request target names; None if there is none (HTTP 404)."""
    path = public_path(target)
    if match := _DEVELOPER.fullmatch(path):
        return ApiEndpoint("developer", match["version"], match["constrained"] is not None)
    if match := _VERTEX.fullmatch(path):
        return ApiEndpoint("vertex", match["version"])
    return None


def authenticate(
    endpoint: ApiEndpoint, target: str, headers: Headers, key: SecretStr, tokens: EphemeralTokens
) -> Authentication:
    """Check the credential of a request.

    The Developer API takes the key as `x-goog-api-key` or `?key=`. Its constrained method takes
    `Authorization: Token` or `?access_token=`, with one of `tokens`, or with the key if that is a token.
    Vertex takes `Authorization: Bearer`, or `x-goog-api-key` (express mode).
    """
    secret = key.get_secret_value()
    query = {name: values[0] for name, values in parse_qs(urlsplit(target).query).items()}
    scheme, _, credential = headers.get("Authorization", "").partition(" ")
    api_key = headers.get("x-goog-api-key") or query.get("key")
    given: str | None
    if endpoint.constrained:
        given = credential if scheme.lower() == "token" else query.get("access_token")
    elif endpoint.backend == "vertex":
        given = credential if scheme.lower() == "bearer" else api_key
    else:
        # The other methods accept no ephemeral tokens.
        given = api_key if not secret.startswith(PREFIX) else None
    if not given:
        return Authentication("no_key")
    if endpoint.constrained and (terms := tokens.redeem(given, endpoint.version)) is not None:
        return Authentication("accepted", terms)
    return Authentication("accepted" if is_key(given, key) else "wrong_key")


def is_key(given: str, key: SecretStr) -> bool:
    """Return whether `given` is the key, in a time that says nothing about the key."""
    return hmac.compare_digest(given.encode(), key.get_secret_value().encode())


def public_path(target: str) -> str:
    """Return a request target without its query, which may hold the key."""
    # urlsplit takes the first segment after a double slash as a host.
    return target.partition("?")[0]
