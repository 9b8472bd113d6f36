"""Replaces two of the daemon's files again and again with the daemon's code, and prints the number of each
round.

`writer.py FOLDER` runs as the daemon's user. The power is cut meanwhile. Each file must then be whole, and
not older than the last printed round.
"""

import json
import sys
from pathlib import Path

from kioskd.adapters.storage import atomic_file


def main() -> None:
    """Write until the power goes."""
    folder, number = Path(sys.argv[1]), 0
    while True:
        number += 1
        for name in ("preferences", "budget"):
            text = json.dumps({"number": number, "filling": "x" * (number % 5000)})
            atomic_file.replace(folder / f"{name}.json", text, durable=True)
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
