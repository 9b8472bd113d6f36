"""Checks that announcements can be spoken, by the owner's voice program or by espeak-ng."""

from collections.abc import Sequence
from typing import Final

from kioskd.adapters.clock import SystemClock
from kioskd.adapters.espeak import Espeak, RenderingFailed
from kioskd.app.announcements import voice_program
from kioskd.doctor.context import CheckContext
from kioskd.doctor.finding import Finding, fault, note, of_error, ok, skipped

TEXT: Final = "One, two, three."
"""The text that a voice has to speak into memory. It is not heard."""

_REMEDY: Final = "correct announcements.voice, or remove it; until then espeak-ng speaks"


async def announcements(context: CheckContext) -> Sequence[Finding]:
    """Prove that a voice makes sound for each language of the schedule."""
    settings = context.settings.announcements
    if settings.voice is None and not settings.schedule:
        return [skipped("no announcement is configured; kioskd say works all the same")]
    read = [each for each in settings.schedule if each.file is None]
    own = context.settings.assistant.first_language
    languages = sorted({each.language or own for each in read} or {own})
    found: list[Finding] = []
    if settings.voice is not None and not settings.voice.sandbox:
        found.append(
            note("the voice program runs as the daemon itself (sandbox: false): it can read the key")
        )
    program = voice_program(context.settings, SystemClock())
    if program is not None:
        try:
            await program.render(TEXT, languages[0])
        except RenderingFailed as error:
            said = str(error).split("; ")[0]
            return [*found, fault("announcement-voice-broken", said, _REMEDY)]
    else:
        for language in languages if read else ():
            try:
                await Espeak().render(TEXT, language)
            except RenderingFailed as error:
                return [*found, of_error("announcement-unspoken", error, "apt install espeak-ng")]
    voice = "the voice program speaks" if program is not None else "espeak-ng speaks"
    spoken = f"{voice} {', '.join(languages)}" if program is not None or read else "recordings only"
    return [*found, ok(f"planned {len(settings.schedule)} times of the day; {spoken}")]
