"""The lines that a rehearsal prints while it runs."""

import pytest

from kioskd.rehearsal.event_log import EventSource, LoggedEvent
from kioskd.rehearsal.report import Narration
from kioskd.simulator import Reply
from kioskd.simulator.script import ScriptedCall


@pytest.mark.parametrize(
    ("by", "what", "data", "line"),
    [
        ("service", "token_minted", {}, "   2.0 s  service   mints a token"),
        ("service", "fault", {"do": "expire"}, "   2.0 s  service   has a scripted fault: expire"),
        (
            "daemon",
            "Lost",
            {"remedy": "new_credentials"},
            "   2.0 s  daemon    has lost the connection: new credentials",
        ),
        ("service", "tool_call", {"name": "stock", "id": "a"}, "   2.0 s  service   calls stock"),
        ("service", "tool_call_cancelled", {"ids": ["a"]}, "   2.0 s  service   cancels a call"),
        ("service", "picture", {"bytes": 12_345}, "   2.0 s  service   gets a picture (12 kB)"),
        ("daemon", "Prompt", {"code": "W1"}, "   2.0 s  daemon    speaks the prompt for code W1"),
        ("visitor", "presses the button", {"button": 1}, "   2.0 s  visitor   presses the button"),
        ("visitor", "holds the button", {"button": 2}, "   2.0 s  visitor   holds button 2"),
        (
            "visitor",
            "lets the button go",
            {"button": 1, "please": True},
            "   2.0 s  visitor   please: let the button go",
        ),
        ("visitor", "commands", {"command": "mute"}, "   2.0 s  visitor   commands: kioskd mute"),
        ("service", "handle_issued", {}, None),
    ],
)
def test_only_what_people_care_about_gets_a_line(
    by: EventSource, what: str, data: dict[str, object], line: str | None
) -> None:
    lines: list[str] = []
    Narration(100.0, (Reply(text="Hello."),), lines.append).note(LoggedEvent(102.0, by, what, data))
    assert lines == ([] if line is None else [line])


@pytest.mark.parametrize(("meanwhile", "words"), [(True, "One moment."), (False, "It is ready.")])
def test_words_during_a_tool_call_and_the_answer_get_separate_lines(meanwhile: bool, words: str) -> None:
    lines: list[str] = []
    reply = Reply(
        text="It is ready.", tool_calls=(ScriptedCall(name="reserve"),), meanwhile=Reply(text="One moment.")
    )
    account = Narration(100.0, (Reply(text="Hello."), reply), lines.append)
    account.note(LoggedEvent(101.0, "service", "reply_began", {"place": 1, "meanwhile": meanwhile}))
    account.note(LoggedEvent(102.0, "kiosk", "reply began", {}))
    assert lines == [f"   2.0 s  kiosk     speaking: “{words}”"]
