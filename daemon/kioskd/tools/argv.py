"""Checks of the programs that tools run, and of the places where their arguments may hold a visitor's words.

A parameter may stand in an argument of two kinds of programs: those known to treat their arguments as data,
and the owner's own. For any other program the owner must state that it does. So an unknown program is
rejected.
"""

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from pydantic import ValidationInfo

from kioskd.tools.template import FIELD
from kioskd.yamlconf.value_types import at, program, said

SEARCH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Folders that are searched for a program without a path, whatever the daemon's own PATH."""

_SYSTEM: Final = re.compile(r"/(?:s?bin|lib\w*|usr/(?!local/))")
"""Matches the folders of the distribution's programs. Programs elsewhere are the owner's own."""
_SCRIPTS: Final = (
    (re.compile(r"(?:ba|da|z|k|mk|a|fi)?sh|python[\d.]*"), "c"),
    (re.compile(r"perl|ruby|node"), "e"),
)
"""Interpreters that run a script given as an argument, and the letter of the option for it."""
_WITH_A_WORD: Final = re.compile(r"[-+][A-Za-z]*[oO]|--rcfile|--init-file|-[A-Za-z]*[WX]")
"""Options of these interpreters that consume the next word."""

_DATA: Final = frozenset(
    {
        *("echo", "printf", "cat", "head", "tail", "wc", "ls", "stat"),
        *("test", "sleep", "seq", "true", "false"),
        *("basename", "dirname", "cal", "grep", "fgrep", "look", "logger", "ping", "figlet", "qrencode"),
        *("aplay", "espeak", "espeak-ng", "flite", "spd-say", "pico2wave", "paplay", "pw-play", "mpc"),
        *("amixer", "wpctl", "pactl", "playerctl", "notify-send", "mosquitto_pub", "wakeonlan", "etherwake"),
        *("gpioset", "gpioget", "gpiofind", "pinctrl", "raspi-gpio", "vcgencmd", "cec-ctl", "lp"),
    }
)
"""Programs of the distribution that never run an argument: not as a program, a command or a script file."""
_WRAPPERS: Final[Mapping[str, tuple[re.Pattern[str], int]]] = {
    "env": (re.compile(r"-i|-u \S+|-C \S+|[A-Za-z_][A-Za-z0-9_]*=.*"), 0),
    "nice": (re.compile(r"-n ?-?\d+"), 0),
    "ionice": (re.compile(r"-c ?\d|-n ?\d|-t"), 0),
    "nohup": (re.compile(r"(?!)"), 0),
    "setsid": (re.compile(r"-w|-f"), 0),
    "stdbuf": (re.compile(r"-[ioe] ?\w+"), 0),
    "sudo": (re.compile(r"-n|-u \S+|-g \S+"), 0),
    "timeout": (re.compile(r"-k \S+|-s \S+|--foreground|--preserve-status|-v"), 1),
}
"""Programs that run another program: a pattern of their options, and the number of their other words.

In the pattern a blank separates an option from its own word.
"""
_SHELL: Final = re.compile(r"(?:ba|da|z|k|mk|a|fi)?sh")
_INTERPRETER: Final = re.compile(
    r"(?:ba|da|z|k|mk|a|fi)?sh|python[\d.]*|perl|ruby|node(?:js)?|lua[\d.]*|php[\d.]*"
)
_RUNS_STDIN: Final = frozenset(
    {"ssh", "su", "chroot", "nsenter", "unshare", "at", "batch", "xargs", "parallel", "busybox"}
)


def runnable(argv: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
    """Reject an `argv` that cannot be run, and resolve the program's relative path from the YAML's folder."""
    if not argv:
        raise said("is an empty list; write the program and its arguments, such as [/usr/bin/door, open]")
    first, *words = argv
    if FIELD.search(first):
        raise at([0], "has a parameter, so the model would choose the program; write the program's name")
    for number, word in enumerate(argv):
        if not word.isprintable():
            raise at([number], "holds a line break or an invisible character; remove it")
    return (program(first, info), *words)


def no_script(argv: tuple[str, ...]) -> tuple[str, ...]:
    """Reject a parameter within a script that an interpreter of `argv` runs: quoting cannot make it safe."""
    for number, word in enumerate(argv):
        for interpreter, option in _SCRIPTS:
            if interpreter.fullmatch(Path(word).name):
                for script in _scripts(argv, number + 1, option):
                    if FIELD.search(argv[script]):
                        raise at(
                            [script],
                            "has a parameter in a script, so a visitor's words would run as a program; "
                            'give it after the script, which reads it as "$1" (sh) or sys.argv[1] (python)',
                        )
    return argv


def _scripts(argv: Sequence[str], first: int, option: str) -> Iterator[int]:
    """Yield the positions from `first` on of the options that announce a script, and of the script itself."""
    asked = False
    for number in range(first, len(argv)):
        word = argv[number]
        if re.match(rf"-[A-Za-z]*{option}", word):
            asked = True
            yield number
        elif not word.startswith(("-", "+")) and not _WITH_A_WORD.fullmatch(argv[number - 1]):
            if asked:
                yield number
            return


def takes_data(argv: Sequence[str]) -> str | None:
    """Return why parameters in `argv` may be unsafe; None if its program treats them as data."""
    words = _unwrapped(argv)
    name = Path(words[0]).name
    reached = any(FIELD.search(word) for word in argv)
    if _INTERPRETER.fullmatch(name):
        fixed = _fixed_script(words)
        return None if fixed else f"{name} would run its input: name a script of yours before any parameter"
    if not reached:
        return f"{name} may run its input from stdin" if name in _RUNS_STDIN else None
    if name in _DATA or _is_own(words[0]):
        return None
    return f"{name} is not known to treat its arguments as data: it may run a visitor's words"


def _is_own(name: str) -> bool:
    """Return whether `name` is one of the owner's programs, not a link to one of the distribution's."""
    found = name if "/" in name else shutil.which(name, path=SEARCH)
    if found is None or _SYSTEM.match(found):
        return False
    return not _SYSTEM.match(str(Path(found).resolve()))


def _unwrapped(argv: Sequence[str]) -> Sequence[str]:
    """Return the part of `argv` that begins with the program that finally runs, as far as this is certain."""
    words = argv
    while (wrapper := _WRAPPERS.get(Path(words[0]).name)) is not None:
        options, others = wrapper
        at_word = 1
        while at_word < len(words):
            if options.fullmatch(" ".join(words[at_word : at_word + 2])) and not options.fullmatch(
                words[at_word]
            ):
                at_word += 2
            elif options.fullmatch(words[at_word]):
                at_word += 1
            else:
                break
        at_word += others
        if at_word >= len(words) or words[at_word].startswith("-") or FIELD.search(" ".join(words[:at_word])):
            return words
        words = words[at_word:]
    return words


def _fixed_script(words: Sequence[str]) -> bool:
    """Return whether the owner's own words fix what an interpreter runs, before any parameter."""
    is_shell = bool(_SHELL.fullmatch(Path(words[0]).name))
    for number in range(1, len(words)):
        word = words[number]
        if FIELD.search(word) or word == "-":
            return False
        if _WITH_A_WORD.fullmatch(words[number - 1]) and number > 1:
            continue
        if not word.startswith(("-", "+")):
            return True
        if re.match(r"-[A-Za-z]*s", word) and is_shell:
            return False  # the script comes from stdin
        if "perl" in Path(words[0]).name and re.match(r"-[A-Za-z]*[npi]", word):
            return False  # perl's loops open their arguments, and a file's name can be a command
        if not is_shell and re.match(r"-m.|-[A-Za-z]*[ce].", word):
            return True
    return False
