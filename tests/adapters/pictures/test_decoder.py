"""A picture made to break its reader breaks a child process, but neither the daemon's loop nor its memory."""

import asyncio
import itertools
import os
import resource
import signal
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.hostile_pictures import KINDS, mutations
from tests.support.pictures import UPRIGHT, corners, encoded, jpeg, noise, opened, quarters
from tests.support.slow import SLOW

from kioskd.adapters.pictures import decoder
from kioskd.adapters.pictures.decoder import PictureDecoder, fit
from kioskd.adapters.pictures.decoder_process import MEMORY_BYTES
from kioskd.media.picture import BadPicture

LONGEST_HOLD_S = 0.05
MANY = 1_000 if SLOW else 60


@dataclass
class Hold:
    """The longest time for which the loop was blocked."""

    longest_s: float = 0.0


@asynccontextmanager
async def watched_loop() -> AsyncIterator[Hold]:
    """Measure the processor time that the loop's thread spends between two of its rounds.

    A wall clock would also count other programs on a busy machine.
    """
    hold = Hold()

    async def watch() -> None:
        while True:
            before_s = time.thread_time()
            await asyncio.sleep(0.002)
            hold.longest_s = max(hold.longest_s, time.thread_time() - before_s)

    watching = asyncio.create_task(watch())
    yield hold
    watching.cancel()


def child_bytes(decoder: PictureDecoder) -> int:
    """Return the most memory that the decoder's process has used; 0 if the process was killed."""
    if decoder.process_id is None:
        return 0
    status = Path(f"/proc/{decoder.process_id}/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


async def outcomes(decoder: PictureDecoder, files: Iterable[bytes]) -> dict[str, int]:
    """Decode all files, and count the results."""
    found: dict[str, int] = {}
    for data in files:
        try:
            await asyncio.to_thread(decoder.fit, data, size=768, quality=75)
            outcome = "a picture"
        except BadPicture as error:
            outcome = str(error)
        found[outcome] = found.get(outcome, 0) + 1
    return found


async def test_a_good_picture_is_the_same_as_without_the_child() -> None:
    made = await fit(encoded(quarters(320, 240), "PNG"), size=64, quality=80)
    assert corners(made) == UPRIGHT
    assert opened(made).size == (64, 48)


def test_turning_and_mirroring_are_passed_on() -> None:
    with PictureDecoder() as decoder:
        made = decoder.fit(jpeg(), size=100, quality=80, rotate=90, mirror=True)
        assert corners(made) == ("red", "blue", "green", "white")


def test_one_child_decodes_many_pictures_and_reports_bad_ones() -> None:
    with PictureDecoder() as decoder:
        for _ in range(3):
            assert corners(decoder.fit(jpeg(), size=100, quality=80)) == UPRIGHT
            with pytest.raises(BadPicture, match="it is not a JPEG, PNG or WebP picture"):
                decoder.fit(b"no picture", size=100, quality=80)


def test_the_largest_picture_of_a_telephone_fits_into_the_childs_memory() -> None:
    whole = encoded(noise(2_000, 1_500).resize((8_000, 6_000)), quality=60)
    with PictureDecoder() as decoder:
        assert opened(decoder.fit(whole, size=768, quality=75)).size == (768, 576)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_hostile_picture_ends_soon_and_does_not_block_the_loop(kind: str) -> None:
    data = KINDS[kind]()
    with PictureDecoder() as decoder:
        decoder.fit(jpeg(), size=100, quality=80)  # now the child runs
        async with watched_loop() as hold:
            await outcomes(decoder, [data])
        assert child_bytes(decoder) < MEMORY_BYTES + 100_000_000
    assert hold.longest_s < LONGEST_HOLD_S


async def test_many_damaged_pictures_break_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    damaged = list(itertools.islice(mutations(7), MANY))
    bombs = [make() for make in KINDS.values()] if SLOW else []  # each has a test of its own
    own_before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with PictureDecoder() as decoder:
        async with watched_loop() as hold:
            found = await outcomes(decoder, damaged)
            await outcomes(decoder, bombs)
        assert corners(decoder.fit(jpeg(), size=100, quality=80)) == UPRIGHT
        peak = child_bytes(decoder)
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - own_before
    with capsys.disabled():
        print(  # noqa: T201 - figures for people
            f"\n{MANY} damaged pictures: {found.get('a picture', 0)} decoded, longest hold of the loop "
            f"{hold.longest_s * 1000:.1f} ms, peak of the child {peak / 1e6:.0f} MB, "
            f"growth of the daemon {own / 1e3:.0f} MB"
        )
    assert sum(found.values()) == MANY
    assert hold.longest_s < LONGEST_HOLD_S
    assert peak < MEMORY_BYTES + 100_000_000


# The child.


def test_the_child_gets_nothing_of_the_daemons_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "sesame")
    with PictureDecoder() as decoder:
        decoder.fit(jpeg(), size=100, quality=80)
        assert b"sesame" not in Path(f"/proc/{decoder.process_id}/environ").read_bytes()


# Failures.


def test_a_picture_that_takes_too_long_is_bad_and_the_next_is_decoded() -> None:
    with PictureDecoder(deadline_s=0.001) as decoder:
        with pytest.raises(BadPicture, match="more memory or time"):
            decoder.fit(encoded(noise(1_500, 1_500)), size=768, quality=75)
        decoder.deadline_s = 20.0
        assert corners(decoder.fit(jpeg(), size=100, quality=80)) == UPRIGHT


def test_a_dead_child_is_replaced_at_the_next_picture() -> None:
    with PictureDecoder() as decoder:
        decoder.fit(jpeg(), size=100, quality=80)
        assert decoder.process_id is not None
        os.kill(decoder.process_id, signal.SIGKILL)
        while decoder.process_id is not None:
            time.sleep(0.001)
        assert corners(decoder.fit(jpeg(), size=100, quality=80)) == UPRIGHT


async def test_cancelling_ends_the_child_at_once() -> None:
    began_s = time.monotonic()
    decoding = asyncio.create_task(fit(encoded(noise(4_000, 3_000)), size=768, quality=75))
    await asyncio.sleep(0)
    decoding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await decoding
    await asyncio.get_running_loop().shutdown_default_executor()
    assert time.monotonic() - began_s < decoder.DEADLINE_S / 2


def test_the_child_ends_with_its_decoder() -> None:
    with PictureDecoder() as decoder:
        decoder.fit(jpeg(), size=100, quality=80)
        process_id = decoder.process_id
        assert process_id is not None
    assert decoder.process_id is None
    assert not Path(f"/proc/{process_id}").exists()
