"""What the person who watches a rehearsal reads."""

import pytest

from kioskd.rehearsal.account import Account
from kioskd.rehearsal.notes import By, Note
from kioskd.rehearsal.service import Reply


@pytest.mark.parametrize(
    ("by", "what", "data", "line"),
    [
        ("service", "token_minted", {}, "   2.0 s  service   mints a token"),
        ("service", "fault", {"do": "expire"}, "   2.0 s  service   fault, as scripted: expire"),
        (
            "daemon",
            "Lost",
            {"remedy": "new_credentials"},
            "   2.0 s  daemon    is without a connection: new credentials",
        ),
        ("service", "handle_issued", {}, None),
    ],
)
def test_only_what_people_care_about_gets_a_line(
    by: By, what: str, data: dict[str, object], line: str | None
) -> None:
    lines: list[str] = []
    Account(100.0, (Reply(text="Hello."),), lines.append).note(Note(102.0, by, what, data))
    assert lines == ([] if line is None else [line])
