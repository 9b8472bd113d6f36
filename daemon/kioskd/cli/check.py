"""`kioskd check`: reads the configuration exactly as `run` would, and prints every fault in it."""

import argparse
import dataclasses
import json
import os
from collections.abc import Iterator, Mapping
from typing import Final

from kioskd.cli import Exit, add_config, client
from kioskd.cli.status import left_out_words
from kioskd.doctor.machine import Machine
from kioskd.errors import KioskError
from kioskd.live_models import VERTEX_LANGUAGES
from kioskd.secret_files import STORES, KeyMissingError, is_there
from kioskd.settings.buttons_lamps import LampSettings, PresenceSettings
from kioskd.settings.camera import CameraSettings
from kioskd.settings.credentials import CREDENTIAL, VARIABLES, other_credential, service_key
from kioskd.settings.load import SettingsError, default_path, load_to_run, notes
from kioskd.settings.model import Settings
from kioskd.settings.sandbox import PROPERTIES, ServiceSandbox
from kioskd.tools.registry import kind_of
from kioskd.yamlconf.document import Fault

MACHINE: Final = Machine()
"""The machine of the service."""
SERVICE: Final = "/etc/kioskd/kioskd.yaml"
"""The file that the service reads."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add_config(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")


def run(arguments: argparse.Namespace) -> int:
    """Print the faults of the configuration, or a short summary of it."""
    path = default_path(arguments.config, os.environ)
    faults: tuple[Fault, ...] = ()
    remarks: list[str] = []
    summary: list[str] = []
    # This user may see files that the service's sandbox hides.
    of_service = os.path.realpath(path) == os.path.realpath(MACHINE.at(SERVICE))
    sandbox = ServiceSandbox.of_unit(MACHINE.properties(*PROPERTIES)) if of_service else None
    try:
        settings = load_to_run(path, os.environ, sandbox)
    except SettingsError as err:
        faults = err.faults
    else:
        from kioskd.app import prompt_notes, unfit  # noqa: PLC0415 - slow, and not needed for a file with faults
        from kioskd.tools.build import sandbox_notes  # noqa: PLC0415 - the same

        faults = unfit(path, settings)
        key, missing = _key(settings, os.environ)
        remarks = [one for one in notes(settings, os.environ, sandbox) if not one.startswith("service key")]
        remarks += [missing] if missing else []
        remarks += [*prompt_notes(settings), *sandbox_notes(settings.tools), *_sound_card_notes(settings)]
        remarks += _left_out() if settings.tools else []
        summary = [f"{path}: ok", *_summary(settings, key)]
    if arguments.json:
        listed = [dataclasses.asdict(fault) for fault in faults]
        report = {"ok": not faults, "faults": listed, "notes": remarks}
        print(json.dumps(report, indent=2, ensure_ascii=False))
    else:
        print("\n".join([*(map(str, faults) if faults else summary), *(f"  note: {one}" for one in remarks)]))
    return Exit.CONFIGURATION if faults else Exit.OK


def _sound_card_notes(settings: Settings) -> list[str]:
    """Return the obstacles to the use of the sound cards now. It opens none: the daemon may be about to."""
    from kioskd.adapters.portaudio.alsa_probe import AlsaProbe  # noqa: PLC0415 - as above
    from kioskd.adapters.portaudio.devices import Direction  # noqa: PLC0415 - as above

    chosen = {Direction.IN: settings.microphone.device, Direction.OUT: settings.speaker.device}
    found = ((way, wanted, AlsaProbe().remark(wanted, way)) for way, wanted in chosen.items())
    return [f"{way.value}.device {wanted!r}: {remark}" for way, wanted, remark in found if remark is not None]


def _left_out() -> list[str]:
    """Return the tools that a running daemon has left out, because the service rejects them."""
    try:
        status = client.ask(argparse.Namespace(socket=None), {"do": "status"})
    except KioskError:
        return []
    words = [client.legible(left_out_words(one)) for one in status.get("tools_left_out", ())]
    remedy = "simplify its parameters, or remove the tool"
    return [f"the running kiosk has left out the tool {one}; {remedy}" for one in words]


def _key(settings: Settings, environ: Mapping[str, str]) -> tuple[str, str]:
    """Return the place of the service's key, and a note if there may be none; never the key."""
    if (other := other_credential(settings.service)) is not None:
        return f"not needed: service.{other} is set", ""
    try:
        service_key(settings.service, environ)
    except KeyMissingError as error:
        return _stored() or ("none", str(error))
    return "in this process's credentials or environment", ""


