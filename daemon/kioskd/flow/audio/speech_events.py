"""Frames -> what the visitor does: calls, speaks, pauses, interrupts; and whether the microphone hears at all."""

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
"""What a desktop loads in 30 ms, a Pi reads from its card; after so long the journal says that it is waited for."""


class WakeDetector(Protocol):
    """What tells a call from everything else that a sleeping kiosk hears."""

    def feed(self, frame: bytes, /) -> bool:
        """Take a frame (20 ms, 16 kHz); return True once when somebody calls."""

    def reset(self) -> None:
        """Forget what was heard."""

    def await_pause(self) -> None:
        """Know that somebody may be talking already: whoever just goes on does not call."""


class LoadingDetector:
    """A waker that has to be read from the disk first, library and model: it hears nothing until it is there."""

    def __init__(self, name: str, load: Callable[[], WakeDetector], *, slow_s: float = SLOW_S) -> None:
        """`load` blocks. What it raises ends `run`."""
        self._name = name
        self._load = load
        self._slow_s = slow_s
        self._waker: WakeDetector | None = None

    @property
    def ready(self) -> bool:
        """Whether it hears."""
        return self._waker is not None

    async def run(self) -> None:
        """Load it in a thread, and be there until cancelled.

        A load that hangs is said, and waited for: a new process would read the same disk.

        Raises:
            ConfigError: there is no such thing.
        """
        loading = asyncio.get_running_loop().run_in_executor(None, self._load)
        await asyncio.wait([loading], timeout=self._slow_s)
        if not loading.done():
            log.warning("%s still loading: waited=%gs; see whether the disk fails", self._name, self._slow_s)
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
    """What tells the visitor from the kiosk's own voice, while that sounds."""

    def feed(self, frame: bytes, own_voice: bool) -> BargeInVerdict | None:
        """Take a frame that the canceller has cleaned, and whether a reply sounds; return what has changed with it."""

    def reset(self) -> None:
        """Forget what was heard."""


class SpeechEvents:
    """Listens for the core."""

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
        """`wakers` listen while the kiosk sleeps. While `own_voice()`, `interrupter` listens in place of `voice`.

        While `own_sound()`, which is as long as anything of ours can be heard, nothing wakes the kiosk.
        """
        self._post = post
        self._voice = voice or VoiceDetector()
        self._wakers = dict(wakers or {})
        self._interrupter = interrupter
        self._own_voice = own_voice
        self._own_sound = own_sound
        self._covered = False
        """What the wakers heard last was before a sound of ours."""
        self._talking = False
        """Somebody may be talking on since the conversation has ended."""
        self._flatline = DeadMicrophoneDetector()

    def check_level(self, frame: bytes) -> None:
        """Take a frame as it came from the device: is there anybody out there?"""
        match self._flatline.feed(frame):
            case SilentFault.BEGAN:
                log.warning("microphone gives nothing but silence: switch it on, or replace it")
                self._post(MicrophoneSilent(deaf=True))
            case SilentFault.ENDED:
                log.info("microphone hears again")
                self._post(MicrophoneSilent(deaf=False))

    def listen_asleep(self, frame: bytes) -> bool:
        """Listen for somebody who calls; return whether it was by a word, which is nothing that they want to say."""
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
        """Listen to a conversation."""
        if self._interrupter is not None:
            own_voice = self._own_voice()
            self._tell(self._interrupter.feed(frame, own_voice))
            if own_voice and not self._voice.speaking:
                return  # what is left of an echo is a voice, too
        match self._voice.feed(frame):
            case VoiceChange.BEGAN:
                self._post(VoiceBegan())
            case VoiceChange.ENDED:
                self._end_voice()

    def pause(self) -> None:
        """Hear no more for now, and forget what was heard: a voice that had begun ends here."""
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
        """Forget a conversation; whoever talks on after it does not call.

        `unheard`: nobody listened at its end, so somebody may be talking.
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
                self._voice.begin()  # its end is to be heard, too
                self._post(VoiceBegan())
