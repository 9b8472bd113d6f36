"""A device is unplugged and comes back: the kiosk opens it again, and the conversation goes on."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from tests.support.fakes_devices import MemoryNotifier
from tests.support.fakes_live import ScriptedConnection, ScriptedLive
from tests.support.kiosk import running
from tests.support.likeness import THROUGH_THE_AIR, carried, murmur
from tests.support.parts import parts as kiosk_parts
from tests.support.sound_server import MICROPHONE, SPEAKER, SoundServer
from tests.support.sound_server import Device as Plug

from kioskd import app, ports
from kioskd.adapters.absent import NoPreferences
from kioskd.adapters.clock import SystemClock
from kioskd.adapters.fakes.devices import MemoryButton
from kioskd.adapters.portaudio.streams import PortAudioMicrophone, PortAudioSpeaker
from kioskd.adapters.storage.state_files import PreferenceFile
from kioskd.cli.run import LEAVE_S
from kioskd.core.button_gesture import GestureRules
from kioskd.core.effects import Effect
from kioskd.core.events import Device, DeviceCame, DeviceGone, Event, ReplyPlayed, ReplySounded, Started
from kioskd.core.machine import State
from kioskd.errors import DeviceStuck
from kioskd.media import pcm
from kioskd.ports import GenerationEnded, ReplyAudio, TurnComplete
from kioskd.settings.model import Settings

BACK_WITHIN_S: Final = 3.0
"""Seconds from the device's return until the kiosk uses it."""
NOTICED_WITHIN_S: Final = 3.0
"""Seconds until a frozen device counts as lost: a second of silence, the watch's own pace, and the
closing."""
A_LOSS_TAKES_S: Final = 1.5
FROZEN_S: Final = 1.8
SETTINGS: Final = {
    "conversation": {"wake": ("start",), "idle_s": 300},
    "microphone": {"device": MICROPHONE},
    "speaker": {"device": SPEAKER},
}
DEVICES: Final[dict[Plug, Device]] = {"mic": Device.MICROPHONE, "spk": Device.SPEAKER}
NAMES: Final[dict[Plug, str]] = {"mic": MICROPHONE, "spk": SPEAKER}


class Kiosk:
    """The real daemon with real devices, a scripted service, and a record of the core's events."""

    def __init__(self, sound: SoundServer) -> None:
        self.sound = sound
        self.live = ScriptedLive()
        self.notifier = MemoryNotifier()
        self.mute_button = MemoryButton()
        self.memory: ports.PreferenceStore | None = None
        self.events: list[tuple[float, Event]] = []
        self._news = asyncio.Event()

    async def serve(self) -> None:
        """Run the kiosk until cancelled."""
        parts = kiosk_parts(
            clock=SystemClock(),
            microphone=PortAudioMicrophone(MICROPHONE),
            speaker=PortAudioSpeaker(SPEAKER),
            live=self.live,
            notifier=self.notifier,
            buttons=[app.ButtonSpec(self.mute_button, GestureRules("mute"))],
            preferences=self.memory or NoPreferences(),
        )
        await app.serve(Settings.model_validate(SETTINGS), parts, observers=[self._observe])

    def seen(self, wanted: Event | type[Event], since: int = 0) -> list[float]:
        """Return the time of the first event with this value or kind, from the `since`th event on."""
        return [
            moment
            for moment, event in self.events[since:]
            if event == wanted or (isinstance(wanted, type) and isinstance(event, wanted))
        ]

    async def until(self, holds: Callable[[], object]) -> None:
        """Wait until `holds()` is true. It is asked at each event."""
        while not holds():
            self._news.clear()
            await self._news.wait()

    async def there(self, plug: Plug, since: int) -> float:
        """Wait until a device that was gone is back; return the time of its return."""
        gone, came = DeviceGone(DEVICES[plug], NAMES[plug]), DeviceCame(DEVICES[plug])
        await self.until(
            lambda: max(self.seen(came, since), default=0.0) > max(self.seen(gone, since), default=0.0)
        )
        return max(self.seen(came, since))

    def _observe(
        self, _now: float, event: Event, _before: State, _after: State, _effects: tuple[Effect, ...]
    ) -> None:
        self.events.append((time.monotonic(), event))
        self._news.set()


