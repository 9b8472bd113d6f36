"""Faults planted in a healthy kiosk, one at a time: doctor finds this fault and no other."""

import importlib.util
from collections.abc import Callable

import pytest
from PIL import Image
from tests.doctor.planting import Kiosk, faults
from tests.support.pictures import encoded

from kioskd.adapters.fakes.devices import MemoryButton
from kioskd.doctor.credential import PLAIN
from kioskd.doctor.finding import Verdict
from kioskd.simulator import Reply, ScriptedFault, ServiceScript

Plant = Callable[[Kiosk], None]

SILENT = ServiceScript(replies=(Reply(silent=True),))


PLANTED: list[tuple[str, str, Plant]] = []


def plants(check: str, fault: str) -> Callable[[Plant], Plant]:
    """Mark a function that plants a fault; `check` has to find it under the name `fault`."""

    def mark(plant: Plant) -> Plant:
        PLANTED.append((check, fault, plant))
        return plant

    return mark


# The file, and what it needs


@plants("settings", "settings")
def a_misspelt_setting(kiosk: Kiosk) -> None:
    kiosk.settings["conversation"] = {"idle": 3}


@plants("settings", "settings")
def a_file_that_is_no_yaml(kiosk: Kiosk) -> None:
    kiosk.broken = "service: [\n"


@plants("settings", "settings")
def a_button_that_wakes_and_is_not_there(kiosk: Kiosk) -> None:
    del kiosk.settings["controls"]["button"]


@plants("settings", "settings")
def a_key_file_open_to_all(kiosk: Kiosk) -> None:
    kiosk.file("/etc/kioskd/key", "secret").chmod(0o644)
    kiosk.settings["service"]["key_file"] = str(kiosk.root / "etc/kioskd/key")


@plants("libraries", "library-missing")
def a_library_that_is_not_installed(kiosk: Kiosk) -> None:
    if importlib.util.find_spec("picamera2"):
        pytest.skip("picamera2 is here")
    kiosk.settings["camera"]["source"] = "picamera"


@plants("bytecode", "not-compiled")
def a_release_without_bytecode(kiosk: Kiosk) -> None:
    package = "/opt/kioskd/current/lib/python3.11/site-packages/kioskd"
    kiosk.file(f"{package}/errors.py")
    kiosk.file(f"{package}/logs.py")
    kiosk.file(f"{package}/__pycache__/logs.cpython-311.pyc")


# The service of the machine


@plants("service", "unit-missing")
def no_unit(kiosk: Kiosk) -> None:
    kiosk.unit = {"LoadState": "not-found"}


@plants("service", "unit-masked")
def a_masked_unit(kiosk: Kiosk) -> None:
    kiosk.unit = {"LoadState": "masked"}


@plants("service", "unit-unusable")
def a_unit_with_a_mistake(kiosk: Kiosk) -> None:
    kiosk.unit = {"LoadState": "bad-setting"}


@plants("service", "unit-changed")
def a_unit_that_was_changed_and_not_read_again(kiosk: Kiosk) -> None:
    kiosk.unit["NeedDaemonReload"] = "yes"


@plants("service", "other-version")
def an_upgrade_without_a_restart(kiosk: Kiosk) -> None:
    kiosk.unit["ActiveState"] = "active"
    kiosk.program("kioskd", """echo '{"version": "0.0.1"}'""")


@plants("service", "unit-failed")
def a_unit_that_has_failed(kiosk: Kiosk) -> None:
    kiosk.unit |= {"ActiveState": "failed", "Result": "exit-code"}


@plants("service", "unit-failed")
def a_unit_that_is_about_to_be_started_once_more(kiosk: Kiosk) -> None:
    kiosk.unit |= {"ActiveState": "activating", "SubState": "auto-restart", "Result": "signal"}


@plants("service", "unit-failed")
def a_unit_that_was_just_started_once_more(kiosk: Kiosk) -> None:
    kiosk.unit |= {"ActiveState": "activating", "SubState": "start", "NRestarts": "7", "Result": "exit-code"}


@plants("service", "unit-not-enabled")
def a_unit_that_does_not_start_with_the_machine(kiosk: Kiosk) -> None:
    kiosk.unit["UnitFileState"] = "disabled"


@plants("service", "unit-unwatched")
def a_unit_without_a_watchdog(kiosk: Kiosk) -> None:
    kiosk.unit["WatchdogSec"] = "0"


