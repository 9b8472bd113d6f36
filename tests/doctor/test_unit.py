"""The check of the service's unit, and of the faults that the running daemon reports."""

import pytest
from tests.doctor.planting import Kiosk, faults, finding_of

from kioskd import __version__
from kioskd.core.effects import KioskStatus, ShowStatus
from kioskd.doctor.finding import Verdict
from kioskd.errors import Code
from kioskd.flow.reporting.journal import status


@pytest.mark.parametrize(
    ("shown", "fault"),
    [
        (ShowStatus(KioskStatus.FAULT, Code.MICROPHONE, what="USB"), ("microphone", "microphone-missing")),
        (ShowStatus(KioskStatus.FAULT, Code.DEAF), ("microphone", "microphone-silent")),
        (ShowStatus(KioskStatus.FAULT, Code.SPEAKER), ("speaker", "speaker-missing")),
        (ShowStatus(KioskStatus.ASLEEP, Code.STORAGE, what="Input/output error"), ("space", "not-kept")),
        (
            ShowStatus(KioskStatus.ASLEEP, Code.FILE, what="kioskd.yaml:3:5 x"),
            ("settings", "settings-refused"),
        ),
    ],
)
async def test_each_fault_that_a_running_daemon_reports_is_a_finding(
    kiosk: Kiosk, shown: ShowStatus, fault: tuple[str, str]
) -> None:
    kiosk.process(77, "/opt/kioskd/current/bin/python", "/opt/kioskd/current/bin/kioskd", "run")
    kiosk.unit |= {"ActiveState": "active", "StatusText": status(shown)}
    assert faults(await kiosk.examined()) == [fault]


@pytest.mark.parametrize(
    ("said", "verdict"),
    [("4", Verdict.OK), ("0", Verdict.FAULT), ("infinity", Verdict.FAULT), ("", Verdict.FAULT)],
)
async def test_the_watchdog_is_that_of_the_next_start(kiosk: Kiosk, said: str, verdict: Verdict) -> None:
    kiosk.unit |= {"WatchdogUSec": "infinity", "WatchdogSec": said}
    assert finding_of(await kiosk.examined(), "service").verdict is verdict


async def test_a_daemon_of_the_same_version_is_no_fault(kiosk: Kiosk) -> None:
    kiosk.unit |= {"ActiveState": "active", "StatusText": "Asleep"}
    kiosk.program("kioskd", f"""echo '{{"version": "{__version__}"}}'""")
    found = finding_of(await kiosk.examined(), "service")
    assert (found.verdict, found.said.endswith("active: Asleep")) == (Verdict.OK, True)


async def test_the_last_status_of_a_stopped_daemon_is_not_repeated(kiosk: Kiosk) -> None:
    kiosk.unit["StatusText"] = "Asleep"
    assert "Asleep" not in finding_of(await kiosk.examined(), "service").said


async def test_faults_that_a_stopped_daemon_reported_are_ignored(kiosk: Kiosk) -> None:
    kiosk.unit["StatusText"] = status(ShowStatus(KioskStatus.ASLEEP, Code.STORAGE, what="Input/output error"))
    assert faults(await kiosk.examined()) == []


async def test_a_failed_daemon_is_reported_with_its_last_status(kiosk: Kiosk) -> None:
    kiosk.unit |= {"ActiveState": "failed", "Result": "exit-code", "StatusText": "service key: there is none"}
    assert finding_of(await kiosk.examined(), "service").said.endswith(
        "its last words to systemd: service key: there is none"
    )
