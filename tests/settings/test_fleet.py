"""The settings of a kiosk among many."""

from pathlib import Path

import pytest
from tests.support.settings_files import faults_of, settings_of

from kioskd.settings.extras import extras
from kioskd.settings.load import SettingsError, load_to_run
from kioskd.settings.sandbox import secret_files

WHOLE = """
conversation: {wake: [start]}
fleet:
  name: hall-1
  site: Museum
  mqtt: {broker: "mqtts://control.example", certificate: device.pem, key_file: device.key, ca_file: ca.pem}
"""


def faults(file: Path, mqtt: str, name: str = "hall-1") -> list[tuple[str, str]]:
    """Return the keys and the words of the faults of a fleet with these settings."""
    found = faults_of(file, f"fleet:\n  name: {name}\n  mqtt: {{{mqtt}}}\n")
    return [(key, what) for _, _, key, what in found]


def test_a_kiosk_belongs_to_no_fleet_by_default(file: Path) -> None:
    settings = settings_of(file, "")
    assert settings.fleet is None
    assert "mqtt" not in extras(settings)


def test_a_broker_needs_the_extra_and_keeps_its_key_from_tools(file: Path) -> None:
    settings = settings_of(file, WHOLE)
    assert settings.fleet is not None
    assert settings.fleet.mqtt is not None
    assert "mqtt" in extras(settings)
    assert file.parent / "device.key" in secret_files(settings)


@pytest.mark.parametrize(
    ("mqtt", "key", "words"),
    [
        ("broker: https://control.example", "fleet.mqtt.broker", "not an address that begins with mqtt://"),
        ("broker: mqtt://127.0.0.1, certificate: a.pem", "fleet.mqtt.certificate", "mqtt:// has no TLS"),
        ("broker: mqtts://a.example, key_file: a.key", "fleet.mqtt.key_file", "only certificate uses it"),
        ("broker: mqtts://a.example, password_from: x", "fleet.mqtt.password_from", "not a reference"),
        ("broker: mqtt://127.0.0.1, ca_file: a.pem", "fleet.mqtt.ca_file", "mqtt:// has no TLS"),
        (
            "broker: mqtt://a.example, username: u, password_from: 'credential:x'",
            "fleet.mqtt.insecure",
            "without encryption",
        ),
    ],
)
def test_a_setting_that_cannot_work_is_refused(file: Path, mqtt: str, key: str, words: str) -> None:
    [(where, what)] = faults(file, mqtt)
    assert where == key
    assert words in what


def test_a_name_can_be_a_part_of_a_topic(file: Path) -> None:
    [(where, what)] = faults(file, "broker: mqtt://127.0.0.1", name="Hall/1")
    assert (where, "not a name of small letters" in what) == ("fleet.name", True)


def test_a_missing_certificate_and_an_open_key_are_found(file: Path) -> None:
    file.write_text(WHOLE)
    key = file.parent / "device.key"
    key.write_text("secret")
    key.chmod(0o644)
    with pytest.raises(SettingsError) as refused:
        load_to_run(file, {})
    told = {fault.key: fault.what for fault in refused.value.faults}
    assert "No such file" in told["fleet.mqtt.certificate"]
    assert "other users can access it" in told["fleet.mqtt.key_file"]