@plants("sandbox", "not-sandboxed")
def a_unit_that_may_write_anywhere(kiosk: Kiosk) -> None:
    kiosk.unit["ProtectSystem"] = "no"


@plants("sandbox", "not-sandboxed")
def a_unit_that_may_dump_its_memory(kiosk: Kiosk) -> None:
    kiosk.unit["LimitCORE"] = "infinity"


@plants("sandbox", "runs-as-root")
def a_unit_of_root(kiosk: Kiosk) -> None:
    kiosk.unit["User"] = ""


# The machine


@plants("power", "under-voltage")
def a_supply_that_is_too_weak(kiosk: Kiosk) -> None:
    kiosk.file("/sys/devices/platform/soc/soc:firmware/get_throttled", "50005\n")


@plants("power", "was-under-voltage")
def a_supply_that_was_too_weak_for_a_moment(kiosk: Kiosk) -> None:
    kiosk.file("/sys/devices/platform/soc/soc:firmware/get_throttled", "50000\n")


@plants("power", "under-voltage")
def a_weak_supply_that_only_vcgencmd_tells_of(kiosk: Kiosk) -> None:
    (kiosk.root / "sys/devices/platform/soc/soc:firmware/get_throttled").unlink()
    kiosk.program("vcgencmd", "echo throttled=0x1")


@plants("power", "under-voltage")
def a_weak_supply_that_only_the_kernel_tells_of(kiosk: Kiosk) -> None:
    (kiosk.root / "sys/devices/platform/soc/soc:firmware/get_throttled").unlink()
    kiosk.file("/sys/class/hwmon/hwmon1/name", "rpi_volt\n")
    kiosk.file("/sys/class/hwmon/hwmon1/in0_lcrit_alarm", "1\n")


@plants("temperature", "too-hot")
def a_case_in_the_sun(kiosk: Kiosk) -> None:
    kiosk.file("/sys/class/thermal/thermal_zone0/temp", "83100\n")


@plants("space", "disk-full")
def a_full_disk(kiosk: Kiosk) -> None:
    kiosk.free_mb = 12


@plants("space", "disk-read-only")
def a_disk_that_is_read_only(kiosk: Kiosk) -> None:
    kiosk.read_only = True


@plants("clock", "clock-not-synchronised")
def a_clock_without_a_time_service(kiosk: Kiosk) -> None:
    kiosk.program("timedatectl", "printf 'NTP=no\\nNTPSynchronized=no\\n'")


@plants("clock", "clock-not-synchronised")
def a_clock_whose_server_does_not_answer(kiosk: Kiosk) -> None:
    kiosk.program("timedatectl", "printf 'NTP=yes\\nNTPSynchronized=no\\n'")


@plants("groups", "group-missing")
def a_user_outside_a_group(kiosk: Kiosk) -> None:
    kiosk.file(
        "/etc/group", f"audio:x:{_gid(kiosk)}:kioskd\ngpio:x:64001:\nvideo:x:64002:kioskd\ninput:x:64003:\n"
    )


@plants("permissions", "device-permission")
def a_device_that_only_root_may_open(kiosk: Kiosk) -> None:
    (kiosk.root / "dev/gpiochip0").chmod(0o600)


@plants("cards", "card-held")
def another_program_that_holds_the_microphone(kiosk: Kiosk) -> None:
    kiosk.process(4321, "arecord", "-d", "0")
    kiosk.hold(0, "pcm0c", 4321)


@plants("cards", "card-held")
def a_sound_server_that_holds_the_card_of_the_settings(kiosk: Kiosk) -> None:
    kiosk.process(800, "/usr/bin/pipewire", comm="pipewire")
    kiosk.hold(1, "pcm0p", 800)


@plants("files", "file-unreadable")
def settings_that_only_root_may_read(kiosk: Kiosk) -> None:
    kiosk.mode = 0o600


@plants("files", "file-unreadable")
def a_picture_in_a_folder_that_only_root_may_enter(kiosk: Kiosk) -> None:
    picture = kiosk.file("/srv/kiosk/map.jpg")
    picture.parent.chmod(0o700)
    kiosk.settings["assistant"] = {"pictures": [str(picture)]}


@plants("files", "file-unreadable")
def a_key_file_of_roots(kiosk: Kiosk) -> None:
    key = kiosk.file("/etc/kioskd/key", kiosk.service.key.get_secret_value())
    key.chmod(0o600)
    kiosk.settings["service"]["key_file"] = str(key)


@plants("files", "file-hidden")
def a_picture_in_a_home_folder(kiosk: Kiosk) -> None:
    kiosk.settings["assistant"] = {"pictures": [str(kiosk.file("/home/pi/map.jpg"))]}


