"""The downlink: replies, prompts, announcements and cues go to the speaker, and it reports when they are
heard."""

import asyncio
import logging
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Final

from kioskd.core.effects import Chime, Cue, Duck, Flush, Prompt, SetSpeaker, StopPrompt
from kioskd.core.events import Device, Event, PromptOver, ReplyPlayed, ReplySounded, ReplyStarved
from kioskd.errors import Code
from kioskd.flow.audio.speaker_pause import SpeakerPause
from kioskd.flow.runtime.device_supervisor import DeviceSupervisor
from kioskd.media import cues, pcm
from kioskd.media.playout import AnnouncementFinished, Playout, PlayoutMark, PromptFinished
from kioskd.media.reply_queue import Played, Sounded
from kioskd.ports import Clock, Speaker

if TYPE_CHECKING:
    from kioskd.media.echo import EchoCanceller

log = logging.getLogger(__name__)


REVERBERATION_S: Final = 0.3
"""The seconds that the room still sounds after a prompt. After a reply, the core waits for this."""

LINGERS_S: Final = 0.5
"""The seconds after its end in which a sound of ours may be taken for a voice.

The sound in an ordinary room has fallen by 40 dB by then.
"""

CAPTURE_LATENCY_S: Final = 0.1
"""The most seconds from the air through the microphone to the daemon. It reports no latency itself."""


