"""Checks that no other program holds the sound cards."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from kioskd.adapters.portaudio.devices import Direction, alsa_id
from kioskd.adapters.portaudio.sound_cards import Pcm, holder
from kioskd.doctor.context import CheckContext
from kioskd.doctor.finding import Finding, fault, note, ok, skipped
from kioskd.doctor.machine import Machine

SERVERS: Final = frozenset({"pipewire", "pipewire-pulse", "wireplumber", "pulseaudio", "jackd", "jackdbus"})

_STREAM: Final = re.compile(r"card(?P<card>\d+)/pcm(?P<pcm>\d+)(?P<way>[cp])")


@dataclass(frozen=True, slots=True)
class CardUser:
    """One direction of a sound card, and the program that has it open."""

    card: str
    """The card's name in the kernel."""
    number: str
    pcm: str
    captures: bool
    program: str
    pid: int


def cards(context: CheckContext) -> Sequence[Finding]:
    """Prove that the sound cards are free for the daemon, or held by a sound server that shares them."""
    machine, settings = context.machine, context.settings
    if not machine.at("/proc/asound").is_dir():
        return [skipped("this kernel knows no sound card")]
    ours = machine.daemon()
    wanted = {True: settings.microphone.device, False: settings.speaker.device}
    others = [one for one in _card_users(machine) if one.pid != ours]
    held = [one for one in others if not _names_another(wanted[one.captures], one)]
    # A sound server shares its own devices ("default", "pulse"), but not the card itself.
    faults = [
        _held_fault(one)
        for one in held
        if one.program not in SERVERS or _is_card(wanted[one.captures], one, machine)
    ]
    if faults:
        return faults
    if not held:
        return [ok("no other program uses them")]
    programs = ", ".join(sorted({one.program for one in held}))
    said = f"shared by {programs}: the service can use it only if it runs for the whole system"
    remedy = "if a device is missing below, set microphone.device and speaker.device to the card itself"
    return [note(said, remedy)]


def _held_fault(one: CardUser) -> Finding:
    which = "microphone" if one.captures else "speaker"
    if one.program in SERVERS:
        remedy = (
            f"switch {one.program} off, as a kiosk needs none (systemctl --user --global disable --now "
            f"{one.program}), or set {which}.device: default"
        )
    else:
        remedy = f"end it (sudo kill {one.pid}), and find out what starts it"
    said = f"{one.program} (process {one.pid}) holds the {which} of card {one.card}"
    return fault("card-held", said, remedy)


def _card_users(machine: Machine) -> Iterator[CardUser]:
    for stream in sorted(machine.at("/proc/asound").glob("card[0-9]*/pcm[0-9]*")):
        numbers = _STREAM.fullmatch(f"{stream.parent.name}/{stream.name}")
        if numbers is None:
            continue
        direction = Direction.IN if numbers["way"] == "c" else Direction.OUT
        by = holder(Pcm(int(numbers["card"]), int(numbers["pcm"]), direction), machine.root)
        if by is not None:
            card = stream.parent
            yield CardUser(
                card=machine.text(card / "id") or card.name,
                number=numbers["card"],
                pcm=numbers["pcm"],
                captures=direction is Direction.IN,
                program=by.program,
                pid=by.pid,
            )


def _names_another(wanted: str, held: CardUser) -> bool:
    """Whether the settings name another card, or another device of this one, by its ALSA id."""
    asked = alsa_id(wanted)
    if asked is None:
        return False
    card, pcm = asked
    return card not in (held.card.casefold(), held.number) or pcm not in (None, held.pcm)


def _is_card(wanted: str, held: CardUser, machine: Machine) -> bool:
    """Whether the name in the settings means the card itself, not a sound server's device for it."""
    if "hw:" in wanted:
        return wanted.partition("CARD=")[2].partition(",")[0] == held.card or f"hw:{held.number}" in wanted
    listed = machine.text("/proc/asound/cards") or ""
    words = re.search(rf"^ *{held.number} \[[^\]]*\]: (.*)$", listed, re.MULTILINE)
    if wanted == "default" or words is None:
        return False
    return wanted.partition(":")[0].casefold() in words[1].casefold()
