"""The picture service of a kiosk without a camera."""

import asyncio
from collections.abc import Mapping
from typing import Final, NoReturn

from kioskd.core.effects import HangUp, SetCamera, TakeSnapshot
from kioskd.errors import DeviceLost
from kioskd.ports import Connection


class NoPictureService:
    """Takes no pictures. It replaces `PictureService`, which loads Pillow, in a kiosk without a camera."""

    status: Final = "none"
    counts: Final[Mapping[str, int]] = {}

    def set_camera(self, effect: SetCamera) -> None:
        """Do nothing."""

    def take_snapshot(self, effect: TakeSnapshot) -> None:
        """Do nothing: the control socket rejects a snapshot earlier."""

    def connect(self, connection: Connection, epoch: int) -> None:
        """Do nothing."""

    def disconnect(self) -> None:
        """Do nothing."""

    def forget(self, effect: HangUp) -> None:
        """Do nothing."""

    async def fresh(self, _within_s: float) -> bytes:
        """Raise DeviceLost, which names the setting."""
        raise DeviceLost("camera: the kiosk has none; set camera.source")

    async def snapshot_result(self) -> str:
        """Return "", because there is no request."""
        return ""

    async def run(self) -> NoReturn:
        while True:
            await asyncio.Event().wait()
