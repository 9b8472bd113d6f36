"""Tests of the libraries that a start imports, and of the time when it imports the SDK."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from tests.support.daemon_process import daemon_process, surroundings
from tests.support.sound_server import SoundServer
from tests.support.until import until

from kioskd.simulator import ServiceScript, Simulator

SDK: Final = "google.genai"
HEAVY: Final = (
    "PIL",
    "aiomqtt",
    "jsonschema_rs",
    "livekit",
    "matplotlib",
    "mcp",
    "picamera2",
    "prometheus_client",
    "requests",
    "scipy",
)
"""Libraries that only some settings need."""


TELLS: Final = """
import os, sys
class Tells:
    def find_spec(name, path=None, target=None):
        os.write(2, f"import {name}\\n".encode())
sys.meta_path.insert(0, Tells)
"""
"""A `sitecustomize` that writes the name of each module that is looked for, in the order of log lines."""
READY: Final = "ready"
LOADED: Final = f"{SDK}.client"


async def imported(folder: Path, sound: SoundServer, sections: Mapping[str, Any]) -> list[str]:
    """Return the modules that a kiosk imports until it can dial, in order.

    `READY` stands where it is ready.
    """
    async with Simulator(ServiceScript()) as service:
        settings = {"service": {"endpoint": service.endpoint, "ca_file": str(service.ca_file)}, **sections}
        (folder / "sitecustomize.py").write_text(TELLS)
        environ = {**surroundings(sound, service), "PYTHONPATH": str(folder)}
        async with sound.quiet_room(), daemon_process(folder, settings, environ) as daemon:
            await daemon.tells("READY=1")
            await until(lambda: f"import {LOADED}\n" in daemon.journal)
            return re.findall(r"^(?:import|\S+ info ) ([\w.]+)$", daemon.journal, re.MULTILINE)


def heavy(modules: list[str]) -> set[str]:
    """Return the libraries of `HEAVY` among these modules."""
    return {module.partition(".")[0] for module in modules} & set(HEAVY)


@pytest.mark.parametrize("wake", ["remote", "voice"])
async def test_a_kiosk_that_sleeps_is_ready_before_the_sdk_is_loaded(
    tmp_path: Path, sound_server: SoundServer, wake: str
) -> None:
    modules = await imported(tmp_path, sound_server, {"conversation": {"wake": [wake]}})
    # A thread writes the log, so the line of READY may come after the first modules of the SDK.
    assert modules.index(READY) < modules.index(LOADED)


@pytest.mark.parametrize(
    ("sections", "needed"),
    [
        ({"conversation": {"wake": ["remote"]}}, set()),
        ({"conversation": {"wake": ["start"]}, "tools": [{"kind": "builtin"}]}, {"jsonschema_rs"}),
        ({"conversation": {"wake": ["remote"]}, "camera": {"source": "folder:."}}, {"PIL"}),
    ],
)
async def test_a_start_imports_no_library_that_its_settings_do_not_need(
    tmp_path: Path, sound_server: SoundServer, sections: dict[str, Any], needed: set[str]
) -> None:
    assert heavy(await imported(tmp_path, sound_server, sections)) == needed
