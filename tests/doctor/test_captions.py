"""The check of captions: the page's port, and the terminal."""

import asyncio
import os
import socket

import pytest
from tests.doctor.planting import Kiosk, finding_of
from tests.support.fakes_devices import ManualClock
from tests.support.kiosk import running
from tests.support.until import until

from kioskd.adapters.captions.page_server import CaptionPage
from kioskd.adapters.clock import SystemClock
from kioskd.doctor.checks import examine_one
from kioskd.doctor.finding import Finding, Verdict
from kioskd.flow.captions.caption_board import CaptionBoard

RUN = ("/opt/kioskd/current/bin/python", "/opt/kioskd/current/bin/kioskd", "run")


async def found(kiosk: Kiosk) -> Finding:
    (finding,) = await examine_one("captions", await asyncio.to_thread(kiosk.context))
    return finding


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


async def test_captions_that_are_off_are_not_examined(kiosk: Kiosk) -> None:
    assert (await found(kiosk)).verdict is Verdict.SKIPPED


async def test_a_free_port_is_well(kiosk: Kiosk) -> None:
    kiosk.settings["captions"] = {"port": free_port()}
    finding = await found(kiosk)
    assert finding.verdict is Verdict.OK
    assert "is free" in finding.said


async def test_a_port_of_another_program_is_a_fault(kiosk: Kiosk) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        kiosk.settings["captions"] = {"port": taken.getsockname()[1]}
        assert (await found(kiosk)).fault == "captions-port"


async def test_the_page_of_a_running_daemon_answers(kiosk: Kiosk) -> None:
    page, board = CaptionPage(0, SystemClock()), CaptionBoard(ManualClock(), {})
    kiosk.process(77, *RUN)
    async with running(page.show(board.follow)):
        await until(lambda: page.port != 0)
        kiosk.settings["captions"] = {"port": page.port}
        assert (await found(kiosk)).verdict is Verdict.OK


async def test_a_running_daemon_without_its_page_is_a_fault(kiosk: Kiosk) -> None:
    kiosk.process(77, *RUN)
    kiosk.settings["captions"] = {"port": free_port()}
    assert (await found(kiosk)).fault == "captions-page"


def plant_terminal(kiosk: Kiosk) -> None:
    kiosk.settings["captions"] = {"terminal": "/dev/tty1"}
    kiosk.file("/dev/tty1").chmod(0o620)
    kiosk.unit |= {"DeviceAllow": "/dev/tty1 w", "SupplementaryGroups": "tty"}
    with (kiosk.root / "etc/group").open("a") as groups:
        groups.write(f"tty:x:{os.getgid()}:\n")


async def test_a_terminal_that_the_unit_allows_is_well(kiosk: Kiosk) -> None:
    plant_terminal(kiosk)
    finding = finding_of(await kiosk.examined(), "captions")
    assert (finding.verdict, finding.said) == (Verdict.OK, "kioskd may write captions to /dev/tty1")


@pytest.mark.parametrize(
    ("missing", "fault"),
    [("DeviceAllow", "captions-sandbox"), ("SupplementaryGroups", "captions-permission")],
)
async def test_a_unit_without_the_drop_in_is_a_fault(kiosk: Kiosk, missing: str, fault: str) -> None:
    plant_terminal(kiosk)
    kiosk.groups()  # no other device gives the user the terminal's group
    with (kiosk.root / "etc/group").open("a") as groups:
        groups.write(f"tty:x:{os.getgid()}:\n")
    del kiosk.unit[missing]
    finding = await found(kiosk)
    assert finding.fault == fault
    assert "captions-terminal.conf" in str(finding.remedy)


async def test_a_terminal_that_does_not_exist_is_a_fault(kiosk: Kiosk) -> None:
    kiosk.settings["captions"] = {"terminal": "/dev/tty99"}
    assert (await found(kiosk)).fault == "captions-terminal"
