"""Hostile clients of the control socket, in a process of their own."""

import contextlib
import json
import random
import socket
import sys
import time
from typing import Final

from tests.soak.progress import Course

PATIENCE_S: Final = 0.02
"""Seconds to wait for an answer. Most clients leave before theirs, which is part of the attack."""

POLITE: Final = 500
"""One client in this number asks properly and waits. Its answer proves that the daemon serves."""
POLITE_S: Final = 60.0

DEEP: Final = b'{"do":' + b"[" * 5_000
REQUESTS: Final[tuple[bytes, ...]] = (
    b'{"do":"status"}\n',
    b'{"do":"metrics"}\n',
    b'{"do":"watch"}\n',
    b'{"do":"wake"}\n',
    b'{"do":"sleep"}\n',
    b'{"do":"hush"}\n',
    b'{"do":"look"}\n',
    b'{"do":"volume","percent":%d}\n' % 10**300,
    b'{"do":"volume","percent":-5}\n',
    b'{"do":"ask","text":"\\ud83d"}\n',
    b'{"do":"ask","text":"\\u0000\\u001b[2J\\u202e"}\n',
    b'{"do":"ask","text":7}\n',
    b'{"do":"log","level":"\\ud83d"}\n',
    b'{"do":"key","key":"\\ud83d"}\n',
    b'{"do":"show","bytes":5}\nabcde',
    b'{"do":"show","bytes":50000000}\n',
    b'{"do":"show","bytes":9}\nab',
    b'{"do":' + b"9" * 5_000 + b"}\n",
    b'{"do":{"do":["do"]}}\n',
    DEEP + b"\n",
    b"x" * 70_000 + b"\n",
    b"[]\n",
    b"\xff\x00\n",
    b"\n" * 500,
    b'{"do":"status"}',
    b"",
)


def attack(place: str, count: int, seed: int) -> int:
    """Play `count` clients; return how many of the polite ones were answered."""
    chance = random.Random(seed)
    answered = 0
    held: list[socket.socket] = []
    course = Course("clients", count, seed)
    for number in range(count):
        if number % POLITE == 0:
            answered += _ask(place)
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(PATIENCE_S)
        with contextlib.suppress(OSError):
            client.connect(place)
            said = b"".join(chance.choices(REQUESTS, k=chance.choice((1, 1, 2, 5))))
            if chance.random() < 0.01:
                said = b'{"do":"status"}\n' * 400
            if chance.random() < 0.1:
                said = bytes(chance.randrange(256) for _ in range(chance.randrange(200)))
            client.sendall(said)
            if chance.random() < 0.5:
                client.recv(chance.choice((1, 100, 100_000)))
        if chance.random() < 0.02 and len(held) < 6:
            held.append(client)  # closes without a message, much later
        else:
            client.close()
        if number % 50 == 49 and held:
            held.pop(0).close()
        course.step()
    for client in held:
        client.close()
    return answered


def _ask(place: str) -> bool:
    """Return whether the daemon answers a polite client that asks again while others have all places."""
    until = time.monotonic() + POLITE_S
    while time.monotonic() < until:
        with socket.socket(socket.AF_UNIX) as client, contextlib.suppress(OSError, ValueError):
            client.settimeout(POLITE_S)
            client.connect(place)
            client.sendall(b'{"do":"status"}\n')
            if json.loads(client.makefile().readline())["ok"]:
                return True
        time.sleep(0.05)
    return False


if __name__ == "__main__":
    sys.stdout.write(json.dumps(attack(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
