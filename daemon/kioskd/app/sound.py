"""Builds the sound's path from the settings: uplink, downlink, wake words, meters."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from kioskd.app.announcements import AnnouncementHost
from kioskd.app.devices import echo_canceller, speech_model, wake_words
from kioskd.app.parts import Parts
from kioskd.app.policy import lead_ms, pause_ms, uplink_mode
from kioskd.core.effects import Cue
from kioskd.core.events import Event, WakeCause
from kioskd.core.policy import UplinkMode
from kioskd.flow.audio.downlink import Downlink
from kioskd.flow.audio.level_meters import LevelMeters
from kioskd.flow.audio.preroll import PreRoll
from kioskd.flow.audio.speech_events import LoadingDetector, SpeechEvents, WakeDetector
from kioskd.flow.audio.uplink import Uplink
from kioskd.flow.controls.volume import Volume
from kioskd.flow.storage.preferences import PreferenceKeeper
from kioskd.media.barge_in import BargeInDetector
from kioskd.media.voice_activity import VoiceDetector
from kioskd.settings.model import Settings

if TYPE_CHECKING:
    from kioskd.media.cue_filter import CueFilter
    from kioskd.media.cues import CueSound
    from kioskd.media.echo import EchoCanceller
    from kioskd.media.voice_activity import SpeechJudge

HELD_AFTER_MS: Final = 240
"""Milliseconds of sound that are sent after a talk button's release: people release it on their last word."""


@dataclass(frozen=True, slots=True)
class Sound:
    """The objects on the sound's path."""

    uplink: Uplink
    downlink: Downlink
    meters: LevelMeters
    volume: Volume
    announcements: AnnouncementHost
    word_detectors: Sequence[LoadingDetector]
    """The detector of the wake words, at most one. It works after its `run` has loaded it."""
    use_pause: Callable[[int], None]
    """Sets the milliseconds of silence that end the visitor's words."""


def sound(
    settings: Settings,
    parts: Parts,
    post: Callable[[Event], None],
    preferences: PreferenceKeeper,
    *,
    on_sent: Callable[[bytes], None],
) -> Sound:
    """Return the objects on the sound's path. `on_sent` is called with each frame sent to the service.

    Raises:
        ConfigError: an extra that the settings need is not installed.
    """
    devices, meters, microphone = parts.devices, LevelMeters(), settings.microphone
    echo = echo_canceller(settings)
    wanted = {Cue(name) for name in settings.speaker.cues}
    cues = _cue_filter() if wanted else None
    downlink = Downlink(
        meters.speaker(devices.speaker),
        post,
        devices.clock,
        volume=preferences.volume,
        echo=echo,
        chimes=wanted | ({Cue.UNMUTE} if Cue.MUTE in wanted else set()),
        prompts=parts.service.prompts.get,
        on_cue=partial(_expect, cues) if cues is not None else None,
    )
    words = word_detectors(settings)
    listener = speech_events(settings, post, echo, words, downlink)
    held = uplink_mode(settings) is UplinkMode.HELD

    def own_residue() -> bool:
        return microphone.device_cancels and downlink.own_voice

    uplink = Uplink(
        meters.microphone(devices.microphone),
        post,
        devices.clock,
        preroll=PreRoll(
            microphone.preroll_ms,
            lead_ms(settings),
            # A sound card's canceller leaves enough of the kiosk's voice to be answered; ours does not.
            own_voice=lambda: downlink.voice_reverberates if microphone.half_duplex else own_residue(),
            own_lead=lambda: held and own_residue(),
        ),
        speech_events=listener,
        cleaners=[cleaner for cleaner in (echo, cues) if cleaner is not None],
        after_ms=HELD_AFTER_MS if held else 0,
        on_sent=on_sent,
    )
    volume = Volume(preferences, downlink.playout)
    announcements = AnnouncementHost(settings, parts, post, downlink)
    return Sound(uplink, downlink, meters, volume, announcements, words, listener.use_pause)


def word_detectors(settings: Settings) -> list[LoadingDetector]:
    """Return the detector of the wake words, in a list; empty if no word wakes the kiosk."""
    if "wakeword" not in settings.conversation.wake:
        return []

    return [LoadingDetector("wake word", partial(wake_words, settings))]


def speech_events(
    settings: Settings,
    post: Callable[[Event], None],
    echo: "EchoCanceller | None",
    words: Sequence[LoadingDetector],
    downlink: Downlink,
) -> SpeechEvents:
    """Return the listener that posts speech events for the core."""
    conversation = settings.conversation
    wakers: dict[WakeCause, WakeDetector] = {}
    if "voice" in conversation.wake:
        wakers[WakeCause.VOICE] = _voice_waker()
    for detector in words:
        wakers[WakeCause.WAKEWORD] = detector
    return SpeechEvents(
        post,
        voice=VoiceDetector(_judge(settings), pause_ms(settings)),
        wakers=wakers,
        # Also used if voices end no reply: the rest of an echo must not count as the visitor's voice.
        interrupter=None if settings.microphone.half_duplex else BargeInDetector(echo),
        own_voice=lambda: downlink.own_voice,
        own_sound=lambda: downlink.sound_reverberates,
    )


def _voice_waker() -> WakeDetector:
    from kioskd.media.confirmed_onset import ConfirmedOnset  # noqa: PLC0415 - only for wake: voice
    from kioskd.media.speech_onset import SpeechOnsetDetector  # noqa: PLC0415 - the same

    return ConfirmedOnset(SpeechOnsetDetector(), speech_model("conversation.wake = voice"))


def _judge(settings: Settings) -> "SpeechJudge":
    """Return the judge of a conversation's sound: the network, where only speech is sent."""
    if uplink_mode(settings) is not UplinkMode.VOICE:
        from kioskd.media.spectral_judge import SpectralJudge  # noqa: PLC0415 - one of the two

        return SpectralJudge()
    from kioskd.media.neural_judge import NeuralJudge  # noqa: PLC0415 - one of the two

    local = settings.conversation.turn_taking == "local"
    needed_by = "conversation.turn_taking = local" if local else "conversation.uplink = voice"
    return NeuralJudge(speech_model(needed_by))


def _cue_filter() -> "CueFilter":
    from kioskd.media.cue_filter import CueFilter  # noqa: PLC0415 - brings numpy

    return CueFilter()


def _expect(cues: "CueFilter", cue: "CueSound", latency_s: float) -> None:
    from kioskd.media.cue_filter import frames_to_expect  # noqa: PLC0415 - loaded by now

    cues.expect(cue, frames_to_expect(cue, latency_s))
