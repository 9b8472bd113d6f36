"""The machine for the tests of a file.

They run in order, and each leaves the kiosk asleep and in working order.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from tests.support import vm_image
from tests.support.slow import SLOW
from tests.vm import report
from tests.vm.installed import Way, installed
from tests.vm.kiosk import Kiosk, kiosk

LONGEST_S: Final = 7200
"""Seconds for one test, with its fixtures."""


def left_out() -> str | None:
    """Return why these tests are left out; None if they run."""
    wanted = SLOW or "KIOSKD_VM" in os.environ
    return None if wanted else "takes most of an hour; scripts/test-vm has it run, and so does KIOSKD_SLOW=1"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give these tests the time that an emulated machine takes."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(LONGEST_S))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the times of the parts, and the tests that ran in the machine."""
    if report.lines:
        terminalreporter.section("in the virtual machine")
        for line in report.lines:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def image() -> Path:
    """Return the folder with the machine's kernel."""
    if lacking := left_out() or vm_image.missing():
        pytest.skip(lacking)
    with report.timed("the disk, from Debian's packages (kept)"):
        return vm_image.image()


@pytest.fixture(scope="session")
def disk(image: Path) -> Path:
    """Return the disk with kioskd on it."""
    way: Way = "container" if os.environ.get("KIOSKD_VM") == "short" else "machine"
    with report.timed(f"scripts/install.sh in the {way} (kept)"):
        return installed(way)


@pytest.fixture(scope="module")
def booted(request: pytest.FixtureRequest, image: Path, disk: Path) -> Iterator[Kiosk]:
    """Return a kiosk that has booted. Its daemon may still be starting."""
    name = request.path.name
    with report.timed(f"{name}, with its boots"), kiosk(image, disk) as it:
        report.lines.append(f"{it.machine.booted_in_s:6.0f} s  {name}: the boot")
        yield it


@pytest.fixture(scope="module")
def here(request: pytest.FixtureRequest, booted: Kiosk) -> Kiosk:
    """Return a kiosk that has booted, and whose daemon runs."""
    with report.timed(f"{request.path.name}: from the boot to a daemon that runs"):
        booted.starts()
    return booted
