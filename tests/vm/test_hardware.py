"""The tests that are marked `hardware`, in a machine that has the hardware."""

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Final

from tests.support.checkout import source_files
from tests.support.rootfs import CHECKOUT
from tests.support.vm_image import SOURCE, TESTS_PYTHON
from tests.vm import report
from tests.vm.kiosk import Kiosk

SLOWER: Final = 4
"""How much slower Python is by the machine's clock than outside."""
LONGEST_S: Final = 3600.0
IMPOSSIBLE: Final = {
    "test_microphone::test_the_last_frame_is_filled_with_silence[real]": "no card has a last frame",
    "test_speaker::test_the_source_is_played_sample_by_sample[real]": "no card tells what it has played",
    "test_speaker::test_two_plays_are_heard_one_after_the_other[real]": "no card tells what it has played",
    "test_camera::test_a_camera_runs_only_during_a_look[webcam]": "no webcam tells whether it runs",
    "test_camera::test_an_unplugged_camera_is_lost_and_works_when_it_is_back[webcam]": (
        "the kernel keeps v4l2loopback for as long as it is open"
    ),
    "test_camera::test_an_unplugged_camera_is_lost_and_works_when_it_is_back[picamera]": (
        "libcamera's virtual camera has no plug; tests/vm/test_cameras.py pulls vimc"
    ),
}
"""Hardware that no virtual machine can have, each with the reason."""


def test_all_hardware_tests_pass_and_none_is_skipped_without_need(booted: Kiosk) -> None:
    # The tests need the devices for themselves. vimc also has nodes that look like a webcam, and are none.
    booted.machine.sh("systemctl stop kioskd room; modprobe -r vimc")
    booted.machine.push(source_files(), CHECKOUT, SOURCE)
    # Only the files with such tests: the machine would take minutes to read the others.
    files = [path for path in source_files("tests") if "mark.hardware" in path.read_text(errors="replace")]
    names = " ".join(
        str(path.relative_to(CHECKOUT))
        for path in files
        if path.name.startswith("test_") and path != Path(__file__)
    )
    done = booted.machine.sh(
        f"cd {SOURCE}; KIOSKD_PATIENCE={SLOWER} {TESTS_PYTHON} -m pytest -q -m hardware --timeout=900"
        f" --junit-xml=/run/hardware.xml {names} 2>&1 || true",
        within_s=LONGEST_S,
    )
    results = [
        Result(case) for case in ET.fromstring(booted.machine.read("/run/hardware.xml")).iter("testcase")
    ]
    for result in results:
        report.lines.append(str(result))
    assert results, done
    assert not [result.name for result in results if result.kind == "failed"], done
    assert not [result.name for result in results if result.kind == "skipped" and not result.impossible]


class Result:
    """Result of a test in the machine."""

    def __init__(self, case: ET.Element) -> None:
        self.name = f"{case.get('classname', '').rpartition('.')[2]}::{case.get('name', '')}"
        self.seconds = float(case.get("time", 0))
        self.kind, self.why = "passed", ""
        for tag, kind in (("skipped", "skipped"), ("failure", "failed"), ("error", "failed")):
            if (found := case.find(tag)) is not None:
                self.kind, self.why = kind, found.get("message", "")

    @property
    def impossible(self) -> bool:
        """Return whether it is skipped because no virtual machine can run it."""
        return self.kind == "skipped" and self.name in IMPOSSIBLE

    def __str__(self) -> str:
        first, *_ = [IMPOSSIBLE[self.name]] if self.impossible else self.why.splitlines() or [""]
        why = f" ({first[:200]})" if first else ""
        return f"{self.seconds:6.0f} s  in the machine: {self.kind} {self.name}{why}"
