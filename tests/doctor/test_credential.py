"""The check of the key in all its places, with systemd's own program to encrypt it."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.doctor.planting import Kiosk, finding_of

from kioskd.doctor import credential
from kioskd.doctor.context import CheckContext
from kioskd.doctor.credential import PLAIN
from kioskd.doctor.finding import Verdict
from kioskd.doctor.machine import Machine
from kioskd.settings.credentials import CREDENTIAL
from kioskd.settings.model import Settings

KEY = "AIzaNotAKeyOfAnybody0123456789"

needs_systemd_creds = pytest.mark.skipif(
    shutil.which("systemd-creds") is None or os.geteuid() != 0,
    reason="needs systemd-creds (Debian's systemd) and root",
)


def context(root: Path, environ: dict[str, str] | None = None, **service: object) -> CheckContext:
    settings = Settings.model_validate({"service": service})
    return CheckContext(settings, environ or {}, Machine(root))


def put(root: Path, path: str, data: bytes) -> None:
    where = root / path.lstrip("/")
    where.parent.mkdir(parents=True)
    where.write_bytes(data)


@contextlib.contextmanager
def nobody_in_particular(place: Path) -> Iterator[None]:
    """Close `place` to this process, which becomes another user if it is root, until the block ends."""
    uid = os.geteuid()
    place.chmod(0o700 if uid == 0 else 0)
    if uid == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(uid)
        place.chmod(0o700)


def encrypted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str) -> bytes:
    """Encrypt `key` as `kioskd key` does, with a host key that only this test has."""
    monkeypatch.setenv("SYSTEMD_CREDENTIAL_SECRET", str(tmp_path / "secret"))
    command = ["systemd-creds", "encrypt", "--with-key=host", f"--name={CREDENTIAL}", "-", "-"]
    return subprocess.run(command, input=key.encode(), capture_output=True, check=True).stdout


def test_a_key_of_the_environment_is_found_and_not_shown(tmp_path: Path) -> None:
    found = credential.credential(context(tmp_path, {"GEMINI_API_KEY": KEY}))
    assert found.verdict is Verdict.OK
    assert KEY not in repr(found)


@needs_systemd_creds
def test_a_key_that_is_stored_encrypted_is_found_and_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, credential.ENCRYPTED, encrypted(tmp_path, monkeypatch, KEY))
    found = credential.credential(context(tmp_path))
    assert (found.verdict, credential.ENCRYPTED in found.said) == (Verdict.OK, True)
    assert KEY not in repr(found)
    key, _ = credential.found(context(tmp_path))
    assert key is not None
    assert key.get_secret_value() == KEY


@needs_systemd_creds
def test_a_key_that_another_machine_encrypted_is_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, credential.ENCRYPTED, encrypted(tmp_path, monkeypatch, KEY))
    (tmp_path / "secret").unlink()
    encrypted(tmp_path, monkeypatch, "another machine's first")
    found = credential.credential(context(tmp_path))
    assert found.fault == "key-unusable"
    assert "kioskd key" in (found.remedy or "") + found.said


def test_a_key_that_is_stored_plain_is_found(tmp_path: Path) -> None:
    put(tmp_path, credential.PLAIN, KEY.encode())
    found = credential.credential(context(tmp_path))
    assert (found.verdict, credential.PLAIN in found.said) == (Verdict.OK, True)


def test_a_stored_key_with_odd_characters_is_reported_without_showing_it(tmp_path: Path) -> None:
    put(tmp_path, credential.PLAIN, b"two words")
    found = credential.credential(context(tmp_path))
    assert found.fault == "key-unusable"
    assert "two words" not in repr(found)


def test_a_place_that_only_root_sees_is_skipped_and_no_fault(tmp_path: Path) -> None:
    put(tmp_path, credential.PLAIN, KEY.encode())
    with nobody_in_particular(tmp_path):
        found = credential.credential(context(tmp_path))
    assert (found.verdict, found.fault) == (Verdict.SKIPPED, None)
    assert found.remedy == "run doctor with sudo"


@pytest.mark.parametrize(
    "service", [{"provider": "vertex", "project": "museum"}, {"token_url": "https://tokens.example"}]
)
def test_a_missing_key_is_no_fault_where_none_is_needed(tmp_path: Path, service: dict[str, object]) -> None:
    found = credential.credential(context(tmp_path, None, **service))
    assert found.verdict is Verdict.SKIPPED


async def test_a_plain_key_that_the_unit_takes_is_no_fault(kiosk: Kiosk) -> None:
    kiosk.file(PLAIN, kiosk.environ.pop("GEMINI_API_KEY"))
    kiosk.unit["LoadCredential"] = "gemini-api-key"
    assert finding_of(await kiosk.examined(), "key").verdict is Verdict.OK