@plants("files", "file-hidden")
def pictures_in_tmp_which_the_service_has_for_itself(kiosk: Kiosk) -> None:
    kiosk.settings["camera"]["source"] = f"folder:{kiosk.file('/tmp/pictures/one.jpg').parent}"


@plants("files", "folder-not-writable")
def recordings_that_the_sandbox_does_not_allow(kiosk: Kiosk) -> None:
    place = {"folder": str(kiosk.root / "srv/kiosk"), "keep_days": 1, "most_mb": 10}
    kiosk.settings["privacy"] = {"recordings": place}


@plants("files", "folder-open")
def recordings_in_a_folder_that_others_may_read(kiosk: Kiosk) -> None:
    folder = kiosk.file("/var/lib/kioskd/heard/of-another-day.wav").parent
    folder.chmod(0o755)
    kiosk.settings["privacy"] = {"recordings": {"folder": str(folder), "keep_days": 1, "most_mb": 10}}


@plants("announcements", "announcement-voice-broken")
def a_voice_program_that_speaks_nothing(kiosk: Kiosk) -> None:
    program = kiosk.file("/opt/voice", "#!/bin/sh\n")
    program.chmod(0o755)
    kiosk.settings["announcements"] = {"voice": {"argv": [str(program)], "sandbox": False}}


@plants("announcements", "announcement-unspoken")
def an_announcement_in_a_language_without_a_voice(kiosk: Kiosk) -> None:
    spoken = {"at": "12:00", "say": "Hello.", "language": "qq-QQ"}
    kiosk.settings["announcements"] = {"schedule": [spoken]}


# The way to the service


@plants("key", "key-missing")
def no_key(kiosk: Kiosk) -> None:
    kiosk.environ.clear()


@plants("key", "key-unusable")
def a_stored_key_that_is_damaged(kiosk: Kiosk) -> None:
    kiosk.environ.clear()
    kiosk.file(PLAIN, "two words")


@plants("key", "key-not-loaded")
def a_plain_key_that_the_unit_does_not_take(kiosk: Kiosk) -> None:
    kiosk.file(PLAIN, kiosk.environ.pop("GEMINI_API_KEY"))


@plants("name", "name-not-resolved")
def a_name_that_no_server_knows(kiosk: Kiosk) -> None:
    kiosk.settings["service"]["endpoint"] = "https://kiosk.invalid"


@plants("tls", "certificate-unknown")
def a_certificate_of_an_unknown_authority(kiosk: Kiosk) -> None:
    del kiosk.settings["service"]["ca_file"]


@plants("tls", "not-reached")
def a_port_without_a_server(kiosk: Kiosk) -> None:
    kiosk.settings["service"]["endpoint"] = "https://127.0.0.1:1"


@plants("session", "refused")
def a_key_that_is_refused(kiosk: Kiosk) -> None:
    kiosk.environ["GEMINI_API_KEY"] = "not-the-key"


@plants("session", "refused")
def a_model_that_is_not_known(kiosk: Kiosk) -> None:
    kiosk.settings["service"]["model"] = "gemini-9.9-telepathy"


@plants("session", "quota")
def a_service_whose_quota_is_used_up(kiosk: Kiosk) -> None:
    kiosk.service.add_fault(ScriptedFault(on="connect", do="refuse", status=429))


@plants("session", "session-lost")
def a_service_that_hangs_up_in_mid_session(kiosk: Kiosk) -> None:
    kiosk.service.add_fault(ScriptedFault(on="audio", do="abort"))


# Sound


@plants("microphone", "microphone-missing")
def no_microphone(kiosk: Kiosk) -> None:
    kiosk.microphone.gone = True


@plants("microphone", "microphone-silent")
def a_microphone_that_is_switched_off(kiosk: Kiosk) -> None:
    kiosk.microphone.zeros = True


@plants("microphone", "microphone-clipped")
def a_microphone_that_is_overdriven(kiosk: Kiosk) -> None:
    kiosk.microphone.noise = 16_000


@plants("microphone", "microphone-faint")
def a_microphone_that_is_turned_down(kiosk: Kiosk) -> None:
    kiosk.microphone.noise = 0.6


@plants("microphone", "microphone-rate")
def a_microphone_at_the_wrong_rate(kiosk: Kiosk) -> None:
    kiosk.microphone.pace = 44_100 / 48_000


