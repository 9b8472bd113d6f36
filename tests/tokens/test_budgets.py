"""Counts of the day, which outlive the process."""

import datetime as dt
import sqlite3
import threading
from pathlib import Path

import pytest

from kioskd.errors import KioskError
from kioskd.tokens.budgets import FILE, TokenBudgets

TODAY = dt.date(2026, 12, 1)


def test_a_budget_ends_and_the_next_day_has_a_new_one(tmp_path: Path) -> None:
    budgets = TokenBudgets(tmp_path)
    assert [budgets.spend(TODAY, {"a": 2}) for _ in range(3)] == [None, None, "a"]
    assert budgets.spend(TODAY + dt.timedelta(days=1), {"a": 2}) is None
    assert budgets.spent(TODAY, "a") == 2


def test_counts_outlive_the_process_and_a_clock_that_is_set_back_finds_them(tmp_path: Path) -> None:
    budgets = TokenBudgets(tmp_path)
    budgets.spend(TODAY, {"a": 1})
    # The first object is not closed, as after a kill.
    again = TokenBudgets(tmp_path)
    assert again.spend(TODAY, {"a": 1}) == "a"
    assert again.spend(TODAY + dt.timedelta(days=1), {"a": 1}) is None
    assert again.spend(TODAY, {"a": 1}) == "a"


def test_nothing_is_counted_if_one_of_the_limits_is_reached(tmp_path: Path) -> None:
    budgets = TokenBudgets(tmp_path)
    assert budgets.spend(TODAY, {"a": 0, "*": 1}) is None
    assert budgets.spend(TODAY, {"b": 0, "*": 1}) == "*"
    assert (budgets.spent(TODAY, "b"), budgets.spent(TODAY, "*")) == (0, 1)


def test_a_connection_that_did_not_come_about_is_given_back_once(tmp_path: Path) -> None:
    budgets = TokenBudgets(tmp_path)
    budgets.spend(TODAY, {"a": 1})
    for _ in range(2):
        budgets.refund(TODAY, {"a": 1})
    assert budgets.spend(TODAY, {"a": 1}) is None
    assert budgets.spend(TODAY, {"a": 1}) == "a"


def test_old_days_are_forgotten(tmp_path: Path) -> None:
    budgets = TokenBudgets(tmp_path)
    budgets.spend(TODAY, {"a": 0})
    budgets.spend(TODAY + dt.timedelta(days=31), {"a": 0})
    assert budgets.spent(TODAY, "a") == 0


def test_threads_together_spend_no_more_than_the_budget(tmp_path: Path) -> None:
    budgets = TokenBudgets(tmp_path)
    full: list[str | None] = []

    def spend() -> None:
        full.extend(budgets.spend(TODAY, {"a": 25}) for _ in range(10))

    threads = [threading.Thread(target=spend) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert full.count(None) == budgets.spent(TODAY, "a") == 25


def test_a_folder_that_cannot_be_used_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(KioskError, match=r"the day's counts cannot be kept .* or set state_folder"):
        TokenBudgets(tmp_path / "file")
    (tmp_path / FILE).write_bytes(b"no database" * 1000)
    with pytest.raises(KioskError, match="the day's counts cannot be kept"):
        TokenBudgets(tmp_path)


def test_a_closed_database_raises_and_counts_nothing(tmp_path: Path) -> None:
    budgets = TokenBudgets(tmp_path)
    budgets.close()
    with pytest.raises(sqlite3.Error):
        budgets.spend(TODAY, {"a": 0})
