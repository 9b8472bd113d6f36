"""`kioskd simulate`: its output, and its end."""

import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from tests.support.simulate_process import SimulateProcess, simulating

from kioskd.cli import Exit, main

ASKING: Final = """
import asyncio
from google import genai

async def ask():
    config = {"response_modalities": ["AUDIO"]}
    async with genai.Client().aio.live.connect(model="MODEL", config=config) as session:
        await session.send_realtime_input(text="Hello?")
        async for message in session.receive():
            print(len(message.data or b""))

asyncio.run(ask())
"""
"""A client as Google's documentation writes it: nothing in it knows of the simulator."""


def asked(simulator: SimulateProcess, model: str = "gemini-3.8-live") -> subprocess.CompletedProcess[str]:
    """Ask in a shell that has evaluated what the command printed."""
    script = "\n".join([*simulator.shell_lines, 'exec "$@"'])
    return subprocess.run(
        ["sh", "-c", script, "sh", sys.executable, "-c", ASKING.replace("MODEL", model)],
        env={"GOOGLE_API_KEY": "of-the-environment", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def certificate(simulator: SimulateProcess) -> Path:
    [line] = [line for line in simulator.shell_lines if line.startswith("export SSL_CERT_FILE=")]
    return Path(line.partition("=")[2])


def test_the_python_sdk_needs_only_the_printed_lines() -> None:
    with simulating() as simulator:
        done = asked(simulator)
        assert done.returncode == 0, done.stderr
        assert sum(map(int, done.stdout.split())) > 24_000
        simulator.wait_for("is disconnected: the client closed with 1000")
        told = [re.sub("  +", "  ", line) for line in simulator.told]
    assert told[:4] == [
        "client 1  connects to /ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent",
        "client 1  sends its setup for gemini-3.8-live",
        "client 1  setup accepted",
        "client 1  sends a text of 6 characters",
    ]
    assert "client 1  turn complete: spoken" in told


def test_a_rejected_setup_is_printed_with_the_reason() -> None:
    with simulating() as simulator:
        assert "1008" in asked(simulator, "gemini-0-live").stderr
        simulator.wait_for("is rejected: 1008 models/gemini-0-live is not found for API version v1beta")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_simulate_ends_cleanly_and_removes_the_certificate(number: int) -> None:
    with simulating() as simulator:
        folder = certificate(simulator).parent
        assert certificate(simulator).exists()
        assert simulator.stop(number) == (0, "")
        assert not folder.exists()


def test_a_port_can_be_chosen_and_a_port_in_use_is_one_clear_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["simulate", "--port", str(port)]) == Exit.UNAVAILABLE
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert f"port {port} of 127.0.0.1 cannot be used (Address already in use)" in err
    with simulating("--port", str(port)) as simulator:
        assert f"export GOOGLE_GEMINI_BASE_URL=https://127.0.0.1:{port}" in simulator.shell_lines


@pytest.mark.parametrize("port", ["-1", "65536", "x", "²"])
def test_a_port_that_is_out_of_range_is_refused(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["simulate", f"--port={port}"])
    assert ended.value.code == 2
    assert f"{port!r}: write 1 to 65535" in capsys.readouterr().err


def test_a_missing_scenario_is_one_clear_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "--scenario", "/nowhere.yaml"]) == Exit.CONFIGURATION
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("/nowhere.yaml: there is no such scenario")


def test_faults_of_a_scenario_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text("name: x\nvisitor: [press]\nservice: {replies: [{silent: true}], pacee: 3}\n")
    assert main(["simulate", "--scenario", str(scenario)]) == Exit.CONFIGURATION
    assert "pacee" in capsys.readouterr().err
