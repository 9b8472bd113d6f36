"""Spoiled configurations: each one gives settings or faults, and nothing else."""

import random
import tempfile
import time
from pathlib import Path
from typing import Final

from tests.soak.progress import Course

from kioskd.settings.load import SettingsError, load

LONGEST_S: Final = 2.0
"""Seconds that reading one configuration may take. A thread reads it, so it holds no loop."""


def read_spoiled(course: Course) -> None:
    """Read this number of configurations, one after the other."""
    texts = [path.read_text() for path in sorted(Path("config").glob("*.yaml"))]
    texts += ["a: &a [*a]\n", "conversation: {wake: [button]}\nspeaker: {volume: 5}\n"]
    chance = random.Random(course.seed)
    slowest = 0.0
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "kioskd.yaml"
        while course.done < course.count:
            file.write_bytes(spoiled(chance.choice(texts), chance))
            began = time.thread_time()
            try:
                load(file)
            except SettingsError as error:
                str(error).encode(errors="replace")
            slowest = max(slowest, time.thread_time() - began)
            course.step()
    assert slowest < LONGEST_S, f"one configuration took {slowest:.1f} s to read"


def spoiled(text: str, chance: random.Random) -> bytes:
    """Return a piece of `text` with a few faults in it."""
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
