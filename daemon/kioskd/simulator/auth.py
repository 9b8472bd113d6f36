"""Who gets in: the paths under which the Live service answers, and the key or the tokens that open them."""

import hmac
import re
import secrets
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import SecretStr
from websockets.datastructures import Headers

Backend = Literal["developer", "vertex"]
Admission = Literal["admitted", "no_key", "wrong_key"]

_TOKEN_PREFIX: Final = "auth_tokens/"  # noqa: S105  the public mark of an ephemeral token, not one

# /v1 has no Live service that anybody has seen; a client that dials it must notice.
_DEVELOPER: Final = re.compile(
    r"/{1,2}ws/google\.ai\.generativelanguage\.(?P<version>v1alpha|v1beta)"
    r"\.GenerativeService\.BidiGenerateContent(?P<constrained>Constrained)?"
)
_VERTEX: Final = re.compile(
    r"/{1,2}ws/google\.cloud\.aiplatform\.(?P<version>v1beta1)\.LlmBidiService/BidiGenerateContent"
)


@dataclass(frozen=True, slots=True)
class Authenticator:
    """Which of the service's entrances a client came through."""

    backend: Backend
    version: str
    constrained: bool = False
    """For ephemeral tokens only."""


class TokenBook:
    """The tokens that open the service, each for one connection.

    A real one is documented to resume its session as often as it is asked; it was seen refused when it tried.
    """

    def __init__(self) -> None:
        self._good: set[str] = set()

    def mint(self) -> str:
        """Return a new token."""
        token = _TOKEN_PREFIX + secrets.token_hex(24)
        self._good.add(token)
        return token

    def take(self, token: str) -> bool:
        """Say whether `token` opens the service; it does not open it again."""
        good = token in self._good
        self._good.discard(token)
        return good

    def expire_all(self) -> None:
        """Let none that was minted so far open anything."""
        self._good.clear()


def find_door(target: str) -> Authenticator | None:
    """Return the door behind a request target; None where there is none (HTTP 404)."""
    path = _path(target)
    if match := _DEVELOPER.fullmatch(path):
        return Authenticator("developer", match["version"], match["constrained"] is not None)
    if match := _VERTEX.fullmatch(path):
        return Authenticator("vertex", match["version"])
    return None


def admit(door: Authenticator, target: str, headers: Headers, key: SecretStr, tokens: TokenBook) -> Admission:
    """Say whether a client may come in.

    The Developer API takes the key as `x-goog-api-key` or `?key=`, its constrained method `Authorization: Token` or
    `?access_token=` with one of `tokens`, or with the key if that is one; Vertex takes `Authorization: Bearer`, or `x-goog-api-key` (express mode).
    """
    secret = key.get_secret_value()
    query = {name: values[0] for name, values in parse_qs(urlsplit(target).query).items()}
    scheme, _, credential = headers.get("Authorization", "").partition(" ")
    by_key = headers.get("x-goog-api-key") or query.get("key")
    shown: str | None
    if door.constrained:
        shown = credential if scheme.lower() == "token" else query.get("access_token")
    elif door.backend == "vertex":
        shown = credential if scheme.lower() == "bearer" else by_key
    else:
        # An ephemeral token opens the constrained method only.
        shown = by_key if not secret.startswith(_TOKEN_PREFIX) else None
    if not shown:
        return "no_key"
    if door.constrained and tokens.take(shown):
        return "admitted"
    return "admitted" if hmac.compare_digest(shown.encode(), secret.encode()) else "wrong_key"


def public_path(target: str) -> str:
    """Return a request target without its query, which may hold the key."""
    return _path(target)


def _path(target: str) -> str:
    # urlsplit would take the first segment after a doubled slash for a host.
    return target.partition("?")[0]
