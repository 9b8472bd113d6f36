"""The command `kioskd rehearse`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCENARIO = """
name: two presses
settings: {conversation: {wake: [button]}}
visitor:
  - press
  - wait: {for: listening}
  - press
  - wait: {for: asleep}
expect:
  - {what: conversations, is: EXPECTED}
"""


def kioskd(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "kioskd", "rehearse", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def scenario(folder: Path, expected: int) -> str:
    path = folder / "scenario.yaml"
    path.write_text(SCENARIO.replace("EXPECTED", str(expected)))
    return str(path)


def test_people_see_progress_measured_values_and_the_names_of_the_files(tmp_path: Path) -> None:
    done = kioskd("--scenario", scenario(tmp_path, 1), "--out", "report", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("two presses\n")
    for words in (
        "presses the button",
        "connected (epoch 1)",
        "✓ conversations is 1: 1",
        "report/timeline.png",
    ):
        assert words in done.stdout
    assert "✗" not in done.stdout


def test_settings_that_the_scenario_replaces_are_printed(tmp_path: Path) -> None:
    (tmp_path / "kioskd.yaml").write_text("conversation: {wake: [voice], idle_s: 30}\n")
    done = kioskd(
        *("--scenario", scenario(tmp_path, 1), "--config", "kioskd.yaml", "--out", "report"), folder=tmp_path
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "\nthis scenario replaces your own settings of: conversation.wake\n" in done.stdout


def test_programs_get_the_summary_and_an_unmet_expectation_is_exit_1(tmp_path: Path) -> None:
    done = kioskd("--scenario", scenario(tmp_path, 2), "--json", folder=tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    summary = json.loads(done.stdout)
    assert summary["expectations"][-1] == {"text": "conversations is 2: 1", "met": False}
    (folder,) = (tmp_path / "out").iterdir()
    assert json.loads((folder / "summary.json").read_text()) == summary


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--scenario", "none.yaml"], "none.yaml: there is no such scenario"),
        (["--config", "none.yaml"], "none.yaml: there is no such file; create it"),
        (["--scenario", "bad.yaml"], "bad.yaml:2:1 visitors: is not a setting; did you mean visitor?"),
        (["--out", "."], "holds files that a rehearsal did not write"),
    ],
)
def test_a_fault_that_a_person_can_mend_is_one_line_and_exit_code_78(
    tmp_path: Path, arguments: list[str], words: str
) -> None:
    (tmp_path / "bad.yaml").write_text("name: x\nvisitors: [press]\n")
    done = kioskd(*arguments, folder=tmp_path)
    assert done.returncode == 78
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_the_owners_configuration_is_used_without_its_key(tmp_path: Path) -> None:
    (tmp_path / "kioskd.yaml").write_text(
        "microphone: {preroll_ms: 0}\nservice: {key_file: not-even-there}\n"
    )
    done = kioskd("--config", "kioskd.yaml", "--scenario", scenario(tmp_path, 1), "--json", folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    events = [json.loads(line) for line in next(tmp_path.glob("out/*/events.jsonl")).read_text().splitlines()]
    dial = next(event for event in events if event["what"] == "Dial")
    assert dial.keys() == {"t", "by", "what", "epoch", "with_handle", "recall", "profile"}
    issued = next(event for event in events if event["what"] == "HandleIssued" and event["by"] == "daemon")
    assert issued.keys() == {"t", "by", "what", "epoch", "with_handle"}
