"""`kioskd watch`: shows the running daemon live."""

import argparse
import itertools
import math
import os
import select
import signal
import sys
import termios
import threading
import tty
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, Final, TextIO

from kioskd.cli import Exit, client
from kioskd.cli.output import say_json
from kioskd.cli.status import link_words, listed, running_words
from kioskd.errors import KioskError

if TYPE_CHECKING:
    from rich.console import RenderableType

FLOOR_DB: Final = -60.0
"""Left end of a meter, in decibels; the noise of a quiet room is about there."""

LOUD_DB: Final = -6.0
CLIPPED_DB: Final = -0.5

EVENTS: Final = 50

COLOURS: Final = {
    "listening": "green",
    "thinking": "yellow",
    "speaking": "cyan",
    "waking": "yellow",
    "muted": "magenta",
    "offline": "red",
    "fault": "red",
    "closed": "red",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    client.add_arguments(parser)
    parser.epilog = (
        "Press q or Ctrl-C to leave. With --json, or where it cannot draw, it prints a JSON object a line."
    )


def run(arguments: argparse.Namespace) -> int:
    """Show the daemon until interrupted. Raises KioskError if none runs, or it has stopped."""
    with closing(client.talk(arguments, {"do": "watch"})) as answers:
        first = next(answers)
        if not first["ok"]:
            return client.report(arguments, first, "")
        statuses = itertools.chain([first], answers)
        try:
            if arguments.json or not drawable(sys.stdout, os.environ):
                for status in statuses:
                    say_json(status, indent=None)
            else:
                _show(statuses)
        except KeyboardInterrupt:
            return Exit.OK
    return Exit.OK


def drawable(output: TextIO, environ: Mapping[str, str]) -> bool:
    """Return whether `output` is a terminal that can move its cursor; others would show nothing."""
    return output.isatty() and environ.get("TERM", "dumb") not in ("", "dumb", "unknown")


def _show(answers: Iterator[Mapping[str, Any]]) -> None:
    try:
        from rich.live import Live  # noqa: PLC0415 - an extra, and slow
    except ImportError:
        raise KioskError(
            "watch needs the library rich: run scripts/install.sh again, or use kioskd watch --json"
        ) from None
    events: deque[Mapping[str, str]] = deque(maxlen=EVENTS)
    with leaving_by_key() as hint, Live(screen=True, auto_refresh=False) as live:
        for status in answers:
            events.extend(status["events"])
            live.update(screen(status, list(events), live.console.size.height, hint), refresh=True)


@contextmanager
def leaving_by_key() -> Iterator[str]:
    """Let the key q end the block as Ctrl-C does, if standard input is a terminal. Yield a hint for it."""
    if not sys.stdin.isatty():
        yield "Ctrl-C leaves"
        return
    keys = sys.stdin.fileno()
    before = termios.tcgetattr(keys)
    ended, end = os.pipe()
    reader = threading.Thread(target=_await_key, args=(keys, ended), name="keys", daemon=True)
    # A program in the background ignores SIGINT, which the key sends.
    interrupt = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        tty.setcbreak(keys, termios.TCSANOW)
        reader.start()
        yield "q leaves"
    finally:
        os.close(end)
        reader.join()
        os.close(ended)
        termios.tcsetattr(keys, termios.TCSANOW, before)
        signal.signal(signal.SIGINT, interrupt)


def _await_key(keys: int, ended: int) -> None:
    """Wait for q, or until the other end of `ended` is closed."""
    while ended not in select.select([keys, ended], [], [])[0]:
        typed = os.read(keys, 64)
        if not typed or b"q" in typed.lower():
            # A signal, because the main thread may be waiting for a silent daemon.
            os.kill(os.getpid(), signal.SIGINT)
            return


def screen(
    status: Mapping[str, Any], events: Sequence[Mapping[str, str]], height: int, hint: str = "q leaves"
) -> "RenderableType":
    """Return the display for a terminal of `height` lines; `hint` says how to leave."""
    from rich.console import Group  # noqa: PLC0415 - as above
    from rich.rule import Rule  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    counts, state = status["counts"], status["state"]
    code = f"  code {status['code']}" if status["code"] else ""
    style = f"bold {COLOURS.get(state, 'white')}"
    head = Table.grid(padding=(0, 1), expand=True)
    head.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    head.add_column(no_wrap=True, style="dim")
    head.add_row(Text(client.legible(status["words"]), style), hint)
    none = status["conversation"] is None
    talk = "none" if none else f"number {status['conversation']}, turns {status['turn']}"
    rows: dict[str, RenderableType] = {
        "state": Text(f"{state}{code}", style),
        "conversation": f"{talk}; since start: {sum(counts['kioskd_conversations'].values()):g}",
        "microphone": meter(status["levels"]["microphone"], status["microphone"]),
        "speaker": meter(status["levels"]["speaker"], f"{status['speaker']}, volume {status['volume']} %"),
        "link": link_words(status["link"]),
        "camera": " ".join(filter(None, (status["camera"], listed(counts["kioskd_pictures"])))),
        "tokens": listed(counts["kioskd_tokens"]) or "none",
        "running": running_words(status),
    }
    table = Table.grid(padding=(0, 1))
    table.add_column(width=13, style="dim")
    table.add_column(no_wrap=True, overflow="ellipsis")
    for name, words in rows.items():
        table.add_row(name, Text(client.legible(words)) if isinstance(words, str) else words)
    room = max(0, height - len(rows) - 2)
    shown = events[-room:] if room else []
    return Group(head, table, Rule("last events", style="dim"), *map(_event, shown))


def meter(level: float, words: str, width: int = 24) -> "RenderableType":
    """Return a level as a bar with decibels below full scale, and `words` about the device."""
    from rich.text import Text  # noqa: PLC0415 - as above

    decibels = 20 * math.log10(level) if level > 0 else -math.inf
    filled = round(width * min(1.0, max(0.0, 1 - decibels / FLOOR_DB)))
    colour = "red" if decibels >= CLIPPED_DB else "yellow" if decibels >= LOUD_DB else "green"
    reading = f"{decibels:4.0f} dB" if decibels > FLOOR_DB else "  quiet"
    bar = (("█" * filled, colour), ("·" * (width - filled), "dim"))
    return Text.assemble(*bar, f" {reading}  {client.legible(words)}")


def _event(event: Mapping[str, str]) -> "RenderableType":
    from rich.text import Text  # noqa: PLC0415 - as above

    colour = {"warning": "yellow", "error": "red", "critical": "red"}.get(event["level"], "")
    words = f"{event['at']} {client.legible(event['text'])}"
    return Text(words, colour, no_wrap=True, overflow="ellipsis")
