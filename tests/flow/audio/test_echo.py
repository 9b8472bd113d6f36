"""The place of the echo canceller in the path of the sound."""

import asyncio

from tests.support.fakes_devices import ManualClock, MemoryMicrophone, MemorySpeaker
from tests.support.fakes_live import ScriptedConnection
from tests.support.kiosk import Inbox, running, voice

from kioskd.core.effects import Chime, Cue, SetUplink, UplinkGate
from kioskd.flow.audio.downlink import Downlink
from kioskd.flow.audio.preroll import PreRoll
from kioskd.flow.audio.speaker_pause import PAUSE_AFTER_S
from kioskd.flow.audio.speech_events import SpeechEvents
from kioskd.flow.audio.uplink import Uplink
from kioskd.media import pcm
from kioskd.media.echo import EchoCanceller


class Marking(EchoCanceller):
    """An echo canceller that marks the frames that it was given."""

    def __init__(self) -> None:
        super().__init__(noise_suppression=False, gain_control=False, delay_s=0.0)
        self.heard: list[bytes] = []
        self.told = bytearray()
        self.voiced = bytearray()

    def clean(self, frame_16k: bytes) -> bytes:
        self.heard.append(frame_16k)
        return bytes(reversed(frame_16k))

    def played(self, pcm_24k: bytes, *, voiced: bool = True) -> None:
        self.told += pcm_24k
        if voiced:
            self.voiced += pcm_24k


async def test_the_uplink_gets_the_cancellers_output() -> None:
    clock, microphone, echo = ManualClock(), MemoryMicrophone(), Marking()
    post = Inbox().post
    uplink = Uplink(
        microphone, post, clock, preroll=PreRoll(0), speech_events=SpeechEvents(post), cleaners=[echo]
    )
    connection = ScriptedConnection(resumed=False)
    said = bytes(range(256)) * 2 + bytes(pcm.FRAME_BYTES - 512)
    async with running(uplink.capture(), uplink.send()):
        await clock.advance(0)
        uplink.connect(connection)
        uplink.set_uplink(SetUplink(UplinkGate.SEND))
        microphone.say(said)
        async with asyncio.timeout(60):
            assert await connection.heard(pcm.FRAME_BYTES) == bytes(reversed(said))
    assert echo.heard == [said]


async def test_the_canceller_gets_the_sound_that_is_played_and_its_delay() -> None:
    clock = ManualClock()
    speaker, echo = MemorySpeaker(clock, latency_s=0.05), Marking()
    downlink = Downlink(speaker, Inbox().post, clock, volume=50, echo=echo)
    async with running(downlink.play()):
        await clock.advance(0)
        downlink.add(1, bytes(range(200)) * 10)
        await clock.advance(0.1)
        assert bytes(echo.told) == bytes(speaker.heard)
        assert any(echo.told)
        assert echo.delay_s == 0.05


async def test_a_chime_alone_is_played_but_does_not_count_as_a_voice() -> None:
    clock = ManualClock()
    speaker, echo = MemorySpeaker(clock), Marking()
    downlink = Downlink(speaker, Inbox().post, clock, volume=100, echo=echo, chimes=[Cue.WAKE])
    async with running(downlink.play()):
        await clock.advance(0.1)
        downlink.chime(Chime(Cue.WAKE))
        await clock.advance(0.5)
        assert any(echo.told)
        assert bytes(echo.told) == bytes(speaker.heard)
        assert not any(echo.voiced)

        echo.voiced.clear()
        told = len(echo.told)
        downlink.add(1, bytes(range(200)) * 10)
        downlink.chime(Chime(Cue.WAKE))
        await clock.advance(0.03)
        assert bytes(echo.voiced) == bytes(speaker.heard[told:]), "reply and chime make one echo"


async def test_the_canceller_learns_anew_after_a_pause_of_the_speaker() -> None:
    class Learning(Marking):
        learnt_anew = 0

        def relearn(self) -> None:
            self.learnt_anew += 1

    clock, speaker, echo = ManualClock(), MemorySpeaker(), Learning()
    downlink = Downlink(speaker, Inbox().post, clock, volume=50, echo=echo, chimes=[Cue.END])
    async with running(downlink.play()):
        await speaker.advance(pcm.PERIOD_S)
        assert echo.learnt_anew == 1
        await clock.advance(PAUSE_AFTER_S)
        assert downlink.paused
        downlink.chime(Chime(Cue.END))
        await speaker.advance(pcm.PERIOD_S)
        assert echo.learnt_anew == 2


async def test_the_canceller_is_told_of_an_announcement_as_of_a_voice() -> None:
    clock = ManualClock()
    speaker, echo = MemorySpeaker(clock), Marking()
    downlink = Downlink(speaker, Inbox().post, clock, volume=0, echo=echo)
    async with running(downlink.play()):
        await clock.advance(0.1)
        downlink.announce(voice(0.2, pcm.DOWNLINK_HZ), volume=50, over=False)
        await clock.advance(0.5)
        assert bytes(echo.told) == bytes(speaker.heard)
        assert any(echo.voiced)
