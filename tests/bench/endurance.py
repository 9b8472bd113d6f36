"""Scale in time: wake-ups and written bytes of the real daemon, and an hour and a day in simulated time."""

import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil
from tests.bench import page_cache, simulated_time
from tests.bench.client import Client
from tests.bench.figures import Report, grid, machine
from tests.bench.service import Service
from tests.bench.simulated_time import Life
from tests.bench.sound import Room
from tests.bench.wake_ups import OURS, between, threads
from tests.support.sound_server import SoundServer

from kioskd.flow.audio.speaker_pause import PAUSE_AFTER_S

OWN_WAKE_UPS_A_S: Final = 30
"""The goal asleep, for the threads whose wake-ups kioskd decides on."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The times in seconds."""

    asleep_s: float = 180.0
    conversation_s: float = 120.0
    settle_s: float = PAUSE_AFTER_S + 2.0
    """Seconds until a client is as it will stay: a sleeping one has paused its speaker."""
    simulated_asleep_s: float = 24 * 3600.0
    simulated_conversation_s: float = 3600.0


QUICK: Final = Plan(
    asleep_s=20.0,
    conversation_s=20.0,
    settle_s=2.0,
    simulated_asleep_s=3600.0,
    simulated_conversation_s=800.0,
)


@dataclass(frozen=True, slots=True)
class Watched:
    """Some true time of the daemon's process."""

    seconds: float
    wake_ups: Counter[str]
    """By thread."""
    written_bytes: int
    """Bytes on disk, without the log, which systemd's journal would take."""
    log_lines: int
    files: tuple[int, int]
    """Open files before and after."""
    rss_mb: tuple[float, float]

    @property
    def own_wake_ups_a_s(self) -> float:
        """Return the wake-ups a second of the threads that kioskd decides on."""
        return sum(self.wake_ups[name] for name in OURS) / self.seconds

    @property
    def written_an_hour(self) -> float:
        """Return the bytes written to disk, scaled to an hour."""
        return self.written_bytes / self.seconds * 3600

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "seconds": self.seconds,
            "wake_ups": dict(self.wake_ups),
            "own_wake_ups_a_s": self.own_wake_ups_a_s,
            "written_bytes": self.written_bytes,
            "log_lines": self.log_lines,
            "files": self.files,
            "rss_mb": self.rss_mb,
        }


