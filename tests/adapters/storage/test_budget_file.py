"""The day's usage on disk: small, private, and written whole or not at all."""

import errno
import os
import stat
from pathlib import Path

import pytest

from kioskd.adapters.storage.state_files import BUDGET, BudgetFile

ENTRY = {"day": "2026-11-20", "seconds": 90.5, "tokens": 700}


def test_the_next_process_loads_the_saved_entry(tmp_path: Path) -> None:
    BudgetFile(tmp_path / "state").save(ENTRY)
    assert BudgetFile(tmp_path / "state").load() == ENTRY


def test_without_a_file_the_entry_is_none(tmp_path: Path) -> None:
    assert BudgetFile(tmp_path / "state").load() is None


def test_only_the_owner_may_read_the_file_and_no_draft_remains(tmp_path: Path) -> None:
    ledger = BudgetFile(tmp_path)
    ledger.save(ENTRY)
    ledger.save(ENTRY)
    [path] = tmp_path.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.stat().st_size < 200


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 9000, b"7", b"x" * 1_000_000])
def test_a_damaged_file_loads_as_unreadable_without_an_error(
    tmp_path: Path, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / BUDGET).write_bytes(damage)
    assert BudgetFile(tmp_path).load() == {}


def test_a_file_that_cannot_be_opened_loads_as_unreadable(tmp_path: Path) -> None:
    (tmp_path / BUDGET).mkdir()
    assert BudgetFile(tmp_path).load() == {}


def test_saving_to_a_full_disk_raises(tmp_path: Path) -> None:
    blocked = tmp_path / "state"
    blocked.write_text("a file where the directory should be")
    with pytest.raises(FileExistsError) as trouble:
        BudgetFile(blocked).save(ENTRY)
    assert trouble.value.filename == str(blocked / BUDGET)


def test_a_link_in_the_way_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / f".{BUDGET}").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
        BudgetFile(tmp_path).save(ENTRY)
    assert not (tmp_path / "elsewhere").exists()
