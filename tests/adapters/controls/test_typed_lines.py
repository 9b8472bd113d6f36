"""Keys of a reader become lines: layouts, Shift, the keypad, pauses, and lines that cannot be used."""

import pytest
from evdev import ecodes

from kioskd.adapters.controls.typed_lines import PAUSE_S, UNKNOWN, KeyboardLayout, TypedLines, known_keys
from kioskd.ports import MOST_LINE_CHARS

ENTER = "KEY_ENTER"


class Reader:
    """Types keys, one a millisecond."""

    def __init__(self, layout: KeyboardLayout = "us") -> None:
        self.lines = TypedLines(layout)
        self.at_s = 100.0

    def type(self, *names: str, held: str = "") -> list[str]:
        """Press and release keys while others are held, and return the lines that they end."""
        ended = []
        keys = [f"KEY_{name.removeprefix('KEY_')}" for name in names]
        presses = [(key, down) for key in keys for down in (True, False)]
        if held:
            presses = [(held, True), *presses, (held, False)]
        for key, down in presses:
            self.at_s += 0.001
            if (line := self.lines.key(key, self.at_s, down=down)) is not None:
                ended.append(line)
        return ended


def test_every_key_has_a_name_of_the_kernel() -> None:
    assert [name for name in known_keys() if name not in ecodes.ecodes] == []


@pytest.mark.parametrize(
    ("layout", "keys", "held", "line"),
    [
        ("us", "A Z 1 MINUS SLASH", "", "az1-/"),
        ("us", "A Z 1 MINUS SLASH", "KEY_LEFTSHIFT", "AZ!_?"),
        ("us", "SEMICOLON 7 2", "KEY_RIGHTSHIFT", ":&@"),
        ("de", "A Z 1 MINUS SLASH", "", "ay1ß-"),
        ("de", "DOT 7 0", "KEY_LEFTSHIFT", ":/="),
        ("de", "Q 7 102ND", "KEY_RIGHTALT", "@{|"),
        ("us", "KP4 KP7 KPDOT", "", "47."),
        ("de", "KP4 KP7 KPDOT", "KEY_LEFTSHIFT", "47,"),
    ],
)
def test_keys_type_the_characters_of_their_layout(
    layout: KeyboardLayout, keys: str, held: str, line: str
) -> None:
    reader = Reader(layout)
    assert reader.type(*keys.split(), held=held) == []
    assert reader.type(ENTER) == [line]


@pytest.mark.parametrize("held", ["KEY_LEFTCTRL", "KEY_LEFTALT", "KEY_RIGHTALT", "KEY_LEFTMETA"])
def test_a_command_types_no_character_that_a_key_of_the_settings_has(held: str) -> None:
    reader = Reader()
    reader.type("A", held=held)
    reader.type("F1", "CAPSLOCK", "B")
    assert reader.type(ENTER) == [f"{UNKNOWN}{UNKNOWN}b"]


def test_either_enter_ends_a_line_and_enter_alone_is_none() -> None:
    reader = Reader()
    reader.type("A")
    assert reader.type("KPENTER", ENTER, ENTER) == ["a"]
    reader.type("B")
    assert reader.type(ENTER) == ["b"]


def test_a_line_begins_anew_after_a_pause() -> None:
    reader = Reader()
    reader.type("A", "B")
    reader.at_s += PAUSE_S + 0.1
    reader.type("C")
    reader.at_s += PAUSE_S - 0.1
    reader.type("D")
    assert reader.type(ENTER) == ["cd"]


def test_a_line_that_is_too_long_cannot_be_used_and_the_next_one_can() -> None:
    reader = Reader()
    reader.type(*["A"] * MOST_LINE_CHARS)
    assert reader.type(ENTER) == ["a" * MOST_LINE_CHARS]
    reader.type(*["A"] * (MOST_LINE_CHARS + 10_000))
    assert reader.type(ENTER) == [""]
    reader.type("A")
    assert reader.type(ENTER) == ["a"]


def test_a_line_of_which_keys_were_lost_cannot_be_used() -> None:
    reader = Reader()
    reader.lines.key("KEY_LEFTSHIFT", reader.at_s, down=True)
    reader.type("A")
    reader.lines.lose()
    reader.type("B")
    assert reader.type(ENTER) == [""]
    reader.type("A")
    assert reader.type(ENTER) == ["a"], "Shift was released meanwhile, as far as is known"