def _stored() -> tuple[str, str] | None:
    """Return the same as `_key` for a key that only the service has; None if it has none."""
    places = {store: is_there(MACHINE.at(f"{store}/{CREDENTIAL}")) for store in STORES}
    if found := next((store for store, there in places.items() if there), None):
        return f"stored: {found}/{CREDENTIAL}", ""
    if not set(VARIABLES).isdisjoint(MACHINE.unit_environ()):
        return "in the unit's Environment=", ""
    if None not in places.values():
        return None
    if MACHINE.properties("ActiveState").get("ActiveState") == "active":
        # A service without its key does not run.
        return "stored; only root and the service can read it", ""
    remedy = "run sudo kioskd check; to store one, run sudo kioskd key"
    return "hidden from this user", f"service key: only root can see whether {STORES[1]} holds one; {remedy}"


def _summary(settings: Settings, key: str) -> list[str]:
    conversation, controls = settings.conversation, settings.controls
    buttons = ", ".join(f"{button.source} {button.does}" for button in controls.all_buttons)
    tools = ", ".join(kind_of(tool).label(tool) for tool in settings.tools)
    ends = f"a conversation ends after {conversation.idle_s:g} s of silence, and lasts at most"
    service, assistant = settings.service, settings.assistant
    return [
        f"  wake        {', '.join(conversation.wake)}; {ends} {conversation.longest_s:g} s",
        f"  model       {service.model}, voice {assistant.voice}",
        f"  languages   {_languages(settings)}",
        f"  key         {key}",
        f"  microphone  {settings.microphone.device}, echo {settings.microphone.echo}",
        f"  speaker     {settings.speaker.device}, volume {settings.speaker.volume}",
        f"  camera      {_camera(settings.camera)}",
        f"  buttons     {buttons or 'none'}",
        f"  lamps       {', '.join(map(_lamp, controls.all_lamps)) or 'none'}",
        f"  tools       {tools or 'none'}",
        *(f"  {name:<11} {words}" for name, words in _if_set(settings) if words),
    ]


def _if_set(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield the parts that only some kiosks have, each with its words; empty if it is not set."""
    controls, captions, announcements = settings.controls, settings.captions, settings.announcements
    yield "readers", ", ".join(reader.source for reader in controls.readers)
    yield "presence", _presence(controls.presence) if controls.presence else ""
    yield "subjects", f"{len(settings.subjects)}" if settings.subjects else ""
    yield "profiles", ", ".join(settings.assistant.profiles)
    more = settings.conversation.extensions
    yield "more time", f"{more.by_s:g} s, at most {more.most} times" if more and more.most else ""
    screens = [f"http://127.0.0.1:{captions.port}/"] if captions.port else []
    screens += [str(captions.terminal)] if captions.terminal else []
    screens += ["kioskd captions"] if captions.on else []
    yield "captions", ", ".join(screens)
    times = ", ".join(entry.at for entry in announcements.schedule)
    yield "announced", f"at {times}" if times else ""
    fleet = settings.fleet
    broker = f" at {fleet.mqtt.broker}" if fleet and fleet.mqtt else ""
    yield "fleet", f"{fleet.name}{broker}" if fleet else ""


def _languages(settings: Settings) -> str:
    """Say which languages the model speaks, and what the provider says about them."""
    languages, provider = settings.assistant.languages, settings.service.provider
    documented = f"documents {len(VERTEX_LANGUAGES)}" if provider == "vertex" else "publishes no list"
    if len(languages) == 1:
        return f"{languages[0]} only; {provider} {documented}"
    follows = ", ".join(languages) or "any"
    first = settings.assistant.first_language
    return (
        f"{follows}: the model follows the visitor; {provider} {documented}; prompts begin in {first}, "
        "and follow where the service names the language it hears"
    )


def _camera(camera: CameraSettings) -> str:
    when = {
        "conversation": f"a picture every {camera.every_s:g} s during a conversation",
        "speech": f"a picture every {camera.every_s:g} s while the visitor speaks",
        "request": "a picture on request",
    }
    return f"{camera.source}, {when[camera.when]}" if camera.on else camera.source


def _presence(presence: PresenceSettings) -> str:
    does = "greets a visitor who comes, and ends" if presence.greets else "ends"
    return f"{presence.source} {does} a conversation when no person is there for {presence.away_s:g} s"


def _lamp(lamp: LampSettings) -> str:
    return lamp.source or f"the command {lamp.command[0] if lamp.command else ''}"
