"""The files of this checkout, as Git lists them."""

import hashlib
import subprocess
from pathlib import Path

from tests.support.rootfs import CHECKOUT


def source_files(*names: str) -> list[Path]:
    """Return the files below `names` that Git tracks or would add."""
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "-C", CHECKOUT,
         "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *names],
        capture_output=True, check=True, text=True,
    ).stdout  # fmt: skip
    paths = {CHECKOUT / name for name in listed.split("\0") if name}
    return sorted(path for path in paths if path.is_file())


def contents(*names: str) -> dict[str, str]:
    """Return a digest of each file below `names`, by its path in the checkout."""
    return {
        str(path.relative_to(CHECKOUT)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in source_files(*names)
    }
