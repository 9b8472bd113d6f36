"""Access of remote control to the daemon's log, its settings file and its metrics."""

import asyncio
import logging
from typing import NoReturn

import pytest
from pydantic import SecretStr
from tests.support.kiosk import QUIET, Kiosk

from kioskd.app.control import JournalTail, OwnerSettings
from kioskd.errors import ConfigError
from kioskd.settings.model import Settings


def test_the_log_level_can_be_read_and_set() -> None:
    tail = JournalTail()
    tail.set_log_level("debug")
    assert tail.log_level == "debug"
    tail.set_log_level("warning")
    assert tail.log_level == "warning"


async def test_lines_are_kept_only_while_the_server_runs() -> None:
    tail, log = JournalTail(), logging.getLogger("kioskd.test")
    tail.set_log_level("info")

    async def serve() -> NoReturn:
        log.info("served")
        raise asyncio.CancelledError

    log.info("before")
    with pytest.raises(asyncio.CancelledError):
        await tail.follow(serve)
    log.info("after")
    lines, newest = tail.recent(0)
    assert ([line["text"] for line in lines], newest) == (["served"], 1)


async def test_settings_and_a_key_without_a_file_cannot_be_changed() -> None:
    owner = OwnerSettings(Settings(), Kiosk(QUIET, watchdog_s=None).parts())
    with pytest.raises(ConfigError, match="has no settings file"):
        await owner.reload()
    with pytest.raises(ConfigError, match="does not use a stored key"):
        owner.take_key(SecretStr("AIzaNew"))
