"""`scripts/soak --hostile`: a service, clients, settings, pictures and tools that mean harm, in bounded numbers.

Each attack has a process of its own, so that the memory it takes is known. Printed are the longest hold of the event loop
(processor time of one callback), the most memory, and whether anything ended.
"""

import argparse
import asyncio
import importlib
import itertools
import json
import random
import resource
import sys
import tempfile
import time
import warnings
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

from tests.soak.hostile_kiosk import HostileTarget
from tests.support.live_server import accept_setup
from tests.support.loop_holds import holds
from tests.support.mutations import mutations
from tests.support.service_thread import service_thread
from tests.support.typed_messages import typed_messages
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

MOST_HOLD_S: Final = 0.05
MOST_MIB: Final = 400.0
"""MemoryMax of the unit, and what the test's own parts take in the same process."""
BATCH: Final = 20
"""Fewer than the adapter takes on end before it calls the service another protocol."""
PATIENCE_S: Final = 30.0


@dataclass(slots=True)
class Wounds:
    """What one attack has done."""

    name: str
    cases: int = 0
    seconds: float = 0.0
    hold_s: float = 0.0
    """The longest that one callback held the loop, in processor time."""
    hold_by: str = ""
    peak_mib: float = 0.0
    ended: str = ""
    """What ended, if anything did."""

    @property
    def fatal(self) -> str:
        """Return what is not as it should be, in words."""
        if self.ended:
            return f"{self.name}: ended: {self.ended}"
        if self.hold_s > MOST_HOLD_S:
            return f"{self.name}: held the loop for {self.hold_s * 1000:.0f} ms: {self.hold_by}"
        return f"{self.name}: took {self.peak_mib:.0f} MiB" if self.peak_mib > MOST_MIB else ""


Attack = Callable[[int, int], Awaitable[int]]
"""Does so many cases from a seed, and returns how many were done."""


