"""That no other program holds the sound cards."""

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
_ID_OF_NAME: Final = re.compile(r"hw:")


@dataclass(frozen=True, slots=True)
class CardUser:
    """One direction of a card that a program has open."""

    card: str
    """The kernel's own name for it."""
    number: str
    pcm: str
    captures: bool
    program: str
    pid: int


def cards(context: CheckContext) -> Sequence[Finding]:
    """Prove that they are free for the daemon, or held by a sound server that shares them."""
    machine = context.machine
    if not machine.at("/proc/asound").is_dir():
        return [skipped("this kernel knows no sound card")]
    ours = machine.daemon()
    names = {True: context.settings.microphone.device, False: context.settings.speaker.device}
    held = [
        one
        for one in _card_users(machine)
        if one.pid != ours and not _names_another(names[one.captures], one)
    ]
    # What goes by a sound server's own name is shared by it.
    in_the_way = [
        one for one in held if one.program not in SERVERS or _is_card(names[one.captures], one, machine)
    ]
    if in_the_way:
        return [_held_fault(one) for one in in_the_way]
    if held:
        programs = ", ".join(sorted({one.program for one in held}))
        return [
            note(
                f"shared by {programs}: a service's user reaches it only if it runs for the whole system",
                "if a device is missing below, name the card itself by microphone.device and speaker.device",
            )
        ]
    return [ok("held by nobody else")]


def _held_fault(one: CardUser) -> Finding:
    which = "microphone" if one.captures else "speaker"
    if one.program in SERVERS:
        remedy = (
            f"take {one.program} off this machine (a kiosk needs none: systemctl --user --global disable --now "
            f"{one.program}), or set {which}.device: default"
        )
    else:
        remedy = f"end it (sudo kill {one.pid}), and see what starts it"
    return fault(
        "card-held", f"{one.program} (process {one.pid}) holds the {which} of card {one.card}", remedy
    )


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
                card=machine.text(f"/{card.relative_to(machine.root)}/id") or card.name,
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
    """Whether the settings' name means the very card, rather than a sound server's idea of it."""
    if _ID_OF_NAME.search(wanted):
        return wanted.partition("CARD=")[2].partition(",")[0] == held.card or f"hw:{held.number}" in wanted
    listed = machine.text("/proc/asound/cards") or ""
    words = re.search(rf"^ *{held.number} \[[^\]]*\]: (.*)$", listed, re.MULTILINE)
    return (
        wanted != "default"
        and words is not None
        and wanted.partition(":")[0].casefold() in words[1].casefold()
    )