@asynccontextmanager
async def conversation(sound: SoundServer) -> AsyncIterator[tuple[Kiosk, ScriptedConnection]]:
    """Run a kiosk that is in a conversation and listens."""
    kiosk = Kiosk(sound)
    async with running(kiosk.serve()):
        async with asyncio.timeout(60):
            connection = await kiosk.live.accept()
            await connection.heard(10 * pcm.FRAME_BYTES)
        yield kiosk, connection


async def pull_and_plug(kiosk: Kiosk, plug: Plug) -> float:
    """Unplug the device, wait until the kiosk has noticed, and plug it in; return the time of its return."""
    begun, pulled_at = len(kiosk.events), time.monotonic()
    kiosk.sound.unplug(plug)
    gone = DeviceGone(DEVICES[plug], NAMES[plug])
    async with asyncio.timeout(2 * NOTICED_WITHIN_S):
        await kiosk.until(lambda: kiosk.seen(gone, begun))
    assert kiosk.seen(gone, begun)[0] - pulled_at < NOTICED_WITHIN_S
    await asyncio.to_thread(kiosk.sound.replug, plug)
    return time.monotonic()


async def freeze_and_thaw(kiosk: Kiosk, plug: Plug) -> float:
    """Freeze the device for longer than the kiosk tolerates; return the time at which it went on."""
    kiosk.sound.freeze(plug)
    await SystemClock().sleep(FROZEN_S)
    kiosk.sound.thaw(plug)
    return time.monotonic()


Mishap = Callable[[Kiosk, Plug], Coroutine[Any, Any, float]]


async def survive(kiosk: Kiosk, plug: Plug, mishap: Mishap) -> None:
    """Break the device, and check that the kiosk recovers in time without help."""
    begun = len(kiosk.events)
    back_at = await mishap(kiosk, plug)
    async with asyncio.timeout(2 * BACK_WITHIN_S):
        while (came_at := await kiosk.there(plug, begun)) < back_at:
            # A device that is opened while its server starts may stall, and is lost once more.
            await SystemClock().sleep(came_at + A_LOSS_TAKES_S - time.monotonic())
            if came_at == await kiosk.there(plug, begun):
                break
    assert came_at - back_at < BACK_WITHIN_S
    others = [event for _, event in kiosk.events[begun:] if isinstance(event, DeviceGone | DeviceCame)]
    assert {event.device for event in others} == {DEVICES[plug]}, "the other one has nothing to do with it"


async def talk(kiosk: Kiosk, connection: ScriptedConnection) -> None:
    """Check that the conversation goes on: the visitor is heard, and so is the reply."""
    question, answer = murmur(0.6, pcm.UPLINK_HZ), murmur(0.6, pcm.DOWNLINK_HZ)
    async with asyncio.timeout(60):
        await connection.until(lambda: connection.audio)
        connection.audio.clear()
        await asyncio.to_thread(kiosk.sound.inject, question)
        await connection.heard(len(question) + 15 * pcm.FRAME_BYTES)
        assert carried(question, b"".join(connection.audio), pcm.UPLINK_HZ) >= THROUGH_THE_AIR

        played = len(kiosk.seen(ReplyPlayed))
        with kiosk.sound.record() as recording:
            connection.say(ReplyAudio(answer), GenerationEnded())
            connection.say(TurnComplete())
            await kiosk.until(lambda: len(kiosk.seen(ReplyPlayed)) > played)
            await asyncio.to_thread(recording.wait_bytes, len(recording.pcm) + 4800)
        assert carried(answer, bytes(recording.pcm), pcm.DOWNLINK_HZ) >= THROUGH_THE_AIR
        connection.audio.clear()


