"""Checks that are skipped, and the reasons that they give."""

from tests.doctor.planting import Kiosk, faults, finding_of

from kioskd.doctor.finding import Verdict


async def test_devices_of_a_daemon_that_runs_are_left_alone(kiosk: Kiosk) -> None:
    kiosk.process(77, "/opt/kioskd/current/bin/python", "/opt/kioskd/current/bin/kioskd", "run")
    kiosk.hold(0, "pcm0c", 77)
    findings = await kiosk.examined()
    assert faults(findings) == []
    left = {one.check for one in findings if "process 77" in one.said}
    assert left == {"microphone", "speaker", "echo", "camera", "button", "reader", "presence", "lamp"}
    assert finding_of(findings, "session").verdict is Verdict.OK
    assert kiosk.camera.starts == 0
    assert not kiosk.speaker.heard


async def test_checks_that_depend_on_a_failed_check_are_skipped(kiosk: Kiosk) -> None:
    kiosk.settings["service"]["endpoint"] = "https://127.0.0.1:1"
    findings = await kiosk.examined()
    assert finding_of(findings, "session").said == "waits until this is mended: tls"
    kiosk.broken = "- no settings"
    said = finding_of(await kiosk.examined(), "session").said
    assert said == "waits until this is mended: libraries, key, tls"


async def test_a_machine_without_systemd_and_without_a_pi_is_no_fault(kiosk: Kiosk) -> None:
    (kiosk.root / "run/systemd/system/here").unlink()
    (kiosk.root / "run/systemd/system").rmdir()
    (kiosk.root / "sys/devices/platform/soc/soc:firmware/get_throttled").unlink()
    (kiosk.root / "sys/class/thermal/thermal_zone0/temp").unlink()
    kiosk.program("timedatectl", "exit 1")
    findings = await kiosk.examined()
    assert faults(findings) == []
    for check in ("service", "sandbox", "power", "temperature", "clock"):
        assert finding_of(findings, check).verdict is Verdict.SKIPPED
