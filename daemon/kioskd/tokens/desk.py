"""Decides on each request for a token: who asks, whether it may, and what the token allows."""

import asyncio
import datetime as dt
import hashlib
import logging
import math
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Protocol

from pydantic import SecretStr

from kioskd import journal_ids
from kioskd.adapters.gemini.minting import LockedSession
from kioskd.errors import LinkLost, Remedy
from kioskd.ports import Clock
from kioskd.tokens.budgets import TokenBudgets
from kioskd.tokens.rates import MinuteRate, SpentProofs
from kioskd.tokens.rights import DeviceRights, TokenRegister

log = logging.getLogger(__name__)

MOST_AT_ONCE: Final = 32
"""Requests to the service that run at the same time; the others wait for their turn."""
TURN_S: Final = 3.0
"""Seconds that a request waits for its turn. A device waits 8 s for its token."""

_ALL: Final = "*"
"""Name under which the connections of all devices are counted; no device can have it."""
_AGAIN_S: Final = 5.0
"""Seconds after which a device may ask again when the service or the disk fails."""


class Refusal(Exception):
    """A request gets no token. `words` are for the device, and the journal has the rest."""

    def __init__(self, status: HTTPStatus, words: str, wait_s: float | None = None) -> None:
        super().__init__(words)
        self.status = status
        self.wait_s = wait_s
        """Seconds after which the device may ask again; None: it need not ask again."""


class Mint(Protocol):
    """The service that mints tokens."""

    async def mint(self, session: LockedSession) -> SecretStr:
        """Return a new token. LinkLost: there is none."""


@dataclass(slots=True)
class _Limits:
    each: MinuteRate
    all: MinuteRate
    proofs: SpentProofs


