"""Level meters of microphone and speaker. They wrap the devices, so that no other module deals with them."""

from collections.abc import Callable
from typing import Final, NoReturn

from kioskd.media import pcm
from kioskd.media.meter import Meter
from kioskd.ports import AudioSource, Microphone, Speaker

SHOWN_MS: Final = 100
"""The length of sound that a level is measured over. Levels are also shown this often."""


class LevelMeters:
    """Measures the levels of microphone and speaker while a client watches."""

    def __init__(self) -> None:
        self._microphone = Meter(SHOWN_MS // pcm.FRAME_MS)
        self._speaker = Meter(SHOWN_MS // pcm.PERIOD_MS)

    def watch(self, *, on: bool) -> None:
        self._microphone.watch(on=on)
        self._speaker.watch(on=on)

    @property
    def levels(self) -> dict[str, float]:
        """The largest sample of the last tenth of a second, 0.0 to 1.0 (full scale)."""
        return {"microphone": round(self._microphone.level, 4), "speaker": round(self._speaker.level, 4)}

    def microphone(self, microphone: Microphone) -> Microphone:
        return _MeteredMicrophone(microphone, self._microphone)

    def speaker(self, speaker: Speaker) -> Speaker:
        """Return `speaker` with a meter. It measures the sound as it is played, after the volume."""
        return _MeteredSpeaker(speaker, self._speaker)


class _MeteredMicrophone:
    def __init__(self, microphone: Microphone, meter: Meter) -> None:
        self._microphone = microphone
        self._meter = meter

    @property
    def urgent(self) -> bool:
        return self._microphone.urgent

    @urgent.setter
    def urgent(self, urgent: bool) -> None:
        self._microphone.urgent = urgent

    async def capture(self, sink: Callable[[bytes], None]) -> NoReturn:
        def take(frame: bytes) -> None:
            feed(frame)
            sink(frame)

        feed = self._meter.feed
        try:
            await self._microphone.capture(take)
        finally:
            self._meter.clear()


class _MeteredSource:
    def __init__(self, source: AudioSource, meter: Meter) -> None:
        self._source = source
        self._meter = meter

    def pull(self, byte_count: int) -> bytes:
        sound = self._source.pull(byte_count)
        self._meter.feed(sound)
        return sound


class _MeteredSpeaker:
    def __init__(self, speaker: Speaker, meter: Meter) -> None:
        self._speaker = speaker
        self._meter = meter

    @property
    def latency_s(self) -> float:
        return self._speaker.latency_s

    async def play(self, source: AudioSource) -> NoReturn:
        try:
            await self._speaker.play(_MeteredSource(source, self._meter))
        finally:
            self._meter.clear()

    def pause(self) -> bool:
        return self._speaker.pause()

    def resume(self) -> None:
        self._speaker.resume()
