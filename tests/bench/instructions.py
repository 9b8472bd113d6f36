"""Instructions and wake-ups of kioskd and the floors in each state: figures that do not depend on the
machine.

Instructions are counted in slow motion (`slow_motion`) with a real sound server and a real connection.
Wake-ups are counted in true time, since callgrind adds its own. The kernel's instructions are not counted,
and neither are those of the sound server, which is another process.
"""

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from tests.bench.callgrind import REST, CallgrindMeter
from tests.bench.client import KINDS, Client, Kind
from tests.bench.devices import DEVICES, Device
from tests.bench.figures import Report, grid, machine
from tests.bench.service import Service
from tests.bench.slow_motion import slow_now, slow_world
from tests.bench.sound import Room
from tests.bench.wake_ups import SOUND_SERVER, WakeUpMeter
from tests.support.sound_server import SoundServer

from kioskd.flow.audio.speaker_pause import PAUSE_AFTER_S

STATES: Final[Mapping[str, str]] = {
    "start": "start to first uplink byte",
    "asleep": "a minute asleep",
    "silent": "a minute in a silent conversation",
    "reply": "a minute playing a reply",
}
"""The states, and their titles."""
FRAMES_A_S: Final = 50
TOLERANCE: Final = 0.1
"""Share of the frames that may come sooner or later."""
SPARE_FRAMES: Final = 10
"""Frames that may be on their way at either end of a count."""
_PATIENCE_S: Final = 900.0

Counts = dict[str, Counter[str]]
"""Counts by state: a minute's, or the start's."""


class Meter(Protocol):
    """Counts something of one process."""

    @property
    def prefix(self) -> Sequence[str]:
        """The words before the process's own command."""

    def take(self, pid: int) -> Counter[str]:
        """Return the counts since the last call, or since the start."""


@dataclass(frozen=True, slots=True)
class CountPlan:
    """The lengths of the measurement, in seconds of the world that is measured."""

    slowness: int = 16
    """Seconds in which one second of the slow world passes."""
    window_s: float = 3.0
    settle_s: float = PAUSE_AFTER_S + 1.0
    kinds: tuple[Kind, ...] = KINDS


@dataclass(frozen=True, slots=True)
class Work:
    """The work of a client in one state."""

    instructions: Counter[str]
    """By part of the process."""
    wake_ups: Counter[str]
    """By thread."""
    starting: bool = False

    @property
    def own_wake_ups(self) -> int:
        """Return the wake-ups without those of PulseAudio's thread."""
        return self.wake_ups.total() - self.wake_ups[SOUND_SERVER]

    def seconds(self, device: Device) -> tuple[float, float]:
        """Return the least and the most seconds of CPU that it takes on a device.

        The least is without the wake-ups of PulseAudio's thread.
        """
        wake_ups = (self.own_wake_ups, self.wake_ups.total())
        return device.seconds(self.instructions.total(), wake_ups, starting=self.starting)


class Tour:
    """Leads clients through all states, and has a meter count each one."""

    def __init__(
        self,
        plan: CountPlan,
        slowness: int,
        meter: Callable[[Path], Meter],
        *,
        folder: Path,
        service: Service,
        environ: Mapping[str, str],
    ) -> None:
        """`meter`: makes the meter of a new process, which may use the folder that it is given."""
        self._plan = plan
        self._slowness = slowness
        self._meter = meter
        self._folder = folder
        self._service = service
        self._environ = environ
        self._runs = 0

    def visit(self, kind: Kind) -> Counts:
        """Count a client in each state."""
        found: Counts = {}
        with self._client(kind, "admit") as (client, meter):
            found["start"] = meter.take(client.pid)
            found["silent"] = self._minute(client, meter, FRAMES_A_S)
            mark = self._service.mark()
            length_s = self._plan.settle_s + self._plan.window_s + 2
            self._service.order("reply", ms=round(length_s * 1000), paced=True)
            found["reply"] = self._minute(client, meter, FRAMES_A_S)
            if self._service.since("reply", after=mark):
                raise RuntimeError(f"{kind}: the reply was over before it was counted")
        with self._client(kind, "refuse") as (client, meter):
            mark = self._service.mark()
            found["asleep"] = self._minute(client, meter, 0)
            if self._service.since("refused", after=mark):
                raise RuntimeError(f"{kind} dialed again in its sleep: what was counted is no sleep")
        return found

    def _minute(self, client: Client, meter: Meter, frames_a_s: int) -> Counter[str]:
        """Count for a while, and return the counts of a minute. `frames_a_s`: the frames that should come
        meanwhile.

        Raises:
            RuntimeError: the client fell behind the sound server.
        """
        time.sleep(self._plan.settle_s * self._slowness)
        meter.take(client.pid)
        began, frames = slow_now(self._slowness), self._frames()
        time.sleep(self._plan.window_s * self._slowness)
        found, seconds = meter.take(client.pid), slow_now(self._slowness) - began
        came, due = self._frames() - frames, frames_a_s * seconds
        if abs(came - due) > due * TOLERANCE + SPARE_FRAMES:
            raise RuntimeError(
                f"{client.kind} sent {came} frames instead of {due:.0f}, so it fell behind: "
                f"use more than --slowness {self._plan.slowness}, or a machine that has nothing else to do"
            )
        return Counter({name: round(count * 60 / seconds) for name, count in found.items()})

    def _frames(self) -> int:
        mark = self._service.mark()
        self._service.order("frames")
        number: int = self._service.wait("frames", after=mark)["count"]
        return number

    @contextmanager
    def _client(self, kind: Kind, welcome: str) -> Iterator[tuple[Client, Meter]]:
        self._service.order(welcome)
        mark = self._service.mark()
        self._runs += 1
        folder = self._folder / f"run-{self._runs}"
        folder.mkdir()
        meter = self._meter(folder)
        client = Client(
            kind,
            folder=self._folder,
            port=self._service.port,
            ca_file=self._service.ca_file,
            environ=self._environ,
            prefix=meter.prefix,
        )
        try:
            try:
                self._service.wait("audio" if welcome == "admit" else "refused", after=mark)
            except TimeoutError as error:
                raise RuntimeError(f"{kind} did not come to the server: {client.said()}") from error
            yield client, meter
        finally:
            client.end()


