"""The tests that are marked `hardware`, in a machine that has the hardware."""

import xml.etree.ElementTree as ET
from typing import Final

from tests.support.rootfs import CHECKOUT
from tests.support.vm_image import SOURCE, TESTS_PYTHON
from tests.vm import report
from tests.vm.installed import source_files
from tests.vm.kiosk import Kiosk

SLOWER: Final = 15
"""How much slower Python is in the machine than outside."""
LONGEST_S: Final = 3600.0
_MICROPHONE, _SPEAKER = "tests.contract.test_microphone::", "tests.contract.test_speaker::"
IMPOSSIBLE: Final = {
    f"{_MICROPHONE}test_the_last_frame_is_filled_up_with_silence[real]": "no card has a last frame",
    f"{_SPEAKER}test_it_plays_what_it_is_given_sample_by_sample[real]": "no card tells what it has played",
    f"{_SPEAKER}test_two_plays_are_heard_one_after_the_other[real]": "no card tells what it has played",
}
"""What no machine with sound cards can have, and why."""
ASOUND: Final = (
    'pcm.!default { type asym capture.pcm "plughw:CARD=Mic,DEV=1" playback.pcm "plughw:CARD=Spk,DEV=0" }\n'
)


def test_all_hardware_tests_pass_and_none_is_skipped_without_need(here: Kiosk) -> None:
    here.machine.sh("systemctl stop kioskd")  # the tests want the devices
    here.machine.write("/etc/asound.conf", ASOUND)
    here.machine.push(source_files(), CHECKOUT, SOURCE)
    done = here.machine.sh(
        f"cd {SOURCE}; KIOSKD_PATIENCE={SLOWER} {TESTS_PYTHON} -m pytest -q -m hardware --timeout=900"
        " --junit-xml=/run/hardware.xml tests/contract tests/adapters 2>&1 || true",
        within_s=LONGEST_S,
    )
    results = [
        Result(case) for case in ET.fromstring(here.machine.read("/run/hardware.xml")).iter("testcase")
    ]
    for result in results:
        report.lines.append(str(result))
    assert results, done
    assert not [result.name for result in results if result.kind == "failed"], done
    assert not [result.name for result in results if result.kind == "skipped" and not result.impossible]


class Result:
    """How a test in the machine went."""

    def __init__(self, case: ET.Element) -> None:
        self.name = f"{case.get('classname', '')}::{case.get('name', '')}"
        self.seconds = float(case.get("time", 0))
        self.kind, self.why = "passed", ""
        for tag, kind in (("skipped", "skipped"), ("failure", "failed"), ("error", "failed")):
            if (found := case.find(tag)) is not None:
                self.kind, self.why = kind, found.get("message", "")

    @property
    def impossible(self) -> bool:
        """Whether no virtual machine can run it."""
        return self.name in IMPOSSIBLE

    def __str__(self) -> str:
        why = f" ({self.why.splitlines()[0][:200]})" if self.why else ""
        return f"{self.seconds:6.0f} s  in the machine: {self.kind} {self.name}{why}"
