"""State files with any content: it is lost, one line reports it, and the daemon starts."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.flow.storage.test_budget import NOON, Counted, MemoryLedger

from kioskd.adapters.storage import resumption_file, state_files
from kioskd.adapters.storage.resumption_file import ResumptionFile
from kioskd.adapters.storage.state_files import BudgetFile, PreferenceFile
from kioskd.core.budget import Budget
from kioskd.ports import Preferences

HUGE = 10**400
CONTENTS: tuple[bytes, ...] = (
    b"",
    b"\x00",
    b"\xff\xfe",
    b"[" * 90_000,
    b'{"a":' * 20_000,
    b"9" * 50_000,
    b'{"volume": 1e999, "muted": true}',
    b'{"volume": 5, "muted": 1}',
    b'{"tokens": NaN}',
    b"x" * 300_000,
    b'{"day":"\\ud83d"}',
    json.dumps({"volume": HUGE, "muted": False}).encode(),
    json.dumps(
        {"day": "2026-11-20", "seconds": HUGE, "tokens": HUGE, "behind_s": 0, "unknown": False}
    ).encode(),
    json.dumps({"conversation": HUGE, "handle": "h", "at": 0, "owner": "x"}).encode(),
    b"null",
    b'"text"',
)


def read_all(folder: Path) -> None:
    """Read each state file as the daemon does at its start."""
    assert PreferenceFile(folder).load() == Preferences()
    assert ResumptionFile(folder, session_of="a service").recover() is None
    kept = BudgetFile(folder).load()
    counted = Counted(Budget(seconds_per_day=600, tokens_per_day=5), MemoryLedger(kept), NOON)
    account = counted.limits.status
    assert 0 <= float(account.tokens) < 1e13
    assert 0 <= float(account.seconds) < 1e13


NAMES = (state_files.PREFERENCES, resumption_file.NAME, state_files.BUDGET)


@pytest.mark.parametrize("content", CONTENTS, ids=lambda content: repr(content[:24]))
def test_the_daemon_starts_with_any_content(tmp_path: Path, content: bytes) -> None:
    for name in NAMES:
        (tmp_path / name).write_bytes(content)
    read_all(tmp_path)


def test_a_pipe_or_device_in_place_of_a_file_does_not_block(tmp_path: Path) -> None:
    for name in NAMES:
        os.mkfifo(tmp_path / name)
    read_all(tmp_path)
    for name in (state_files.PREFERENCES, state_files.BUDGET):
        (tmp_path / name).unlink()
        (tmp_path / name).symlink_to("/dev/zero")
    read_all(tmp_path)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just(HUGE),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)
KEYS = ("day", "seconds", "tokens", "behind_s", "unknown", "calls", "clock", "volume", "muted", "at", "owner")
days = st.sampled_from(["2026-11-20", "2026-11-19", "9999-12-31", "0001-01-01"])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(entry=st.dictionaries(st.sampled_from(KEYS), values, max_size=9), day=days)
def test_no_field_of_the_days_usage_breaks_its_reader(entry: dict[str, Any], day: str) -> None:
    plausible = {"day": day, "seconds": 1, "tokens": 1, "behind_s": 0, "unknown": False, "calls": {}}
    kept = json.loads(json.dumps(plausible | entry))
    counted = Counted(Budget(tokens_per_day=5), MemoryLedger(kept), NOON)
    assert 0 <= float(counted.limits.status.tokens) < 1e13
    assert counted.day.calls_today("any") is None or float(counted.day.calls_today("any") or 0) < 1e13
