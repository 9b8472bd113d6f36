"""Parts that a kiosk does without: they meet the same Protocols as the real ones, and do nothing."""

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
    """No news of the network; a `ports.Network`."""

    async def watch(self, on_change: Callable[[], None]) -> NoReturn:
        """Wait until cancelled."""
        await _wait()


class NoResumption:
    """No memory of a conversation that a process left; a `ports.ResumptionStore`."""

    def recover(self) -> None:
        """Return None."""

    def keep(self, conversation: int, handle: SecretStr) -> None:
        """Do nothing."""

    def forget(self) -> None:
        """Do nothing."""


class NoPreferences:
    """No memory of volume and mute; a `ports.PreferenceStore`."""

    def load(self) -> Preferences:
        """Return the defaults."""
        return Preferences()

    def save(self, preferences: Preferences) -> None:
        """Do nothing."""


class NoPrompts:
    """No sentences of the kiosk's own; a `ports.Prompts`."""

    async def prepare(self) -> None:
        """Do nothing."""

    def get(self, code: Code) -> None:
        """Return None."""

    async def question(self, name: str, words: str) -> None:
        """Return None."""


class NoControl:
    """No control socket; a `ports.ControlServer`."""

    def claim(self) -> None:
        """Do nothing."""

    async def serve(self, handle: RequestHandler) -> NoReturn:
        """Wait until cancelled."""
        await _wait()


class NoMetrics:
    """No port for Prometheus; a `ports.MetricsEndpoint`."""

    async def serve(self, families: Callable[[], Iterable[MetricFamily]]) -> NoReturn:
        """Wait until cancelled."""
        await _wait()
