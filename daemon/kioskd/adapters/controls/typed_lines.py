"""Turns the keys of a reader into lines. A reader of QR codes or NFC tags types like a keyboard.

Most readers type like a keyboard of the US, whatever is printed on the code. The names of keys are those of
the kernel (linux/input-event-codes.h). They name places: KEY_Z is the key that types a y on a German
keyboard. Caps Lock has no effect.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from kioskd.ports import MOST_LINE_CHARS

KeyboardLayout = Literal["us", "de"]
"""A keyboard that a reader types like."""

PAUSE_S: Final = 0.5
"""After so many seconds without a key, a new line begins. A reader needs some milliseconds a key."""

UNKNOWN: Final = "\N{REPLACEMENT CHARACTER}"
"""Stands for a key that types no known character, so that the line equals no key of the settings."""

ENTER: Final = ("KEY_ENTER", "KEY_KPENTER")
"""Keys that end a line."""

_NAMES: Final = (
    "GRAVE 1 2 3 4 5 6 7 8 9 0 MINUS EQUAL Q W E R T Y U I O P LEFTBRACE RIGHTBRACE "
    "A S D F G H J K L SEMICOLON APOSTROPHE BACKSLASH 102ND Z X C V B N M COMMA DOT SLASH SPACE"
)
_PLACES: Final = tuple(f"KEY_{name}" for name in _NAMES.split())
_KEYPAD_NAMES: Final = "7 8 9 4 5 6 1 2 3 0 MINUS PLUS ASTERISK SLASH EQUAL"
_KEYPAD: Final = dict(
    zip((f"KEY_KP{name}" for name in _KEYPAD_NAMES.split()), "7894561230-+*/=", strict=True)
)
_ROWS: Final[Mapping[KeyboardLayout, tuple[str, str]]] = {
    "us": (
        "`1234567890-=qwertyuiop[]asdfghjkl;'\\\\zxcvbnm,./ ",
        '~!@#$%^&*()_+QWERTYUIOP{}ASDFGHJKL:"||ZXCVBNM<>? ',
    ),
    "de": (
        "^1234567890ß\N{ACUTE ACCENT}qwertzuiopü+asdfghjklöä#<yxcvbnm,.- ",
        "°!\"§$%&/()=?`QWERTZUIOPÜ*ASDFGHJKLÖÄ'>YXCVBNM;:_ ",
    ),
}
"""The characters of `_PLACES`, without and with Shift."""
_DECIMAL: Final[Mapping[KeyboardLayout, str]] = {"us": ".", "de": ","}
"""The character of the keypad's KEY_KPDOT."""
_GERMAN_ALTGR: Final = "Q@ E€ Mµ 2² 3³ 7{ 8[ 9] 0} MINUS\\ RIGHTBRACE~ 102ND|"
_ALTGR: Final[Mapping[KeyboardLayout, Mapping[str, str]]] = {
    "us": {},
    "de": {f"KEY_{pair[:-1]}": pair[-1] for pair in _GERMAN_ALTGR.split()},
}
_SHIFT: Final = frozenset({"KEY_LEFTSHIFT", "KEY_RIGHTSHIFT"})
_COMMANDS: Final = frozenset(
    {"KEY_LEFTCTRL", "KEY_RIGHTCTRL", "KEY_LEFTALT", "KEY_LEFTMETA", "KEY_RIGHTMETA"}
)
"""Keys that make a command of another key, and no character."""
_ALTGR_KEY: Final = "KEY_RIGHTALT"
_MODIFIERS: Final = _SHIFT | _COMMANDS | {_ALTGR_KEY}
_LOCKS: Final = frozenset({"KEY_CAPSLOCK", "KEY_NUMLOCK", "KEY_SCROLLLOCK"})


def typing_keys() -> Sequence[str]:
    """Return the names of the keys that type a character or end a line."""
    return (*_PLACES, *_KEYPAD, "KEY_KPDOT", *ENTER)


def known_keys() -> Sequence[str]:
    """Return the names of all keys that `TypedLines` knows: those of `typing_keys`, modifiers and locks."""
    return (*typing_keys(), *sorted(_MODIFIERS | _LOCKS))


class TypedLines:
    """Collects the characters of one device into lines."""

    def __init__(self, layout: KeyboardLayout) -> None:
        plain, shifted = _ROWS[layout]
        keypad = {**_KEYPAD, "KEY_KPDOT": _DECIMAL[layout]}
        self._plain = dict(zip(_PLACES, plain, strict=True)) | keypad
        self._shifted = dict(zip(_PLACES, shifted, strict=True)) | keypad
        self._altgr = _ALTGR[layout]
        self._down: set[str] = set()
        """The modifiers that are down."""
        self._line = ""
        self._broken = False
        """Whether the line is too long, or a part of it was lost."""
        self._last_s = 0.0

    def key(self, name: str, at_s: float, *, down: bool) -> str | None:
        """Take a press or a release at the time `at_s`. Return the line that it ends, or None.

        The line is empty if it cannot be used. Enter without a line ends none.
        """
        if name in _MODIFIERS:
            (self._down.add if down else self._down.discard)(name)
            return None
        if not down or name in _LOCKS:
            return None
        if at_s - self._last_s > PAUSE_S:
            self._begin()
        self._last_s = at_s
        if name in ENTER:
            ended = self._line or self._broken
            line = "" if self._broken else self._line.strip()
            self._begin()
            return line if ended else None
        if len(self._line) >= MOST_LINE_CHARS:
            self._broken = True
        else:
            self._line += self._character(name)
        return None

    def lose(self) -> None:
        """Note that keys were lost: the line that is being typed cannot be used."""
        self._down.clear()
        self._broken = True

    def _begin(self) -> None:
        self._line, self._broken = "", False

    def _character(self, name: str) -> str:
        if self._down & _COMMANDS:
            return UNKNOWN
        if _ALTGR_KEY in self._down:
            return self._altgr.get(name, UNKNOWN)
        return (self._shifted if self._down & _SHIFT else self._plain).get(name, UNKNOWN)
