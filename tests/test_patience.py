"""The factor that gives a slow machine more time for every deadline."""

import asyncio

import pytest
from tests.support.patience import stretch

from kioskd.adapters.cameras import picamera_device


async def test_every_deadline_is_multiplied_until_it_is_undone() -> None:
    before = picamera_device.WAIT_S
    with pytest.MonkeyPatch.context() as patch:
        stretch(patch, 100.0)
        assert pytest.approx(before * 100) == picamera_device.WAIT_S
        due = asyncio.timeout(60).when()
        assert due == pytest.approx(asyncio.get_running_loop().time() + 6000, abs=100)
    assert before == picamera_device.WAIT_S


async def test_no_deadline_stays_none() -> None:
    with pytest.MonkeyPatch.context() as patch:
        stretch(patch, 2.0)
        assert asyncio.timeout(None).when() is None