def watch(plan: Plan, card: SoundServer) -> dict[str, Watched]:
    """Watch a daemon asleep and in a conversation without a visitor."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kioskd-endurance-")))
        memory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kioskd-", dir="/dev/shm")))
        service = stack.enter_context(Service(folder))
        injector = stack.enter_context(card.injector())
        assert injector.stdin
        room = Room(injector.stdin)
        stack.callback(room.close)
        found = {}
        for name, welcome, seconds in (
            ("asleep", "refuse", plan.asleep_s),
            ("conversation", "admit", plan.conversation_s),
        ):
            with _client(folder, memory, service, welcome, card.environ) as client:
                time.sleep(plan.settle_s)
                found[name] = _watch(client, seconds)
    return found


@contextmanager
def _client(
    folder: Path, memory: Path, service: Service, welcome: str, environ: Mapping[str, str]
) -> Iterator[Client]:
    service.order(welcome)
    mark = service.mark()
    state = folder / "state"
    state.mkdir(exist_ok=True)
    client = Client(
        "kioskd",
        folder=folder,
        port=service.port,
        ca_file=service.ca_file,
        environ={**environ, "STATE_DIRECTORY": str(state)},
        log_folder=memory,
    )
    try:
        service.wait("audio" if welcome == "admit" else "refused", after=mark)
        yield client
        client.leave()
    finally:
        client.end()


def _watch(client: Client, seconds: float) -> Watched:
    pid, lines = client.pid, client.lines_said()
    process = psutil.Process(pid)
    before, files, rss = threads(pid), process.num_fds(), process.memory_info().rss
    began, written = time.monotonic(), page_cache.written_bytes(pid)
    time.sleep(seconds)
    return Watched(
        time.monotonic() - began,
        between(before, threads(pid)),
        page_cache.written_bytes(pid) - written,
        client.lines_said() - lines,
        (files, process.num_fds()),
        (rss / 1e6, process.memory_info().rss / 1e6),
    )


def report(plan: Plan, say: Callable[[str], None]) -> Report:
    """Watch, simulate, and return what was found."""
    say(f"{plan.asleep_s:.0f} s asleep and {plan.conversation_s:.0f} s of conversation in true time")
    with tempfile.TemporaryDirectory(prefix="kioskd-card-") as folder, SoundServer(Path(folder)) as card:
        watched = watch(plan, card)
    say("an hour of conversation and a day asleep in simulated time")
    lives = {
        "asleep": asyncio.run(simulated_time.day_asleep(plan.simulated_asleep_s)),
        "conversation": asyncio.run(simulated_time.hour_in_conversation(plan.simulated_conversation_s)),
    }
    block = "\n\n".join((_watched(watched), _lives(lives), _timers(lives), f"{machine()}."))
    values = {
        "machine": machine(),
        "watched": {name: one.as_json() for name, one in watched.items()},
        "simulated": {name: life.as_json() for name, life in lives.items()},
    }
    return Report("endurance", block, block, values)


def _watched(watched: Mapping[str, Watched]) -> str:
    names = sorted({name for one in watched.values() for name in one.wake_ups})
    rows = [["true time", *watched]]
    rows += [
        [
            f"wake-ups a second, {name}",
            *(f"{one.wake_ups[name] / one.seconds:.1f}" for one in watched.values()),
        ]
        for name in names
    ]
    met = {
        name: f" ({'met' if one.own_wake_ups_a_s <= OWN_WAKE_UPS_A_S else 'missed'}: {OWN_WAKE_UPS_A_S})"
        for name, one in watched.items()
        if name == "asleep"
    }
    rows += [
        [
            f"wake-ups a second, {' and '.join(OURS)}",
            *(f"{one.own_wake_ups_a_s:.1f}{met.get(name, '')}" for name, one in watched.items()),
        ],
        ["bytes written to disk, an hour", *(f"{one.written_an_hour:.0f}" for one in watched.values())],
        ["lines for the journal", *(str(one.log_lines) for one in watched.values())],
        ["open files, before and after", *(f"{one.files[0]}, {one.files[1]}" for one in watched.values())],
        [
            "RSS before and after, MB",
            *(f"{one.rss_mb[0]:.1f}, {one.rss_mb[1]:.1f}" for one in watched.values()),
        ],
        ["seconds watched", *(f"{one.seconds:.0f}" for one in watched.values())],
    ]
    return grid(rows)


def _lives(lives: Mapping[str, Life]) -> str:
    return grid(
        [
            ["simulated time", *lives],
            ["hours", *(f"{life.seconds / 3600:.1f}" for life in lives.values())],
            ["timers fired, a second", *(f"{life.wake_ups_a_second:.2f}" for life in lives.values())],
            [
                "RSS before and after, MB",
                *(f"{life.before.rss_mb:.1f}, {life.after.rss_mb:.1f}" for life in lives.values()),
            ],
            [
                "tasks before and after",
                *(f"{life.before.tasks}, {life.after.tasks}" for life in lives.values()),
            ],
            [
                "open files, before and after",
                *(f"{life.before.files}, {life.after.files}" for life in lives.values()),
            ],
        ]
    )


def _timers(lives: Mapping[str, Life]) -> str:
    places = sorted({place for life in lives.values() for place in life.timers})
    rows = [["timers that fired, an hour, by the function that set them", *lives]]
    rows += [
        [f"`{place}`", *(f"{life.timers[place] / life.seconds * 3600:.0f}" for life in lives.values())]
        for place in places
    ]
    return grid(rows)
