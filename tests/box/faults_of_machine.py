"""Faults of settings, key, unit and machine, which doctor finds without opening a device."""

from collections.abc import Iterator

from tests.box.planting import PICTURES, STATE, UNIT, Bench, Table
from tests.box.site import CREDENTIAL, SETTINGS

TABLE = Table()
plants = TABLE.plants


# The file has mistakes: doctor cannot check the things that it names, but checks all others.


@plants("misspelt", "settings", "settings", "volume")
def a_misspelt_setting(bench: Bench) -> Iterator[None]:
    bench.settings["speaker"] = {"volum": 3}
    yield


@plants("misspelt", "service", "unit-failed", "journalctl -u kioskd")
def a_service_that_did_not_start_with_it(bench: Bench) -> Iterator[None]:
    bench.then.append("! systemctl start kioskd 2>/dev/null")
    yield
    bench.sh("systemctl reset-failed kioskd")


@plants("misspelt", "power", "under-voltage", "supply")
def a_supply_that_is_too_weak(bench: Bench) -> Iterator[None]:
    with bench.instead("/sys/devices/platform", soc__soc_C_firmware__get_throttled="50005\n"):
        yield


@plants("misspelt", "temperature", "too-hot", "83 °C")
def a_case_in_the_sun(bench: Bench) -> Iterator[None]:
    with bench.instead("/sys/class/thermal", thermal_zone0__temp="83100\n"):
        yield


@plants("misspelt", "space", "disk-full", STATE)
def a_full_disk(bench: Bench) -> Iterator[None]:
    with bench.state_on("size=64k"):
        yield


@plants("masked", "settings", "settings", "install.sh")
def a_tool_whose_library_is_not_installed(bench: Bench) -> Iterator[None]:
    tool = {"kind": "mcp", "name": "guide", "argv": ["/bin/cat"], "allow": ["find"]}
    bench.settings["tools"] = [tool]
    yield


@plants("masked", "service", "unit-masked", "systemctl unmask")
def a_unit_that_nobody_may_start(bench: Bench) -> Iterator[None]:
    bench.sh("systemctl mask kioskd 2>/dev/null")
    yield
    bench.sh("systemctl unmask kioskd 2>/dev/null")


@plants("masked", "power", "was-under-voltage", "cable")
def a_supply_that_was_too_weak_for_a_moment(bench: Bench) -> Iterator[None]:
    with bench.file("/usr/local/bin/vcgencmd", "#!/bin/sh\necho throttled=0x50000\n", "755"):
        yield


@plants("masked", "space", "disk-read-only", STATE)
def a_disk_that_is_read_only(bench: Bench) -> Iterator[None]:
    with bench.state_on("ro"):
        yield


@plants("gone", "settings", "settings", "chmod")
def a_key_that_all_can_read(bench: Bench) -> Iterator[None]:
    bench.settings["service"]["key_file"] = "/etc/kioskd/key"
    with bench.file("/etc/kioskd/key", "secret"):
        yield


@plants("gone", "service", "unit-missing", "install.sh")
def no_unit(bench: Bench) -> Iterator[None]:
    with bench.without(UNIT):
        bench.sh("systemctl daemon-reload")
        yield
    bench.sh("systemctl daemon-reload")


@plants("gone", "power", "under-voltage", "supply")
def a_supply_that_the_kernel_warns_of(bench: Bench) -> Iterator[None]:
    with bench.instead("/sys/class", hwmon__hwmon1__name="rpi_volt\n", hwmon__hwmon1__in0_lcrit_alarm="1\n"):
        yield


# A library is missing: no device is checked.


@plants("keyless", "libraries", "library-missing", "livekit")
def an_echo_canceller_that_is_not_installed(bench: Bench) -> Iterator[None]:
    bench.settings["microphone"] = {"echo": "cancel"}
    yield


@plants("keyless", "service", "unit-unusable", "systemctl edit")
def a_drop_in_with_a_mistake(bench: Bench) -> Iterator[None]:
    with bench.drop_in("ExecStart="):
        yield


@plants("keyless", "key", "key-missing", "sudo kioskd key")
def no_key(bench: Bench) -> Iterator[None]:
    with bench.without(CREDENTIAL):
        yield


@plants("keyless", "name", "name-not-resolved", "kiosk.invalid")
def a_name_that_nobody_knows(bench: Bench) -> Iterator[None]:
    bench.settings["service"]["endpoint"] = "https://kiosk.invalid"
    yield


@plants("keyless", "groups", "group-missing", "usermod -aG audio kioskd")
def a_user_outside_a_group(bench: Bench) -> Iterator[None]:
    bench.sh("gpasswd --delete kioskd audio")
    yield
    bench.sh("usermod -aG audio kioskd")


@plants("keyless", "files", "file-unreadable", f"chmod o+r {SETTINGS}")
def settings_that_only_root_can_read(bench: Bench) -> Iterator[None]:
    bench.then.append(f"chmod 600 {SETTINGS}")
    yield
    bench.sh(f"chmod 644 {SETTINGS}")


@plants("open", "libraries", "library-missing", "install.sh")
def a_wake_word_that_is_not_installed(bench: Bench) -> Iterator[None]:
    bench.settings["conversation"]["wake"] = ["wakeword"]
    yield


@plants("open", "sandbox", "not-sandboxed", "ProtectSystem=no")
def a_drop_in_that_opens_the_sandbox(bench: Bench) -> Iterator[None]:
    with bench.drop_in("ProtectSystem=no"):
        yield


@plants("open", "key", "key-unusable", "cannot be decrypted")
def a_stored_key_that_is_damaged(bench: Bench) -> Iterator[None]:
    with bench.without(CREDENTIAL), bench.file(CREDENTIAL, "no key at all"):
        yield


@plants("open", "tls", "certificate-unknown", "ca_file")
def a_certificate_of_nobody_we_know(bench: Bench) -> Iterator[None]:
    del bench.settings["service"]["ca_file"]
    yield


@plants("open", "permissions", "device-permission", 'SUBSYSTEM=="gpio"')
def a_line_that_only_root_may_open(bench: Bench) -> Iterator[None]:
    bench.settings["controls"]["button"] = {"source": "gpio:gpiochip0/17"}
    bench.sh("mknod -m 600 /dev/gpiochip0 c 254 0")
    yield
    bench.sh("rm /dev/gpiochip0")


@plants("open", "files", "file-hidden", "ProtectHome=")
def pictures_in_somebodys_home(bench: Bench) -> Iterator[None]:
    bench.settings["assistant"]["pictures"] = ["/home/ann/map.jpg"]
    bench.sh(f"mkdir -p /home/ann; cp {PICTURES}/one.jpg /home/ann/map.jpg")
    yield
    bench.sh("rm -r /home/ann")
