"""Stand-ins for parts that are not configured, which meet the same Protocols and do nothing."""

import asyncio
from collections.abc import Callable, Iterable
from typing import NoReturn

from pydantic import SecretStr

from kioskd.errors import Code
from kioskd.ports import MetricFamily, Preferences, RequestHandler


async def _wait() -> NoReturn:
    while True:
        await asyncio.Event().wait()


class NoNetwork:
    """A `ports.Network` that never reports a change."""

    async def watch(self, on_change: Callable[[], None]) -> NoReturn:
        """Wait until cancelled."""
        await _wait()


class NoResumption:
    """A `ports.ResumptionStore` that stores nothing, so that a restart ends the conversation."""

    def recover(self) -> None:
        """Return None."""

    def keep(self, conversation: int, handle: SecretStr, profile: str) -> None:
        """Do nothing."""

    def forget(self) -> None:
        """Do nothing."""


class NoPreferences:
    """A `ports.PreferenceStore` that does not store volume and mute."""

    def load(self) -> Preferences:
        """Return the defaults."""
        return Preferences()

    def save(self, preferences: Preferences) -> None:
        """Do nothing."""


class NoPrompts:
    """A `ports.Prompts` without any spoken sentences."""

    async def prepare(self) -> None:
        """Do nothing."""

    async def run(self) -> None:
        """Do nothing."""

    def heard(self, language: str) -> None:
        """Do nothing."""

    def forget(self) -> None:
        """Do nothing."""

    def get(self, code: Code) -> None:
        """Return None."""

    async def question(self, name: str, words: str) -> None:
        """Return None."""


class NoControl:
    """A `ports.ControlServer` that opens no control socket."""

    def claim(self) -> None:
        """Do nothing."""

    async def serve(self, handle: RequestHandler) -> NoReturn:
        """Wait until cancelled."""
        await _wait()


class NoMetrics:
    """A `ports.MetricsEndpoint` that opens no port for Prometheus."""

    async def serve(self, families: Callable[[], Iterable[MetricFamily]]) -> NoReturn:
        """Wait until cancelled."""
        await _wait()