def count(plan: CountPlan, say: Callable[[str], None]) -> dict[Kind, dict[str, Work]]:
    """Count all clients in all states."""
    wake_ups: dict[Kind, Counts] = {}
    instructions: dict[Kind, Counts] = {}
    with _tour(plan, 1, lambda _folder: WakeUpMeter()) as tour:
        for kind in plan.kinds:
            say(f"wake-ups of {kind}")
            tour.visit(kind)  # the first start of each client reads files from disk
            wake_ups[kind] = tour.visit(kind)
    with _tour(plan, plan.slowness, CallgrindMeter) as tour:
        for kind in plan.kinds:
            say(f"instructions of {kind}")
            instructions[kind] = tour.visit(kind)
    return {
        kind: {
            state: Work(instructions[kind][state], wake_ups[kind][state], starting=state == "start")
            for state in STATES
        }
        for kind in plan.kinds
    }


@contextmanager
def _tour(plan: CountPlan, slowness: int, meter: Callable[[Path], Meter]) -> Iterator[Tour]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kioskd-count-")))
        stack.enter_context(slow_world(folder, slowness) if slowness > 1 else nullcontext())
        card = stack.enter_context(SoundServer(folder, patience_s=_PATIENCE_S))
        service = stack.enter_context(Service(folder, patience_s=_PATIENCE_S))
        injector = stack.enter_context(card.injector())
        assert injector.stdin
        room = Room(injector.stdin)
        stack.callback(room.close)
        yield Tour(plan, slowness, meter, folder=folder, service=service, environ=card.environ)


def report(found: Mapping[Kind, Mapping[str, Work]]) -> Report:
    """Return the counts, and the estimate for each device."""
    block = "\n\n".join((_counts(found), _parts(found["kioskd"]), _estimate(found), f"{machine()}."))
    return Report(
        "instructions",
        block,
        block,
        {
            "machine": machine(),
            "counts": {
                kind: {
                    state: {"instructions": work.instructions, "wake_ups": work.wake_ups}
                    for state, work in states.items()
                }
                for kind, states in found.items()
            },
            "seconds": {
                kind: {
                    state: {device.name: work.seconds(device) for device in DEVICES}
                    for state, work in states.items()
                }
                for kind, states in found.items()
            },
        },
    )


def _counts(found: Mapping[Kind, Mapping[str, Work]]) -> str:
    rows = [["count", *found, "ratio"]]
    for state, title in STATES.items():
        millions = {kind: states[state].instructions.total() / 1e6 for kind, states in found.items()}
        rows.append([f"millions of instructions, {title}", *_beside(millions)])
    for state, title in STATES.items():
        times = {kind: float(states[state].own_wake_ups) for kind, states in found.items()}
        rows.append([f"wake-ups, {title}", *_beside(times)])
    return grid(rows)


def _beside(numbers: Mapping[Kind, float]) -> list[str]:
    """Return the numbers, and kioskd's in units of the floor of 20 ms."""
    return [
        *(f"{number:.0f}" for number in numbers.values()),
        f"{numbers['kioskd'] / numbers['floor 20']:.2f}x",
    ]


def _parts(states: Mapping[str, Work]) -> str:
    names = sorted({name for work in states.values() for name in work.instructions} - {REST})
    rows = [["kioskd's instructions, in millions", *names]]
    for state, title in STATES.items():
        rows.append([title, *(f"{states[state].instructions[name] / 1e6:.0f}" for name in names)])
    return grid(rows)


def _estimate(found: Mapping[Kind, Mapping[str, Work]]) -> str:
    rows = [["estimated seconds of CPU", *(device.name for device in DEVICES)]]
    for kind, states in found.items():
        for state, title in STATES.items():
            spans = (states[state].seconds(device) for device in DEVICES)
            rows.append([f"{kind}: {title}", *(f"{least:.1f} to {most:.1f}" for least, most in spans)])
    return grid(rows)
