"""`kioskd privacy`: what leaves this device, to whom and when; and what is kept, where and how long."""

import argparse
import json
import os
import textwrap
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from kioskd.app import policy
from kioskd.cli import add_config
from kioskd.core.policy import UplinkMode
from kioskd.settings.load import default_path, load
from kioskd.settings.model import Settings
from kioskd.tools.registry import kind_of
from kioskd.tools.tool_kind import insecure

WIDTH: Final = 100


class Leaving(NamedTuple):
    """Data that leave the device."""

    what: str
    to: str
    when: str


class Kept(NamedTuple):
    """Data that the device keeps."""

    what: str
    where: str
    how_long: str


NEVER: Final = (
    "While the kiosk sleeps, nothing that it hears leaves it; the last moments are in memory, each overwritten by the next.",
    "While it is muted, the microphone is closed.",
    "The journal holds times, lengths, causes and names of tools: no words, sound, pictures, keys or handles, at any level.",
    "After a crash there is no core dump, which would hold what was last said (LimitCORE=0 in the unit).",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add_config(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of words")


def run(arguments: argparse.Namespace) -> int:
    """Print what the configuration means for the people in front of the kiosk; return 0.

    Raises:
        SettingsError: the file has faults.
    """
    settings = load(default_path(arguments.config, os.environ))
    if arguments.json:
        report = {
            "leaves": [one._asdict() for one in leaves(settings)],
            "kept": [one._asdict() for one in keeps(settings)],
            "never": NEVER,
            "service_keeps": service_keeps(settings),
        }
        print(json.dumps(report, indent=2, ensure_ascii=False))
    else:
        print("\n".join(_words(settings)))
    return 0


def leaves(settings: Settings) -> Iterator[Leaving]:
    """Yield what leaves the device."""
    service, _ = _service(settings)
    yield Leaving("what the microphone hears", service, _sound_when(settings))
    camera = settings.camera
    if camera.on:
        when = {
            "conversation": f"every {camera.every_s:g} s during a conversation, if there is something new to see",
            "speech": f"every {camera.every_s:g} s while the visitor speaks, if there is something new to see",
            "request": "when the visitor, a button, a command or the model asks for one",
        }[camera.when]
        yield Leaving(f"pictures of at most {camera.size} pixels a side", service, when)
    given = ["the assistant's instructions"]
    given += ["the greeting"] if settings.assistant.greeting else []
    given += [f"{len(settings.assistant.pictures)} pictures of yours"] if settings.assistant.pictures else []
    yield Leaving(", ".join(given), service, "when a conversation begins")
    yield Leaving("questions typed by `kioskd ask`, pictures of `kioskd show`", service, "when you do so")
    lost = "when a session is lost in mid-conversation, so that a new one can go on"
    yield Leaving("what was said before, in words (at most 4000 letters)", service, lost)
    if settings.conversation.search:
        yield Leaving("searches in the model's words", "Google Search", "when the model looks something up")
    if settings.service.token_url is not None:
        server = urlsplit(settings.service.token_url).hostname or "the token server"
        what = "a request for a token, with nothing of the conversation"
        yield Leaving(what, server, "before a connection is made")
    asked = "when the model calls it, with what it has made of the visitor's words"
    for tool in settings.tools:
        kind = kind_of(tool)
        if (to := kind.goes_to(tool)) is not None:
            clear = " (not encrypted on its way: insecure)" if insecure(tool) else ""
            yield Leaving(f"calls of the tool {kind.label(tool)}", f"{to}{clear}", asked)


def keeps(settings: Settings) -> Iterator[Kept]:
    """Yield what is kept on the device."""
    yield Kept("the last words of both sides", "memory", "until the conversation ends")
    number = "a conversation's number and the handle that resumes it"
    yield Kept(number, "/run/kioskd, in memory, readable by the daemon alone", "until the conversation ends")
    yield Kept("volume and mute", "/var/lib/kioskd", "until they are changed")
    calls = any(tool.per_day for tool in settings.tools)
    if calls or policy.budget(settings).daily:
        yield Kept("minutes and tokens of the day", "/var/lib/kioskd", "until the next day")
    if calls:
        yield Kept("today's calls by the names of tools", "/var/lib/kioskd", "until the next day")
    for what, record in (
        ("transcripts: what was said, in words", settings.privacy.transcripts),
        ("recordings: what was sent and what came back, as sound", settings.privacy.recordings),
    ):
        if record is not None:
            how_long = f"{record.keep_days} days, {record.most_mb} MB at most; the oldest go first"
            yield Kept(what, f"{record.folder}, readable by the daemon alone", how_long)


def service_keeps(settings: Settings) -> str:
    """Return the sentence that names the terms of the service."""
    _, terms = _service(settings)
    return f"What the service keeps, and for how long, {terms}. It remembers a session for hours, to let it be resumed."


def _service(settings: Settings) -> tuple[str, str]:
    """Return the service in words, and where its terms are."""
    service = settings.service
    if service.endpoint is not None:
        gateway = urlsplit(service.endpoint).hostname
        return f"your gateway {gateway}, and whoever is behind it", f"is up to whoever runs {gateway}"
    if service.provider == "vertex":
        terms = "is in your contract with Google Cloud, for the location that you have chosen"
        return f"Google Cloud (Vertex AI), location {service.location or 'global'}", terms
    return "Google (Gemini API)", "is in its terms: https://ai.google.dev/gemini-api/terms"


def _sound_when(settings: Settings) -> str:
    when = {
        UplinkMode.ALWAYS: "during a conversation, all of it",
        UplinkMode.VOICE: "during a conversation, only while somebody speaks",
        UplinkMode.HELD: "only while the talk button is held",
    }[policy.uplink_mode(settings)]
    if settings.microphone.half_duplex:
        when += ", but not while the kiosk itself speaks"
    if lead_ms := policy.lead_ms(settings):
        when += f"; and the {lead_ms / 1000:g} s before it, so that no first word is lost"
    ways = {
        "button": "a button",
        "voice": "any voice (told from noise on this device)",
        "wakeword": "a wake word (recognised on this device)",
        "start": "itself, over and over, as long as it runs",
        "remote": "`kioskd wake`",
    }
    woken = " or ".join(ways[way] for way in settings.conversation.wake)
    lasts = f"and lasts {settings.conversation.longest_s:g} s at most"
    return f"{when}. A conversation is begun by {woken}, {lasts}"


def _words(settings: Settings) -> Iterator[str]:
    yield "What leaves this device:"
    for one in leaves(settings):
        yield from _item(f"{one.what}, to {one.to}: {one.when}.")
    yield ""
    yield "What is kept on it:"
    for each in keeps(settings):
        yield from _item(f"{each.what}: in {each.where}; {each.how_long}.")
    if settings.privacy.transcripts is None and settings.privacy.recordings is None:
        yield from _item("Of what is said or seen, nothing: transcripts and recordings are off.")
    yield ""
    yield "What is not:"
    for line in NEVER:
        yield from _item(line)
    yield ""
    yield from textwrap.wrap(service_keeps(settings), WIDTH)


def _item(text: str) -> Sequence[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="  - ", subsequent_indent="    ", break_on_hyphens=False)