async def messages(count: int, seed: int) -> int:
    """Have a whole kiosk listen to a service that talks nonsense: spoiled examples, and each field by its type."""
    wrong = itertools.chain.from_iterable(
        zip(mutations(seed, count // 2 + 1), typed_messages(seed, count // 2 + 1), strict=True)
    )
    sent = 0
    done = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def talk(connection: ServerConnection) -> None:
        nonlocal sent
        try:
            await accept_setup(connection)
            while batch := list(itertools.islice(wrong, min(BATCH, count - sent))):
                for message in batch:
                    await connection.send(message)
                    sent += 1
                await connection.send('{"serverContent":{"turnComplete":true}}')
                waiter = await connection.ping()
                async with asyncio.timeout(PATIENCE_S):
                    await waiter  # the kiosk has read so far
            loop.call_soon_threadsafe(done.set)
            await connection.wait_closed()
        except (ConnectionClosed, TimeoutError):
            return

    with tempfile.TemporaryDirectory() as folder, service_thread(talk) as server:
        target = HostileTarget(Path(folder), server)
        async with target.serving():
            last = -1
            while not done.is_set():
                assert sent != last, f"nothing was read for {PATIENCE_S} s, after {sent} messages"
                last = sent
                with_patience = asyncio.wait_for(done.wait(), PATIENCE_S)
                try:
                    await with_patience
                except TimeoutError:
                    continue
    return sent


async def clients(count: int, seed: int) -> int:
    """Have a whole kiosk attend to clients that mean harm, from another process."""
    with tempfile.TemporaryDirectory() as folder:
        target = HostileTarget(Path(folder))
        async with target.serving():
            program = (
                sys.executable,
                "-m",
                "tests.soak.hostile_clients",
                str(target.control),
                str(count),
                str(seed),
            )
            process = await asyncio.create_subprocess_exec(*program, stdout=asyncio.subprocess.PIPE)
            answered, _ = await process.communicate()
            assert process.returncode == 0, "the clients broke off"
            assert int(answered) > count * 0.05, f"hardly anybody was answered: {answered!r}"
            reader, writer = await asyncio.open_unix_connection(str(target.control))
            writer.write(b'{"do":"status"}\n')
            assert json.loads(await reader.readline())["ok"], "the daemon does not answer any more"
            writer.close()
    return count


async def settings(count: int, seed: int) -> int:
    """Read configurations that were spoiled; each is settings or faults, and never anything else."""
    return await asyncio.to_thread(_read_spoiled, count, seed)


def _read_spoiled(count: int, seed: int) -> int:
    from kioskd.settings.load import SettingsError, load  # noqa: PLC0415 - only this process needs it

    texts = [path.read_text() for path in sorted(Path("config").glob("*.yaml"))]
    texts += ["a: &a [*a]\n", "conversation: {wake: [button]}\nspeaker: {volume: 5}\n"]
    chance = random.Random(seed)
    slowest = 0.0
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "kioskd.yaml"
        for _ in range(count):
            file.write_bytes(_spoiled(chance.choice(texts), chance))
            began = time.thread_time()
            try:
                load(file)
            except SettingsError as error:
                str(error).encode(errors="replace")
            slowest = max(slowest, time.thread_time() - began)
    assert slowest < 2.0, f"one configuration took {slowest:.1f} s to read"
    return count


def _spoiled(text: str, chance: random.Random) -> bytes:
    lines = text.splitlines()
    start = chance.randrange(len(lines))
    lines = lines[start : start + chance.choice((3, 10, 30))]
    for _ in range(chance.choice((1, 2, 4))):
        place = chance.randrange(len(lines))
        match chance.randrange(5):
            case 0:
                lines[place] = lines[place].replace(
                    ":", chance.choice((": [", ": {", ": &a *a", ": !!int", ":\t")), 1
                )
            case 1:
                lines[place] = "  " * chance.randrange(6) + lines[place].strip()
            case 2:
                lines.insert(place, lines[chance.randrange(len(lines))])
            case 3:
                lines[place] += chance.choice(
                    ("\x00", "\ud83d", "\u202e", "9" * 5_000, "[" * 300, "1e999", ".nan")
                )
            case _:
                lines[place] = lines[place][: chance.randrange(len(lines[place]) + 1)]
    data = "\n".join(lines).encode(errors="surrogatepass")
    if chance.random() < 0.2:
        data = bytes(chance.randrange(256) if chance.random() < 0.02 else byte for byte in data)
    return data


def _plain_pictures() -> list[bytes]:
    from PIL import Image  # noqa: PLC0415 - only this process needs it

    plain: list[bytes] = []
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("JPEG", "PNG", "WEBP"):
            file = Path(folder) / kind
            Image.effect_noise((640, 480), 60).convert("RGB").save(file, kind)
            plain.append(file.read_bytes())
    return plain


async def pictures(count: int, seed: int) -> int:
    """Have pictures made fit that were spoiled, as the kiosk does: beside the loop."""
    plain = await asyncio.to_thread(_plain_pictures)
    picture = await asyncio.to_thread(importlib.import_module, "kioskd.media.picture")
    chance = random.Random(seed)
    for _ in range(count):
        data = bytearray(chance.choice(plain))
        match chance.randrange(4):
            case 0:
                data = data[: chance.randrange(len(data))]
            case 1:
                data[2:2] = b"\xff\xe1\x00\x02" * chance.randrange(1, 50_000)  # empty segments
            case 2:
                data[2:2] = b"\xff" * chance.randrange(1, 500_000)  # padding
            case _:
                for _ in range(chance.randrange(1, 40)):
                    data[chance.randrange(min(len(data), 2_000))] = chance.randrange(256)
        try:
            await asyncio.to_thread(picture.fit, bytes(data), size=768, quality=80)
        except picture.BadPicture:
            continue
    return count


async def tools(count: int, seed: int) -> int:
    """Check the arguments of calls against schemas; both come from strangers."""
    arguments = await asyncio.to_thread(importlib.import_module, "kioskd.tools.arguments")
    # The first check of all loads the library that does it; no stranger causes that.
    await asyncio.to_thread(lambda: arguments.Arguments({"type": "object"}).fault({"a": 1}))
    chance = random.Random(seed)
    for _ in range(count):
        schema = {"type": "object", "properties": {"a": _schema(chance, 4), "b": _schema(chance, 2)}}
        try:
            check = arguments.Arguments(schema)
        except ValueError:
            continue
        await asyncio.sleep(0)
        check.fault({"a": _argument(chance, 5), "b": _argument(chance, 3), "\ud83d": 1})
        await asyncio.sleep(0)
    return count


def _schema(chance: random.Random, depth: int) -> Any:
    kinds: Mapping[str, Any] = {
        "type": chance.choice(("string", "integer", "array", "object", ["null", "number"])),
        "enum": ["", "a", None, "\ud83d"],
        "pattern": chance.choice(("^a+$", "[a-z]{2,5}", "a.c")),
        "minimum": chance.choice((0, -(10**30), 1e308)),
        "maxLength": 5,
    }
    if depth == 0 or chance.random() < 0.4:
        name = chance.choice(list(kinds))
        return {name: kinds[name]}
    inner = _schema(chance, depth - 1)
    return chance.choice(
        (
            {"anyOf": [inner, {"type": "string"}]},
            {"items": inner},
            {"properties": {"a": inner}},
            {"not": inner},
        )
    )


def _argument(chance: random.Random, depth: int) -> Any:
    if depth and chance.random() < 0.6:
        inner = [_argument(chance, depth - 1) for _ in range(chance.randrange(4))]
        return chance.choice((inner, {"a": inner, "\ud83d": 1}))
    return chance.choice(
        (None, True, -1, 10**400, float("nan"), "a" * 3_000, "\ud83d", "aaaaaaaaaaaaaaaaaaaa!", 1e308)
    )


ATTACKS: Final[Mapping[str, tuple[Attack, int]]] = {
    "messages": (messages, 1_000_000),
    "clients": (clients, 100_000),
    "settings": (settings, 100_000),
    "pictures": (pictures, 1_000),
    "tools": (tools, 1_000),
}
"""By name: the attack, and how many cases the whole soak has of it."""


def attack(name: str, count: int, seed: int) -> Wounds:
    """Run one attack in this process, which should do nothing else."""
    wounds = Wounds(name)
    warnings.filterwarnings("ignore", category=UserWarning)
    began = time.monotonic()
    with holds() as longest:
        try:
            wounds.cases = asyncio.run(ATTACKS[name][0](count, seed))  # type: ignore[arg-type]  # each is a coroutine
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is what the attack has done
            while isinstance(error, BaseExceptionGroup):
                error = error.exceptions[0]
            wounds.ended = f"{type(error).__name__}: {str(error)[:200]}"
    wounds.seconds = time.monotonic() - began
    wounds.hold_s, wounds.hold_by = longest.longest_s, longest.callback
    wounds.peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return wounds


def attacks(names: Sequence[str], scale: float, seed: int) -> Iterator[Wounds]:
    """Run the attacks one after the other, each in a new process, and yield what they did."""
    for name in names:
        count = max(20, round(ATTACKS[name][1] * scale))
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            yield pool.submit(attack, name, count, seed).result()


def row(wounds: Wounds) -> str:
    """Return the line that a person reads."""
    return (
        f"{wounds.name:10}{wounds.cases:10} cases {wounds.seconds:8.0f} s   longest hold {wounds.hold_s * 1000:6.1f} ms   "
        f"peak {wounds.peak_mib:5.0f} MiB   {wounds.ended or 'nothing ended'}"
    )


def main(argv: Sequence[str]) -> int:
    """Attack as told, print a line for each attack, and return 0 if nothing ended and nothing was held up."""
    parser = argparse.ArgumentParser(prog="scripts/soak --hostile", description=__doc__)
    parser.add_argument(
        "--scale", type=float, default=1.0, help="of the whole number of cases (1.0: a million messages)"
    )
    parser.add_argument(
        "--only", choices=list(ATTACKS), action="append", help="this attack alone; may be given again"
    )
    parser.add_argument("--seed", type=int, default=1, help="chooses the cases (1)")
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    given = parser.parse_args(argv)
    wrong = []
    for wounds in attacks(given.only or list(ATTACKS), given.scale, given.seed):
        sys.stdout.write((json.dumps(asdict(wounds)) if given.json else row(wounds)) + "\n")
        sys.stdout.flush()
        if wounds.fatal:
            wrong.append(wounds.fatal)
    for fatal in wrong:
        sys.stderr.write(f"✗ {fatal}\n")
    return 1 if wrong else 0
