"""Checks the microphone and the speaker, and measures the echo of the speaker in the microphone."""

import asyncio
from typing import Final

from kioskd.doctor.context import CheckContext
from kioskd.doctor.echo_sweep import EchoMeasurement, find_echo, is_spoilt, sweep
from kioskd.doctor.finding import Finding, fault, note, of_error, ok
from kioskd.doctor.microphone_level import RATE, MicrophoneLevel, fault_of, measure
from kioskd.doctor.sound import CapturedSound, Player, beside, listen, play
from kioskd.errors import DeviceLost
from kioskd.media import pcm
from kioskd.media.cues import CueSound, sound
from kioskd.media.echo_alignment import LONGEST_DELAY_S
from kioskd.media.mix import scaled
from kioskd.media.playout import gain

LISTEN_S: Final = 3.0
_LEAD_S: Final = 0.5
_TAIL_S: Final = 1.5
_DEADLINE_S: Final = 30.0
_PACE: Final = 0.1
_TRIES: Final = 3
"""Most tries to play at the right pace: a busy machine delays one try, a wrong rate all of them."""

CANCELLED_DB: Final = -35.0
"""Highest level of an echo that interrupts no reply: the device cancels it, or the speaker is far away."""
_LOUDEST_DB: Final = 3.0
"""Highest level of an echo that can be cancelled. Above it the rest of the echo is as loud as the visitor."""


async def microphone(context: CheckContext) -> Finding:
    """Prove that the microphone opens, stays open, and delivers intelligible sound at the right rate."""
    device = context.settings.microphone.device
    try:
        level = await _measure_microphone(context)
        found = fault_of(level)
        if found and found[0] == RATE:  # A device's wrong rate lasts; a busy machine's does not.
            level = await _measure_microphone(context)
            found = fault_of(level)
    except DeviceLost as lost:
        return of_error("microphone-missing", lost, "`kioskd devices` lists what is here")
    if found:
        name, said, remedy = found
        return fault(name, f"{device!r} {said}", remedy, **level.figures)
    said = f"{device!r} captures sound: level {level.level_db:.0f} dB, peak {level.peak_db:.0f} dB"
    return ok(said, **level.figures)


async def _measure_microphone(context: CheckContext) -> MicrophoneLevel:
    heard = await listen(context.only("microphone").microphone, context.clock, LISTEN_S)
    return measure(heard.sound, heard.pace)


async def speaker(context: CheckContext) -> Finding:
    """Prove that the speaker opens, and plays a chime at the right rate."""
    device, volume = context.settings.speaker.device, context.settings.speaker.volume
    chime = scaled(sound(CueSound.WAKE), gain(volume), gain(volume))
    piece = chime.ljust(pcm.byte_count(1.0, pcm.DOWNLINK_HZ), b"\0")
    pace, right = 0.0, False
    try:
        for _ in range(_TRIES):
            player = await play(context.only("speaker").speaker, context.clock, piece)
            pace = pcm.duration_s(len(piece), pcm.DOWNLINK_HZ) / player.took_s if player.took_s else 0.0
            right = 1 - _PACE <= pace <= 1 + 2 * _PACE
            if right:
                break
    except DeviceLost as lost:
        return of_error("speaker-missing", lost, "`kioskd devices` lists what is here")
    if volume == 0:
        remedy = "set speaker.volume, or run kioskd volume 70"
        return fault("speaker-muted", f"{device!r} plays, but at volume 0: visitors hear nothing", remedy)
    if not right:
        said = f"{device!r} plays sound at {pace:.2f} times the promised rate"
        remedy = "set speaker.device to the card itself (see kioskd devices)"
        return fault("speaker-rate", said, remedy, pace=round(pace, 3))
    return ok(f"{device!r} plays at volume {volume}", pace=round(pace, 3))


async def echo(context: CheckContext) -> Finding:
    """Prove that the speaker is audible, and measure its echo in the microphone, by sweeps of two seconds."""
    found, spoilt = await _sweep(context)
    if spoilt:  # by a busy machine, or a slamming door
        found, _ = await _sweep(context)
    if found is None:
        return await _echo_not_heard(context)
    figures = {
        "delay_ms": round(found.delay_s * 1000),
        "jitter_ms": round(found.jitter_s * 1000),
        "return_db": round(found.return_db, 1),
        "clear_db": round(found.clear_db, 1),
    }
    said = f"the echo comes after {figures['delay_ms']} ms, at {found.return_db:+.0f} dB"
    if found.clipped:
        remedy = (
            "lower speaker.volume or the microphone's gain (alsamixer), or move speaker and microphone apart"
        )
        words = f"{said}: the kiosk's own voice overdrives the microphone"
        return fault("echo-clipped", words, remedy, **figures)
    best, why = recommended_mode(found.delay_s, found.return_db)
    return _echo_finding(context.settings.microphone.echo, best, said, why, figures)


