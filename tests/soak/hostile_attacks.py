"""The attacks of `scripts/soak --hostile`. Each one ends when its course of cases is done."""

import asyncio
import contextlib
import itertools
import json
import re
import sys
import tempfile
from pathlib import Path
from typing import Final

from tests.soak.hostile_clients import POLITE
from tests.soak.hostile_kiosk import HostileTarget
from tests.soak.hostile_settings import read_spoiled
from tests.soak.progress import Course
from tests.support import hostile_calls
from tests.support.live_server import accept_setup
from tests.support.mutations import mutations
from tests.support.service_thread import service_thread
from tests.support.typed_messages import typed_messages
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from kioskd.adapters.pictures.decoder import PictureDecoder
from kioskd.media.picture import BadPicture

BATCH: Final = 20
"""Number of nonsense messages in a row: the adapter gives up only after more."""
PATIENCE_S: Final = 120.0
"""Seconds that a busy machine may take for one batch."""


async def messages(course: Course) -> None:
    """Have a whole kiosk listen to nonsense from the service: spoiled examples, and each field by its type.

    A case is a message that the kiosk has read. Messages of a batch that ended the connection do not count.
    """
    most = 10 * course.count  # enough, even if many do not count
    kinds = mutations(course.seed, most), typed_messages(course.seed, most)
    wrong = itertools.chain.from_iterable(zip(*kinds, strict=True))
    done = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def talk(connection: ServerConnection) -> None:
        server.paths.clear()
        server.headers.clear()
        try:
            await accept_setup(connection)
            while batch := list(itertools.islice(wrong, min(BATCH, course.count - course.done))):
                for message in batch:
                    await connection.send(message)
                await connection.send('{"serverContent":{"turnComplete":true}}')
                waiter = await connection.ping()
                async with asyncio.timeout(PATIENCE_S):
                    await waiter  # the kiosk has read all messages up to here
                course.step(len(batch))
            loop.call_soon_threadsafe(done.set)
            await connection.wait_closed()
        except (ConnectionClosed, TimeoutError):
            return

    with tempfile.TemporaryDirectory() as folder, service_thread(talk) as server:
        target = HostileTarget(Path(folder), server)
        async with target.serving():
            last = -1
            while not done.is_set():
                assert course.done != last, f"nothing was read for {PATIENCE_S} s, after {last} messages"
                last = course.done
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(done.wait(), PATIENCE_S)


async def clients(course: Course) -> None:
    """Have a whole kiosk serve hostile clients from another process."""
    with tempfile.TemporaryDirectory() as folder:
        target = HostileTarget(Path(folder))
        async with target.serving():
            program = (
                *(sys.executable, "-m", "tests.soak.hostile_clients"),
                *(str(target.control), str(course.count), str(course.seed)),
            )
            process = await asyncio.create_subprocess_exec(*program, stdout=asyncio.subprocess.PIPE)
            answered, _ = await process.communicate()
            assert process.returncode == 0, "the clients broke off"
            polite = len(range(0, course.count, POLITE))
            assert int(answered) == polite, f"of {polite} who asked properly were answered: {answered!r}"
            reader, writer = await asyncio.open_unix_connection(str(target.control))
            writer.write(b'{"do":"status"}\n')
            assert json.loads(await reader.readline())["ok"], "the daemon does not answer any more"
            writer.close()
    course.step(course.count)


async def settings(course: Course) -> None:
    """Have spoiled configurations read."""
    await asyncio.to_thread(read_spoiled, course)


async def pictures(course: Course) -> None:
    """Have pictures decoded that were made to break a decoder, as the kiosk does: in a child process."""
    with tempfile.TemporaryDirectory() as folder, PictureDecoder() as decoder:
        file = Path(folder) / "picture"
        # A program of its own makes them: that cost is not the daemon's.
        program = (sys.executable, "-m", "tests.support.hostile_pictures", str(file), str(course.seed))
        pipe = asyncio.subprocess.PIPE
        maker = await asyncio.create_subprocess_exec(*program, stdin=pipe, stdout=pipe)
        assert maker.stdin is not None
        assert maker.stdout is not None
        while course.done < course.count:
            maker.stdin.write(b"\n")
            assert await maker.stdout.readline(), "the pictures could not be made"
            data = await asyncio.to_thread(file.read_bytes)
            with contextlib.suppress(BadPicture):
                await asyncio.to_thread(decoder.fit, data, size=768, quality=80)
            if (child := decoder.process_id) is not None:
                course.children_mib = max(course.children_mib, peak_mib(child))
            course.step()
        maker.stdin.close()
        await maker.wait()


async def tools(course: Course) -> None:
    """Have hostile tools listed, called and answered."""
    await asyncio.to_thread(hostile_calls.warm)
    async for case in hostile_calls.made(course.seed, course.count):
        await hostile_calls.suffer(case)
        course.step()


def peak_mib(process: int | str = "self") -> float:
    """Return the most memory that a program has had; 0 if it has ended.

    getrusage(2) would count the program that started it, too.
    """
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0.0
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0
