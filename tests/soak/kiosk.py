"""One kiosk of the soak: the daemon, the real client library, and a service that keeps hanging up."""

import asyncio
import contextlib
import itertools
import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from tests.soak.endings import ENDINGS, OWN, SILENT, Ending
from tests.soak.ledger import Ledger
from tests.soak.parts import CountingLive, TalkingMicrophone
from tests.support.fakes_devices import MemoryNotifier, MemorySpeaker
from tests.support.parts import parts as kiosk_parts

from kioskd import app
from kioskd.adapters.clock import SystemClock
from kioskd.adapters.fakes.devices import MemoryButton
from kioskd.adapters.gemini import GeminiConfig, GeminiLive
from kioskd.adapters.gemini.live_socket import Deadlines
from kioskd.core.effects import Greet, SetUplink
from kioskd.core.events import ConnectionUp, Pressed
from kioskd.media import pcm
from kioskd.rehearsal.alignment import Gate, GateChange
from kioskd.settings.model import Settings
from kioskd.simulator import Simulator
from kioskd.simulator.script import FaultAction, Reply, ServiceScript

GREETING: Final = "Greet the visitor in one sentence."
DEADLINES: Final = Deadlines(unacknowledged_s=1.5, stalled_s=1.5, send_s=1.5)
"""Seconds after which a frozen peer counts as dead. Half a minute each would be most of the soak."""
PATIENCE_S: Final = 60.0
"""Seconds without a connection after which the soak counts as stuck."""
QUIET_S: Final = 1.5
"""Seconds after a reply in which the room rings, and the pre-roll after that. No frame of the own voice is
kept."""
AGAIN: Final = 0.2
"""Share of connections that are ended before a turn: the next dial is then delayed."""
SILENT_S: Final = 4.5
"""Seconds of silence before an ending: the frames of the last second share messages."""
SILENT_KIOSKS: Final = 6
"""One kiosk in this number has visitors who fall silent before each ending."""
GOOD_S: Final = 3.0
"""Seconds to wait until a connection has carried a turn."""
ROLLOVERS_A_CONVERSATION: Final = 12
CHECK_S: Final = 10.0
"""Seconds between two accounts of a patient kiosk's sound."""
ROLLOVERS_A_CHECK: Final = 4


@dataclass(slots=True)
class Fared:
    """Results of one kiosk."""

    gaps_ms: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Seconds from the end of a connection to the next one, by ending."""
    resent: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Numbers of frames, by ending."""
    conversations: int = 0
    wrong_greetings: int = 0
    """Number of conversations with no greeting, or with more than one."""

    @property
    def rollovers(self) -> int:
        """Number of connections that were followed by another one in the same conversation."""
        return sum(len(gaps) for gaps in self.gaps_ms.values())


