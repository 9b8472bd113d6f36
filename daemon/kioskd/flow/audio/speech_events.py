"""Events from the visitor's sound: a call, speech, a pause, an interruption, a dead microphone."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from kioskd.core.events import (
    Event,
    MicrophoneSilent,
    VoiceBegan,
    VoiceEnded,
    VoiceSuspected,
    WakeCause,
    Woken,
)
from kioskd.media import pcm
from kioskd.media.barge_in import BargeInVerdict
from kioskd.media.dead_microphone import DeadMicrophoneDetector, SilentFault
from kioskd.media.voice_activity import VoiceChange, VoiceDetector

log = logging.getLogger(__name__)

SLOW_S: Final = 10.0
"""After this time the journal says that loading takes long. A Pi reads a model slowly from its card.

A desktop loads it in 30 ms.
"""


class WakeDetector(Protocol):
    """Detects a call (a voice or a wake word) in the sound that a sleeping kiosk hears."""

    def feed(self, frame: bytes, /) -> bool:
        """Take a frame (20 ms, 16 kHz). Return True once for each call."""

    def reset(self) -> None:
        """Forget the sound so far."""

    def await_pause(self) -> None:
        """Ignore speech until its next pause: a person may be speaking already, which is not a call."""


class LoadingDetector:
    """A wake detector whose library and model must be loaded first. It hears nothing until then."""

    def __init__(self, name: str, load: Callable[[], WakeDetector], *, slow_s: float = SLOW_S) -> None:
        """`load` may block. If it raises, `run` raises the same."""
        self._name = name
        self._load = load
        self._slow_s = slow_s
        self._waker: WakeDetector | None = None

    @property
    def ready(self) -> bool:
        return self._waker is not None

    async def run(self) -> None:
        """Load the detector in a thread, then wait until cancelled.

        If loading hangs, a warning is logged and the wait goes on: a new process would read the same disk.

        Raises:
            ConfigError: the library or the model is missing.
        """
        loading = asyncio.get_running_loop().run_in_executor(None, self._load)
        await asyncio.wait([loading], timeout=self._slow_s)
        if not loading.done():
            log.warning(
                "%s still loading: waited=%gs; check whether the disk fails", self._name, self._slow_s
            )
        self._waker = await loading
        log.info("%s ready", self._name)
        await asyncio.Event().wait()

    def feed(self, frame: bytes, /) -> bool:
        """See `WakeDetector`."""
        return self._waker is not None and self._waker.feed(frame)

    def reset(self) -> None:
        """See `WakeDetector`."""
        if self._waker is not None:
            self._waker.reset()

    def await_pause(self) -> None:
        """See `WakeDetector`."""
        if self._waker is not None:
            self._waker.await_pause()


class BargeInListener(Protocol):
    """Detects the visitor's voice while the kiosk's own voice sounds."""

    def feed(self, frame: bytes, own_voice: bool) -> BargeInVerdict | None:
        """Take a frame without echo, and whether a reply sounds. Return the new verdict, or None."""

    def reset(self) -> None:
        """Forget the sound so far."""


class SpeechEvents:
    """Listens to the microphone's frames, and posts events for the core."""

    def __init__(
        self,
        post: Callable[[Event], None],
        *,
        voice: VoiceDetector | None = None,
        wakers: Mapping[WakeCause, WakeDetector] | None = None,
        interrupter: BargeInListener | None = None,
        own_voice: Callable[[], bool] = lambda: False,
        own_sound: Callable[[], bool] = lambda: False,
    ) -> None:
        """`wakers` listen while the kiosk sleeps. During `own_voice()`, `interrupter` replaces `voice`.

        While `own_sound()`, the microphone may hear a sound of ours, and nothing wakes the kiosk.
        """
        self._post = post
        self._voice = voice or VoiceDetector()
        self._wakers = dict(wakers or {})
        self._interrupter = interrupter
        self._own_voice = own_voice
        self._own_sound = own_sound
        self._covered = False
        """Whether a sound of ours came after the sound that the wakers heard last."""
        self._talking = False
        """Whether a person may still be speaking since the end of the conversation."""
        self._flatline = DeadMicrophoneDetector()

    def use_pause(self, pause_ms: int) -> None:
        """End a voice after this silence from now on."""
        self._voice.use_pause(pause_ms)

    def check_level(self, frame: bytes) -> None:
        """Check a frame from the device for a dead microphone, which gives only silence."""
        match self._flatline.feed(frame):
            case SilentFault.BEGAN:
                log.warning("microphone gives nothing but silence; switch it on, or replace it")
                self._post(MicrophoneSilent(deaf=True))
            case SilentFault.ENDED:
                log.info("microphone gives sound again")
                self._post(MicrophoneSilent(deaf=False))

    def listen_asleep(self, frame: bytes) -> bool:
        """Listen for calls while asleep. Return True for a wake word, which is not sent."""
        if self._own_sound():
            self._covered = True
            return False
        if self._covered:
            self._covered = False
            self._begin_anew()
        called = [cause for cause, waker in self._wakers.items() if waker.feed(frame)]
        for cause in called:
            self._post(Woken(cause))
        return WakeCause.WAKEWORD in called

    def listen(self, frame: bytes) -> None:
        """Listen to a frame of a conversation."""
        if self._interrupter is not None:
            own_voice = self._own_voice()
            self._tell(self._interrupter.feed(frame, own_voice))
            if own_voice and not self._voice.speaking:
                return  # what is left of an echo sounds like a voice, too
        match self._voice.feed(frame):
            case VoiceChange.BEGAN:
                self._post(VoiceBegan())
            case VoiceChange.ENDED:
                self._end_voice()

    def pause(self) -> None:
        """Stop listening for now, and forget the sound so far. A voice that had begun ends here."""
        if self._voice.speaking:
            self._end_voice()
        self._forget()

    def _end_voice(self) -> None:
        self._post(VoiceEnded(late_s=self._voice.quiet_frames * pcm.FRAME_MS / 1000))

    def _forget(self) -> None:
        self._voice.reset()
        for waker in self._wakers.values():
            waker.reset()
        if self._interrupter is not None:
            self._interrupter.reset()

    def fall_asleep(self, *, unheard: bool) -> None:
        """Forget the conversation. A person who goes on speaking after it does not wake the kiosk.

        `unheard`: the gate was closed at the end, so that a person may be speaking unheard.
        """
        self._talking = unheard or self._voice.speaking
        self._forget()
        self._covered = True

    def _begin_anew(self) -> None:
        for waker in self._wakers.values():
            waker.reset()
            if self._talking:
                waker.await_pause()
        self._talking = False

    def _tell(self, barge: BargeInVerdict | None) -> None:
        match barge:
            case BargeInVerdict.SUSPECTED:
                self._post(VoiceSuspected(suspected=True))
            case BargeInVerdict.CLEARED:
                self._post(VoiceSuspected(suspected=False))
            case BargeInVerdict.SURE:
                self._voice.begin()  # so that its end is detected, too
                self._post(VoiceBegan())
