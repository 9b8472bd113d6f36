"""The unit of the token service keeps its promises, and systemd accepts every line of it."""

from pathlib import Path

import pytest
from tests.systemd.test_unit import FOLDER, needs_systemd_analyze, seconds, settings, systemd_analyze

from kioskd.settings.credentials import CREDENTIAL
from kioskd.tokens.budgets import FILE
from kioskd.tokens.serve import LOOK_S, TLS_CREDENTIAL
from kioskd.tokens.settings import TokenServiceSettings

UNIT = FOLDER / "kioskd-tokens.service"


def test_it_starts_the_service_and_is_active_only_when_devices_can_ask() -> None:
    service = settings(UNIT)["Service"]
    assert service["ExecStart"] == "/opt/kioskd/current/bin/kioskd tokens serve"
    assert (service["Type"], service["NotifyAccess"]) == ("notify", "main")
    assert seconds(service["WatchdogSec"]) > 3 * LOOK_S
    assert (service["Restart"], service["RestartPreventExitStatus"]) == ("on-failure", "78")


def test_both_keys_are_credentials_by_the_names_that_the_service_knows() -> None:
    lines = UNIT.read_text(encoding="utf-8").splitlines()
    loaded = {line.partition("=")[2] for line in lines if line.startswith("LoadCredentialEncrypted=")}
    assert loaded == {CREDENTIAL, TLS_CREDENTIAL}


def test_the_counts_of_the_day_are_in_the_folder_that_the_unit_keeps() -> None:
    service = settings(UNIT)["Service"]
    folder = TokenServiceSettings.model_fields["state_folder"].default
    assert Path("/var/lib", service["StateDirectory"]) == folder
    assert FILE.endswith(".sqlite")


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    unit = tmp_path / UNIT.name
    text = UNIT.read_text(encoding="utf-8")
    assert text.count("\nExecStart=") == 1
    unit.write_text(text.replace(settings(UNIT)["Service"]["ExecStart"], "/bin/true"), encoding="utf-8")
    return unit


@needs_systemd_analyze
def test_systemd_knows_every_setting_of_it(installed: Path) -> None:
    verified = systemd_analyze("verify", "--man=no", installed)
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")


@needs_systemd_analyze
def test_systemd_rates_its_sandbox_as_closed(installed: Path) -> None:
    rated = systemd_analyze("security", "--offline=yes", "--threshold=11", installed)
    assert rated.returncode == 0, rated.stdout