class SoakedKiosk:
    """A kiosk, its visitor, and its own simulator of the service."""

    def __init__(self, number: int, seed: int, speech: bytes, *, patient: bool = False) -> None:
        """`patient`: its connections live as long as the real service's, and its conversation never ends."""
        self.fared = Fared()
        self._number = number
        self._patient = patient
        self._silent = number % SILENT_KIOSKS == 2 and not patient
        self._announces = (number + seed) % 2 == 0
        self._chance = random.Random(seed * 1000 + number)
        self._clock = SystemClock()
        self._button = MemoryButton()
        self._speaker = MemorySpeaker(self._clock)
        self._microphone = TalkingMicrophone(speech, self._clock, seed=seed * 1000 + number)
        self._settings = Settings.model_validate(
            {
                "assistant": {"greeting": GREETING},
                # Two echo modes: the gate is shut during replies, or it is always open.
                "microphone": {"echo": "half_duplex" if number % 2 else "hardware"},
                # No chimes: a frame that a chime was taken out of differs from the captured one.
                "speaker": {"cues": False},
                "conversation": {"wake": ("button",), "longest_s": 86_400.0, "idle_s": 60.0},
            }
        )
        self.ledger = Ledger(self._microphone, self._settings.microphone.preroll_ms // pcm.FRAME_MS)
        self._ending = OWN
        self._ended_at: float | None = None
        self._state: Any = None
        self._greets = 0
        self._resumed = False
        self._old: set[str] = set()
        self._changed = asyncio.Event()
        self._taken = asyncio.Event()

    async def soak(self, done: Callable[[], bool]) -> None:
        """Hold conversations until `done()` is true; it is asked between two endings.

        Raises:
            TimeoutError: the kiosk did not come back.
        """
        script = ServiceScript(replies=(Reply(text="Yes."),), think_s=0.1, silence_ms=200, pace=20.0)
        async with Simulator(script) as service, asyncio.TaskGroup() as group:
            live = GeminiLive(
                GeminiConfig(
                    key=service.key,
                    model=self._settings.service.model,
                    voice=self._settings.assistant.voice,
                    endpoint=service.endpoint,
                    ca_file=service.ca_file,
                ),
                deadlines=DEADLINES,
            )
            parts = kiosk_parts(
                clock=self._clock,
                microphone=self._microphone,
                speaker=self._speaker,
                live=CountingLive(live, self._note_undelivered),
                notifier=MemoryNotifier(),
                buttons=[app.ButtonSpec(self._button)],
            )
            serving = group.create_task(app.serve(self._settings, parts, observers=[self._observe]))
            await self._until(lambda: self._state.started, "to be ready")
            while not done():
                await self._converse(service, done)
            serving.cancel()

    async def _converse(self, service: Simulator, done: Callable[[], bool]) -> None:
        # The kiosk greets no visitor in mid-sentence.
        self._greets = 0
        self._microphone.talking = False
        await self._clock.sleep(QUIET_S)
        self._button.press()
        await self._until(lambda: self._greets, "to greet")
        self._microphone.talking = True
        for number in itertools.count(1):
            await (self._live_long(service, done) if self._patient else self._live_briefly(service))
            if number % ROLLOVERS_A_CHECK == 0 or self._patient:
                self._check(service)
            if done() or (number == ROLLOVERS_A_CONVERSATION and not self._patient):
                break
        await self._sleep()
        self._check(service)
        new = [session for session in service.sessions if session.id not in self._old]
        asked = sum(text == GREETING for session in new for text in session.texts)
        self.fared.conversations += 1
        self.fared.wrong_greetings += (self._greets, asked) != (1, 1)
        self._forget(service)

    async def _live_briefly(self, service: Simulator) -> None:
        """Have one connection ended after a second or two, and wait for the next."""
        await self._clock.sleep(self._chance.uniform(0.2, 1.2))
        if self._chance.random() >= AGAIN:
            with contextlib.suppress(TimeoutError):
                await self._until(lambda: not self._state.link.tries, "to complete a turn", GOOD_S)
        if self._silent:
            self._microphone.talking = False
            await self._clock.sleep(SILENT_S)
        await self._end_connection(service)
        self._microphone.talking = True

    async def _end_connection(self, service: Simulator) -> None:
        """End the connection, and wait for the next."""
        if not (
            self._state.link.open and service.open_connections
        ):  # already ended, by the rest of the ending before
            await self._until(lambda: self._state.link.open, "to come back")
            return
        ending = self._pick()
        self._ending = SILENT if self._silent else ending.name
        self.ledger.ends(self._ending)
        epoch = self._state.link.epoch
        ending.do(service)
        await self._until(
            lambda: self._state.link.open and self._state.link.epoch > epoch,
            f"to come back after {ending.name}",
        )

    async def _live_long(self, service: Simulator, done: Callable[[], bool]) -> None:
        """Have the end of one connection announced as the real service does, or let it reach its age."""
        epoch = self._state.link.epoch
        since = self._clock.now()
        announces = self._announces
        while self._state.link.epoch == epoch:
            await self._clock.sleep(CHECK_S)
            if done():
                return
            self._check(service)
            if announces and self._clock.now() - since > 500.0:
                announces = False
                self.ledger.ends("goAway")
                self._ending = "goAway"
                service.inject(FaultAction(do="go_away", left_s=60.0))
            if self._clock.now() - since > 700.0:
                raise TimeoutError(f"kiosk {self._number}: a connection was not left before its time")
        await self._until(lambda: self._state.link.open, "to come back")

    def _pick(self) -> Ending:
        # If the service gives up a new session within seconds, the kiosk blames its settings and ends the
        # conversation.
        endings = [ending for ending in ENDINGS if ending.resumable or (self._resumed and not self._silent)]
        return self._chance.choices(endings, [ending.weight for ending in endings])[0]

    async def _sleep(self) -> None:
        """Press until the conversation is over. During a reply a press only silences it."""
        while self._state.turn.awake:
            self._taken.clear()
            self._button.press()
            async with asyncio.timeout(PATIENCE_S):
                await self._taken.wait()

    def _check(self, service: Simulator) -> None:
        self._speaker.heard.clear()
        self.ledger.check(service.sessions)
        service.connections[:] = [record for record in service.connections if record.closed_at is None]
        service.state.events.forget()

    def _forget(self, service: Simulator) -> None:
        """Have the simulator, which keeps everything in memory, forget all but the last conversation.

        A frozen connection may still be open for that one.
        """
        service.state.sessions.forget(self._old)
        self._old = {session.id for session in service.sessions}

    async def _until(self, holds: Callable[[], object], what: str, at_most_s: float = PATIENCE_S) -> None:
        try:
            async with asyncio.timeout(at_most_s):
                while self._state is None or not holds():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise TimeoutError(
                f"kiosk {self._number} was waited for {what}, in vain: {self._state.link}, {self._state.turn}"
            ) from None

    def _observe(self, now: float, event: Any, before: Any, after: Any, effects: tuple[Any, ...]) -> None:
        for effect in effects:
            match effect:
                case SetUplink(uplink):
                    self.ledger.gates.append(GateChange(self._microphone.captured, Gate[uplink.name]))
                case Greet():
                    self._greets += 1
        if before.link.open and not after.link.open and after.turn.awake:
            self._ended_at = now
        elif not after.turn.awake:
            self._ended_at = None
        if after.link.open and not before.link.open:
            if self._ended_at is not None:
                self.fared.gaps_ms[self._ending].append((now - self._ended_at) * 1000)
            self._ending, self._ended_at = OWN, None
            self.ledger.came_up()
        match event:
            case Pressed():
                self._taken.set()
            case ConnectionUp(resumed=resumed):
                self._resumed = resumed
        self._state = after
        self._changed.set()

    def _note_undelivered(self, frames: int) -> None:
        self.fared.resent[self._ending] += frames
