"""Google's JavaScript SDK, unmodified, holds a conversation with `kioskd simulate`."""

import json
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
from tests.support.simulate_process import SimulateProcess, simulating

from kioskd.media import pcm

SCRIPT: Final = Path(__file__).parent / "javascript" / "ask.mjs"
SDK: Final = "@google/genai@>=1.0.0 <4"
"""Versions of the SDK: npm takes the newest for its Node (1.0.0 for Node 18, 2.32 for 20, 3.3 for 22)."""
SCENARIO: Final = """
name: one reply
visitor: [press]
service:
  think_s: 0
  replies: [{text: "The stairs are on your left.", heard: "front, center"}]
"""
NO_REGISTRY: Final = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ENETUNREACH", "ETIMEDOUT")
INSTALLING_S: Final = 240.0
CONVERSING_S: Final = 60.0


@pytest.fixture(scope="session")
def sdk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the installed SDK and the script."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not there; apt install nodejs npm")
    folder = tmp_path_factory.mktemp("javascript")
    done = subprocess.run(
        ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", SDK],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=INSTALLING_S,
        check=False,
    )
    if done.returncode and any(code in done.stderr for code in NO_REGISTRY):
        pytest.skip("npm reaches no registry, so the SDK cannot be installed")
    assert done.returncode == 0, done.stderr
    shutil.copy(SCRIPT, folder)
    return folder


def asked(sdk: Path, simulator: SimulateProcess, speech: Path, model: str) -> dict[str, Any]:
    """Ask once, in a shell that has evaluated the output of the command; return the script's output."""
    script = "\n".join([*simulator.shell_lines, 'exec node ask.mjs "$@"'])
    done = subprocess.run(
        ["sh", "-c", script, "sh", model, str(speech)],
        cwd=sdk,
        capture_output=True,
        text=True,
        timeout=CONVERSING_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    got: dict[str, Any] = json.loads(done.stdout)
    return got


def test_a_spoken_question_is_answered_aloud_and_in_writing(sdk: Path, tmp_path: Path, speech: bytes) -> None:
    (tmp_path / "scenario.yaml").write_text(SCENARIO)
    (tmp_path / "question.pcm").write_bytes(speech + bytes(pcm.byte_count(1.0, pcm.UPLINK_HZ)))
    with simulating("--scenario", str(tmp_path / "scenario.yaml")) as simulator:
        got = asked(sdk, simulator, tmp_path / "question.pcm", "gemini-3.8-live")
        simulator.wait_for("ends")
        assert simulator.stop(signal.SIGTERM) == (0, "")
    assert got["turnComplete"]
    assert got["generationComplete"]
    assert (got["input"], got["output"].strip()) == ("front, center", "The stairs are on your left.")
    assert got["mimeTypes"] == ["audio/pcm;rate=24000"]
    assert 0.5 < pcm.duration_s(got["audioBytes"], pcm.DOWNLINK_HZ) < 10
    assert got["tokens"] > 0
    told = [line.split("  ", 1)[1].strip() for line in simulator.told]
    order = [
        "setup accepted",
        "begins to speak",
        "stops speaking",
        "is answered: “The stairs are on your left.”",
        "turn complete: spoken",
    ]
    assert [line for line in told if line in order] == order


def test_a_model_that_the_service_does_not_know_is_refused(sdk: Path, tmp_path: Path) -> None:
    (tmp_path / "nothing.pcm").write_bytes(b"")
    with simulating() as simulator:
        with pytest.raises(AssertionError, match=r"1008.*models/gemini-0-live is not found"):
            asked(sdk, simulator, tmp_path / "nothing.pcm", "gemini-0-live")
        simulator.wait_for("is rejected: 1008 models/gemini-0-live is not found")
