"""`kioskd privacy`: lists the data that leave this device, their receivers, and the data that it stores."""

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
    "Sound, while the kiosk is asleep: only the last moments are in memory, each overwritten by the next.",
    "Sound, while the kiosk is muted: the microphone is closed.",
    "Announcements, to the service: the microphone is shut off while the kiosk speaks one.",
    "Words, sound, pictures, keys or handles in the journal: it has times, lengths, causes, names of tools.",
    "The last words said, in a core dump: a crash writes none (LimitCORE=0 in the unit).",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add_config(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of words")


def run(arguments: argparse.Namespace) -> int:
    """Print the consequences of the configuration for the people in front of the kiosk; return 0.

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
            "captions": shows(settings),
        }
        print(json.dumps(report, indent=2, ensure_ascii=False))
    else:
        print("\n".join(_words(settings)))
    return 0


def leaves(settings: Settings) -> Iterator[Leaving]:
    """Yield the data that leave the device."""
    service, _ = _service(settings)
    yield Leaving("sound of the microphone", service, _sound_when(settings))
    camera = settings.camera
    if camera.on:
        when = {
            "conversation": f"every {camera.every_s:g} s during a conversation, if the camera sees a change",
            "speech": f"every {camera.every_s:g} s while the visitor speaks, if the camera sees a change",
            "request": "when the visitor, a button, a command or the model asks for one",
        }[camera.when]
        yield Leaving(f"pictures of at most {camera.size} pixels a side", service, when)
    given = ["the assistant's instructions"]
    given += ["those of the visitor's profile"] if settings.assistant.profiles else []
    given += ["the greeting"] if settings.assistant.greeting else []
    given += [f"{len(settings.assistant.pictures)} of your pictures"] if settings.assistant.pictures else []
    yield Leaving(", ".join(given), service, "when a conversation begins")
    if settings.subjects:
        what = "the text, the pictures and the greeting of a subject, but not the line that a reader typed"
        yield Leaving(what, service, "when the subject is chosen, and when a new session continues the talk")
    typed = "questions of `kioskd ask` and pictures of `kioskd show`"
    yield Leaving(typed, service, "when you use these commands")
    lost = "when a session is lost during a conversation, so that a new one can continue it"
    yield Leaving("the last words of both sides (at most 4000 letters)", service, lost)
    if settings.conversation.search:
        yield Leaving("search queries of the model", "Google Search", "when the model searches the web")
    if settings.service.token_url is not None:
        server = urlsplit(settings.service.token_url).hostname or "the token server"
        shown = " and this device's certificate" if settings.service.token_certificate is not None else ""
        what = f"a request for a token{shown}, without any data of the conversation"
        yield Leaving(what, server, "before each connection")
    if (fleet := settings.fleet_broker) is not None:
        broker = urlsplit(fleet.broker).hostname or "the broker"
        told = "state, faults, times and numbers of conversations, presses of the button, minutes and tokens"
        yield Leaving(f"{told}, without any word, sound or picture", f"broker {broker}", "as they change")
    if (voice := settings.announcements.voice) is not None and (voice.network or not voice.sandbox):
        yield Leaving("the words of your announcements", voice.reach(), "before each one is spoken")
    asked = "when the model calls the tool, with values that it takes from the visitor's words"
    for tool in settings.tools:
        kind = kind_of(tool)
        if (to := kind.goes_to(tool)) is not None:
            clear = " (not encrypted: insecure)" if insecure(tool) else ""
            yield Leaving(f"calls of the tool {kind.label(tool)}", f"{to}{clear}", asked)
        if (passages := kind.sends(tool)) is not None:
            yield Leaving(passages, service, f"when the model calls the tool {kind.label(tool)}")


def keeps(settings: Settings) -> Iterator[Kept]:
    """Yield the data that the device keeps."""
    yield Kept("the last words of both sides", "memory", "until the conversation ends")
    if settings.subjects:
        yield Kept("the subject of the conversation", "memory", "until the conversation ends")
    profile = ", the name of the visitor's profile" if settings.assistant.profiles else ""
    number = f"the conversation's number{profile} and the handle that resumes its session"
    yield Kept(number, "/run/kioskd (in memory, readable only by the daemon)", "until the conversation ends")
    yield Kept("volume and mute", "/var/lib/kioskd", "until they are changed")
    calls = any(tool.per_day for tool in settings.tools)
    if calls or policy.budget(settings).daily:
        yield Kept("minutes and tokens of the day", "/var/lib/kioskd", "until the next day")
    if calls:
        yield Kept("the number of today's calls of each tool", "/var/lib/kioskd", "until the next day")
    planned = "announcements of `kioskd say`, with their words"
    yield Kept(planned, "memory", "until they were spoken, or the daemon ends")
    for tool in settings.tools:
        if (kept := kind_of(tool).keeps(tool)) is not None:
            yield Kept(*kept)
    for what, record in (
        ("transcripts: all words of both sides", settings.privacy.transcripts),
        ("recordings: all sound of both sides", settings.privacy.recordings),
    ):
        if record is not None:
            how_long = f"{record.keep_days} days, {record.most_mb} MB at most; the oldest are deleted first"
            yield Kept(what, f"{record.folder} (readable only by the daemon)", how_long)


def shows(settings: Settings) -> str:
    """Return the sentences about captions; empty if they are off."""
    if not settings.captions.on:
        return ""
    port, terminal = settings.captions.port, settings.captions.terminal
    places = [f"at http://127.0.0.1:{port}/"] if port else []
    places += [f"on {terminal}"] if terminal is not None else []
    places.append("by `kioskd captions`")
    return (
        f"Captions show the words of both sides as text, {' and '.join(places)}. Every person who sees that "
        "screen can read them, and so can every program of this machine that opens the page. They are in "
        "memory only, are cleared when the kiosk falls asleep, and are stored nowhere."
    )


def service_keeps(settings: Settings) -> str:
    """Return the sentence that names the terms of the service."""
    _, terms = _service(settings)
    return f"{terms}. The service remembers a session for hours, so that it can be resumed."


def _service(settings: Settings) -> tuple[str, str]:
    """Return the name of the service, and a clause that says who decides what it keeps."""
    service = settings.service
    if service.endpoint is not None:
        gateway = urlsplit(service.endpoint).hostname
        terms = f"The operator of {gateway} decides which data the service keeps, and for how long"
        return f"your gateway {gateway}, and the services behind it", terms
    if service.provider == "vertex":
        location = service.location or "global"
        terms = f"Your contract with Google Cloud for {location} says which data are kept, and for how long"
        return f"Google Cloud (Vertex AI), location {location}", terms
    terms = "https://ai.google.dev/gemini-api/terms says which data the service keeps, and for how long"
    return "Google (Gemini API)", terms


def _sound_when(settings: Settings) -> str:
    when = {
        UplinkMode.ALWAYS: "during the whole conversation",
        UplinkMode.VOICE: "during a conversation, only while a person speaks",
        UplinkMode.HELD: "only while the talk button is held",
    }[policy.uplink_mode(settings)]
    if settings.microphone.half_duplex:
        when += ", but not while the kiosk itself speaks"
    if lead_ms := policy.lead_ms(settings):
        when += f"; also the {lead_ms / 1000:g} s before it, so that no first word is lost"
    ways = {
        "button": "a button",
        "voice": "any voice (recognised on this device)",
        "wakeword": "a wake word (recognised on this device)",
        "start": "the kiosk itself, again and again",
        "reader": "a code or a tag that a visitor shows",
        "presence": "a sensor that sees a visitor",
        "remote": "`kioskd wake`",
    }
    woken = " or ".join(ways[way] for way in settings.conversation.wake)
    rules = policy.core_policy(settings)
    slowest = max((1.0, *rules.stretch.values()))
    lasts = f"and lasts {rules.longest_s + rules.extensions * rules.extension_s * slowest:g} s at most"
    return f"{when}. A conversation is started by {woken}, {lasts}"


def _words(settings: Settings) -> Iterator[str]:
    yield "These data leave this device:"
    for one in leaves(settings):
        yield from _item(f"{one.what}, to {one.to}: {one.when}.")
    yield ""
    yield "This device keeps these data:"
    for each in keeps(settings):
        yield from _item(f"{each.what}: in {each.where}; {each.how_long}.")
    if settings.privacy.transcripts is None and settings.privacy.recordings is None:
        yield from _item("No words and no sound of conversations: transcripts and recordings are off.")
    if settings.captions.on:
        yield ""
        yield from textwrap.wrap(shows(settings), WIDTH)
    yield ""
    yield "The daemon neither sends nor stores these data:"
    for line in NEVER:
        yield from _item(line)
    yield ""
    yield from textwrap.wrap(service_keeps(settings), WIDTH)


def _item(text: str) -> Sequence[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="  - ", subsequent_indent="    ", break_on_hyphens=False)