class Downlink:
    """The downlink. The connection's reader puts sound into the playout; the device's thread takes it."""

    def __init__(
        self,
        speaker: Speaker,
        post: Callable[[Event], None],
        clock: Clock,
        *,
        volume: int,
        echo: "EchoCanceller | None" = None,
        chimes: Collection[Cue] = (),
        prompts: Callable[[Code], bytes | None] = lambda _code: None,
        on_cue: Callable[[cues.CueSound, float], None] | None = None,
    ) -> None:
        """`chimes`: the cues to play. `prompts` returns a prompt's sound, or None if it has none.

        `on_cue` gets each cue before it sounds, and the latency of speaker and microphone together.
        """
        self._speaker = SpeakerPause(speaker, clock, silent=lambda: self.playout.silent)
        self._post = post
        self._clock = clock
        self._supervisor = DeviceSupervisor("speaker", clock, post, device=Device.SPEAKER)
        self._echo = echo
        self._chimes = {cue: cues.sound(cues.CueSound(cue)) for cue in chimes}
        self._prompts = prompts
        self._on_cue = on_cue
        self._starving: int | None = None
        """The reply that the speaker waits for. Only the device's thread uses this."""
        self._prompt: PlayoutMark = PromptFinished(-1)
        """The mark that will end the newest prompt or announcement."""
        self._heard_until: set[Event] = set()
        """The events that will end what sounds: the newest reply, or a prompt, or both."""
        self._voice_until = self._chime_until = clock.now()
        """The clock's time when the newest sound has died away."""
        self._loop = asyncio.get_running_loop()
        self.playout = Playout(self._mark_from_device, volume=volume)

    def add(self, reply: int, sound: bytes) -> None:
        """Queue a piece of a reply: 24 kHz PCM of any length."""
        if self._speaker.paused:
            self._speaker.stir()
        self.playout.add(reply, sound)

    def end(self, reply: int) -> None:
        self.playout.end(reply)

    def flush(self, effect: Flush) -> None:
        """Silence a reply and all replies before it."""
        self.playout.flush(effect.reply)

    def set_speaker(self, effect: SetSpeaker) -> None:
        """Keep the speaker ready to sound at once, or let it pause when nothing sounds."""
        self._speaker.need(needed=effect.ready)

    @property
    def paused(self) -> bool:
        """Whether the speaker pauses, so that it pulls no sound."""
        return self._speaker.paused

    @property
    def own_voice(self) -> bool:
        """Whether a reply or prompt can be heard, as far as we know."""
        return bool(self._heard_until) and not self._supervisor.away

    @property
    def voice_reverberates(self) -> bool:
        """Whether a microphone could hear a reply or prompt: it sounds, or the room still reverberates."""
        return self.own_voice or self._clock.now() < self._voice_until

    @property
    def sound_reverberates(self) -> bool:
        """Whether a microphone could hear any sound of ours, chimes included."""
        return self.voice_reverberates or self._clock.now() < self._chime_until

    @property
    def missing(self) -> bool:
        """Whether the speaker's loss was reported."""
        return self._supervisor.missing

    def duck(self, effect: Duck) -> None:
        """Lower the reply's volume, or raise it again."""
        self.playout.duck(effect.down)

    def chime(self, effect: Chime) -> None:
        """Play a cue, if it is wanted and the speaker works. A late cue would mean something else."""
        if (sound := self._chimes.get(effect.cue)) is not None and not self._supervisor.away:
            latency_s = self._speaker.latency_s + CAPTURE_LATENCY_S
            if self._on_cue is not None:
                self._on_cue(cues.CueSound(effect.cue), latency_s)
            sounds_s = pcm.PERIOD_MS / 1000 + latency_s + pcm.duration_s(len(sound), pcm.DOWNLINK_HZ)
            self._chime_until = max(self._chime_until, self._clock.now() + sounds_s + LINGERS_S)
            self._speaker.stir()
            self.playout.play_cue(sound)

    def prompt(self, effect: Prompt) -> None:
        """Speak the prompt of a fault, if there is one."""
        sound = None if self._supervisor.away else self._prompts(effect.code)
        if sound is None:
            self._post(PromptOver())
        else:
            if self.playout.volume:
                log.warning("told the visitor: code=%s", effect.code)
            self._say(sound)

    def question(self, sound: bytes | None) -> None:
        """Ask aloud for a press (24 kHz PCM), as a prompt. None: the question is not needed any more."""
        if sound is None or self._supervisor.away:
            self._post(PromptOver())
        else:
            self._say(sound)

    def announce(self, sound: bytes, *, volume: int, over: bool) -> bool:
        """Speak an announcement, as a prompt; see `Playout.announce`. False: the speaker is lost."""
        if self._supervisor.away:
            self._post(PromptOver())
            return False
        self._speaker.stir()
        self._heard_until.add(PromptOver())
        self._prompt = AnnouncementFinished(self.playout.announce(sound, volume=volume, over=over))
        return True

    def _say(self, sound: bytes) -> None:
        self._speaker.stir()
        self._heard_until = {PromptOver()}
        self._prompt = PromptFinished(self.playout.say(sound))

    def hush_prompt(self, _effect: StopPrompt) -> None:
        self.playout.hush()

    async def play(self) -> None:
        """Keep the speaker fed until cancelled.

        Raises:
            DeviceStuck: only a new process can help; see `DeviceSupervisor.use`.
        """
        await self._supervisor.use(lambda: self._speaker.play(self))

    def pull(self, byte_count: int) -> bytes:
        """Return the sound that the device plays next. Called from its thread."""
        if self._speaker.fresh or self._supervisor.away:
            self._tell(self._works)
        sound = self.playout.pull(byte_count)
        if (starving := self.playout.starving) != self._starving:
            self._starving = starving
            self._tell(lambda: self._post(ReplyStarved(starving)))
        if self._echo is not None:
            # The canceller gets the sound as it is played: after volume, fades and gaps.
            self._echo.played(sound, voiced=self.playout.voiced)
        return sound

    def _works(self) -> None:
        if self._echo is not None:
            self._echo.delay_s = self._speaker.latency_s
            self._echo.relearn()
        self._speaker.pulls()
        self._supervisor.note_alive()

    def _mark_from_device(self, mark: PlayoutMark) -> None:
        self._tell(lambda: self._mark(mark))

    def _tell(self, callback: Callable[[], None]) -> None:
        # While the daemon ends, a device may call back for a period or two after the loop.
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(callback)

    def _mark(self, mark: PlayoutMark) -> None:
        # The device has its own queue, so pulled sound is not heard yet.
        match mark:
            case Sounded(reply):
                # An announcement may sound over the reply; another prompt is over by now.
                both = isinstance(self._prompt, AnnouncementFinished)
                prompt = self._heard_until & {PromptOver()} if both else set()
                self._heard_until = {ReplyPlayed(reply), *prompt}
                self._post(ReplySounded(reply))
            case Played(reply):
                self._later(lambda: self._over(ReplyPlayed(reply)))
            case PromptFinished() | AnnouncementFinished():
                self._later(lambda: self._prompt_over(mark), and_s=REVERBERATION_S)

    def _later(self, callback: Callable[[], None], *, and_s: float = 0.0) -> None:
        self._clock.call_later(self._speaker.latency_s + and_s, callback)

    def _prompt_over(self, mark: PlayoutMark) -> None:
        if mark == self._prompt:  # a newer prompt is not over
            self._over(PromptOver())

    def _over(self, event: Event) -> None:
        if event in self._heard_until:
            self._heard_until.discard(event)
            self._voice_until = self._clock.now() + CAPTURE_LATENCY_S + LINGERS_S
        self._post(event)