@plants("speaker", "speaker-missing")
def no_speaker(kiosk: Kiosk) -> None:
    kiosk.speaker.unplug()


@plants("speaker", "speaker-rate")
def a_speaker_at_the_wrong_rate(kiosk: Kiosk) -> None:
    kiosk.speaker_clock.pace = 0.85


@plants("speaker", "speaker-muted")
def a_volume_of_0(kiosk: Kiosk) -> None:
    kiosk.settings["speaker"]["volume"] = 0


@plants("echo", "speaker-not-heard")
def a_speaker_without_an_amplifier(kiosk: Kiosk) -> None:
    kiosk.microphone.return_db = -200
    kiosk.bystander.hears = False


@plants("echo", "speaker-not-heard")
def a_speaker_without_an_amplifier_and_no_person_to_ask(kiosk: Kiosk) -> None:
    kiosk.microphone.return_db = -200
    kiosk.asking = False


@plants("echo", "echo-not-cancelled")
def a_card_that_is_said_to_cancel_echo_and_does_not(kiosk: Kiosk) -> None:
    kiosk.settings["microphone"]["echo"] = "hardware"


@plants("echo", "echo-not-cancellable")
def a_speaker_behind_bluetooth(kiosk: Kiosk) -> None:
    kiosk.settings["microphone"]["echo"] = "cancel"
    kiosk.microphone.delay_s = 0.7


@plants("echo", "echo-clipped")
def a_speaker_beside_the_microphone(kiosk: Kiosk) -> None:
    kiosk.microphone.gain = 60


# Camera, button, lamp


@plants("camera", "camera-missing")
def no_camera(kiosk: Kiosk) -> None:
    kiosk.camera.unplug()


@plants("camera", "camera-black")
def a_camera_with_its_cap_on(kiosk: Kiosk) -> None:
    kiosk.camera.sees = encoded(Image.new("RGB", (320, 240), (3, 2, 4)))


@plants("button", "button-missing")
def no_button(kiosk: Kiosk) -> None:
    kiosk.button.unplug()


@plants("button", "button-stuck")
def a_button_that_is_wired_the_other_way(kiosk: Kiosk) -> None:
    kiosk.button = MemoryButton(down=True)


@plants("button", "button-not-pressed")
def a_button_on_another_line(kiosk: Kiosk) -> None:
    kiosk.bystander.presses = False


@plants("lamp", "lamp-missing")
def no_lamp(kiosk: Kiosk) -> None:
    kiosk.lamp.unplug()


@plants("lamp", "lamp-dark")
def a_lamp_on_another_line(kiosk: Kiosk) -> None:
    kiosk.bystander.sees = False


@plants("captions", "captions-terminal")
def captions_on_a_terminal_that_is_not_there(kiosk: Kiosk) -> None:
    kiosk.settings["captions"] = {"terminal": "/dev/tty9"}


@plants("captions", "captions-sandbox")
def captions_on_a_terminal_that_the_sandbox_hides(kiosk: Kiosk) -> None:
    kiosk.settings["captions"] = {"terminal": "/dev/tty9"}
    kiosk.file("/dev/tty9")


@plants("captions", "captions-permission")
def captions_on_a_terminal_of_another_user(kiosk: Kiosk) -> None:
    kiosk.settings["captions"] = {"terminal": "/dev/tty9"}
    kiosk.file("/dev/tty9").chmod(0o600)
    kiosk.unit["DeviceAllow"] = "/dev/tty9 w"


def _gid(kiosk: Kiosk) -> int:
    return (kiosk.root / "dev/gpiochip0").stat().st_gid


async def test_a_healthy_kiosk_has_no_fault(kiosk: Kiosk) -> None:
    findings = await kiosk.examined()
    assert faults(findings) == []
    looked_at = {one.check for one in findings if one.verdict is not Verdict.SKIPPED}
    assert {"settings", "session", "microphone", "echo", "camera", "button", "lamp", "sandbox"} <= looked_at


@pytest.mark.parametrize(
    ("check", "fault", "plant"), PLANTED, ids=[plant.__name__ for _, _, plant in PLANTED]
)
async def test_a_planted_fault_is_found_and_no_other(
    kiosk: Kiosk, check: str, fault: str, plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kioskd.doctor.controls.PRESS_S", 0.3)
    plant(kiosk)
    found = await kiosk.examined()
    assert faults(found) == [(check, fault)]
    [one] = [one for one in found if one.verdict is Verdict.FAULT]
    assert one.remedy
    assert "\n" not in one.said + one.remedy
