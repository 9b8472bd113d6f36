"""The bundle for a support ticket: its content, and the secrets that it must not hold."""

import json
import os
import stat
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.doctor.planting import Kiosk

from kioskd.adapters.sudo_user import as_asker, asker
from kioskd.doctor import bundle
from kioskd.doctor.finding import ok
from kioskd.errors import KioskError

PARTS = ["doctor.json", "versions.json", "settings.json", "devices.json", "journal.txt", "service.txt"]


def devices() -> Mapping[str, object]:
    return {"microphones": ["mic"]}


def read(path: Path) -> dict[str, str]:
    with tarfile.open(path) as archive:
        files = {member.name: archive.extractfile(member) for member in archive.getmembers()}
        return {name.partition("/")[2]: file.read().decode() for name, file in files.items() if file}


async def test_the_bundle_holds_report_versions_settings_devices_and_journal(
    kiosk: Kiosk, tmp_path: Path
) -> None:
    kiosk.program("journalctl", 'echo "$@"; echo ready')
    path = tmp_path / "report.tar.gz"
    names = bundle.write(path, kiosk.context(), [ok("well")], devices)
    files = read(path)
    assert names == list(files) == PARTS
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(files["doctor.json"])["findings"][0]["said"] == "well"
    assert json.loads(files["versions.json"])["packages"]["google-genai"]
    assert json.loads(files["settings.json"])["controls"]["button"]["source"] == "gpio:gpiochip0/17"
    assert json.loads(files["devices.json"]) == devices()
    assert "--lines=500" in files["journal.txt"]
    assert "ready" in files["journal.txt"]
    assert "LoadState=loaded" in files["service.txt"]


async def test_no_secret_gets_into_the_bundle(kiosk: Kiosk, tmp_path: Path) -> None:
    key = kiosk.environ["GEMINI_API_KEY"]
    secrets = {
        "google": "AIzaSyD4iE7yQm3xK9aBcDeFgHiJkLmNoPqRsTu",
        "password": "correct-horse",
        "bearer": "ya29.a0AfH6SMB",
        "words": "Mrs. Dalloway said she would buy the flowers herself",
    }
    kiosk.settings["assistant"] = {"instructions": secrets["words"], "greeting": key}
    kiosk.settings["tools"] = [
        {
            "kind": "command",
            "name": "unlock",
            "description": secrets["words"],
            "argv": ["/usr/bin/true", secrets["password"]],
        }
    ]
    kiosk.program(
        "journalctl",
        f"echo 'refused: {key}'; echo {secrets['google']} Bearer {secrets['bearer']};"
        f"echo by http://me:{secrets['password']}@proxy.example:3128",
    )
    path = tmp_path / "report.tar.gz"
    context = kiosk.context()
    assert context.faults == ()
    bundle.write(path, context, [ok(f"took {key}")], devices)
    everything = "\n".join(read(path).values())
    for secret in (key, *secrets.values()):
        assert secret not in everything
    assert "refused: …" in everything


async def test_settings_with_faults_are_counted_and_not_copied(kiosk: Kiosk, tmp_path: Path) -> None:
    kiosk.broken = "service: {key: AIzaSyD4iE7yQm3xK9aBcDeFgHiJkLmNoPqRsTu}"
    path = tmp_path / "report.tar.gz"
    bundle.write(path, kiosk.context(), [], devices)
    assert json.loads(read(path)["settings.json"]) == {"faults": 1}


async def test_missing_programs_are_named_in_the_bundle(kiosk: Kiosk, tmp_path: Path) -> None:
    context = kiosk.context()
    for name in ("journalctl", "systemctl"):
        kiosk.program(name, "exit 127")
    path = tmp_path / "report.tar.gz"
    bundle.write(path, context, [], devices)
    assert read(path)["journal.txt"] == "journalctl does not work here"


async def test_a_folder_that_does_not_exist_is_an_error(kiosk: Kiosk, tmp_path: Path) -> None:
    with pytest.raises(KioskError, match="cannot be written: No such file"):
        bundle.write(tmp_path / "nowhere" / "report.tar.gz", kiosk.context(), [], devices)


async def test_a_bundle_that_is_there_is_replaced_as_a_whole(kiosk: Kiosk, tmp_path: Path) -> None:
    path = tmp_path / "report.tar.gz"
    path.write_text("old")
    path.chmod(0o644)
    bundle.write(path, kiosk.context(), [], devices)
    assert list(read(path)) == PARTS
    assert [name for name in os.listdir(tmp_path) if name.endswith(".new")] == []  # noqa: PTH208 - hidden ones, too


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
async def test_a_bundle_replaces_only_a_regular_file(kiosk: Kiosk, tmp_path: Path, kind: str) -> None:
    path, victim = tmp_path / "report.tar.gz", tmp_path / "victim"
    victim.write_text("root's own")
    if kind == "link":
        path.symlink_to(victim)
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(KioskError, match="a folder, link or device has this name; choose another"):
        bundle.write(path, kiosk.context(), [], devices)
    assert victim.read_text() == "root's own"
    assert not stat.S_ISREG(path.lstat().st_mode)


async def test_a_link_in_the_place_of_the_draft_leads_nowhere(kiosk: Kiosk, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("root's own")
    (tmp_path / ".report.tar.gz.new").symlink_to(victim)
    bundle.write(tmp_path / "report.tar.gz", kiosk.context(), [], devices)
    assert victim.read_text() == "root's own"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be asked by sudo")
def test_a_bundle_belongs_to_the_user_who_called_sudo(
    kiosk: Kiosk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = kiosk.context()
    monkeypatch.setenv("SUDO_UID", "65534")
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        folder = Path(place)
        folder.chmod(0o1777)
        path = folder / "report.tar.gz"
        bundle.write(path, context, [], devices)
        assert (path.stat().st_uid, stat.S_IMODE(path.stat().st_mode)) == (65534, 0o600)
        assert (os.geteuid(), os.getegid()) == (0, 0)
        folder.chmod(0o755)
        with pytest.raises(KioskError, match="Permission denied; choose another place"):
            bundle.write(folder / "not-theirs.tar.gz", context, [], devices)


@pytest.mark.parametrize("uid", ["", "0", "-1", "4294967295", "99999999999999999999", "pi"])
def test_without_a_valid_sudo_uid_a_bundle_belongs_to_the_caller(uid: str) -> None:
    assert asker({"SUDO_UID": uid}) is None
    with as_asker({"SUDO_UID": uid}):
        assert os.geteuid() == os.getuid()