class TokenDesk:
    """Gives tokens to known devices, within their rights, rates and budgets."""

    def __init__(
        self,
        register: TokenRegister,
        mint: Mint,
        budgets: TokenBudgets,
        *,
        clock: Clock,
        wall: Callable[[], dt.datetime],
    ) -> None:
        """`wall` returns the local time, with its zone."""
        self.register = register
        """The rights in force. Another register counts from the next request on."""
        self._mint = mint
        self._budgets = budgets
        self._clock = clock
        self._wall = wall
        limits = register.settings.limits
        self._limits = _Limits(
            MinuteRate(limits.device_per_minute),
            MinuteRate(limits.all_per_minute),
            SpentProofs(2 * limits.device_per_minute + 8),
        )
        self._turns = asyncio.Semaphore(MOST_AT_ONCE)

    def replace(self, register: TokenRegister) -> None:
        """Use other rights and limits from the next request on. Earlier counts stay."""
        self.register = register
        limits = register.settings.limits
        self._limits.each.most = limits.device_per_minute
        self._limits.all.most = limits.all_per_minute

    def known(self, device: str) -> bool:
        """Return whether a device has a row."""
        return device in self.register.devices

    def note_proof(self, device: str, identifier: str, expires: float) -> None:
        """Note that a JWT was used. Raises Refusal if it was used before."""
        now = self._wall().timestamp()
        wait_s = self._limits.proofs.spend(device, identifier, expires, now)
        if wait_s is None:
            log.warning("token refused: device=%s cause=JWT was used before", device)
            raise Refusal(HTTPStatus.UNAUTHORIZED, "this proof was used before")
        if wait_s:
            raise self._busy(device, "too many proofs", wait_s)

    async def token(self, device: str, model: str | None) -> SecretStr:
        """Return a token for a device whose identity is proved. `model`: the one that it asks for.

        Raises:
            Refusal: the device gets no token now.
        """
        rights = self._rights(device, model)
        self._check_rates(device)
        day = self._wall().date()
        budget = {device: rights.connections_per_day, _ALL: self.register.settings.limits.all_per_day}
        await self._spend(day, budget)
        try:
            token = await self._minted(rights)
        except BaseException:
            await asyncio.shield(asyncio.to_thread(self._refund, day, budget))
            raise
        _audit(rights, token)
        return token

    def _rights(self, device: str, model: str | None) -> DeviceRights:
        rights = self.register.devices.get(device)
        if rights is None:
            log.warning("token refused: device=%s cause=it has no row", device[:64])
            raise Refusal(HTTPStatus.UNAUTHORIZED, "this device is not known here")
        if not rights.enabled:
            log.warning("token refused: device=%s cause=its row says enabled: false", device)
            raise Refusal(HTTPStatus.FORBIDDEN, "this device is disabled")
        if model is not None and model.rpartition("/")[2] != rights.session.model:
            log.warning(
                "token refused: device=%s cause=it asks for another model than %s",
                device,
                rights.session.model,
            )
            raise Refusal(HTTPStatus.FORBIDDEN, f"this device may use only {rights.session.model}")
        return rights

    def _check_rates(self, device: str) -> None:
        now = self._clock.now()
        if wait_s := self._limits.each.wait_s(device, now):
            raise self._busy(device, "its limit for a minute", wait_s)
        if wait_s := self._limits.all.wait_s(_ALL, now):
            raise self._busy(device, "the limit of all devices for a minute", wait_s)
        self._limits.each.count(device, now)
        self._limits.all.count(_ALL, now)

    async def _spend(self, day: dt.date, budget: Mapping[str, int]) -> None:
        try:
            full = await asyncio.to_thread(self._budgets.spend, day, budget)
        except sqlite3.Error as error:
            log.warning("token refused: the day's counts cannot be stored: error=%s", error)
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "counts cannot be stored", _AGAIN_S) from None
        if full is not None:
            device = next(iter(budget))
            whose = "the budget of all devices" if full == _ALL else "its budget"
            raise self._busy(device, f"{whose} for the day", self._to_midnight_s())

    async def _minted(self, rights: DeviceRights) -> SecretStr:
        try:
            async with asyncio.timeout(TURN_S):
                await self._turns.acquire()
        except TimeoutError:
            log.warning("token refused: device=%s cause=too many requests at once", rights.name)
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "too many requests at once", _AGAIN_S) from None
        try:
            return await self._mint.mint(rights.session)
        except LinkLost as lost:
            log.warning("token not minted: device=%s cause=%s", rights.name, lost)
            busy = lost.remedy is Remedy.QUOTA
            status = HTTPStatus.TOO_MANY_REQUESTS if busy else HTTPStatus.SERVICE_UNAVAILABLE
            raise Refusal(status, "the Live service gave no token", lost.retry_after_s or _AGAIN_S) from None
        finally:
            self._turns.release()

    def _refund(self, day: dt.date, budget: Mapping[str, int]) -> None:
        try:
            self._budgets.refund(day, budget)
        except sqlite3.Error as error:
            log.warning("a connection that failed stays counted: error=%s", error)

    def _busy(self, device: str, cause: str, wait_s: float) -> Refusal:
        log.warning("token refused: device=%s cause=%s is used up", device, cause)
        return Refusal(HTTPStatus.TOO_MANY_REQUESTS, "too many tokens", wait_s)

    def _to_midnight_s(self) -> float:
        now = self._wall()
        midnight = dt.datetime.combine(now.date() + dt.timedelta(days=1), dt.time(), now.tzinfo)
        return max(1.0, math.ceil((midnight - now).total_seconds()))


def _audit(rights: DeviceRights, token: SecretStr) -> None:
    """Write the line that says who got a token. Its hash finds it again, and does not reveal it."""
    session = rights.session
    digest = hashlib.sha256(token.get_secret_value().encode()).hexdigest()[:16]
    log.info(
        "token minted: device=%s model=%s version=%s sha256=%s",
        rights.name,
        session.model,
        session.api_version,
        digest,
        extra={
            "audit": True,
            "message_id": journal_ids.TOKEN_MINTED,
            "fields": {"device": rights.name, "model": session.model, "token_sha256": digest},
        },
    )
