"""Programs that tools run: what their words may be, and which of them may hold what a visitor says.

A parameter may stand in an argument of a program that is known to take its arguments as data, or that is the owner's own.
Of any other program the owner has to state it. So a program that nobody thought of is refused, and not let through.
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
"""Where a program without a path is looked for, whatever the daemon's own PATH."""

_SYSTEM: Final = re.compile(r"/(?:s?bin|lib\w*|usr/(?!local/))")
"""Where the distribution's programs are; those elsewhere are the owner's own."""
_SCRIPTS: Final = (
    (re.compile(r"(?:ba|da|z|k|mk|a|fi)?sh|python[\d.]*"), "c"),
    (re.compile(r"perl|ruby|node"), "e"),
)
"""Programs that run a word of their own, and the letter of the option before it."""
_WITH_A_WORD: Final = re.compile(r"[-+][A-Za-z]*[oO]|--rcfile|--init-file|-[A-Za-z]*[WX]")
"""Their options that take the next word."""

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
"""The distribution's programs that take no argument for a program, a command, or the name of a file to run."""
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
"""Programs that run the one after them: their options, with a blank before an option's own word, and other words of theirs."""
_SHELL: Final = re.compile(r"(?:ba|da|z|k|mk|a|fi)?sh")
_INTERPRETER: Final = re.compile(
    r"(?:ba|da|z|k|mk|a|fi)?sh|python[\d.]*|perl|ruby|node(?:js)?|lua[\d.]*|php[\d.]*"
)
_RUNS_STDIN: Final = frozenset(
    {"ssh", "su", "chroot", "nsenter", "unshare", "at", "batch", "xargs", "parallel", "busybox"}
)


def runnable(argv: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
    """Refuse what cannot be run; make a relative path of the program start at the YAML's folder."""
    if not argv:
        raise said(
            "is an empty list: the program and its arguments are needed; write [/usr/bin/door, open], say"
        )
    first, *words = argv
    if FIELD.search(first):
        raise at([0], "has a parameter: the model would choose the program; name it")
    for number, word in enumerate(argv):
        if not word.isprintable():
            raise at([number], "holds line breaks or odd characters; write them otherwise")
    return (program(first, info), *words)


def no_script(argv: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse a parameter in what an interpreter of `argv` runs: quoting cannot be left to who wrote it."""
    for number, word in enumerate(argv):
        for interpreter, option in _SCRIPTS:
            if interpreter.fullmatch(Path(word).name):
                for script in _scripts(argv, number + 1, option):
                    if FIELD.search(argv[script]):
                        raise at(
                            [script],
                            "has a parameter in a script, which would run what a visitor says: give it as an argument "
                            'after the script, which takes it as "$1" (sh), sys.argv[1] (python)',
                        )
    return argv


def _scripts(argv: Sequence[str], first: int, option: str) -> Iterator[int]:
    """Yield the words from `first` on that are options with a script in them, and the word of the script itself."""
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
    """Return what is not known of the program of `argv`, which parameters reach; None where they arrive as data."""
    words = _unwrapped(argv)
    name = Path(words[0]).name
    reached = any(FIELD.search(word) for word in argv)
    if _INTERPRETER.fullmatch(name):
        fixed = _fixed_script(words)
        return (
            None if fixed else f"{name} would run what it reads: name a script of yours before any parameter"
        )
    if not reached:
        return f"{name} may run what it reads from stdin" if name in _RUNS_STDIN else None
    if name in _DATA or _is_own(words[0]):
        return None
    return f"{name} is not known to take its arguments as data: it may run what a visitor says"


def _is_own(name: str) -> bool:
    """Return whether `name` is a program of the owner's, also behind a link."""
    found = name if "/" in name else shutil.which(name, path=SEARCH)
    if found is None or _SYSTEM.match(found):
        return False
    return not _SYSTEM.match(str(Path(found).resolve()))


def _unwrapped(argv: Sequence[str]) -> Sequence[str]:
    """Return `argv` from the program on that is run in the end, as far as that is plain to see."""
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
    """Return whether an interpreter is told by the owner's own words what to run, before any parameter."""
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
            return False  # its loops open their arguments, and the name of a file may be a command
        if not is_shell and re.match(r"-m.|-[A-Za-z]*[ce].", word):
            return True
    return False
