"""Settings -> the way of the sound: what the kiosk listens for, hears and says."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from kioskd.app.devices import Parts, echo_canceller
from kioskd.app.policy import lead_ms, pause_ms, talk
from kioskd.core.effects import Cue
from kioskd.core.events import Event, WakeCause
from kioskd.core.policy import UplinkMode
from kioskd.errors import Code
from kioskd.flow.audio.downlink import Downlink
from kioskd.flow.audio.level_meters import LevelMeters
from kioskd.flow.audio.speech_events import LoadingDetector, SpeechEvents, WakeDetector
from kioskd.flow.audio.uplink import Uplink
from kioskd.media.barge_in import BargeInDetector
from kioskd.media.voice_activity import VoiceDetector
from kioskd.settings.model import Settings

if TYPE_CHECKING:
    from kioskd.media.cue_filter import CueFilter
    from kioskd.media.cues import CueSound as Sound
    from kioskd.media.echo import EchoCanceller

HELD_AFTER_MS: Final = 240
"""Sound that is still sent when a talk button is let go: people let go on their last word."""


def sound(
    settings: Settings,
    parts: Parts,
    meters: LevelMeters,
    post: Callable[[Event], None],
    *,
    volume: int,
    wake_word: LoadingDetector | None,
) -> tuple[Uplink, Downlink]:
    """Return the uplink and the downlink. `wake_word`: see there.

    Raises:
        ConfigError: an extra that the settings need is not installed.
    """
    echo = echo_canceller(settings)
    wanted = {Cue(name) for name in settings.speaker.cues}
    cues = _cue_filter() if wanted else None
    downlink = Downlink(
        meters.speaker(parts.speaker),
        post,
        parts.clock,
        volume=volume,
        echo=echo,
        chimes=wanted | ({Cue.UNMUTE} if Cue.MUTE in wanted else set()),
        prompts=partial(_prompt, parts),
        on_cue=partial(_expect, cues) if cues is not None else None,
    )
    held = talk(settings) is UplinkMode.HELD

    def own_residue() -> bool:
        return settings.microphone.device_cancels and downlink.own_voice

    uplink = Uplink(
        meters.microphone(parts.microphone),
        post,
        parts.clock,
        preroll_ms=settings.microphone.preroll_ms,
        speech_events=speech_events(settings, post, echo, wake_word, downlink),
        cleaners=[cleaner for cleaner in (echo, cues) if cleaner is not None],
        # What a card leaves of the kiosk's voice is loud enough to be answered; what the canceller leaves is not.
        own_voice=lambda: downlink.voice_lingers if settings.microphone.half_duplex else own_residue(),
        own_lead=lambda: held and own_residue(),
        lead_ms=lead_ms(settings),
        after_ms=HELD_AFTER_MS if held else 0,
    )
    return uplink, downlink


def wake_word(settings: Settings) -> LoadingDetector | None:
    """Return what listens for the wake word, once its `run` has loaded it; None where no word wakes the kiosk."""
    conversation = settings.conversation
    if "wakeword" not in conversation.wake:
        return None

    def load() -> WakeDetector:
        from kioskd.adapters.wakeword import WakeWordDetector  # noqa: PLC0415

        return WakeWordDetector(conversation.wakeword)

    return LoadingDetector("wake word", load)


def speech_events(
    settings: Settings,
    post: Callable[[Event], None],
    echo: "EchoCanceller | None",
    wake_word: LoadingDetector | None,
    downlink: Downlink,
) -> SpeechEvents:
    """Return what listens for the core."""
    conversation = settings.conversation
    wakers: dict[WakeCause, WakeDetector] = {}
    if "voice" in conversation.wake:
        from kioskd.media.speech_onset import SpeechOnsetDetector  # noqa: PLC0415 - brings numpy

        wakers[WakeCause.VOICE] = SpeechOnsetDetector()
    if wake_word is not None:
        wakers[WakeCause.WAKEWORD] = wake_word
    return SpeechEvents(
        post,
        voice=VoiceDetector(pause_ms=pause_ms(conversation)),
        wakers=wakers,
        # Also where the visitor's voice ends no reply: what is left of an echo is not theirs.
        interrupter=None if settings.microphone.half_duplex else BargeInDetector(echo),
        own_voice=lambda: downlink.own_voice,
        own_sound=lambda: downlink.lingers,
    )


def _prompt(parts: Parts, code: Code) -> bytes | None:
    return parts.prompts.get(code) if parts.prompts is not None else None


def _cue_filter() -> "CueFilter":
    from kioskd.media.cue_filter import CueFilter  # noqa: PLC0415 - brings numpy

    return CueFilter()


def _expect(cues: "CueFilter", cue: "Sound", latency_s: float) -> None:
    from kioskd.media.cue_filter import frames_to_expect  # noqa: PLC0415 - loaded by now

    cues.expect(cue, frames_to_expect(cue, latency_s))
