"""The visitor hears the kiosk's chimes, the service never does, and no word is lost by them."""

from typing import Final

import numpy as np
import numpy.typing as npt
import pytest
from tests.support.fakes_live import ScriptedConnection
from tests.support.kiosk import Kiosk, frames, kiosk, soon
from tests.support.likeness import murmur

from kioskd.core.effects import KioskStatus
from kioskd.media import cues, pcm
from kioskd.media.resample import Resampler
from kioskd.settings.model import Settings
from kioskd.settings.sound import MicrophoneSettings, SpeakerSettings

CHIMING: Final = Settings(speaker=SpeakerSettings(volume=100))
MODES: Final = ("half_duplex", "cancel", "hardware")
STEP_S: Final = pcm.FRAME_MS / 1000
AIR_S: Final = 0.06
"""Seconds from the device's queue through the air into the microphone."""
GONE_DB: Final = 30.0
"""Level of a chime's rest: below the noise of a quiet room."""


class Room:
    """A room whose microphone hears the speaker: softer, later, with an echo from a wall, and some hiss."""

    def __init__(self, it: Kiosk) -> None:
        self._it = it
        self._resampler = Resampler(pcm.DOWNLINK_HZ, pcm.UPLINK_HZ)
        self._chance = np.random.default_rng(11)
        self._air = np.zeros(round((AIR_S + 0.05) * pcm.UPLINK_HZ))
        self.heard = bytearray()
        """Sound at the microphone so far."""

    async def live(self, seconds: float, speech: bytes = b"") -> None:
        """Let time pass while a visitor says `speech`."""
        said = frames(speech)
        for at in range(round(seconds / STEP_S)):
            played = self._resampler.process(await self._it.hear(STEP_S))
            self._air = np.concatenate([self._air, samples(played)])
            echo, self._air = self._heard_of(self._air)
            noise = self._chance.integers(-3, 4, len(echo))
            voice = samples(said[at]) if at < len(said) else np.zeros(len(echo))
            frame = np.rint(echo + noise + voice).astype("<i2").tobytes()
            self.heard += frame
            self._it.microphone.say(frame)
            await self._it.clock.advance(STEP_S)

    @staticmethod
    def _heard_of(
        air: npt.NDArray[np.float64],
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        size, wall = pcm.FRAME_BYTES // pcm.SAMPLE_BYTES, round(0.023 * pcm.UPLINK_HZ)
        echo = 0.5 * air[wall : wall + size] + 0.2 * air[:size]
        return echo, air[size:]


def chiming(echo: str) -> Settings:
    """Return settings with this `microphone.echo`."""
    chosen = {"echo": echo} | (
        {"noise_suppression": False} if echo == "cancel" else {}
    )  # a keep-alive signal is noise
    return CHIMING.model_copy(update={"microphone": MicrophoneSettings.model_validate(chosen)})


def samples(sound: bytes) -> npt.NDArray[np.float64]:
    return np.frombuffer(sound, "<i2").astype(float)


def faintest_db(had: bytes, wanted: bytes) -> float:
    """Return the least gain of any tenth of a second, from the input to the output."""
    size = pcm.UPLINK_HZ // 10
    powers = [np.square(samples(sound)).reshape(-1, size).mean(axis=1) for sound in (had, wanted)]
    return float(10 * np.log10((powers[0] + 1) / (powers[1] + 1)).min())


def level_db(sound: bytes, pitches: frozenset[float]) -> float:
    """Return the greatest share of these pitches in any second of `sound`."""
    most = 0.0
    wave = samples(sound)
    for start in range(0, max(1, len(wave) - 3200), 1600):
        piece = wave[start : start + 3200]
        power = np.abs(np.fft.rfft(piece * np.hanning(len(piece)))) ** 2
        hz = np.fft.rfftfreq(len(piece), 1 / pcm.UPLINK_HZ)
        most = max(most, *(float(power[abs(hz - pitch) < 30].sum()) for pitch in pitches))
    return 10 * float(np.log10(most + 1e-9))


def sent(connection: ScriptedConnection) -> bytes:
    return b"".join(connection.audio)


@pytest.mark.parametrize("echo", MODES)
async def test_the_chime_that_answers_a_call_is_heard_in_the_room_and_not_by_the_service(echo: str) -> None:
    async with kiosk(chiming(echo)) as it:
        room = Room(it)
        await room.live(0.6)
        connection = await it.wake()
        await room.live(1.5)

        wake = cues.frequencies(cues.CueSound.WAKE)
        loud = level_db(bytes(room.heard), wake)
        assert loud - level_db(bytes(room.heard[: pcm.byte_count(0.6, pcm.UPLINK_HZ)]), wake) > GONE_DB + 10
        assert loud - level_db(sent(connection), wake) > GONE_DB
        assert len(sent(connection)) >= pcm.byte_count(1.5, pcm.UPLINK_HZ)


@pytest.mark.parametrize("echo", MODES)
async def test_the_chime_that_ends_a_conversation_is_not_in_the_preroll_of_the_next(echo: str) -> None:
    async with kiosk(chiming(echo)) as it:
        room = Room(it)
        await it.wake()
        await room.live(1.0)
        it.button.press()
        await it.shows(KioskStatus.ASLEEP)
        before = len(room.heard)
        await room.live(0.4)
        connection = await it.wake()
        await room.live(1.0)

        end = cues.frequencies(cues.CueSound.END)
        assert level_db(bytes(room.heard[before:]), end) - level_db(sent(connection), end) > GONE_DB


@pytest.mark.parametrize("echo", MODES)
async def test_speech_before_and_during_the_chime_reaches_the_service(echo: str) -> None:
    preroll_s = CHIMING.microphone.preroll_ms / 1000
    words = murmur(preroll_s + 0.6, pcm.UPLINK_HZ)
    before, during = (
        words[: pcm.byte_count(preroll_s, pcm.UPLINK_HZ)],
        words[pcm.byte_count(preroll_s, pcm.UPLINK_HZ) :],
    )
    async with kiosk(chiming(echo)) as it:
        room = Room(it)
        await room.live(0.6)
        quiet = len(room.heard)
        await room.live(preroll_s, before)
        connection = await it.wake()
        pressed = len(room.heard)
        await room.live(0.6, during)

        heard = await soon(connection.heard(len(words)))
        if echo == "cancel":  # which changes every sample
            assert faintest_db(heard, words) > -6
        else:
            assert heard[: len(before)] == bytes(room.heard[quiet:pressed]), "600 ms, to the last bit"
            had, wanted = samples(heard[len(before) :]), samples(during)
            assert had @ wanted / (np.linalg.norm(had) * np.linalg.norm(wanted)) > 0.9


@pytest.mark.parametrize("echo", ["half_duplex", "hardware"])
async def test_without_chimes_the_captured_sound_is_unchanged(echo: str) -> None:
    settings = Settings.model_validate(
        {"speaker": {"cues": ()}, "microphone": MicrophoneSettings.model_validate({"echo": echo})}
    )
    async with kiosk(settings) as it:
        room = Room(it)
        await room.live(0.6)
        connection = await it.wake()
        await room.live(0.5, murmur(0.5, pcm.UPLINK_HZ))

        assert bytes(room.heard) in await soon(connection.heard(len(room.heard)))