@pytest.mark.parametrize("mishap", [pull_and_plug, freeze_and_thaw])
@pytest.mark.parametrize("plug", ["mic", "spk"])
async def test_a_device_that_comes_back_is_used_again_and_the_conversation_goes_on(
    sound_server: SoundServer, plug: Plug, mishap: Mishap
) -> None:
    try:
        async with conversation(sound_server) as (kiosk, connection):
            await survive(kiosk, plug, mishap)  # in mid-listening
            await talk(kiosk, connection)

            story = murmur(2.5, pcm.DOWNLINK_HZ)
            told, sounded = len(kiosk.seen(ReplyPlayed)), len(kiosk.seen(ReplySounded))
            connection.say(ReplyAudio(story), GenerationEnded())
            connection.say(TurnComplete())
            async with asyncio.timeout(60):
                await kiosk.until(lambda: len(kiosk.seen(ReplySounded)) > sounded)
            await survive(kiosk, plug, mishap)  # in mid-speaking
            async with asyncio.timeout(60):
                await kiosk.until(lambda: len(kiosk.seen(ReplyPlayed)) > told)
            await talk(kiosk, connection)

            assert kiosk.live.open == [connection], "it is the same session all the while"
            assert kiosk.notifier.told.count("ready") == 1
    finally:
        await asyncio.to_thread(sound_server.mend)


async def test_a_microphone_that_hangs_when_it_is_muted_ends_the_process_and_stays_muted(
    sound_server: SoundServer, tmp_path: Path
) -> None:
    kiosk = Kiosk(sound_server)
    kiosk.memory = PreferenceFile(tmp_path)
    serving = asyncio.create_task(kiosk.serve())
    try:
        async with asyncio.timeout(60):
            connection = await kiosk.live.accept()
            await connection.heard(10 * pcm.FRAME_BYTES)
            sound_server.freeze("mic")
            kiosk.mute_button.press()
            with pytest.raises(DeviceStuck, match=r"microphone 'kioskmic': it did not close within 3 s"):
                await serving
        assert PreferenceFile(tmp_path).load().muted, "so the next process does not open it"
    finally:
        sound_server.thaw("mic")
        await asyncio.to_thread(sound_server.mend)


async def test_a_microphone_that_hangs_does_not_delay_the_end_of_the_daemon(
    sound_server: SoundServer,
) -> None:
    try:
        async with conversation(sound_server):
            sound_server.freeze("mic")
            left_at = time.monotonic()
        assert time.monotonic() - left_at < LEAVE_S, "and nothing but the end of the work was raised"
    finally:
        sound_server.thaw("mic")
        await asyncio.to_thread(sound_server.mend)


async def test_a_kiosk_that_starts_without_its_microphone_serves_and_waits_for_it(
    sound_server: SoundServer,
) -> None:
    sound_server.unplug("mic")
    try:
        kiosk = Kiosk(sound_server)
        async with running(kiosk.serve()):
            async with asyncio.timeout(60):
                await kiosk.until(lambda: kiosk.seen(Started))
            assert "ready" in kiosk.notifier.told
            assert kiosk.seen(DeviceGone(Device.MICROPHONE, MICROPHONE))
            assert not kiosk.seen(DeviceCame(Device.MICROPHONE))

            await asyncio.to_thread(sound_server.replug, "mic")
            back_at = time.monotonic()
            async with asyncio.timeout(2 * BACK_WITHIN_S):
                await kiosk.until(lambda: kiosk.seen(DeviceCame(Device.MICROPHONE)))
                connection = await kiosk.live.accept()
                await connection.until(lambda: connection.audio)
            assert kiosk.seen(DeviceCame(Device.MICROPHONE))[0] - back_at < BACK_WITHIN_S
            await talk(kiosk, connection)
    finally:
        await asyncio.to_thread(sound_server.mend)
