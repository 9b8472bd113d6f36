"""What the checks say beside faults: what is fitting, what is skipped, and why."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.doctor.planting import Kiosk, faults

from kioskd import __version__
from kioskd.core.effects import KioskStatus, ShowStatus
from kioskd.doctor.access import permissions
from kioskd.doctor.audio import fitting
from kioskd.doctor.credential import PLAIN
from kioskd.doctor.files import files
from kioskd.doctor.finding import Finding, Verdict
from kioskd.errors import Code
from kioskd.flow.reporting.journal import status
from kioskd.simulator import Reply, ServiceScript, Simulator


@pytest.fixture
async def kiosk(tmp_path: Path) -> AsyncIterator[Kiosk]:
    async with Simulator(ServiceScript(replies=(Reply(silent=True),))) as service:
        yield Kiosk(tmp_path, service)


def of(findings: list[Finding], check: str) -> Finding:
    [found] = [one for one in findings if one.check == check]
    return found


@pytest.mark.parametrize(
    ("delay_s", "return_db", "mode"),
    [
        (0.08, -10.0, "cancel"),
        (0.30, 0.0, "cancel"),
        (0.08, 6.0, "half_duplex"),
        (0.70, -10.0, "half_duplex"),
        (0.08, -40.0, "hardware"),
        (0.70, -40.0, "hardware"),
    ],
)
def test_the_echo_mode_follows_from_what_was_measured(delay_s: float, return_db: float, mode: str) -> None:
    assert fitting(delay_s, return_db)[0] == mode


async def test_a_better_echo_mode_is_recommended_and_half_duplex_is_no_fault(kiosk: Kiosk) -> None:
    findings = await kiosk.examined()
    echo = of(findings, "echo")
    assert echo.verdict is Verdict.NOTE
    assert echo.remedy == "set microphone.echo: cancel"
    assert echo.figures["recommended"] == "cancel"
    assert float(echo.figures["return_db"]) == pytest.approx(-10, abs=2)
    # The microphone's delay, and the part of a frame for which it waits.
    assert float(echo.figures["delay_ms"]) == pytest.approx(80, abs=40)


async def test_a_mode_that_fits_is_confirmed(kiosk: Kiosk) -> None:
    kiosk.settings["microphone"]["echo"] = "cancel"
    assert of(await kiosk.examined(), "echo").verdict is Verdict.OK


async def test_a_card_that_cancels_echo_is_believed(kiosk: Kiosk) -> None:
    kiosk.settings["microphone"]["echo"] = "hardware"
    kiosk.microphone.return_db = -200
    assert of(await kiosk.examined(), "echo").verdict is Verdict.OK


async def test_what_somebody_hears_and_the_microphone_does_not_is_cancelled(kiosk: Kiosk) -> None:
    kiosk.microphone.return_db = -200
    echo = of(await kiosk.examined(), "echo")
    assert (echo.verdict, echo.remedy is not None and "hardware" in echo.remedy) == (Verdict.NOTE, True)


async def test_without_anybody_there_buttons_and_lamps_are_opened_only(kiosk: Kiosk) -> None:
    kiosk.asking = False
    findings = await kiosk.examined()
    assert faults(findings) == []
    assert "nobody was asked" in of(findings, "button").said
    assert "nobody was asked" in of(findings, "lamp").said
    assert kiosk.lamp.shown.count("listening") == 1


async def test_somebody_is_asked_to_press_and_to_look(kiosk: Kiosk) -> None:
    await kiosk.examined()
    assert [text.split()[0] for text in kiosk.bystander.told] == ["Press", "Look", "Did"]
    assert kiosk.lamp.shown.count("listening") == 3


async def test_devices_of_a_daemon_that_runs_are_left_alone(kiosk: Kiosk) -> None:
    kiosk.process(77, "/opt/kioskd/current/bin/python", "/opt/kioskd/current/bin/kioskd", "run")
    kiosk.hold(0, "pcm0c", 77)
    findings = await kiosk.examined()
    assert faults(findings) == []
    left = {one.check for one in findings if "process 77" in one.said}
    assert left == {"microphone", "speaker", "echo", "camera", "button", "lamp"}
    assert of(findings, "session").verdict is Verdict.OK
    assert kiosk.camera.starts == 0
    assert not kiosk.speaker.heard


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
async def test_a_daemon_that_runs_is_believed_about_what_it_misses(
    kiosk: Kiosk, shown: ShowStatus, fault: tuple[str, str]
) -> None:
    kiosk.process(77, "/opt/kioskd/current/bin/python", "/opt/kioskd/current/bin/kioskd", "run")
    kiosk.unit |= {"ActiveState": "active", "StatusText": status(shown)}
    assert faults(await kiosk.examined()) == [fault]


async def test_a_tool_that_the_service_refuses_is_named_with_its_place(kiosk: Kiosk) -> None:
    kiosk.settings["tools"] = [
        {"kind": "http", "name": name, "description": "D", "url": "http://127.0.0.1/x"}
        for name in ("tell_time", "open_door")
    ]
    async with Simulator(ServiceScript(refused_functions=("open_*",), key=kiosk.service.key)) as refusing:
        ca_file = kiosk.file("/etc/kioskd/ca.pem", refusing.ca_file.read_text())
        kiosk.settings["service"] |= {"endpoint": refusing.endpoint, "ca_file": str(ca_file)}
        session = of(await kiosk.examined(), "session")
    assert session.verdict is Verdict.NOTE
    assert (
        "without tools that the service refuses: open_door, set at tools.1 (http open_door)" in session.said
    )
    assert "tell_time" not in session.said


async def test_what_a_fault_explains_is_not_looked_at(kiosk: Kiosk) -> None:
    kiosk.settings["service"]["endpoint"] = "https://127.0.0.1:1"
    findings = await kiosk.examined()
    assert of(findings, "session").said == "comes after: tls"
    kiosk.broken = "- no settings"
    assert of(await kiosk.examined(), "session").said == "comes after: libraries, key, tls"


async def test_a_sound_server_that_shares_its_cards_is_no_fault(kiosk: Kiosk) -> None:
    kiosk.settings["speaker"]["device"] = "default"
    kiosk.process(800, "/usr/bin/pipewire", comm="pipewire")
    kiosk.hold(1, "pcm0p", 800)
    found = of(await kiosk.examined(), "cards")
    assert (found.verdict, "pipewire" in found.said) == (Verdict.NOTE, True)


async def test_a_card_is_known_by_its_own_name_too(kiosk: Kiosk) -> None:
    kiosk.settings["speaker"]["device"] = "Spk: Audio"
    kiosk.process(801, "/usr/bin/pulseaudio", comm="pulseaudio")
    kiosk.process(800, "thread")
    kiosk.file("/proc/800/status", "Name:\talsa\nTgid:\t801\n")
    kiosk.hold(1, "pcm0p", 800)
    found = of(await kiosk.examined(), "cards")
    assert (found.fault, "pulseaudio (process 801)" in found.said) == ("card-held", True)


@pytest.mark.parametrize(
    ("device", "verdict"),
    [
        ("hw:CARD=mic,DEV=0", Verdict.OK),
        ("hw:CARD=spk,DEV=1", Verdict.OK),
        ("hw:CARD=spk,DEV=0", Verdict.FAULT),
        ("hw:spk", Verdict.FAULT),
        ("default", Verdict.FAULT),
    ],
)
async def test_a_card_that_the_settings_do_not_name_may_be_held_by_anything(
    kiosk: Kiosk, device: str, verdict: Verdict
) -> None:
    kiosk.settings["speaker"]["device"] = device
    kiosk.process(800, "/usr/bin/aplay", comm="aplay")
    kiosk.hold(1, "pcm0p", 800)
    assert of(await kiosk.examined(), "cards").verdict is verdict


def running(kiosk: Kiosk, *, written: int, seconds: float) -> None:
    """Have a daemon run for so long, and have it written so many bytes."""
    kiosk.process(77, "python", "/opt/kioskd/current/bin/kioskd", "run")
    kiosk.file("/proc/77/io", f"rchar: 9\nwrite_bytes: {written}\ncancelled_write_bytes: 0\n")
    started = round((100_000 - seconds) * 100)
    kiosk.file("/proc/77/stat", f"77 (kioskd) S {' '.join(['0'] * 18)} {started} 0 0\n")


@pytest.mark.parametrize(
    ("written", "verdict"), [(0, Verdict.OK), (600_000, Verdict.OK), (60_000_000, Verdict.FAULT)]
)
async def test_a_daemon_that_writes_much_is_told_by_its_whole_life(
    kiosk: Kiosk, written: int, verdict: Verdict
) -> None:
    running(kiosk, written=written, seconds=600)
    found = of(await kiosk.examined(), "wear")
    assert found.verdict is verdict
    assert found.figures["bytes_a_minute"] == written / 10


async def test_prompts_that_are_made_at_the_first_start_are_no_wear(kiosk: Kiosk) -> None:
    running(kiosk, written=3_000_000, seconds=90)
    assert of(await kiosk.examined(), "wear").fault == "writes-much"
    kiosk.file("/var/cache/kioskd/prompts/a.prompt", "p" * 2_990_000)
    assert of(await kiosk.examined(), "wear").verdict is Verdict.OK


async def test_a_daemon_that_has_just_started_is_not_judged(kiosk: Kiosk) -> None:
    running(kiosk, written=60_000_000, seconds=20)
    assert of(await kiosk.examined(), "wear").verdict is Verdict.SKIPPED


async def test_a_minute_of_writing_is_measured_where_it_is_asked_for(kiosk: Kiosk) -> None:
    running(kiosk, written=10_000_000, seconds=600)
    kiosk.wear = True
    clock = kiosk.clock
    began = clock.now()

    def write() -> None:
        running(kiosk, written=10_200_000, seconds=600)

    clock.call_later(30.0, write)
    found = of(await kiosk.examined(), "wear")
    assert clock.now() - began >= 60
    assert (found.fault, found.figures["bytes_a_minute"]) == ("writes-much", 200_000)


async def test_a_machine_without_systemd_and_without_a_pi_is_no_fault(kiosk: Kiosk) -> None:
    (kiosk.root / "run/systemd/system/here").unlink()
    (kiosk.root / "run/systemd/system").rmdir()
    (kiosk.root / "sys/devices/platform/soc/soc:firmware/get_throttled").unlink()
    (kiosk.root / "sys/class/thermal/thermal_zone0/temp").unlink()
    kiosk.program("timedatectl", "exit 1")
    findings = await kiosk.examined()
    assert faults(findings) == []
    for check in ("service", "sandbox", "power", "temperature", "clock"):
        assert of(findings, check).verdict is Verdict.SKIPPED


async def test_files_of_settings_that_are_not_the_services_own_are_not_judged(kiosk: Kiosk) -> None:
    kiosk.settings["assistant"] = {"pictures": [str(kiosk.file("/home/pi/map.jpg"))]}
    patient = kiosk.patient()
    own = replace(patient, path=kiosk.file("/home/pi/kiosk.yaml"))
    assert [one.fault for one in files(patient)] == ["file-hidden"]
    assert [one.verdict for one in files(own)] == [Verdict.SKIPPED]


@pytest.mark.parametrize("place", ["/var/lib/kioskd/recordings", "/srv/kiosk/recordings"])
async def test_recordings_may_go_where_the_unit_may_write(kiosk: Kiosk, place: str) -> None:
    kiosk.unit["ReadWritePaths"] = "-/sys/devices /srv/kiosk"
    folder = str(kiosk.root / place.lstrip("/"))
    kiosk.settings["privacy"] = {"recordings": {"folder": folder, "keep_days": 1, "most_mb": 10}}
    assert faults(await kiosk.examined()) == []


async def test_a_device_of_root_alone_is_not_answered_by_making_kioskd_a_member_of_roots_group(
    kiosk: Kiosk,
) -> None:
    (kiosk.root / "dev/gpiochip0").chmod(0o600)
    assert 'GROUP="kioskd", MODE="0660"' in str(of(await kiosk.examined(), "permissions").remedy)


@pytest.mark.parametrize(
    ("node", "camera", "rule"),
    [
        ("gpiochip0", "off", 'SUBSYSTEM=="gpio", KERNEL=="gpiochip*"'),
        ("video0", "v4l2:Webcam", 'SUBSYSTEM=="video4linux", KERNEL=="video*"'),
        ("media3", "picamera", 'SUBSYSTEM=="media", KERNEL=="media*"'),
        ("dma_heap/linux,cma", "picamera", 'SUBSYSTEM=="dma_heap", KERNEL=="*"'),
        ("snd/pcmC1D0p", "off", 'SUBSYSTEM=="sound", KERNEL=="pcm*"'),
        ("snd/controlC0", "off", 'SUBSYSTEM=="sound", KERNEL=="control*"'),
        ("input/event7", "off", 'SUBSYSTEM=="input", KERNEL=="event*"'),
    ],
)
def test_a_rule_for_a_device_holds_when_it_comes_back_with_another_number(
    kiosk: Kiosk, node: str, camera: str, rule: str
) -> None:
    kiosk.settings["camera"] = {"source": camera}
    kiosk.settings["controls"]["buttons"] = [{"source": "evdev:Pedal/KEY_A", "does": "end"}]
    kiosk.file(f"/dev/{node}").chmod(0o600)
    (found,) = permissions(kiosk.patient())
    assert f"{rule}, GROUP=" in str(found.remedy)
    assert not re.search(r"KERNEL==\S*[0-9]", str(found.remedy)), "a number changes with each replug"


@pytest.mark.parametrize("node", ["dma_heap/linux,cma", "media0"])
def test_a_camera_by_v4l2_asks_for_nothing_that_only_picamera_opens(kiosk: Kiosk, node: str) -> None:
    kiosk.file(f"/dev/{node}").chmod(0o600)
    assert [one.fault for one in permissions(kiosk.patient())] == [None]
    kiosk.settings["camera"] = {"source": "picamera"}
    assert [one.fault for one in permissions(kiosk.patient())] == ["device-permission"]


@pytest.mark.parametrize(
    ("said", "verdict"),
    [("4", Verdict.OK), ("0", Verdict.FAULT), ("infinity", Verdict.FAULT), ("", Verdict.FAULT)],
)
async def test_the_watchdog_is_that_of_the_next_start(kiosk: Kiosk, said: str, verdict: Verdict) -> None:
    kiosk.unit |= {"WatchdogUSec": "infinity", "WatchdogSec": said}
    assert of(await kiosk.examined(), "service").verdict is verdict


async def test_a_daemon_of_the_same_version_is_well(kiosk: Kiosk) -> None:
    kiosk.unit |= {"ActiveState": "active", "StatusText": "Asleep"}
    kiosk.program("kioskd", f"""echo '{{"version": "{__version__}"}}'""")
    found = of(await kiosk.examined(), "service")
    assert (found.verdict, found.said.endswith("active: Asleep")) == (Verdict.OK, True)


async def test_what_a_stopped_daemon_said_last_is_not_repeated(kiosk: Kiosk) -> None:
    kiosk.unit["StatusText"] = "Asleep"
    assert "Asleep" not in of(await kiosk.examined(), "service").said


async def test_a_daemon_that_was_killed_is_not_believed_about_what_it_missed(kiosk: Kiosk) -> None:
    kiosk.unit["StatusText"] = status(ShowStatus(KioskStatus.ASLEEP, Code.STORAGE, what="Input/output error"))
    assert faults(await kiosk.examined()) == []


async def test_why_a_daemon_has_failed_is_told_in_its_own_last_words(kiosk: Kiosk) -> None:
    kiosk.unit |= {"ActiveState": "failed", "Result": "exit-code", "StatusText": "service key: there is none"}
    assert of(await kiosk.examined(), "service").said.endswith("its last words: service key: there is none")


async def test_a_machine_that_cannot_ask_time_servers_is_told_what_to_install(kiosk: Kiosk) -> None:
    kiosk.program("timedatectl", "printf 'NTP=no\\nNTPSynchronized=no\\nCanNTP=no\\n'")
    assert of(await kiosk.examined(), "clock").remedy == "sudo apt install systemd-timesyncd"


async def test_a_machine_that_is_busy_for_once_makes_no_wrong_rate(kiosk: Kiosk) -> None:
    kiosk.microphone.held_up = 1
    assert faults(await kiosk.examined()) == []
    assert kiosk.microphone.held_up == 0


async def test_warm_is_worth_a_note(kiosk: Kiosk) -> None:
    kiosk.file("/sys/class/thermal/thermal_zone0/temp", "72000\n")
    assert of(await kiosk.examined(), "temperature").verdict is Verdict.NOTE


async def test_a_plain_key_that_the_unit_takes_is_no_fault(kiosk: Kiosk) -> None:
    kiosk.file(PLAIN, kiosk.environ.pop("GEMINI_API_KEY"))
    kiosk.unit["LoadCredential"] = "gemini-api-key"
    assert of(await kiosk.examined(), "key").verdict is Verdict.OK
