"""`kioskd run`: runs the daemon in the foreground, as systemd does."""

import argparse
import asyncio
import contextlib
import gc
import logging
import os
import signal
import threading
from pathlib import Path
from typing import Final

from kioskd import app, logs, regular_file
from kioskd.adapters import crash
from kioskd.adapters.portaudio import stderr
from kioskd.adapters.storage.resumption_file import runtime_directory
from kioskd.adapters.systemd import notifier
from kioskd.cli import Exit, add_config
from kioskd.core.effects import Effect
from kioskd.core.events import Event, Started
from kioskd.core.machine import State
from kioskd.errors import KioskError
from kioskd.flow.runtime.reload import Reload
from kioskd.settings.load import LARGEST_BYTES, default_path, load_to_run
from kioskd.settings.model import Settings

LEAVE_S: Final = 4.0
"""Longest time from SIGTERM to the exit: systemd kills after 5 s.

The kernel closes devices that are still open.
"""

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add_config(parser)


def run(args: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT; return the exit code. Raises the KioskError that ended the daemon."""
    logs.set_up(logs.level(os.environ))
    stderr.keep(runtime_directory(os.environ))
    crash.keep(runtime_directory(os.environ))
    # Objects of the start-up stay; searching them for garbage takes a tenth of its time.
    gc.disable()
    path = default_path(args.config, os.environ)
    try:
        settings = load_to_run(path, os.environ)
        asyncio.run(_serve(settings, app.real_parts(settings, os.environ), path))
    except Exception as error:
        # systemd shows these words to every user, but the journal only to its readers.
        words = str(error) if isinstance(error, KioskError) else "Ended by a bug; see the journal"
        notifier(os.environ).status(words)
        raise
    log.info("stopped")
    return Exit.OK


async def _serve(settings: Settings, parts: app.Parts, path: Path) -> None:
    loop = asyncio.get_running_loop()
    serving = asyncio.current_task()
    assert serving is not None

    def leave(signal_name: str) -> None:
        log.info("stopping: cause=%s", signal_name)
        last = threading.Timer(LEAVE_S, _leave_at_once)
        last.daemon = True
        last.start()
        parts.devices.notifier.stopping()
        serving.cancel()

    def read() -> app.NewSettings:
        new, later = app.take_over(app.tried(path, os.environ), settings)
        keys, tools = parts.service.keys, parts.service.tools
        assert keys is not None
        assert tools is not None
        live = app.live(new, keys.opener(new.service), tools.offered, tools.trial)
        return app.NewSettings(new, live, later, app.pictures(new))

    def content() -> bytes:
        try:
            return regular_file.content(path, LARGEST_BYTES)
        except OSError:  # `read` says why
            return b""

    reload = Reload(read, content)
    loop.add_signal_handler(signal.SIGHUP, reload.ask)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, leave, number.name)
    with contextlib.suppress(asyncio.CancelledError):  # only `leave` cancels this task
        await app.serve(settings, parts, observers=[_freeze_objects], reload=reload)


def _leave_at_once() -> None:
    log.warning("a device or connection did not close in %.0f s: leaving without it", LEAVE_S)
    os._exit(0)


def _freeze_objects(
    _now: float, event: Event, _before: State, _after: State, _effects: tuple[Effect, ...]
) -> None:
    """After the start-up, exclude all present objects from garbage collection, as they stay."""
    if isinstance(event, Started):
        gc.freeze()
        gc.enable()
