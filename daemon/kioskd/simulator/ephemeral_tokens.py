"""The ephemeral tokens of the service, with their lives and uses."""

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

PREFIX: Final = "auth_tokens/"
"""The public mark of an ephemeral token."""
LIFE_S: Final = 30 * 60.0
"""Seconds for which a token's connections last, if its minting does not say."""
OPEN_S: Final = 60.0
"""Seconds in which a token opens new sessions, if its minting does not say."""


@dataclass(frozen=True, slots=True)
class TokenLock:
    """The settings of a session that a token fixes."""

    setup: Mapping[str, Any]
    """The fixed settings, as JSON."""
    fields: tuple[str, ...] | None
    """Dotted paths of the fixed fields. None: the whole setup is fixed, and the client's own counts for
    nothing."""


@dataclass(frozen=True, slots=True)
class TokenTerms:
    """The terms of a token."""

    expires_s: float
    """Time in seconds since the epoch from which on its connections are rejected."""
    opens_until_s: float
    """Time from which on it opens no new session."""
    uses: int = 1
    """Sessions that it opens; 0 is no limit."""
    version: str | None = None
    """The only version of the interface that it opens. None: any version."""
    lock: TokenLock | None = None


@dataclass(slots=True)
class _Token:
    terms: TokenTerms
    uses: int = 0


class EphemeralTokens:
    """The tokens that the service accepts.

    Google documents that a token may resume its session as often as needed. But the real service refused it
    (seen). So each connection counts as a use.
    """

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        """`wall` returns seconds since the epoch."""
        self._wall = wall
        self._tokens: dict[str, _Token] = {}

    def now(self) -> float:
        """Return the service's time, in seconds since the epoch."""
        return self._wall()

    def mint(self, terms: TokenTerms | None = None) -> str:
        """Return a new token. Without `terms` it opens one connection, and locks nothing."""
        now = self._wall()
        self._tokens = {name: token for name, token in self._tokens.items() if token.terms.expires_s > now}
        name = PREFIX + secrets.token_hex(24)
        self._tokens[name] = _Token(terms or TokenTerms(now + LIFE_S, now + OPEN_S))
        return name

    def terms(self, name: str) -> TokenTerms | None:
        """Return the terms of a token; None if there is no such token."""
        token = self._tokens.get(name)
        return token.terms if token is not None else None

    def redeem(self, name: str, version: str) -> TokenTerms | None:
        """Count a use of a token, and return its terms. None: it does not open a connection now."""
        token, now = self._tokens.get(name), self._wall()
        if token is None or token.terms.version not in (None, version):
            return None
        terms = token.terms
        if now >= min(terms.expires_s, terms.opens_until_s) or (terms.uses and token.uses >= terms.uses):
            return None
        token.uses += 1
        return terms

    def expired(self, terms: TokenTerms) -> bool:
        """Return whether a connection by a token with these terms has to end now."""
        return self._wall() >= terms.expires_s

    def expire_all(self) -> None:
        """Make all tokens minted so far invalid."""
        self._tokens.clear()
