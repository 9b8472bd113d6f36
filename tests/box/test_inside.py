"""`kioskd devices` and doctor see exactly the devices that the unit's sandbox shows."""

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest
from tests.box.site import OWNER, Site

pytestmark = pytest.mark.timeout(900)

DROP_IN: Final = "/etc/systemd/system/kioskd.service.d/hidden.conf"


@pytest.fixture(scope="module")
def shut(it: Site) -> Iterator[Site]:
    """Return the machine with its daemon stopped."""
    it.box.sh("systemctl stop kioskd")
    yield it
    it.box.sh(f"rm -f {DROP_IN}; systemctl daemon-reload; systemctl start kioskd")
    it.serves()


def hide(it: Site, path: str) -> None:
    it.box.write(DROP_IN, f"[Service]\nInaccessiblePaths={path}\n")
    it.box.sh("systemctl daemon-reload")


def devices(it: Site) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(it.box.exec("kioskd", "devices", "--json").stdout)
    return found


def test_devices_are_listed_beside_a_running_daemon_which_keeps_its_socket(it: Site) -> None:
    it.serves()
    found = devices(it)
    assert found["outside"] is None
    assert [device["name"] for device in found["speakers"] if device["default"]] == ["default"]
    assert it.says()["state"] == "listening"


def test_a_device_that_the_unit_hides_is_not_listed(shut: Site) -> None:
    hide(shut, "/etc/asound.conf")
    found = devices(shut)
    assert (found["speakers"], found["outside"]) == ([], None)
    assert "/etc/asound.conf: " in found["sound_fault"]


def test_doctor_finds_a_device_that_the_unit_hides(shut: Site) -> None:
    hide(shut, "/etc/asound.conf")
    assert {"microphone-missing", "speaker-missing"} <= shut.doctor()


def test_a_user_without_root_gets_a_list_from_outside_and_a_note(shut: Site) -> None:
    said = shut.box.exec("runuser", "-u", OWNER, "--", "kioskd", "devices").stdout
    assert said.endswith(
        "The service's sandbox may hide some of these; this list ignores it: "
        "only root can check inside it; type sudo before the command.\n"
    )