async def _sweep(context: CheckContext) -> tuple[EchoMeasurement | None, bool]:
    """Play and capture the sweep; return its echo, and whether an echo came that could not be measured.

    Raises:
        DeviceLost: microphone or speaker do not work while the other is in use.
    """
    loud, clock = gain(context.settings.speaker.volume), context.clock
    devices = context.only("microphone", "speaker")
    heard, over = CapturedSound(clock), asyncio.Event()
    player = Player(bytes(pcm.byte_count(_LEAD_S, pcm.DOWNLINK_HZ)) + sweep(gain=loud), clock, over)

    async def follow() -> None:
        await over.wait()
        await clock.sleep(_TAIL_S)

    try:
        async with asyncio.timeout(_DEADLINE_S):
            await beside(follow(), devices.microphone.capture(heard), devices.speaker.play(player))
    except TimeoutError:
        raise DeviceLost("speaker: did not play the sweep; unplug it and plug it in again") from None
    if not heard.frames:
        raise DeviceLost(
            "microphone: captures nothing while the speaker plays; use a sound card of its own for each"
        )
    began_s = player.began_s + _LEAD_S - heard.began_s
    echo = await asyncio.to_thread(find_echo, heard.sound, began_s, loud)
    return echo, echo is None and await asyncio.to_thread(is_spoilt, heard.sound, began_s, loud)


def recommended_mode(delay_s: float, return_db: float) -> tuple[str, str]:
    """Return the `microphone.echo` that fits the measured echo, and why."""
    if return_db <= CANCELLED_DB:
        return (
            "hardware",
            "the microphone hears next to nothing of the kiosk's voice, so visitors can interrupt it",
        )
    if delay_s > LONGEST_DELAY_S:
        return "half_duplex", f"no echo later than {LONGEST_DELAY_S * 1000:.0f} ms can be cancelled"
    if return_db > _LOUDEST_DB:
        return "half_duplex", "the kiosk is louder at its microphone than any visitor"
    return "cancel", "this echo can be cancelled, so visitors can interrupt the kiosk"


def _echo_finding(chosen: str, best: str, said: str, why: str, figures: dict[str, float]) -> Finding:
    all_figures: dict[str, float | str] = {**figures, "recommended": best}
    remedy = f"set microphone.echo: {best}"
    if chosen == "hardware" and best != "hardware":
        words = f"{said}: the device does not cancel it, so the kiosk would interrupt itself"
        return fault("echo-not-cancelled", words, remedy, **all_figures)
    if chosen == "cancel" and best == "half_duplex":
        return fault("echo-not-cancellable", f"{said}: {why}", remedy, **all_figures)
    if chosen == best or (chosen == "cancel" and best == "hardware"):
        return ok(f"{said}; microphone.echo: {chosen} fits", **all_figures)
    # half_duplex works in any room; a better mode is the owner's choice.
    return note(f"{said}; half_duplex works; {best} would work, too: {why}", remedy, **all_figures)


async def _echo_not_heard(context: CheckContext) -> Finding:
    said = "the microphone did not hear the rising tone that the speaker played"
    sure = await context.person.ask("Did you hear a rising tone?") if context.person else None
    hardware = context.settings.microphone.device_cancels
    if sure is False or (sure is None and not hardware):
        return fault(
            "speaker-not-heard",
            said if sure is None else f"{said}, and you did not hear it either",
            "check the speaker's plug, switch and amplifier, alsamixer and speaker.volume; if the tone was "
            "audible, the device cancels echo itself: set microphone.echo: hardware",
        )
    if hardware:
        return ok(f"{said}: the device cancels the echo", recommended="hardware")
    return note(
        f"{said}, but you did: the device cancels the echo, or the microphone is far away",
        "set microphone.echo: hardware, so that visitors can interrupt the kiosk",
        recommended="hardware",
    )
