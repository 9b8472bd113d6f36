"""The picture service of a kiosk without a camera."""

import asyncio
from collections.abc import Mapping
from typing import Final, NoReturn

from kioskd.core.effects import HangUp, SetCamera, TakeSnapshot
from kioskd.errors import DeviceLost
from kioskd.ports import Connection


class NoPictureService:
    """Takes no pictures; it stands in the place of `PictureService`, which loads Pillow."""

    status: Final = "none"
    counts: Final[Mapping[str, int]] = {}

    def set_camera(self, effect: SetCamera) -> None:
        """Do nothing."""

    def take_snapshot(self, effect: TakeSnapshot) -> None:
        """Do nothing: the control socket refuses a snapshot before it is asked for."""

    def connect(self, connection: Connection, epoch: int) -> None:
        """Do nothing."""

    def disconnect(self) -> None:
        """Do nothing."""

    def forget(self, effect: HangUp) -> None:
        """Do nothing."""

    async def fresh(self, _within_s: float) -> bytes:
        """Raise DeviceLost, which says what to set."""
        raise DeviceLost("camera: there is none; set camera.source")

    async def snapshot_result(self) -> str:
        """Return nothing: no snapshot was asked for."""
        return ""

    async def run(self) -> NoReturn:
        """Wait until cancelled."""
        while True:
            await asyncio.Event().wait()
