"""Paths in the settings that the service's sandbox hides."""

from pathlib import Path

import pytest

from kioskd.settings.load import load, notes, read, startup_faults
from kioskd.settings.sandbox import ServiceSandbox, named, paths

UNIT = {"ProtectHome": "yes", "PrivateTmp": "yes"}
"""The properties of kioskd's own unit."""

EVERY = """\
service: {{key_file: {0}/key, ca_file: {0}/ca.pem}}
assistant: {{pictures: [{0}/map.jpg]}}
conversation: {{wake: [start]}}
speaker: {{prompts_folder: {0}/words}}
camera: {{source: "folder:{0}/pictures"}}
controls: {{lamp: {{command: [{0}/lamp]}}}}
privacy: {{recordings: {{folder: {0}/heard, keep_days: 1, most_mb: 10}}}}
tools:
  - {{kind: command, name: door, description: d, argv: [{0}/door], working_directory: {0}, answer: none}}
  - {{kind: mcp, name: shop, argv: [{0}/server], allow: [find]}}
"""
NEEDED = {
    *("service.key_file", "service.ca_file", "assistant.pictures", "controls.lamp.command"),
    *("tools.argv", "tools.working_directory"),
}
"""Settings whose paths a kiosk cannot do without."""

MOUNTS = """\
20 1 8:1 / / rw - ext4 /dev/root rw
21 20 0:22 /systemd/inaccessible/dir /home ro - tmpfs tmpfs rw
22 20 8:1 /tmp/systemd-private-0123-kioskd.service-ab/tmp /tmp rw - ext4 /dev/root rw
23 20 0:50 / /var/tmp rw - tmpfs tmpfs rw
"""


@pytest.mark.parametrize("place", ["/home/pi", "/root", "/tmp", "/var/tmp/x"])
def test_every_path_that_the_sandbox_hides_is_named(file: Path, place: str) -> None:
    file.write_text(EVERY.format(place))
    loaded, sandbox = read(file), ServiceSandbox.of_unit(UNIT)
    faults = [one for one in startup_faults(loaded, {}, sandbox) if "sandbox hides" in one.what]
    assert {one.key for one in faults} == NEEDED
    assert all("; move it to /etc/kioskd, and write its new path" in one.what for one in faults)
    said = [one for one in notes(loaded.settings, {}, sandbox) if "sandbox hides" in one]
    assert {one.partition(":")[0] for one in said} == {
        *("speaker.prompts_folder", "camera.source", "privacy.recordings.folder")
    }


def test_a_hidden_path_is_a_fault_with_its_place_and_the_units_property(file: Path) -> None:
    file.write_text("conversation: {wake: [start]}\nservice: {key_file: /home/pi/key}\n")
    [fault] = startup_faults(read(file), {}, ServiceSandbox.of_unit(UNIT))
    assert str(fault) == (
        f"{file}:2:21 service.key_file: cannot be read by the service: the service's sandbox hides /home "
        "from it (ProtectHome=); move it to /etc/kioskd, and write its new path"
    )


def test_a_script_that_an_interpreter_is_given_is_a_note(file: Path) -> None:
    file.write_text(
        "conversation: {wake: [start]}\n"
        "controls: {lamp: {command: [/bin/sh, /root/lamp.sh]}}\n"
        "tools: [{kind: mcp, name: shop, argv: [python3, /home/pi/server.py, --loud], allow: [find]}]\n"
    )
    loaded, sandbox = read(file), ServiceSandbox.of_unit(UNIT)
    assert not [one for one in startup_faults(loaded, {}, sandbox) if "sandbox" in one.what]
    said = [one for one in notes(loaded.settings, {}, sandbox) if "sandbox hides" in one]
    assert [one.partition(":")[0] for one in said] == ["controls.lamp.command", "tools[0].argv"]
    assert "cannot read /home/pi/server.py" in said[1]


def test_a_link_into_a_home_folder_is_followed(tmp_path: Path) -> None:
    link = tmp_path / "key"
    link.symlink_to("/home/pi/key")
    assert ServiceSandbox.of_unit({"ProtectHome": "yes"}).hides(link)


@pytest.mark.parametrize(
    "unit",
    [
        {},
        {"ProtectHome": "read-only", "PrivateTmp": "no"},
        UNIT | {"BindReadOnlyPaths": "/srv/a /home/pi:/home/pi:rbind"},
        UNIT | {"BindPaths": "-/home/pi"},
    ],
)
def test_paths_bound_into_the_sandbox_are_not_hidden(unit: dict[str, str]) -> None:
    assert ServiceSandbox.of_unit(unit).hides(Path("/home/pi/key")) is None


def test_hidden_paths_are_read_from_the_processs_mounts(tmp_path: Path) -> None:
    (tmp_path / "mountinfo").write_text(MOUNTS)
    sandbox = ServiceSandbox.of_process(tmp_path / "mountinfo")
    assert sandbox.hidden == {"/home": "ProtectHome", "/tmp": "PrivateTmp"}
    assert ServiceSandbox.of_process(tmp_path / "nothing").hidden == {}


def test_a_path_is_named_as_people_write_it(file: Path) -> None:
    file.write_text(EVERY.format("/srv"))
    found = [named(loc) for loc, _ in paths(load(file))]
    assert "assistant.pictures[0]" in found
    assert "tools[1].argv" in found
