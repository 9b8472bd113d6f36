"""`kioskd status`: shows the state of the running daemon in words, as JSON, or for Prometheus."""

import argparse
from collections.abc import Iterator, Mapping
from typing import Any, Final

from kioskd.cli import Exit, client
from kioskd.cli.output import say

_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86_400

_LINK: Final = {
    "down": "none open; a conversation opens one",
    "dialing": "dialing",
    "up": "up",
    "draining": "up, to be renewed soon",
    "waiting": "lost, to be retried soon",
}
"""Words for the phases of the link."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    client.add_arguments(parser)
    parser.add_argument("--prometheus", action="store_true", help="print Prometheus' text format")


def run(arguments: argparse.Namespace) -> int:
    """Print the daemon's status. Raises NotRunning."""
    if arguments.prometheus:
        answer = client.ask(arguments, {"do": "metrics"})
        if answer["ok"]:
            say(answer["text"].rstrip("\n"))
            return Exit.OK
        return client.report(arguments, answer, "")
    answer = client.ask(arguments, {"do": "status"})
    return client.report(arguments, answer, "\n".join(lines(answer)) if answer["ok"] else "")


def lines(status: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines for a person, most important first."""
    counts = status["counts"]
    yield client.legible(status["words"])
    yield _row("conversation", _conversation(status))
    yield _row("since start", _history(counts))
    yield _row("link", link_words(status["link"]))
    muted = " (kioskd unmute opens it)" if status["muted"] else ""
    yield _row("microphone", f"{status['microphone']}{muted}")
    yield _row("speaker", f"{status['speaker']}, volume {status['volume']} %")
    yield _row("camera", status["camera"])
    if status.get("subject") is not None:
        yield _row("subject", client.legible(status["subject"]))
    if status.get("presence") is not None:
        yield _row("presence", status["presence"])
    if (announcements := status.get("announcements")) is not None:
        yield _row("announcements", announcement_words(announcements))
    if status.get("captions") == "on":
        yield _row("captions", "on")
    for one in status.get("tools_left_out", ()):
        yield _row("tool left out", client.legible(left_out_words(one)))
    for words in status.get("tool_conditions", ()):
        yield _row("tool", client.legible(words))
    if (fleet := status.get("fleet")) is not None:
        yield _row("fleet", "broker connected" if fleet["connected"] else "broker not connected")
    for name, family in (
        ("tokens", "kioskd_tokens"),
        ("pictures", "kioskd_pictures"),
        ("tools", "kioskd_tool_calls"),
        ("subjects", "kioskd_subjects"),
        ("budget", "kioskd_budget"),
        ("devices lost", "kioskd_device_losses"),
        ("links ended", "kioskd_connections_ended"),
        ("links failed", "kioskd_connections_failed"),
    ):
        if counts.get(family):
            yield _row(name, listed(counts[family]))
    yield _row("running", running_words(status))


def running_words(status: Mapping[str, Any]) -> str:
    """Return how long the daemon has run, its version, and its log level."""
    return f"{span(status['uptime_s'])}, version {status['version']}, log {status['log_level']}"


def left_out_words(one: Mapping[str, str]) -> str:
    """Return the name of a tool that the service rejects, and why."""
    place = f", set at {one['place']}" if one["place"] else ""
    return f"{one['name']}{place}: the service rejects it ({one['why']})"


def announcement_words(announcements: Mapping[str, Any]) -> str:
    """Return how many announcements wait for a pause, and when the next one is planned."""
    planned = announcements["planned"]
    coming = f"planned {planned}, next at {announcements['next']}" if planned else "none planned"
    return f"{coming}, waiting for a pause {announcements['waiting']}"


def span(seconds: float) -> str:
    """Return a length of time in words."""
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE:.0f} min"
    if seconds < _DAY:
        return f"{seconds // _HOUR:.0f} h {seconds % _HOUR // _MINUTE:.0f} min"
    return f"{seconds // _DAY:.0f} d {seconds % _DAY // _HOUR:.0f} h"


def link_words(link: Mapping[str, Any]) -> str:
    """Return the state of the connection to the service."""
    words = _LINK.get(link["phase"], link["phase"])
    if link["phase"] != "down":
        words += f", epoch {link['epoch']}"
    if link["age_s"] is not None:
        words += f", for {span(link['age_s'])}"
    if link["tries"]:
        words += f", tries {link['tries']}"
    return f"{words}, sound waiting {link['held_s']:.1f} s" if link["held_s"] else words


def listed(counts: Mapping[str, float]) -> str:
    """Return counts by name in one line, largest first."""
    return ", ".join(f"{name} {count:g}" for name, count in sorted(counts.items(), key=lambda one: -one[1]))


def _conversation(status: Mapping[str, Any]) -> str:
    if status["conversation"] is None:
        return "none"
    words = f"number {status['conversation']}, turns so far {status['turn']}"
    if status.get("profile") is not None:
        words += f", profile {client.legible(status['profile'])}"
    if status.get("ends_in_s") is not None:
        words += f", ends in {span(status['ends_in_s'])} at the latest"
    return words


def _history(counts: Mapping[str, Any]) -> str:
    begun, waits = counts["kioskd_conversations"], counts["kioskd_reply_wait_seconds"]
    if not begun:
        return "no conversation yet"
    turns = sum(counts["kioskd_turns"].values())
    words = f"conversations {sum(begun.values()):g} ({listed(begun)}), turns {turns:g}"
    if waits["count"]:
        words += f", average wait for a reply {waits['sum'] / waits['count']:.2f} s"
    return words


def _row(name: str, words: str) -> str:
    return f"  {name:<13} {words}"
