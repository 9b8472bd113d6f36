"""Mute: a muted kiosk closes its microphone, so that it cannot hear by mistake."""

import asyncio


class MuteSwitch:
    """The mute switch of the microphone. For the event loop's thread."""

    def __init__(self) -> None:
        self._muted = asyncio.Event()
        self._unmuted = asyncio.Event()
        self._unmuted.set()

    @property
    def on(self) -> bool:
        return self._muted.is_set()

    def set(self, *, muted: bool) -> None:
        (self._unmuted if muted else self._muted).clear()
        (self._muted if muted else self._unmuted).set()

    async def wait_until_muted(self) -> None:
        """Return when the microphone is muted; at once if it already is. May be cancelled."""
        await self._muted.wait()

    async def wait_until_unmuted(self) -> None:
        """Return when the microphone is not muted; at once if it is not now. May be cancelled."""
        await self._unmuted.wait()
