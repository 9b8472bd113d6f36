"""Replies, prompts and cues -> playout -> speaker, and back: when they are heard."""

import asyncio
import logging
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Final

from kioskd.core.effects import Chime, Cue, Duck, Flush, Prompt, StopPrompt
from kioskd.core.events import Device, Event, PromptOver, ReplyPlayed, ReplySounded, ReplyStarved
from kioskd.errors import Code
from kioskd.flow.runtime.device_supervisor import DeviceSupervisor
from kioskd.media import cues, pcm, playout
from kioskd.media.playout import Playout, PlayoutMark
from kioskd.media.reply_queue import Played, Sounded
from kioskd.ports import Clock, Speaker

if TYPE_CHECKING:
    from kioskd.media.echo import EchoCanceller

log = logging.getLogger(__name__)


REVERBERATION_S: Final = 0.3
"""How long the room goes on after a prompt; after a reply the core waits for that."""

LINGERS_S: Final = 0.5
"""How long after its end a sound of ours may be taken for somebody's voice: an ordinary room has fallen by 40 dB by then."""

CAPTURE_LATENCY_S: Final = 0.1
"""What a microphone takes at most from the air to us; it does not say."""


class Downlink:
    """The downlink. Sound goes from the connection's reader into the playout, and the device's thread fetches it there."""

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
        """`chimes`: the cues that are wanted. `prompts` gives a prompt's sound, where there is one.

        `on_cue` is told of each cue that is about to sound, and of the latency of speaker and microphone together.
        """
        self._speaker = speaker
        self._post = post
        self._clock = clock
        self._supervisor = DeviceSupervisor("speaker", clock, post, device=Device.SPEAKER)
        self._echo = echo
        self._chimes = {cue: cues.sound(cues.CueSound(cue)) for cue in chimes}
        self._prompts = prompts
        self._on_cue = on_cue
        self._starving: int | None = None
        """Known to the device's thread alone."""
        self._prompt = 0
        self._heard_until: Event | None = None
        """What will end the reply or prompt that began last; None where neither sounds."""
        self._voice_until = self._chime_until = clock.now()
        """When the newest that has sounded has died away."""
        self._loop = asyncio.get_running_loop()
        self.playout = Playout(self._mark_from_device, volume=volume)

    def add(self, reply: int, sound: bytes) -> None:
        """Queue a piece of a reply: 24 kHz PCM of any length."""
        self.playout.add(reply, sound)

    def end(self, reply: int) -> None:
        """Mark the end of a reply."""
        self.playout.end(reply)

    def flush(self, effect: Flush) -> None:
        """Silence a reply and all before it."""
        self.playout.flush(effect.reply)

    @property
    def own_voice(self) -> bool:
        """Whether a reply or prompt can be heard, as far as we know."""
        return self._heard_until is not None and not self._supervisor.away

    @property
    def voice_reverberates(self) -> bool:
        """Whether a microphone may hear a reply or prompt: it sounds, or the room still rings with it."""
        return self.own_voice or self._clock.now() < self._voice_until

    @property
    def sound_reverberates(self) -> bool:
        """Whether a microphone may hear anything of ours, be it a chime."""
        return self.voice_reverberates or self._clock.now() < self._chime_until

    @property
    def missing(self) -> bool:
        """Whether the speaker is known to be away."""
        return self._supervisor.missing

    def duck(self, effect: Duck) -> None:
        """Take the reply down, or back up."""
        self.playout.duck(effect.down)

    def chime(self, effect: Chime) -> None:
        """Sound a cue, if it is wanted and can be heard now: later it would tell of something else."""
        if (sound := self._chimes.get(effect.cue)) is not None and not self._supervisor.away:
            latency_s = self._speaker.latency_s + CAPTURE_LATENCY_S
            if self._on_cue is not None:
                self._on_cue(cues.CueSound(effect.cue), latency_s)
            sounds_s = pcm.PERIOD_MS / 1000 + latency_s + pcm.duration_s(len(sound), pcm.DOWNLINK_HZ)
            self._chime_until = max(self._chime_until, self._clock.now() + sounds_s + LINGERS_S)
            self.playout.play_cue(sound)

    def prompt(self, effect: Prompt) -> None:
        """Say what is wrong, if there are words for it."""
        sound = None if self._supervisor.away else self._prompts(effect.code)
        if sound is None:
            self._post(PromptOver())
        else:
            if self.playout.volume:
                log.warning("told the visitor: code=%s", effect.code)
            self._heard_until = PromptOver()
            self._prompt = self.playout.say(sound)

    def question(self, sound: bytes | None) -> None:
        """Ask for a press aloud (24 kHz PCM), as a prompt; None: there is nothing to be said any more."""
        if sound is None or self._supervisor.away:
            self._post(PromptOver())
        else:
            self._heard_until = PromptOver()
            self._prompt = self.playout.say(sound)

    def hush_prompt(self, _effect: StopPrompt) -> None:
        """Say no more of it."""
        self.playout.hush()

    async def play(self) -> None:
        """Keep the speaker fed until cancelled.

        Raises:
            DeviceStuck: only a new process can help; see `DeviceSupervisor.use`.
        """
        await self._supervisor.use(lambda: self._speaker.play(self))

    def pull(self, byte_count: int) -> bytes:
        """Give the device what it plays next (called from its thread)."""
        if self.playout.pulled == 0 or self._supervisor.away:
            self._tell(self._works)
        sound = self.playout.pull(byte_count)
        if (starving := self.playout.starving) != self._starving:
            self._starving = starving
            self._tell(lambda: self._post(ReplyStarved(starving)))
        if self._echo is not None:
            # What is really played: after volume, fades and starvation.
            self._echo.played(sound, voiced=self.playout.voiced)
        return sound

    def _works(self) -> None:
        if self._echo is not None:
            self._echo.delay_s = self._speaker.latency_s
            self._echo.relearn()
        self._supervisor.note_alive()

    def _mark_from_device(self, mark: PlayoutMark) -> None:
        self._tell(lambda: self._mark(mark))

    def _tell(self, callback: Callable[[], None]) -> None:
        # A device may outlive the loop by a period or two while the daemon leaves.
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(callback)

    def _mark(self, mark: PlayoutMark) -> None:
        # Pulled is not yet heard: the device has its own queue.
        match mark:
            case Sounded(reply):
                self._heard_until = ReplyPlayed(reply)
                self._post(ReplySounded(reply))
            case Played(reply):
                self._later(lambda: self._over(ReplyPlayed(reply)))
            case playout.PromptFinished(prompt):
                self._later(lambda: self._prompt_over(prompt), and_s=REVERBERATION_S)

    def _later(self, callback: Callable[[], None], *, and_s: float = 0.0) -> None:
        self._clock.call_later(self._speaker.latency_s + and_s, callback)

    def _prompt_over(self, prompt: int) -> None:
        if prompt == self._prompt:  # what has taken its place is not over
            self._over(PromptOver())

    def _over(self, event: Event) -> None:
        if event == self._heard_until:
            self._heard_until = None
            self._voice_until = self._clock.now() + CAPTURE_LATENCY_S + LINGERS_S
        self._post(event)
