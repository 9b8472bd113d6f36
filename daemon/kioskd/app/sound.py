"""Settings -> the way of the sound: what the kiosk listens for, hears and says."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from kioskd.app.meaning import lead_ms, pause_ms, talk
from kioskd.app.parts import Parts, echo_canceller
from kioskd.core.effects import Cue
from kioskd.core.events import Cause, Event
from kioskd.core.policy import Talk
from kioskd.errors import Code
from kioskd.flow.ears import Ears, Loading, Waker
from kioskd.flow.live_to_speaker import LiveToSpeaker
from kioskd.flow.meters import Meters
from kioskd.flow.mic_to_live import MicToLive
from kioskd.media.bargein import BargeIn
from kioskd.media.voice import VoiceDetector
from kioskd.settings.model import Settings

if TYPE_CHECKING:
    from kioskd.media.cues import Cue as Sound
    from kioskd.media.echo import EchoCanceller
    from kioskd.media.notch import CueFilter

HELD_AFTER_MS: Final = 240
"""Sound that is still sent when a talk button is let go: people let go on their last word."""


def sound(
    settings: Settings,
    parts: Parts,
    meters: Meters,
    post: Callable[[Event], None],
    *,
    volume: int,
    wake_word: Loading | None,
) -> tuple[MicToLive, LiveToSpeaker]:
    """Return the uplink and the downlink. `wake_word`: see there.

    Raises:
        ConfigError: an extra that the settings need is not installed.
    """
    echo = echo_canceller(settings)
    wanted = {Cue(name) for name in settings.speaker.cues}
    cues = _cue_filter() if wanted else None
    mode = settings.microphone.echo
    downlink = LiveToSpeaker(
        meters.speaker(parts.speaker),
        post,
        parts.clock,
        volume=volume,
        echo=echo,
        chimes=wanted | ({Cue.UNMUTE} if Cue.MUTE in wanted else set()),
        prompts=partial(_prompt, parts),
        on_cue=partial(_expect, cues) if cues is not None else None,
    )
    held = talk(settings) is Talk.HELD

    def own_residue() -> bool:
        return mode == "hardware" and downlink.own_voice

    uplink = MicToLive(
        meters.microphone(parts.microphone),
        post,
        parts.clock,
        preroll_ms=settings.microphone.preroll_ms,
        ears=ears(settings, post, echo, wake_word, downlink),
        cleaners=[cleaner for cleaner in (echo, cues) if cleaner is not None],
        # What a card leaves of the kiosk's voice is loud enough to be answered; what the canceller leaves is not.
        own_voice=lambda: downlink.voice_lingers if mode == "half_duplex" else own_residue(),
        own_lead=lambda: held and own_residue(),
        lead_ms=lead_ms(settings),
        after_ms=HELD_AFTER_MS if held else 0,
    )
    return uplink, downlink


def wake_word(settings: Settings) -> Loading | None:
    """Return what listens for the wake word, once its `run` has loaded it; None where no word wakes the kiosk."""
    conversation = settings.conversation
    if "wakeword" not in conversation.wake:
        return None

    def load() -> Waker:
        from kioskd.adapters.wakeword import WakeWord  # noqa: PLC0415

        return WakeWord(conversation.wakeword)

    return Loading("wake word", load)


def ears(
    settings: Settings,
    post: Callable[[Event], None],
    echo: "EchoCanceller | None",
    wake_word: Loading | None,
    downlink: LiveToSpeaker,
) -> Ears:
    """Return what listens for the core."""
    conversation = settings.conversation
    wakers: dict[Cause, Waker] = {}
    if "voice" in conversation.wake:
        from kioskd.media.onset import Onset  # noqa: PLC0415 - brings numpy

        wakers[Cause.VOICE] = Onset()
    if wake_word is not None:
        wakers[Cause.WAKEWORD] = wake_word
    return Ears(
        post,
        voice=VoiceDetector(pause_ms=pause_ms(conversation)),
        wakers=wakers,
        # Also where the visitor's voice ends no reply: what is left of an echo is not theirs.
        interrupter=None if settings.microphone.echo == "half_duplex" else BargeIn(echo),
        own_voice=lambda: downlink.own_voice,
        own_sound=lambda: downlink.lingers,
    )


def _prompt(parts: Parts, code: Code) -> bytes | None:
    return parts.prompts.get(code) if parts.prompts is not None else None


def _cue_filter() -> "CueFilter":
    from kioskd.media.notch import CueFilter  # noqa: PLC0415 - brings numpy

    return CueFilter()


def _expect(cues: "CueFilter", cue: "Sound", latency_s: float) -> None:
    from kioskd.media.notch import frames_to_expect  # noqa: PLC0415 - loaded by now

    cues.expect(cue, frames_to_expect(cue, latency_s))
